"""Windows tile sessions exactly: no overlap, no gap, none outside."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from market.rules import AlwaysOpen, Rules
from market.session import is_open, latest_closed_window, slot_name, window_named, windows

DAYS = st.dates(date(2025, 1, 1), date(2026, 12, 31))
MINUTES = st.integers(1, 15)
RULES = st.sampled_from([Rules(), AlwaysOpen()])


@given(RULES, DAYS, MINUTES)
def test_windows_tile_the_sessions(rules: Rules, day: date, minutes: int) -> None:
    """Each session is covered from open to close by windows that touch and never overlap."""
    found = windows(rules, day, minutes)
    for session in rules.sessions(day):
        inside = [w for w in found if session.opens_at <= w.start_at < session.closes_at]
        assert inside[0].start_at == session.opens_at
        assert inside[-1].end_at == session.closes_at
        assert all(a.end_at == b.start_at for a, b in itertools.pairwise(inside))
    assert bool(found) == rules.is_trading_day(day)


@given(RULES, DAYS, MINUTES, st.data())
def test_slots_name_windows_uniquely(
    rules: Rules, day: date, minutes: int, data: st.DataObject
) -> None:
    """Day and slot give back the same window."""
    found = windows(rules, day, minutes)
    assert len({w.slot for w in found}) == len(found)
    if found:
        window = data.draw(st.sampled_from(found))
        assert window_named(rules, day, window.slot, minutes) == window
        assert window.slot == slot_name(window.start_at)


@given(
    RULES,
    st.datetimes(datetime(2025, 1, 5), datetime(2026, 12, 31), timezones=st.just(UTC)),
    MINUTES,
)
def test_latest_closed_window_has_ended(rules: Rules, now: datetime, minutes: int) -> None:
    """Nothing that is still running, or that has not begun, is called closed."""
    window = latest_closed_window(rules, now, minutes)
    if window is not None:
        assert window.end_at <= now
        assert not any(
            window.end_at < other.end_at <= now for other in windows(rules, window.day, minutes)
        )


def test_five_minute_day_counts() -> None:
    """75, 77 and 78 windows: the three closes that the exchange has had."""
    counts = [
        len(windows(Rules(), day, 5))
        for day in (date(2026, 7, 31), date(2026, 8, 3), date(2026, 12, 7))
    ]
    assert counts == [75, 77, 78]


def test_open_includes_the_first_instant_and_not_the_last() -> None:
    """Sessions are half-open."""
    day = date(2026, 11, 23)
    (session,) = Rules().sessions(day)
    assert is_open(Rules(), session.opens_at)
    assert not is_open(Rules(), session.closes_at)
    assert not is_open(Rules(), session.opens_at - timedelta(microseconds=1))
