"""Units, intervals and widths of windows, against a reference that counts days."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from simulator.rest import candle_windows as windows
from simulator.rest.candle_windows import Resolution, Unit

_DAYS = st.dates(date(2012, 1, 1), date(2030, 12, 31))
_CAPPED = st.sampled_from(
    [
        (1, windows.resolution("minutes", "1")),
        (1, windows.resolution("minutes", "15")),
        (3, windows.resolution("minutes", "16")),
        (3, windows.resolution("minutes", "300")),
        (3, windows.resolution("hours", "5")),
        (120, windows.resolution("days", "1")),
        (12, windows.VERSION_2["day"]),
    ]
)


def _code(error: pytest.ExceptionInfo[web.HTTPError]) -> str:
    assert error.value.status == 400
    return str(json.loads(str(error.value.text))["errors"][0]["errorCode"])


def _first_allowed(last: date, months: int) -> date:
    """Walk back day by day to the month that is ``months`` before, and to the day in it."""
    day, passed = last, 0
    while passed < months or day.day > last.day:
        earlier = day - timedelta(days=1)
        passed += earlier.month != day.month
        day = earlier
    return day


@given(last=_DAYS, capped=_CAPPED, around=st.integers(-3, 3))
def test_width_is_counted_in_calendar_months(
    last: date, capped: tuple[int, Resolution], around: int
) -> None:
    """A window is taken exactly up to the border that counting days back finds."""
    months, asked = capped
    border = _first_allowed(last, months)
    first = border + timedelta(days=around)
    if first >= border:
        assert windows.window(asked, str(last), str(first)) == (first, last)
    else:
        with pytest.raises(web.HTTPError) as error:
            windows.window(asked, str(last), str(first))
        assert _code(error) == "UDAPI1148"


@given(last=_DAYS, capped=_CAPPED)
def test_without_from_date_a_window_is_as_wide_as_allowed(
    last: date, capped: tuple[int, Resolution]
) -> None:
    """The default start is the widest that is taken when it is asked for."""
    months, asked = capped
    assert windows.window(asked, str(last), None) == (_first_allowed(last, months), last)


def test_the_documented_borders() -> None:
    """15 Feb to 15 Mar, and exactly ten years; a day more is refused."""
    minute, daily = windows.resolution("minutes", "1"), windows.resolution("days", "1")
    windows.window(minute, "2026-03-15", "2026-02-15")
    windows.window(daily, "2026-03-15", "2016-03-15")
    for asked, last, first in (
        (minute, "2026-03-16", "2026-02-15"),
        (daily, "2026-03-16", "2016-03-15"),
    ):
        with pytest.raises(web.HTTPError) as error:
            windows.window(asked, last, first)
        assert _code(error) == "UDAPI1148"


@pytest.mark.parametrize("unit", ["weeks", "months"])
def test_weeks_and_months_have_no_width(unit: str) -> None:
    """Everything since 2000 without ``from_date``; any width with one."""
    asked = windows.resolution(unit, "1")
    assert windows.window(asked, "2026-03-16", None) == (date(2000, 1, 1), date(2026, 3, 16))
    windows.window(asked, "2026-03-16", "1990-01-01")


@pytest.mark.parametrize(
    ("unit", "interval", "code"),
    [
        ("minutes", "0", "UDAPI1147"),
        ("minutes", "301", "UDAPI1147"),
        ("minutes", "one", "UDAPI1147"),
        ("minutes", "1.0", "UDAPI1147"),
        ("minutes", "-1", "UDAPI1147"),
        ("hours", "6", "UDAPI1147"),
        ("days", "2", "UDAPI1147"),
        ("weeks", "2", "UDAPI1147"),
        ("months", "3", "UDAPI1147"),
        ("minute", "1", "UDAPI1146"),
        ("DAYS", "1", "UDAPI1146"),
        ("", "1", "UDAPI1146"),
    ],
)
def test_wrong_units_and_intervals(unit: str, interval: str, code: str) -> None:
    """The unit is looked at first."""
    with pytest.raises(web.HTTPError) as error:
        windows.resolution(unit, interval)
    assert _code(error) == code


def test_intraday_has_fewer_units() -> None:
    """A week is no part of a day."""
    for unit in ("weeks", "months"):
        with pytest.raises(web.HTTPError) as error:
            windows.resolution(unit, "1", windows.INTRADAY_UNITS)
        assert _code(error) == "UDAPI1146"


def test_named_intervals() -> None:
    """Version 2 and expired contracts have names, each its own list."""
    for name, known in (
        ("3minute", windows.VERSION_2),
        ("day", windows.VERSION_2_INTRADAY),
        ("week", windows.expired_resolutions(None)),
    ):
        with pytest.raises(web.HTTPError) as error:
            windows.named_resolution(name, known)
        assert _code(error) == "UDAPI1020"
    expired = windows.expired_resolutions(6)
    assert list(expired) == ["1minute", "3minute", "5minute", "15minute", "30minute", "day"]
    assert {asked.most_months for asked in expired.values()} == {6}


_ANY = st.text(max_size=12) | _DAYS.map(str) | st.from_regex(r"\A\d{4}-\d{2}-\d{2}\Z")


@given(to_date=_ANY, from_date=st.none() | _ANY, capped=_CAPPED)
def test_any_text_is_a_window_or_refused(
    to_date: str, from_date: str | None, capped: tuple[int, Resolution]
) -> None:
    """Nothing that stands in a path breaks the reading of it."""
    try:
        first, last = windows.window(capped[1], to_date, from_date)
    except web.HTTPError as error:
        assert json.loads(str(error.text))["errors"][0]["errorCode"] in ("UDAPI1015", "UDAPI1148")
    else:
        assert first <= last
        assert str(last) == to_date


@pytest.mark.parametrize("text", ["20261123", "2026-W01-1", "2026-1-5", "2026-02-30", "today", ""])
def test_one_format_of_dates(text: str) -> None:
    """Other spellings of a date are refused, as is a window that ends before it starts."""
    for to_date, from_date in ((text, None), ("2026-11-20", text), ("2026-11-20", "2026-11-21")):
        with pytest.raises(web.HTTPError) as error:
            windows.window(windows.resolution("days", "1"), to_date, from_date)
        assert _code(error) == "UDAPI1015"


@given(first=_DAYS, width=st.integers(0, 400), unit=st.sampled_from(tuple(Unit)))
def test_whole_bars_are_the_least_that_hold_a_window(first: date, width: int, unit: Unit) -> None:
    """Widened to the first day of a bar and the last one of a bar, no further than needed."""
    last = first + timedelta(days=width)
    begin, end = windows.whole_bars(first, last, unit)
    assert begin <= first <= last <= end
    assert begin == windows.bar_start(first, unit)
    assert windows.bar_start(end, unit) == windows.bar_start(last, unit)
    after = end + timedelta(days=1)
    assert windows.bar_start(after, unit) == after
