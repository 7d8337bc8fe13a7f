"""Which moment is on show: in session the present one, otherwise the last close."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from market.rules import rules_for
from simulator.timetable import Timetable, epoch_ms

_INSTANTS = st.datetimes(datetime(2026, 2, 1), datetime(2026, 12, 20), timezones=st.just(UTC))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+05:30")


def test_in_session_the_present_is_on_show() -> None:
    """A Wednesday noon."""
    shown = Timetable(rules_for("nse")).shown(_at("2026-11-25 12:00"))
    assert shown.is_open
    assert shown.at_ms == epoch_ms(_at("2026-11-25 12:00"))
    assert shown.opened_ms == epoch_ms(_at("2026-11-25 09:15"))


def test_a_holiday_shows_the_last_close() -> None:
    """On Tuesday 24 November 2026, a holiday, Monday's close stays."""
    shown = Timetable(rules_for("nse")).shown(_at("2026-11-24 12:00"))
    assert not shown.is_open
    assert shown.trading_day == date(2026, 11, 23)
    assert shown.at_ms == epoch_ms(_at("2026-11-23 15:40"))


def test_the_demo_never_closes() -> None:
    """Neither on the holiday nor at midnight."""
    timetable = Timetable(rules_for("always"))
    for text in ("2026-11-24 12:00", "2026-11-25 00:00", "2026-11-22 23:59:59.999"):
        assert timetable.shown(_at(text)).is_open


@given(_INSTANTS, st.sampled_from(["nse", "always"]))
def test_what_is_shown_is_never_ahead(instant: datetime, session: str) -> None:
    """The moment on show lies in its day's sessions and not after the instant."""
    shown = Timetable(rules_for(session)).shown(instant)
    assert shown.opened_ms <= shown.at_ms <= epoch_ms(instant)
    assert shown.is_open == (shown.at_ms == epoch_ms(instant)) or session == "nse"


@given(_INSTANTS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_time_on_show_never_runs_back(instant: datetime, passed: timedelta) -> None:
    """Later instants show the same moment or a later one."""
    timetable = Timetable(rules_for("nse"))
    assert timetable.shown(instant).at_ms <= timetable.shown(instant + passed).at_ms
