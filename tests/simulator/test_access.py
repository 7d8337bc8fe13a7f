"""The door: rates over sliding windows, codes that work once, slots that come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from simulator.access import BROKER_LIMITS, Gate, Limit, RateLimiter
from simulator.tokens import USER, mint

_NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


def _gate(max_sockets: int = 2) -> Gate:
    return Gate(lambda: _NOW, lambda: 0.0, BROKER_LIMITS, max_sockets)


def test_the_brokers_limits() -> None:
    """50 a second, 500 a minute, 2000 in half an hour."""
    assert [(limit.calls, limit.seconds) for limit in BROKER_LIMITS] == [
        (50, 1.0),
        (500, 60.0),
        (2_000, 1_800.0),
    ]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_no_window_holds_more_than_its_limit(instants: list[float]) -> None:
    """Against the definition: a call is admitted if fewer than the limit came before in time."""
    limits, calls = (Limit(3, 1.0), Limit(10, 8.0)), sorted(instants)
    limiter = RateLimiter(limits)
    for i, now in enumerate(calls):
        expected = all(
            sum(now - earlier < limit.seconds for earlier in calls[:i]) < limit.calls
            for limit in limits
        )
        assert limiter.admits(now) == expected


def test_no_limits_admit_everything() -> None:
    """Limits can be switched off."""
    limiter = RateLimiter(())
    assert all(limiter.admits(0.0) for _ in range(10_000))


def test_bearer_tokens() -> None:
    """Only a living token under the right scheme has a user."""
    gate, token = _gate(), mint(_NOW, timedelta(hours=1))
    assert gate.user({"Authorization": f"Bearer {token}"}) == USER
    assert gate.user({"Authorization": f"Basic {token}"}) is None
    assert gate.user({"Authorization": token}) is None
    assert gate.user({}) is None
    stale = mint(_NOW - timedelta(hours=2), timedelta(hours=1))
    assert gate.user({"Authorization": f"Bearer {stale}"}) is None


def test_a_code_works_once() -> None:
    """And one that was never issued does not."""
    gate = _gate()
    code = gate.issue_code(USER)
    assert gate.redeem(code) == USER
    assert gate.redeem(code) is None
    assert gate.redeem("") is None


def test_slots_are_counted_for_each_user() -> None:
    """A full user waits for a slot to come back; another does not."""
    gate = _gate(max_sockets=2)
    assert gate.enter("a")
    assert gate.enter("a")
    assert not gate.enter("a")
    assert gate.enter("b")
    gate.leave("a")
    assert gate.enter("a")
