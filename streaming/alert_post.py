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
from streaming.webhook import Notice, Sender
from transforms.signals.record import Signal

Channel = Callable[[Sequence[Signal]], None]
"""Tells alerts that came together to someone; must not block."""

_SHOWN = timedelta(days=1)
# What is left at the end is stored if that takes no longer.
_LAST_SECONDS = 2.0

log = structlog.get_logger(__name__)


def log_channel(signals: Sequence[Signal]) -> None:
    """One line in the log for each alert."""
    for signal in signals:
        log.info("alert", kind=signal.kind.value, reason=signal.reason, at=signal.at.isoformat())


def webhook_channel(sender: Sender) -> Channel:
    """One notice for alerts that came together, so that they do not crowd out other alarms.

    Args:
        sender: the webhook, or what sends as it does.
    """

    def tell(signals: Sequence[Signal]) -> None:
        text = "; ".join(signal.reason for signal in signals)
        sender.offer(Notice("alert", text, max(signal.at for signal in signals)))

    return tell


class AlertPost:
    """Runs a desk: its work, its storage, its channels.

    Attributes:
        stored: alerts that were new to the database.
        refused: alerts that the database would not take, or for which there was no room.
        is_up: whether the database could be used at the last look.
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
        self.is_up = False

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
            if self.is_up:
                with suppress(StorageError, TimeoutError):
                    async with asyncio.timeout(_LAST_SECONDS):
                        await self.flush()

    def step(self) -> None:
        """One portion of work, and what came of it told."""
        self._desk.work(self._clock())
        if signals := self._desk.take_outbox():
            self._keep(signals)
            for channel in self._channels:
                self._tell(channel, signals)

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

    def _keep(self, signals: Sequence[Signal]) -> None:
        self._unstored.extend(signals)
        while len(self._unstored) > OUTBOX:
            self._unstored.popleft()
            self.refused += 1

    def _tell(self, channel: Channel, signals: Sequence[Signal]) -> None:
        try:
            channel(signals)
        except Exception:
            log.exception("alerts not told", count=len(signals))

    async def _store(self) -> None:
        is_restored = is_told = False
        while True:
            try:
                if not is_restored:
                    await self._restore()
                    is_restored = True
                await self.flush()
                self.is_up, is_told = True, False
            except StorageError as error:
                if not is_told:
                    log.warning("alerts wait for the database", reason=str(error))
                self.is_up, is_told = False, True
            await asyncio.sleep(self._retry_seconds)

    async def _restore(self) -> None:
        since = self._clock() - _SHOWN
        self._desk.restore(await asyncio.to_thread(alerts.recent, self._dsn, since, RECENT))
