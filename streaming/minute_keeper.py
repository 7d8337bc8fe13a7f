"""Stored minutes, kept up to date beside the feed, and given to the alerts at the start.

Once a minute, in threads, never in the way of a tick; a database that is away is tried again in
the next minute. How minutes are computed belongs in ``storage.rollups``, what a desk makes of them
in ``priming``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from market.errors import StorageError
from market.rules import Rules
from storage import rollups
from streaming.alerts import AlertDesk
from streaming.priming import primed, primed_from

# What an exchange minute told last is landed so long after its end.
GRACE = timedelta(seconds=3)
# The longest that alerts wait for the minutes of an earlier process.
HOLD = timedelta(minutes=3)
_MINUTE = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class MinuteKeeper:
    """Refreshes stored minutes, drops ticks that have expired, and primes a desk once.

    Args:
        has_caught_up: whether everything that was journaled before the start is landed.
        tick_keep_days: ticks of older days go once their minutes are stored; 0: they stay.

    Attributes:
        refreshed: minutes computed so far, late ones again.
        is_primed: whether the desk has been given the earlier minutes.
    """

    def __init__(  # noqa: PLR0917 - the parts of one task, each with a type of its own
        self,
        dsn: str,
        desk: AlertDesk,
        rules: Rules,
        clock: Callable[[], datetime],
        has_caught_up: Callable[[], bool],
        tick_keep_days: int = 0,
    ) -> None:
        self.refreshed = 0
        self.is_primed = False
        self._dsn, self._desk, self._rules, self._clock = dsn, desk, rules, clock
        self._has_caught_up, self._tick_keep_days = has_caught_up, tick_keep_days
        self._is_told = False
        desk.hold(clock() + HOLD)

    async def run(self) -> None:
        """Step once a minute, shortly after its end, until cancelled."""
        while True:
            await self.step()
            now = self._clock()
            await asyncio.sleep((_minute_of(now) + _MINUTE + GRACE - now).total_seconds())

    async def step(self) -> None:
        """Bring everything up to date as far as it can be now."""
        now = self._clock()
        try:
            up_to = _minute_of(now - GRACE)
            self.refreshed += await asyncio.to_thread(rollups.refresh, self._dsn, up_to)
            if not self.is_primed and self._has_caught_up() and self._desk.heard_from(now) < up_to:
                await self._prime(up_to)
            await asyncio.to_thread(rollups.drop_expired, self._dsn, self._tick_keep_days, now)
            self._is_told = False
        except StorageError as error:
            if not self._is_told:
                log.warning("minutes wait for the database", reason=str(error))
            self._is_told = True

    async def _prime(self, up_to: datetime) -> None:
        followed, heard_from = self._desk.followed(), self._desk.heard_from(up_to)
        symbols = [each.symbol for each in followed]
        from_at = primed_from(self._rules, up_to)
        minutes = await asyncio.to_thread(rollups.minutes, self._dsn, symbols, from_at, up_to)
        watches = await asyncio.to_thread(primed, followed, minutes, self._rules, heard_from)
        self._desk.take_over(watches, heard_from)
        self.is_primed = True
        log.info("alerts know the earlier minutes", symbols=len(symbols), minutes=len(minutes))


def _minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
