"""When the simulated exchange trades: which instant's prices are on show at any instant.

Outside a session the prices of the last close stay on show. The sessions themselves are
``market.rules``' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from market.rules import IST, Rules, Session


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


class Timetable:
    """Answers for any instant in any order; remembers only days already looked up."""

    def __init__(self, rules: Rules) -> None:
        self._sessions = lru_cache(maxsize=512)(rules.sessions)

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
        day -= timedelta(days=1)
        while not (sessions := self._sessions(day)):
            day -= timedelta(days=1)
        return sessions[-1]


def epoch_ms(instant: datetime) -> int:
    """Whole milliseconds since the epoch, rounded down."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
