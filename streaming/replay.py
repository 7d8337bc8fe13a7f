"""The journal once more: decoded, counted and, where rows are missing, landed as if it came live.

Frames take the way of the live feed: codec, arrivals, batches, and the ledger's transaction. Which
frames a stretch holds is ``storage.journal_index``'; catching up beside a live feed is ``sink``'s.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from itertools import takewhile
from pathlib import Path

from brokers.interface import FeedCodec, Instrument
from market.errors import ConfigurationError, FrameError
from market.rules import IST, Rules
from storage.journal import Record, records
from storage.journal_index import between, epochs_between
from storage.ticks import TickStore
from streaming.alerts import AlertDesk
from streaming.arrivals import Arrival, batch_of, epoch_ns
from transforms.signals.record import Signal

BATCH_ROWS = 5_000
# As long as the live feed waits for a word before it calls itself stale.
QUIET_NS = 15 * 10**9
# Minutes end no later than this after what ended them.
_WORK_NS = 10**9


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a journal: received at ``from_at`` or later and before ``to_at`` (aware)."""

    folder: Path
    from_at: datetime
    to_at: datetime

    def records(self) -> Iterator[Record]:
        """Its records, all connections, by time; raises JournalError at damage."""
        return between(self.folder, self.from_at, self.to_at)


@dataclass(frozen=True, slots=True)
class Quiet:
    """A stretch in which nothing was received (aware UTC)."""

    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """What was replayed.

    Attributes:
        unreadable: frames that could not be decoded.
        ticks: ticks of each segment of the exchange, e.g. ``("NSE_FO", 12)``, most first.
        keys: instruments that occur.
        connections: epochs.
        quiets: stretches of at least ``QUIET_NS`` without a frame, in order.
        first_at, last_at: receipt of the first and the last frame; None without any.
    """

    frames: int
    unreadable: int
    ticks: tuple[tuple[str, int], ...]
    keys: int
    connections: int
    quiets: tuple[Quiet, ...]
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Landed:
    """What a landing did.

    Attributes:
        rows: ticks that were new to the database.
        unresolved: ticks of keys that the database does not know.
    """

    rows: int
    unresolved: int


class Tally:
    """Counts arrivals in order of receipt."""

    def __init__(self) -> None:
        self.frames = 0
        self._unreadable = 0
        self._ticks: Counter[str] = Counter()
        self._epochs: set[int] = set()
        self._quiets: list[Quiet] = []
        self._first_ns: int | None = None
        self._last_ns = 0

    def add(self, arrival: Arrival) -> None:
        """Take one arrival."""
        at_ns = arrival.received_at_ns
        if self._first_ns is None:
            self._first_ns = at_ns
        elif at_ns - self._last_ns >= QUIET_NS:
            self._quiets.append(Quiet(_instant(self._last_ns), _instant(at_ns)))
        self._last_ns = max(self._last_ns, at_ns)
        self.frames += 1
        self._epochs.add(arrival.epoch)
        self._unreadable += arrival.frame is None
        if arrival.frame is not None and arrival.row_count:
            self._ticks.update(arrival.frame.keys)

    def summary(self) -> Summary:
        """What was taken so far."""
        kinds: Counter[str] = Counter()
        for key, count in self._ticks.items():
            kinds[key.partition("|")[0]] += count
        return Summary(
            frames=self.frames,
            unreadable=self._unreadable,
            ticks=tuple(kinds.most_common()),
            keys=len(self._ticks),
            connections=len(self._epochs),
            quiets=tuple(self._quiets),
            first_at=None if self._first_ns is None else _instant(self._first_ns),
            last_at=None if self._first_ns is None else _instant(self._last_ns),
        )


class AlertReplay:
    """What would have been told had these frames come live; nothing is stored.

    Levels of chains are not in the journal, so crossings of walls and of the flip are not told.

    Args:
        rules: of the days that are replayed.
        instruments_on: what was listed on an exchange day; blocking.
    """

    def __init__(
        self, rules: Rules, instruments_on: Callable[[date], Iterable[Instrument]]
    ) -> None:
        self._desk, self._instruments_on = AlertDesk(rules), instruments_on
        self._day: date | None = None
        self._worked_ns = 0

    def take(self, arrival: Arrival) -> list[Signal]:
        """The alerts that are due when this frame has come; frames in order of receipt."""
        at_ns = arrival.received_at_ns
        if (day := _day(arrival)) != self._day:
            self._day = day
            self._desk.follow(self._instruments_on(day))
        if arrival.frame is not None:
            self._desk.take_frame(arrival.frame, at_ns / 1e6)
        if at_ns - self._worked_ns < _WORK_NS:
            return []
        self._worked_ns = at_ns
        return self._work(_instant(at_ns))

    def finish(self, at: datetime) -> list[Signal]:
        """What is due at the end of a stretch."""
        return self._work(at)

    def _work(self, now: datetime) -> list[Signal]:
        self._desk.work(now)
        # In portions, as live; here nothing waits between them.
        while self._desk.has_work:
            self._desk.work(now)
        return self._desk.take_outbox()


def decoded(record: Record, codec: FeedCodec) -> Arrival:
    """A journal record as it arrived."""
    try:
        frame = codec.decode(record.frame)
    except FrameError:
        frame = None  # counted when it arrived; it stays in the journal
    return Arrival(record.epoch, record.sequence, record.received_at_ns, frame)


def next_batch(source: Iterator[Record], codec: FeedCodec, batch_rows: int) -> list[Arrival]:
    """The next arrivals of a journal, about one batch of rows; empty at its end."""
    arrivals: list[Arrival] = []
    rows = 0
    for record in source:
        arrivals.append(decoded(record, codec))
        rows += arrivals[-1].row_count
        if rows >= batch_rows or len(arrivals) >= batch_rows:
            break
    return arrivals


def paced(
    source: Iterator[Record],
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Record]:
    """Records as far apart as they were received, ``speed`` times as fast; infinite: at once.

    Time lost by the consumer is made up for. A clock that was set back is not waited for.
    """
    began, first_ns = clock(), None
    for record in source:
        first_ns = record.received_at_ns if first_ns is None else first_ns
        due = (record.received_at_ns - first_ns) / 1e9 / speed
        if (early := began + due - clock()) > 0:
            sleep(early)
        yield record


async def land(
    stretch: Stretch,
    open_store: Callable[[], AbstractAsyncContextManager[TickStore]],
    codec: FeedCodec,
    ids_on: Callable[[date], Mapping[str, int]],
    *,
    on_arrival: Callable[[Arrival], None] = lambda arrival: None,
    speed: float = float("inf"),
) -> Landed:
    """Land what the database lacks of a stretch; once more is a no-op.

    The ledger knows how far each connection is landed, not which parts of it: so what is missing
    before the stretch of a connection that reaches into it is landed too.

    Args:
        ids_on: broker key → instrument id as on an exchange day; blocking.
        on_arrival: told of every frame once it is landed.

    Raises:
        ConfigurationError: the database knows no instrument of a day.
        DatabaseUnavailable: it cannot be reached, or another process lands ticks into it.
        JournalError: damage, naming file and offset.
    """
    rows = unresolved = 0
    known = lru_cache(maxsize=2)(partial(_known, ids_on))
    async with open_store() as store:
        for epoch in await asyncio.to_thread(_epochs, stretch):
            source = _missing(stretch, epoch, await store.last_landed(epoch))
            async for batch in _batches(paced(source, speed), codec):
                made, unknown = batch_of(batch, await asyncio.to_thread(known, _day(batch[0])))
                rows += await store.land(made)
                unresolved += unknown
                for arrival in batch:
                    on_arrival(arrival)
    return Landed(rows, unresolved)


async def _batches(source: Iterator[Record], codec: FeedCodec) -> AsyncIterator[list[Arrival]]:
    while batch := await asyncio.to_thread(next_batch, source, codec, BATCH_ROWS):
        yield batch


def _known(ids_on: Callable[[date], Mapping[str, int]], day: date) -> Mapping[str, int]:
    ids = ids_on(day)
    if not ids:
        # Its ticks would count as landed, and never be rows.
        raise ConfigurationError(
            f"the database knows no instrument of {day}: run `optionlake stream` on it once, so "
            "that it learns them, then replay"
        )
    return ids


def _epochs(stretch: Stretch) -> list[int]:
    return epochs_between(stretch.folder, stretch.from_at, stretch.to_at)


def _missing(stretch: Stretch, epoch: int, landed: int) -> Iterator[Record]:
    """What an epoch has after record ``landed``, up to the end of the stretch."""
    end_ns = epoch_ns(stretch.to_at)
    source = records(stretch.folder, epoch, landed)
    return takewhile(lambda record: record.received_at_ns < end_ns, source)


def _day(arrival: Arrival) -> date:
    return _instant(arrival.received_at_ns).astimezone(IST).date()


def _instant(at_ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
