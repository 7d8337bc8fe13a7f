"""Which series the simulated exchange lists on a day, and which strikes they have.

A strike once listed stays until its expiry, as at the exchange: strikes follow from the closes
since the series began, not from the last one alone. How contracts are called, and their rows, stand
in ``universe``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import ceil, sqrt

from market.rules import Rules
from simulator.exchange.symbols import Symbol

# The lowest and highest level (₹) of a symbol over the closes of the trading days from the first
# date to the second, both of which are trading days and counted in.
Band = Callable[[Symbol, date, date], tuple[float, float]]

_MONTHLIES = 3
_NEXT_EXPIRIES = 4  # of a symbol with weeklies
_QUARTERS = 2  # ends of quarters beyond the monthlies, of a symbol with weeklies
_QUARTER_ENDS = (3, 6, 9, 12)
_ALL = "*"  # the rules' name for every symbol of an exchange that has monthlies only


@dataclass(frozen=True, slots=True)
class _Stage:
    """A part of a series' life, in which each close adds the strikes around it.

    Attributes:
        first_days, last_days: calendar days before the expiry; equal if only one close counts.
        deviations: how much a side covers, in standard deviations of ``first_days``.
        least: fewest steps of a side.
        rings: up to so many steps from the money, a strike on every so manieth step.
    """

    first_days: int
    last_days: int
    deviations: float
    least: int
    rings: tuple[tuple[int, int], ...]


def _index_stage(first_days: int, last_days: int) -> _Stage:
    rings = ((40, 1), (100, 2), (1_000, 10))
    return _Stage(first_days, last_days, deviations=3.2 * 1.2, least=40, rings=rings)


# The stages of a series begin before the rules first list it: a strike never depends on the day
# that asks. Long before the expiry the width itself covers what the spot does until the next stage.
_WEEKLY = (_index_stage(35, 0),)
_MONTHLY = (_index_stage(105, 0),)
_QUARTERLY = (_index_stage(290, 290), _index_stage(140, 0))
# As the exchange's scheme has it, a stock's third month has fewer strikes, on wider steps.
_STOCK = (
    _Stage(105, 71, deviations=0.0, least=14, rings=((6, 2), (14, 4))),
    _Stage(70, 36, deviations=2.8, least=10, rings=((3, 1), (10, 2), (24, 4))),
    _Stage(35, 0, deviations=2.8, least=10, rings=((3, 1), (10, 2), (30, 4))),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One expiry of a symbol's options.

    Attributes:
        is_weekly: ends a week that does not end a month's series.
        has_future: a future ends with it.
    """

    symbol: Symbol
    expiry: date
    is_weekly: bool
    has_future: bool
    stages: tuple[_Stage, ...]


class Calendar:
    """What the rules say of one day, each question asked once for all symbols."""

    def __init__(self, day: date, rules: Rules) -> None:
        self._day = day
        self._rules = rules
        self._monthlies = lru_cache(lambda exchange: rules.expiries(_ALL, exchange, day, 9))
        self.trading_day = lru_cache(self._trading_day)
        self.yesterday = self.trading_day(day - timedelta(days=1))

    def series(self, symbol: Symbol) -> tuple[Series, ...]:
        """The symbol's series, nearest first: every symbol has months, few have weeks as well."""
        if not symbol.has_derivatives:
            return ()
        monthlies = self._monthlies(symbol.underlying.exchange)
        listed = set(monthlies[:_MONTHLIES])
        has_weeklies = symbol.is_index and not listed.issuperset(self._next(symbol, 2))
        if has_weeklies:
            quarters = [e for e in monthlies[_MONTHLIES:] if e.month in _QUARTER_ENDS]
            listed.update(self._next(symbol, _NEXT_EXPIRIES), quarters[:_QUARTERS])
        return tuple(
            Series(
                symbol,
                expiry,
                is_weekly=expiry not in monthlies,
                has_future=expiry in monthlies[:_MONTHLIES],
                stages=_stages(symbol, expiry, expiry in monthlies, has_weeklies),
            )
            for expiry in sorted(listed)
        )

    def _next(self, symbol: Symbol, count: int) -> tuple[date, ...]:
        name, exchange = symbol.underlying.symbol, symbol.underlying.exchange
        return self._rules.expiries(name, exchange, self._day, count)

    def _trading_day(self, day: date) -> date:
        """The last trading day up to ``day``."""
        while not self._rules.is_trading_day(day):
            day -= timedelta(days=1)
        return day


def spans(series: Series, calendar: Calendar, band: Band) -> tuple[tuple[int, int, int], ...]:
    """Where strikes stand: lowest and highest, in steps, and on every how manieth step.

    A later day's spans enclose an earlier one's: they grow with the lowest and highest close.
    """
    found: list[tuple[int, int, int]] = []
    for stage in series.stages:
        if _trading_day_before(series, stage.first_days, calendar) > calendar.yesterday:
            break
        low, high = _levels(series, stage, calendar, band)
        down, up = _side(stage, series.symbol, low), _side(stage, series.symbol, high)
        for within, every in stage.rings:
            found.append((max(low - min(down, within), 1), high + min(up, within), every))
    return tuple(found)


def places(spans: tuple[tuple[int, int, int], ...]) -> list[int]:
    """All strikes in ``spans``, in steps, ascending."""
    found: set[int] = set()
    for low, high, every in spans:
        found.update(range(-(-low // every) * every, high + 1, every))
    return sorted(found)


def _stages(
    symbol: Symbol, expiry: date, is_monthly: bool, has_weeklies: bool
) -> tuple[_Stage, ...]:
    if not symbol.is_index:
        return _STOCK
    if not is_monthly:
        return _WEEKLY
    return _QUARTERLY if has_weeklies and expiry.month in _QUARTER_ENDS else _MONTHLY


def _levels(series: Series, stage: _Stage, calendar: Calendar, band: Band) -> tuple[int, int]:
    """The lowest and highest close of a stage so far, in steps."""
    first = _trading_day_before(series, stage.first_days, calendar)
    last = _trading_day_before(series, stage.last_days, calendar)
    low, high = band(series.symbol, first, min(last, calendar.yesterday))
    return round(low / series.symbol.step), round(high / series.symbol.step)


def _trading_day_before(series: Series, days: int, calendar: Calendar) -> date:
    return calendar.trading_day(series.expiry - timedelta(days=days))


def _side(stage: _Stage, symbol: Symbol, level: int) -> int:
    """Steps that a side reaches from ``level`` (in steps)."""
    years = stage.first_days / 365.0
    covered = ceil(stage.deviations * symbol.volatility * sqrt(years) * level)
    return max(covered, stage.least)
