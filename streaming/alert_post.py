"""Alerts on their way out: into the database, exactly once, and to whoever is to be told.

A database that is away is waited for while alerts pile up to a bound. What is worth an alert is
decided in ``transforms.signals``, how the newest are kept in ``alerts``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from market.errors import DatabaseUnavailable, StorageError
from storage import alerts
from streaming.alerts import OUTBOX, RECENT, AlertDesk
from transforms.signals.record import Signal

Channel = Callable[[Signal], None]
"""Tells one alert to someone; must not block."""

_SHOWN = timedelta(days=1)

log = structlog.get_logger(__name__)


def log_channel(signal: Signal) -> None:
    """One line in the log for each alert."""
    log.info("alert", kind=signal.kind.value, reason=signal.reason, at=signal.at.isoformat())


class AlertPost:
    """Runs a desk: its work, its storage, its channels.

    Attributes:
        stored: alerts that were new to the database.
        refused: alerts that the database would not take, or for which there was no room.
    """

    def __init__(  # noqa: PLR0917 - the parts of one program, each with a type of its own
        self,
        desk: AlertDesk,
        dsn: str,
        clock: Callable[[], datetime],
        channels: Sequence[Channel] = (log_channel,),
        pause_seconds: float = 0.05,
        retry_seconds: float = 1.0,
    ) -> None:
        self.stored = self.refused = 0
        self._desk, self._dsn, self._clock, self._channels = desk, dsn, clock, channels
        self._pause_seconds, self._retry_seconds = pause_seconds, retry_seconds
        self._unstored: deque[Signal] = deque()

    async def run(self) -> None:
        """Judge, tell and store until cancelled; what is left then is stored if it can be."""
        storing = asyncio.create_task(self._store())
        try:
            while True:
                self.step()
                await asyncio.sleep(self._pause_seconds)
        finally:
            storing.cancel()
            with suppress(asyncio.CancelledError):
                await storing

    def step(self) -> None:
        """One portion of work, and what came of it told."""
        self._desk.work(self._clock())
        for signal in self._desk.take_outbox():
            self._keep(signal)
            for channel in self._channels:
                self._tell(channel, signal)

    async def flush(self) -> None:
        """Store what waits.

        Raises:
            DatabaseUnavailable: it waits on.
        """
        waiting = list(self._unstored)
        if not waiting:
            return
        try:
            self.stored += await asyncio.to_thread(alerts.store, self._dsn, waiting)
        except DatabaseUnavailable:
            raise
        except StorageError as error:
            self.refused += len(waiting)
            log.error("alerts not stored", count=len(waiting), reason=str(error))
        # What came meanwhile stands behind these, unless the oldest had to make room.
        stored = set(waiting)
        self._unstored = deque(s for s in self._unstored if s not in stored)

    def _keep(self, signal: Signal) -> None:
        if len(self._unstored) >= OUTBOX:
            self._unstored.popleft()
            self.refused += 1
        self._unstored.append(signal)

    def _tell(self, channel: Channel, signal: Signal) -> None:
        try:
            channel(signal)
        except Exception:
            log.exception("alert not told", key=signal.key)

    async def _store(self) -> None:
        is_restored = is_told = False
        while True:
            try:
                if not is_restored:
                    await self._restore()
                    is_restored = True
                await self.flush()
                is_told = False
            except StorageError as error:
                if not is_told:
                    log.warning("alerts wait for the database", reason=str(error))
                is_told = True
            await asyncio.sleep(self._retry_seconds)

    async def _restore(self) -> None:
        since = self._clock() - _SHOWN
        self._desk.restore(await asyncio.to_thread(alerts.recent, self._dsn, since, RECENT))
