"""Polling: every key once, never faster than wanted, never more calls than are left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.planner import poll_cadence


@given(st.integers(0, 6000), st.floats(1, 600), st.floats(-5, 120))
def test_within_the_calls_and_the_interval(keys: int, interval: float, left: float) -> None:
    """For any number of keys and calls; and the first batch is never the slower one."""
    plan = poll_cadence(keys, interval, left)
    assert plan.calls_per_minute <= max(left, 0.0) + 1e-6
    assert all(b.period_seconds >= interval for b in plan.batches)
    assert all(0 < b.last - b.first <= 500 for b in plan.batches)
    if left > 0:
        told = [n for b in plan.batches for n in range(b.first, b.last)]
        assert told == list(range(keys))
        assert [b.period_seconds for b in plan.batches] == sorted(
            b.period_seconds for b in plan.batches
        )
    else:
        assert plan.batches == ()


def test_enough_calls_give_every_batch_the_interval() -> None:
    """Ten batches each 30 s are twenty calls a minute."""
    plan = poll_cadence(5000, 30.0, 20.0)
    assert {b.period_seconds for b in plan.batches} == {30.0}


def test_too_few_calls_slow_the_far_strikes_down_first() -> None:
    """The second batch is asked for half as often as the first, the third a third."""
    plan = poll_cadence(1500, 5.0, 11.0)
    assert [b.period_seconds for b in plan.batches] == pytest.approx([10.0, 20.0, 30.0])
