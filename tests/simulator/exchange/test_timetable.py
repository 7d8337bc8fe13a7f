"""Which moment is on show, how trading days are counted, and the minutes that they have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import rules_for
from simulator.exchange.timetable import FIRST_DAY, MINUTE_MS, Timetable, epoch_ms, instant_of
from tests.simulator.scenes import WEDNESDAY, Twice
from tests.simulator.standing import ist

_INSTANTS = st.datetimes(datetime(2026, 2, 1), datetime(2026, 12, 20), timezones=st.just(UTC))
_SESSION = st.sampled_from(["nse", "always"])
_DAYS = st.dates(FIRST_DAY, date(2031, 12, 31))
_TIMETABLES = {session: Timetable(rules_for(session)) for session in ("nse", "always")}
_RULES = {session: rules_for(session) for session in ("nse", "always")}


def test_in_session_the_present_is_on_show() -> None:
    """A Wednesday noon."""
    shown = _TIMETABLES["nse"].shown(ist("2026-11-25 12:00"))
    assert shown.is_open
    assert shown.at_ms == epoch_ms(ist("2026-11-25 12:00"))
    assert shown.opened_ms == epoch_ms(ist("2026-11-25 09:15"))


def test_a_holiday_shows_the_last_close() -> None:
    """On Tuesday 24 November 2026, a holiday, Monday's close stays."""
    shown = _TIMETABLES["nse"].shown(ist("2026-11-24 12:00"))
    assert not shown.is_open
    assert shown.trading_day == date(2026, 11, 23)
    assert shown.at_ms == epoch_ms(ist("2026-11-23 15:40"))


def test_between_two_sessions_the_first_one_s_close_is_on_show() -> None:
    """Of the same day, which goes on later."""
    timetable = Timetable(Twice())
    shown = timetable.shown(ist("2026-11-25 11:00"))
    assert (shown.trading_day, shown.is_open) == (WEDNESDAY, False)
    assert shown.at_ms == epoch_ms(ist("2026-11-25 10:00"))
    assert timetable.shown(ist("2026-11-25 11:30")).is_open


@pytest.mark.parametrize(
    "text", ["2026-11-24 12:00", "2026-11-25 00:00", "2026-11-22 23:59:59.999"]
)
def test_the_demo_never_closes(text: str) -> None:
    """Neither on the holiday nor at midnight."""
    assert _TIMETABLES["always"].shown(ist(text)).is_open


@given(_INSTANTS, _SESSION)
def test_what_is_shown_is_never_ahead(instant: datetime, session: str) -> None:
    """The moment on show lies in its day's sessions and not after the instant."""
    shown = _TIMETABLES[session].shown(instant)
    assert shown.opened_ms <= shown.at_ms <= epoch_ms(instant)
    assert shown.is_open == any(
        s.opens_at <= instant < s.closes_at for s in _RULES[session].sessions(shown.trading_day)
    )
    if shown.is_open:
        assert shown.at_ms == epoch_ms(instant)


@given(_INSTANTS, st.timedeltas(timedelta(0), timedelta(days=3)), _SESSION)
def test_time_on_show_never_runs_back(instant: datetime, passed: timedelta, session: str) -> None:
    """Later instants show the same moment or a later one."""
    timetable = _TIMETABLES[session]
    assert timetable.shown(instant).at_ms <= timetable.shown(instant + passed).at_ms


@pytest.mark.parametrize("session", ["nse", "always"])
def test_numbers_count_trading_days(session: str) -> None:
    """Each day of two decades, against a count one by one."""
    rules, timetable, passed = _RULES[session], _TIMETABLES[session], 0
    day = FIRST_DAY
    while day < date(2029, 1, 2):
        assert timetable.number(day) == passed
        passed += rules.is_trading_day(day)
        day += timedelta(days=1)


@given(_DAYS)
def test_numbers_do_not_depend_on_what_was_asked_before(day: date) -> None:
    """A fresh timetable says the same at once."""
    assert Timetable(_RULES["nse"]).number(day) == _TIMETABLES["nse"].number(day)


@given(_DAYS, st.integers(0, 90), _SESSION)
def test_trading_days_are_those_with_a_session(first: date, length: int, session: str) -> None:
    """Both ends counted in, none left out, numbered one after the other."""
    rules, timetable, last = _RULES[session], _TIMETABLES[session], first + timedelta(days=length)
    found = timetable.trading_days(first, last)
    every = (first + timedelta(days=i) for i in range(length + 1))
    assert found == [day for day in every if rules.is_trading_day(day)]
    numbers = [timetable.number(day) for day in found]
    assert numbers == [timetable.number(first) + i for i in range(len(found))]


def test_nothing_is_simulated_before_the_tables() -> None:
    """A range that begins too early begins with the first day."""
    found = _TIMETABLES["nse"].trading_days(date(2009, 12, 1), date(2010, 1, 8))
    assert found[0] == FIRST_DAY
    assert _TIMETABLES["nse"].number(FIRST_DAY) == 0


@given(_DAYS)
def test_the_day_before_is_the_trading_day_before(day: date) -> None:
    """Its last session is the one before a day; no trading day lies between."""
    timetable, day = _TIMETABLES["nse"], max(day, FIRST_DAY + timedelta(days=1))
    before = timetable.day_before(day)
    assert timetable.trading_days(before, day - timedelta(days=1)) == [before]
    assert timetable.session_before(day) == _RULES["nse"].sessions(before)[-1]


@pytest.mark.parametrize(
    ("day", "session", "minutes"),
    [
        (date(2026, 11, 25), "nse", 385),
        (date(2026, 12, 8), "nse", 390),
        (date(2025, 3, 3), "nse", 375),
        (date(2026, 11, 8), "nse", 60),
        (date(2026, 11, 8), "always", 1_440),
    ],
)
def test_a_grid_has_the_minutes_of_its_sessions(day: date, session: str, minutes: int) -> None:
    """One after the other, from the open to the close."""
    grid, sessions = _TIMETABLES[session].grid(day), _RULES[session].sessions(day)
    assert grid.starts_ms.size == minutes
    assert (np.diff(grid.starts_ms) == MINUTE_MS).all()
    assert grid.starts_ms[0] == epoch_ms(sessions[0].opens_at)
    assert grid.starts_ms[-1] + MINUTE_MS == grid.closes_ms == epoch_ms(sessions[-1].closes_at)
    assert grid.number == _TIMETABLES[session].number(day)


def test_trading_time_stands_outside_sessions() -> None:
    """0 before the open, everything after the close, still between two sessions."""
    grid = Timetable(Twice()).grid(WEDNESDAY)
    expected = {
        "09:00": 0,
        "09:15": 0,
        "09:15:30": 30_000,
        "10:00": 45 * MINUTE_MS,
        "11:00": 45 * MINUTE_MS,
        "11:30": 45 * MINUTE_MS,
        "11:31": 46 * MINUTE_MS,
        "12:30": 105 * MINUTE_MS,
        "18:00": 105 * MINUTE_MS,
    }
    found = {clock: grid.traded_ms(epoch_ms(ist(f"2026-11-25 {clock}"))) for clock in expected}
    assert found == expected


@given(_INSTANTS)
def test_epoch_ms_are_whole_and_come_back(instant: datetime) -> None:
    """Rounded down to the millisecond."""
    back = instant_of(epoch_ms(instant))
    assert timedelta(0) <= instant - back < timedelta(milliseconds=1)
    assert epoch_ms(back) == epoch_ms(instant)
