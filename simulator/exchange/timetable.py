"""When the simulated exchange trades: which instant's prices are on show, and how days are counted.

Outside a session the prices of the last close stay on show. The sessions themselves are
``market.rules``' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from market.rules import IST, AlwaysOpen, Rules, Session
from simulator.exchange.noise import Ints

MINUTE_MS = 60_000
# The first day of the dated tables: nothing is simulated before it.
FIRST_DAY = date(2010, 1, 4)


@dataclass(frozen=True, slots=True)
class Shown:
    """What an observer sees.

    Attributes:
        trading_day: the exchange day whose prices are on show.
        opened_ms: first open of that day, epoch ms.
        at_ms: the instant whose prices are on show, ``opened_ms <= at_ms``.
        is_open: whether trading goes on.
    """

    trading_day: date
    opened_ms: int
    at_ms: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """A trading day's minutes, one after the other, without the pauses between its sessions.

    Attributes:
        number: trading days since ``FIRST_DAY``.
        starts_ms: start of each traded minute, epoch ms.
        closes_ms: end of the last one.
    """

    day: date
    number: int
    starts_ms: Ints
    closes_ms: int

    def traded_ms(self, at_ms: int) -> int:
        """Milliseconds of trading from the open to an instant."""
        minute = int(np.searchsorted(self.starts_ms, at_ms, side="right")) - 1
        if minute < 0:
            return 0
        within = min(at_ms - int(self.starts_ms[minute]), MINUTE_MS)
        return minute * MINUTE_MS + within


class Timetable:
    """Answers for any instant in any order; remembers only days already looked up."""

    def __init__(self, rules: Rules) -> None:
        self._sessions = lru_cache(maxsize=8192)(rules.sessions)
        self._before_year = lru_cache(maxsize=None)(self._days_before_year)
        self._numbers = lru_cache(maxsize=64)(self._numbers_of_year)
        self.grid = lru_cache(maxsize=512)(self._grid)
        self.days_per_year = 365.0 if isinstance(rules, AlwaysOpen) else 248.0
        # The share of a day's variance that falls between the close and the next open.
        self.night_share = 0.0 if isinstance(rules, AlwaysOpen) else 0.25

    def shown(self, instant: datetime) -> Shown:
        """What is on show at ``instant`` (aware)."""
        at_ms = epoch_ms(instant)
        day = instant.astimezone(IST).date()
        while not (begun := [s for s in self._sessions(day) if epoch_ms(s.opens_at) <= at_ms]):
            day -= timedelta(days=1)
        closes_ms = epoch_ms(begun[-1].closes_at)
        return Shown(
            trading_day=day,
            opened_ms=epoch_ms(begun[0].opens_at),
            at_ms=min(at_ms, closes_ms),
            is_open=at_ms < closes_ms,
        )

    def session_before(self, day: date) -> Session:
        """The last session of the trading day before ``day``."""
        return self._sessions(self.day_before(day))[-1]

    def day_before(self, day: date) -> date:
        """The trading day before ``day``."""
        day -= timedelta(days=1)
        while not self._sessions(day):
            day -= timedelta(days=1)
        return day

    def trading_days(self, first: date, last: date) -> list[date]:
        """The trading days from ``first`` to ``last``, both included."""
        start = max(first, FIRST_DAY)
        every = (start + timedelta(days=i) for i in range((last - start).days + 1))
        return [day for day in every if self._sessions(day)]

    def number(self, day: date) -> int:
        """How many trading days lie between ``FIRST_DAY`` and ``day``; it itself not counted."""
        return self._before_year(day.year) + self._numbers(day.year)[day.timetuple().tm_yday - 1]

    def _days_before_year(self, year: int) -> int:
        if year <= FIRST_DAY.year:
            return 0
        return self._before_year(year - 1) + self._numbers(year - 1)[-1]

    def _numbers_of_year(self, year: int) -> list[int]:
        """Trading days of the year before each of its days, and at last all of them."""
        first = max(date(year, 1, 1), FIRST_DAY)
        skipped = (first - date(year, 1, 1)).days
        counts, day = [0] * (skipped + 1), first
        while day.year == year:
            counts.append(counts[-1] + bool(self._sessions(day)))
            day += timedelta(days=1)
        return counts

    def _grid(self, day: date) -> Grid:
        sessions = self._sessions(day)
        starts = [
            ms
            for session in sessions
            for ms in range(epoch_ms(session.opens_at), epoch_ms(session.closes_at), MINUTE_MS)
        ]
        closes_ms = epoch_ms(sessions[-1].closes_at)
        return Grid(day, self.number(day), np.array(starts, np.int64), closes_ms)


def epoch_ms(instant: datetime) -> int:
    """Whole milliseconds since the epoch, rounded down."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def instant_of(at_ms: int) -> datetime:
    """The aware UTC instant of an epoch ms."""
    return _EPOCH + timedelta(milliseconds=at_ms)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
