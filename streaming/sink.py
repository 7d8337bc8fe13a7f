"""Exactly-once landing of ticks: from memory while it can, from the journal whenever it cannot.

Start-up, replay, an overflow and a database outage are one path: ask the ledger what is landed,
read the journal after it, go on. So the outcome of a commit that broke is never guessed. The
tables and the transaction are ``storage.ticks``'; what a tick means belongs to ``live``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import structlog

from brokers.interface import FeedCodec
from market.errors import DatabaseUnavailable, JournalError
from market.rules import IST
from storage.frame_log import FrameLog
from storage.gap_book import ClosedGap
from storage.segments import Record
from storage.ticks import Gap, TickStore
from streaming.arrivals import Arrival, Backlog, batch_of
from streaming.gaps import GapKeeper
from streaming.replay import next_batch
from streaming.retries import backoff

log = structlog.get_logger(__name__)


def database_backoff() -> Iterator[float]:
    """Delays in seconds between attempts to reach the database."""
    return backoff(0.2, 5.0)


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """Bounds of what waits in memory, and when it is landed.

    Attributes:
        row_limit, frame_limit: most that is kept in memory; beyond, the journal is read instead.
        batch_rows, batch_seconds: a batch is landed at whichever comes first.
        catch_up_rows: rows of a batch read from the journal; large, for there is no one to wait.
        clock: now, aware UTC, by which the log tells what is old.
    """

    row_limit: int = 100_000
    frame_limit: int = 50_000
    batch_rows: int = 5_000
    batch_seconds: float = 0.2
    catch_up_rows: int = 20_000
    prune_seconds: float = 60.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    delays: Callable[[], Iterator[float]] = field(default=database_backoff)


class Sink:
    """Lands every journaled frame once.

    Args:
        open_store: opens the one writer of the hypertable; raises DatabaseUnavailable.
        frames: the log that has every offered frame.
        ids: broker key → instrument id, as listed now; may grow while the sink runs.
        ids_on: the same as it was on an exchange day, for what the journal kept; blocking. The
            exchange re-uses keys, so an old frame must not be read with today's list.
        gaps: those that the database does not have yet.
        open_epochs: epochs that are being written now, beside the newest.
    """

    def __init__(
        self,
        open_store: Callable[[], AbstractAsyncContextManager[TickStore]],
        frames: FrameLog,
        codec: FeedCodec,
        ids: Mapping[str, int],
        ids_on: Callable[[date], Mapping[str, int]],
        *,
        gaps: GapKeeper,
        config: SinkConfig,
        open_epochs: Callable[[], Collection[int]] = frozenset,
    ) -> None:
        self.is_up = False
        self.is_catching_up = True
        self.rows_landed = 0
        self.unresolved_rows = 0
        self._open_store = open_store
        self._frames = frames
        self._open_epochs = open_epochs
        self._codec = codec
        self._ids = ids
        self._ids_on = ids_on
        self._config = config
        self._backlog = Backlog(config.row_limit, config.frame_limit)
        self._landed: dict[int, int] = {}
        self._complete: set[int] = set()
        self._listed: dict[str, int] = {}
        self._listed_day: date | None = None
        self._gaps = gaps
        self._is_due = asyncio.Event()
        self._pruned_at = 0.0
        self._tidying: asyncio.Task[None] | None = None

    @property
    def rows_waiting(self) -> int:
        """Rows in memory that are not landed."""
        return self._backlog.rows

    def offer(self, arrival: Arrival) -> None:
        """Take a frame that the journal already has; never blocks."""
        self._backlog.add(arrival)
        if self._backlog.rows >= self._config.batch_rows or self._backlog.has_overflowed:
            self._is_due.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Land until ``stop`` is set and memory is empty; outlives any outage of the database."""
        try:
            await self._run(stop)
        finally:
            if self._tidying:
                await asyncio.wait([self._tidying])

    async def _run(self, stop: asyncio.Event) -> None:
        delays = self._config.delays()
        was_away = False
        while True:
            try:
                async with self._open_store() as store:
                    if was_away:
                        log.info("database is back, landing what the journal kept")
                    self.is_up, was_away = True, False
                    await self._land_all(store, stop)
                    return
            except DatabaseUnavailable as error:
                if self.is_up:
                    log.error("database is away, the journal keeps the ticks", reason=str(error))
                    was_away = True
                if not self.is_catching_up:
                    delays = self._config.delays()
                self.is_up, self.is_catching_up = False, True
            if await _is_set_within(stop, next(delays)):
                return

    async def _land_all(self, store: TickStore, stop: asyncio.Event) -> None:
        while True:
            await self._catch_up(store)
            self.is_catching_up = False
            await self._land_live(store, stop)
            if stop.is_set() and not self._backlog.has_overflowed:
                return
            self.is_catching_up = True

    async def _catch_up(self, store: TickStore) -> None:
        """Land the journal until what is in memory follows what is landed without a hole."""
        while True:
            # What arrives while the journal is read stays in memory, so reading has an end.
            self._backlog.restart()
            growing = set(self._open_epochs())
            found = await asyncio.to_thread(self._frames.epochs)
            for epoch in found:
                if epoch not in self._complete:
                    await self._replay(store, epoch)
            # Only these, and the newest, can have grown since they were listed.
            self._complete.update(set(found[:-1]) - growing)
            if not self._backlog.has_overflowed:
                break
        self._backlog.drop_landed(self._landed)
        self._tidy()

    async def _replay(self, store: TickStore, epoch: int) -> None:
        landed = self._landed[epoch] = await store.last_landed(epoch)
        async with aclosing(self._read_ahead(self._frames.records(epoch, landed))) as batches:
            async for arrivals in batches:
                listed = await self._listed_on(_exchange_day(arrivals[0]))
                await self._land(store, arrivals, {**self._ids, **listed})
                self._tidy_if_due()

    async def _read_ahead(self, source: Iterator[Record]) -> AsyncGenerator[list[Arrival], None]:
        """Batches of the journal; the next one is read and decoded while the last is landed."""
        rows = self._config.catch_up_rows

        def next_one() -> asyncio.Task[list[Arrival]]:
            return asyncio.create_task(asyncio.to_thread(next_batch, source, self._codec, rows))

        reading = next_one()
        try:
            while batch := await reading:
                reading = next_one()
                yield batch
        finally:
            # A thread cannot be stopped; what it was reading is read again from the journal.
            reading.add_done_callback(_retrieved)

    async def _listed_on(self, day: date) -> dict[str, int]:
        if day != self._listed_day:
            self._listed = dict(await asyncio.to_thread(self._ids_on, day))
            self._listed_day = day
        return self._listed

    async def _land_live(self, store: TickStore, stop: asyncio.Event) -> None:
        """Land from memory until it overflows, or is empty after ``stop``."""
        while not self._backlog.has_overflowed:
            is_stopping = stop.is_set()
            await self._record_gaps(store)
            while arrivals := self._backlog.take(self._config.batch_rows):
                await self._land(store, arrivals, self._ids)
            if is_stopping:
                return
            await self._wait(stop)
            self._tidy_if_due()

    async def _wait(self, stop: asyncio.Event) -> None:
        self._is_due.clear()
        if self._backlog.rows < self._config.batch_rows and not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.batch_seconds):
                    await self._is_due.wait()

    async def _land(
        self, store: TickStore, arrivals: list[Arrival], ids: Mapping[str, int]
    ) -> None:
        batch, unresolved = batch_of(arrivals, ids)
        self.rows_landed += await store.land(batch)
        self.unresolved_rows += unresolved
        self._landed[batch.epoch] = batch.last_sequence

    async def _record_gaps(self, store: TickStore) -> None:
        for gap in self._gaps.waiting:
            listed = await self._listed_on(gap.from_at.astimezone(IST).date())
            await store.record_gap(_row_of(gap, {**self._ids, **listed}))
            self._gaps.recorded(gap)

    def _tidy_if_due(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._pruned_at >= self._config.prune_seconds:
            self._tidy()

    def _tidy(self) -> None:
        """Compress and prune the journal beside the landing, which never waits for it."""
        self._pruned_at = asyncio.get_running_loop().time()
        if self._tidying is None or self._tidying.done():
            landed = dict(self._landed)
            self._tidying = asyncio.create_task(asyncio.to_thread(self._make_room, landed))

    def _make_room(self, landed: Mapping[int, int]) -> None:
        """Runs in a thread. A disk that is full or refuses is no reason to stop landing."""
        try:
            self._frames.tidy(landed, self._config.clock())
        except JournalError as error:
            log.error("journal not tidied, trying again later", reason=str(error))


def _row_of(gap: ClosedGap, ids: Mapping[str, int]) -> Gap:
    touched = tuple(sorted({ids[key] for key in gap.keys if key in ids}))
    return Gap(gap.from_at, gap.to_at, gap.reason, gap.epoch, len(gap.keys), touched or None)


def _retrieved(reading: asyncio.Task[list[Arrival]]) -> None:
    """Whatever came of it: nobody waits for it any more."""
    if not reading.cancelled():
        reading.exception()


def _exchange_day(arrival: Arrival) -> date:
    return datetime.fromtimestamp(arrival.received_at_ns / 1e9, IST).date()


async def _is_set_within(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
