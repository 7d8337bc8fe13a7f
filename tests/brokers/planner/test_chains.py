"""Chains: which are asked for, how often, evenly; and a whole day within the broker's limits."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.budget import Budget
from brokers.planner import ChainRequest, chain_cadence, chain_plan
from brokers.planner.chains import calls_for_chains
from market.contract import Kind
from simulator.access.gate import BROKER_LIMITS, RateLimiter
from tests.listings import TODAY, WEEKS, listing, spot

DAY_MINUTES = 375


def _requests(indices: int, stocks: int, expiries: int) -> list[ChainRequest]:
    """As ``chain_plan`` would give them."""
    spots = [spot(f"I{n}") for n in range(indices)]
    spots += [spot(f"S{n}", Kind.EQUITY) for n in range(stocks)]
    days = [TODAY + timedelta(days=7 * n) for n in range(expiries)]
    return [ChainRequest(s, day) for day in days for s in spots]


def test_chain_plan_takes_every_symbols_nearest_first() -> None:
    """If the budget runs out, far expiries are lost and no symbol is."""
    listed = [*listing("SENSEX"), *listing("NIFTY", WEEKS[:1])]
    plan = chain_plan(listed, ("NIFTY", "SENSEX", "UNLISTED"), 2, TODAY)
    assert plan == (
        ChainRequest(spot("NIFTY"), WEEKS[0]),
        ChainRequest(spot("SENSEX"), WEEKS[0]),
        ChainRequest(spot("SENSEX"), WEEKS[1]),
    )


def test_symbol_without_options_has_no_requests() -> None:
    """A volatility index is followed, but has no chain."""
    assert chain_plan([spot("INDIAVIX")], ("INDIAVIX",), 2, TODAY) == ()


def test_few_chains_are_fetched_in_every_window() -> None:
    """Where the calls suffice nothing waits, and the order is that of the plan."""
    requests = _requests(5, 10, 2)
    plan = chain_cadence(requests, 5, 50)
    assert all(set(plan.due(n)) == set(requests) for n in range(3))
    assert {chain.reason for chain in plan.chains if chain.tier == 0} == {
        "every window: index, expiry 1",
        "every window: index, expiry 2",
    }


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 6),
    st.integers(0, 80),
    st.integers(1, 3),
    st.sampled_from([1, 3, 5, 15]),
    st.floats(0, 60),
)
def test_cadences_keep_within_the_calls_and_in_order(
    indices: int, stocks: int, expiries: int, minutes: int, calls: float
) -> None:
    """Whatever is wanted: within the rate, even, nearest first, and none is lost."""
    requests = _requests(indices, stocks, expiries)
    plan = chain_cadence(requests, minutes, calls)
    assert plan.calls_per_window <= calls * minutes + 1e-9
    told = [*(c.request for c in plan.chains), *plan.left_out]
    assert len(told) == len(requests)
    assert all(request in told for request in requests)
    counts = [len(plan.due(n)) for n in range(48)]
    assert sum(counts) == pytest.approx(48 * plan.calls_per_window)
    assert max(counts) <= plan.calls_per_window + 2
    by_rank: dict[int, set[int]] = {}
    for chain in plan.chains:
        by_rank.setdefault(chain.rank, set()).add(chain.every_windows)
    for rank in range(1, expiries):
        if rank in by_rank:
            assert min(by_rank[rank]) >= max(by_rank[rank - 1])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(0, 60), st.floats(5, 60))
def test_the_heavier_is_fetched_no_less_often(indices: int, stocks: int, calls: float) -> None:
    """Indices before stocks, first expiries before second ones; the same again, the same plan."""
    plan = chain_cadence(_requests(indices, stocks, 2), 5, calls)
    steps = [chain.every_windows for chain in plan.chains]
    assert steps == sorted(steps)
    assert plan == chain_cadence(_requests(indices, stocks, 2), 5, calls)


def test_a_day_of_all_symbols_is_never_throttled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """6 h 15 min, 215 symbols with two expiries, and ten quotes calls a minute all day long."""
    others_per_minute, window_minutes = 10.0, 5
    plan = chain_cadence(_requests(5, 210, 2), window_minutes, calls_for_chains())
    clock, judge = _Clock(), RateLimiter(BROKER_LIMITS)
    budget = Budget(tmp_path / "calls", clock=clock.now, sleep=clock.sleep)
    calls = refused = 0
    latest_seconds = 0.0
    others = [(60 / others_per_minute) * n for n in range(int(DAY_MINUTES * others_per_minute))]
    windows = [60.0 * window_minutes * (n + 1) for n in range(DAY_MINUTES // window_minutes)]
    events = sorted(
        [(at, 1) for at in others] + [(at, len(plan.due(n))) for n, at in enumerate(windows)]
    )
    for at, count in events:
        clock.at = max(clock.at, at)
        for _ in range(count):
            budget.acquire()
            refused += not judge.admits(clock.at)
            calls += 1
            clock.at += 0.02
        latest_seconds = max(latest_seconds, clock.at - at)
    ages = sorted({chain.every_windows * window_minutes for chain in plan.chains})
    with capsys.disabled():
        print(  # noqa: T201 - the numbers are the point
            f"\n{calls} calls in {DAY_MINUTES} min, {calls / DAY_MINUTES:.1f} a minute, "
            f"{refused} throttled; chains every {ages} min, {latest_seconds:.1f} s for a window"
        )
    assert refused == 0
    assert calls / DAY_MINUTES <= 60
    assert latest_seconds < 30
    assert not plan.left_out


class _Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        """Epoch seconds."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


def test_windows_of_a_day_start_with_the_first() -> None:
    """Each chain is due within its own first interval of the day, so no chain waits for ever."""
    plan = chain_cadence(_requests(5, 210, 2), 5, 50)
    for chain in plan.chains:
        first = next(n for n in range(48) if chain.is_due(n))
        assert first < chain.every_windows
        assert chain.is_due(first + chain.every_windows)
    assert isinstance(plan.due(0)[0].expiry, date)
