"""What a candle call may ask for: units, intervals, and how wide a window each of them allows.

The broker's rules alone, with its refusals; no market and no HTTP. How bars are made stands in
``bars``, the paths in ``candle_calls`` and ``expired_calls``.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from aiohttp import web

from simulator.access.calls import read_day
from simulator.access.refusals import refusal, refuse

_EARLIEST_MINUTE = date(2022, 1, 1)
_EARLIEST_DAY = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class CandleOptions:
    """How the candle paths behave where the broker's behaviour is reported or not known.

    Attributes:
        has_intraday_when_closed: while the day has not opened yet, or does not trade at all, the
            intraday paths answer with the last trading day, as users report; False for none.
        late_day_above_days: daily windows wider than this lack their newest bar, a reported
            defect; None for a broker without it.
        expired_months: how far back expiries are listed and their contracts served; the broker's
            documentation says 6, some users see more.
        expired_window_months: widest window of one call for an expired contract; the broker names
            none, so None, for no limit.
    """

    has_intraday_when_closed: bool = True
    late_day_above_days: int | None = None
    expired_months: int = 6
    expired_window_months: int | None = None


DEFAULT_CANDLE_OPTIONS = CandleOptions()


class Unit(StrEnum):
    """The broker's units of time."""

    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"

    @property
    def is_within_day(self) -> bool:
        return self in (Unit.MINUTES, Unit.HOURS)

    @property
    def earliest(self) -> date:
        """The first day that the broker has such bars of."""
        return _EARLIEST_MINUTE if self.is_within_day else _EARLIEST_DAY


_MOST_OF: Mapping[Unit, int] = {Unit.MINUTES: 300, Unit.HOURS: 5}
INTRADAY_UNITS = (Unit.MINUTES, Unit.HOURS, Unit.DAYS)


@dataclass(frozen=True, slots=True)
class Resolution:
    """How long a bar is, and how wide a window of such bars may be.

    Attributes:
        count: units in a bar.
        most_months: widest window in calendar months before its last day; None for any width.
    """

    unit: Unit
    count: int
    most_months: int | None

    @property
    def minutes(self) -> int:
        """Length of a bar that is shorter than a day."""
        return self.count * (60 if self.unit is Unit.HOURS else 1)


# Version 2's documentation gives these spans; observed refusals of wider ones are UDAPI1148.
_MINUTE = Resolution(Unit.MINUTES, 1, 1)
VERSION_2: Mapping[str, Resolution] = {
    "1minute": _MINUTE,
    "30minute": Resolution(Unit.MINUTES, 30, 12),
    "day": Resolution(Unit.DAYS, 1, 12),
    "week": Resolution(Unit.WEEKS, 1, 120),
    "month": Resolution(Unit.MONTHS, 1, 120),
}
VERSION_2_INTRADAY = {name: VERSION_2[name] for name in ("1minute", "30minute")}


def expired_resolutions(most_months: int | None) -> Mapping[str, Resolution]:
    """The intervals of expired contracts, by the broker's names."""
    minutes = {
        f"{count}minute": Resolution(Unit.MINUTES, count, most_months)
        for count in (1, 3, 5, 15, 30)
    }
    return minutes | {"day": Resolution(Unit.DAYS, 1, most_months)}


def resolution(unit: str, interval: str, units: tuple[Unit, ...] = tuple(Unit)) -> Resolution:
    """A version 3 unit and interval; refused with UDAPI1146 and UDAPI1147."""
    if unit not in units:
        raise refuse("UDAPI1146", value=unit, property_path="unit")
    chosen = Unit(unit)
    count = int(interval) if re.fullmatch(r"\d{1,3}", interval, re.ASCII) else 0
    if not 1 <= count <= _MOST_OF.get(chosen, 1):
        raise refuse("UDAPI1147", value=interval, property_path="interval")
    return Resolution(chosen, count, _most_months(chosen, count))


def named_resolution(interval: str, known: Mapping[str, Resolution]) -> Resolution:
    """An interval by name, as version 2 and expired contracts have them; else UDAPI1020."""
    if interval not in known:
        names = ",".join(known)
        message = f"Interval accepts one of ({names})"
        raise refusal(400, "UDAPI1020", message, interval, "interval")
    return known[interval]


def window(asked: Resolution, to_date: str, from_date: str | None) -> tuple[date, date]:
    """First and last day of a window, both inclusive.

    A quarter is three calendar months. The width is counted back from the last day, as the
    documentation words it ("leading up to the to_date"), and the day of the month is kept where
    the earlier month has it: 30 March reaches back to 28 February. Without ``from_date`` the window
    is as wide as allowed. Refusals: UDAPI1015 for dates and their order, UDAPI1148 for the width.
    """
    last = _day(to_date)
    widest = asked.most_months
    earliest = asked.unit.earliest if widest is None else months_before(last, widest)
    if from_date is None:
        return earliest, last
    first = _day(from_date)
    if first > last:
        raise _wrong_dates(from_date)
    if widest is not None and first < earliest:
        raise refuse("UDAPI1148", value=from_date, property_path="from_date")
    return first, last


def bar_start(day: date, unit: Unit) -> date:
    """The first calendar day of the daily or longer bar that ``day`` is in.

    Weeks start on Monday, months on the first, whether or not these days trade.
    """
    if unit is Unit.WEEKS:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit is Unit.MONTHS else day


def whole_bars(first: date, last: date, unit: Unit) -> tuple[date, date]:
    """A window widened to whole bars: a bar is the same whichever window asks for it."""
    if unit is Unit.WEEKS:
        return bar_start(first, unit), bar_start(last, unit) + timedelta(days=6)
    if unit is Unit.MONTHS:
        return bar_start(first, unit), last.replace(day=_days_in_month(last.year, last.month))
    return first, last


def months_before(day: date, months: int) -> date:
    """The same day of the month ``months`` earlier, or that month's last one if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < date.min.year:
        return date.min
    return date(year, month + 1, min(day.day, _days_in_month(year, month + 1)))


def _most_months(unit: Unit, count: int) -> int | None:
    if unit is Unit.MINUTES:
        return 1 if count <= 15 else 3
    return {Unit.HOURS: 3, Unit.DAYS: 120}.get(unit)


def _days_in_month(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _day(text: str) -> date:
    found = read_day(text)
    if found is None:
        raise _wrong_dates(text)
    return found


def _wrong_dates(text: str) -> web.HTTPError:
    message = (
        "to_date must be greater than or equal to from_date and "
        "Date should be in valid format: yyyy-mm-dd"
    )
    return refusal(400, "UDAPI1015", message, text)
