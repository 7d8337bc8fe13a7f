"""A received frame on its way to the hypertable, and the batches cut from such frames.

Pure: the backlog in memory and its bounds, and the shape of a batch. When a batch is landed and
what happens if that fails is decided in ``sink``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np

from brokers.interface import FEED_COLUMNS, FeedFrame, FrameKind
from brokers.keys import numbers_of
from storage.ticks import TickBatch

_UNIX_START = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ns(instant: datetime) -> int:
    """An aware instant as epoch nanoseconds, exact to its microsecond."""
    return (instant - _UNIX_START) // timedelta(microseconds=1) * 1000


class Epochs:
    """Numbers connections: rising, never used before, and near the time of opening in epoch ms.

    Args:
        after: the newest epoch of an earlier process.
    """

    def __init__(self, after: int = 0) -> None:
        self._newest = after

    def next(self, now: datetime) -> int:
        """The number of a connection that opens ``now`` (aware)."""
        self._newest = max(round(now.timestamp() * 1000), self._newest + 1)
        return self._newest


@dataclass(frozen=True, slots=True)
class Arrival:
    """One journaled frame.

    Attributes:
        epoch: the connection it came on.
        sequence: its place in that connection's journal, from 1.
        received_at_ns: our clock at receipt, epoch ns.
        frame: what it says; None if it could not be decoded.
    """

    epoch: int
    sequence: int
    received_at_ns: int
    frame: FeedFrame | None

    @property
    def row_count(self) -> int:
        """Rows that it brings to the hypertable."""
        if self.frame is None or self.frame.kind is FrameKind.STATUS:
            return 0
        return len(self.frame.keys)


class Backlog:
    """The newest arrivals, of each epoch without a hole and in order, up to ``row_limit`` rows.

    When it overflows everything in it is let go (the journal has it) and ``has_overflowed`` is set
    until ``restart``.
    """

    def __init__(self, row_limit: int, frame_limit: int) -> None:
        self.rows = 0
        self.has_overflowed = False
        self._row_limit = row_limit
        self._frame_limit = frame_limit
        self._count = 0
        # Connections live side by side, but a batch is of one: so they wait apart.
        self._by_epoch: dict[int, deque[Arrival]] = {}

    def __len__(self) -> int:
        return self._count

    def restart(self) -> None:
        """Forget everything; what arrives from now on is kept without a hole."""
        self._by_epoch.clear()
        self.rows = self._count = 0
        self.has_overflowed = False

    def add(self, arrival: Arrival) -> None:
        """Keep an arrival, or let everything go."""
        if self.has_overflowed:
            return
        self._by_epoch.setdefault(arrival.epoch, deque()).append(arrival)
        self._count += 1
        self.rows += arrival.row_count
        if self.rows > self._row_limit or self._count > self._frame_limit:
            self.restart()
            self.has_overflowed = True

    def take(self, row_count: int) -> list[Arrival]:
        """The oldest arrivals of one epoch, up to the first that reaches ``row_count`` rows.

        The epoch is the one whose first arrival has waited longest.
        """
        if not self._by_epoch:
            return []
        epoch, waiting = min(self._by_epoch.items(), key=lambda kept: kept[1][0].received_at_ns)
        taken: list[Arrival] = []
        rows = 0
        while waiting and rows < row_count:
            taken.append(waiting.popleft())
            rows += taken[-1].row_count
        if not waiting:
            del self._by_epoch[epoch]
        self.rows -= rows
        self._count -= len(taken)
        return taken

    def drop_landed(self, landed: Mapping[int, int]) -> None:
        """Let go of what the ledger already has (epoch → last landed sequence)."""
        kept = [a for a in self._all() if a.sequence > landed.get(a.epoch, 0)]
        self.restart()
        for arrival in kept:
            self.add(arrival)

    def _all(self) -> Iterator[Arrival]:
        return chain.from_iterable(self._by_epoch.values())


def batch_of(arrivals: Sequence[Arrival], ids: Mapping[str, int]) -> tuple[TickBatch, int]:
    """One batch of arrivals that follow each other in one epoch, and how many rows it lost.

    Rows whose key is not in ``ids`` (broker key → instrument id) are left out and counted. Frames
    without rows still widen the batch, so that the ledger covers every sequence.
    """
    telling = [a for a in arrivals if a.row_count]
    counts = [a.row_count for a in telling]
    frames = [a.frame for a in telling if a.frame is not None]
    instrument_id = numbers_of([f.keys for f in frames], ids).astype(np.int32)
    known = instrument_id >= 0
    values = np.concatenate([f.values for f in frames]) if frames else _NO_ROWS
    batch = TickBatch(
        epoch=arrivals[0].epoch,
        first_sequence=arrivals[0].sequence,
        last_sequence=arrivals[-1].sequence,
        sequence=np.repeat(np.array([a.sequence for a in telling], np.int64), counts)[known],
        received_at_ns=np.repeat(np.array([a.received_at_ns for a in telling], np.int64), counts)[
            known
        ],
        event_at_ms=np.repeat(np.array([_event_at_ms(a) for a in telling], np.int64), counts)[
            known
        ],
        instrument_id=instrument_id[known],
        is_snapshot=np.repeat(
            np.array([f.kind is FrameKind.SNAPSHOT for f in frames], bool), counts
        )[known],
        values=values[known],
    )
    return batch, len(known) - int(known.sum())


_NO_ROWS = np.empty((0, len(FEED_COLUMNS)))


def _event_at_ms(arrival: Arrival) -> int:
    """The exchange's time of a frame; a frame that does not tell one is as old as its receipt."""
    published = arrival.frame.published_at_ms if arrival.frame else None
    return arrival.received_at_ns // 1_000_000 if published is None else published
