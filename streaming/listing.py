"""What the exchange lists today, and under which numbers the database knows it.

Read from the broker at the start and once each exchange day; which of it is followed belongs in
``brokers.planner``. Neither the broker nor the database need be there: both are waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import structlog

from brokers.interface import Broker, Instrument
from market.errors import BrokerError, DatabaseUnavailable
from market.rules import IST
from storage import instruments, timescale
from streaming.retries import quick_backoff
from streaming.sink import database_backoff

# After midnight IST; the broker renews its list at about six.
_MASTER_RENEWED = timedelta(hours=7)

log = structlog.get_logger(__name__)


class Listing:
    """The instruments of the exchange day.

    Attributes:
        instruments: empty until they are read.
        ids: canonical contract id → instrument id.
        ids_by_key: broker key → instrument id; both grow while the process runs.
        waiting_for: what is not there yet, in words; None once the list is read.
    """

    def __init__(self, broker: Broker, dsn: str, clock: Callable[[], datetime]) -> None:
        self.instruments: Sequence[Instrument] = ()
        self.ids: dict[str, int] = {}
        self.ids_by_key: dict[str, int] = {}
        self.waiting_for: str | None = "the instrument master"
        self._broker, self._dsn, self._clock = broker, dsn, clock
        self._day: date | None = None
        self._is_read = asyncio.Event()

    @property
    def is_of_today(self) -> bool:
        """Whether the broker has not renewed its list since it was read."""
        return self._today() == self._day

    async def read(self) -> None:
        """Read the list, however often that takes."""
        delays = quick_backoff()
        while not self.instruments:
            try:
                self.instruments = await asyncio.to_thread(self._broker.instruments)
            except BrokerError as error:
                self.waiting_for = f"the instrument master: {error}"
                log.error("instrument master not read, trying again", reason=str(error))
                await asyncio.sleep(next(delays))
        self._day = self._today()
        self.waiting_for = None
        self._is_read.set()

    async def register(self) -> None:
        """Bring the tables up to date and learn the instruments' ids, however long that takes.

        Raises:
            StorageError: the database refused a statement.
        """
        await self._is_read.wait()
        delays, is_told = database_backoff(), False
        while True:
            try:
                return await self._register(self.instruments)
            except DatabaseUnavailable as error:
                if not is_told:
                    log.error("waiting for the database, ticks are journaled", reason=str(error))
                is_told = True
                await asyncio.sleep(next(delays))

    async def renew(self) -> bool:
        """Read and register the list of a new day; whether that worked, else the old one stays."""
        try:
            listed = await asyncio.to_thread(self._broker.instruments)
            await self._register(listed)
        except (BrokerError, DatabaseUnavailable) as error:
            log.warning("instruments of the new day not read yet", reason=str(error))
            return False
        self.instruments, self._day = listed, self._today()
        return True

    async def _register(self, listed: Sequence[Instrument]) -> None:
        await asyncio.to_thread(timescale.migrate, self._dsn)
        ids = await asyncio.to_thread(instruments.register, self._dsn, listed)
        self.ids.update(ids)
        self.ids_by_key.update({i.broker_key: ids[str(i.contract)] for i in listed})

    def _today(self) -> date:
        """Days of the instrument master begin when it has been renewed, not at midnight."""
        return (self._clock() - _MASTER_RENEWED).astimezone(IST).date()
