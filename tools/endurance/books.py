"""The books of a load: every tick that was due against every row of the hypertable.

A tick is the time of its frame and its key, both known from the schedule alone, so nothing here
asks the streaming process how it thinks that it did. The database counts and adds up; only frames
whose sums are not as they should be are looked at key by key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from tools.chaos.books import Gap
from tools.endurance.figures import Floats
from tools.endurance.schedule import Schedule

Ints = NDArray[np.int64]

_FETCHED_ROWS = 20_000
# In a server that is about to be removed, memory for sorting is free.
_ROOM = "SET work_mem = '256MB'"
_FRAMES = """
    SELECT round(extract(epoch FROM event_at) * 1000)::bigint, epoch, sequence,
        round(extract(epoch FROM received_at) * 1000000)::bigint, n, ids, squares
    FROM (
        SELECT event_at, epoch, sequence, received_at, count(*) AS n,
            sum(instrument_id) AS ids, sum(instrument_id::bigint * instrument_id)::bigint AS squares
        FROM tick
        WHERE NOT is_snapshot AND event_at >= to_timestamp(%s / 1000.0)
            AND event_at < to_timestamp(%s / 1000.0)
        GROUP BY event_at, epoch, sequence, received_at
    ) AS frame
"""
_ROWS_OF = """
    SELECT round(extract(epoch FROM event_at) * 1000)::bigint, instrument_id, count(*)
    FROM tick
    WHERE NOT is_snapshot AND event_at = ANY (
        SELECT to_timestamp(at / 1000.0) FROM unnest(%s::bigint[]) AS at
    )
    GROUP BY event_at, instrument_id
"""
_LEDGER = """
    SELECT epoch, last_sequence, extract(epoch FROM landed_at)::float8 * 1000, row_count
    FROM ingest_ledger ORDER BY epoch, last_sequence
"""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames in the hypertable, one element each.

    Attributes:
        event_ms: their own time, epoch ms.
        received_ms: our clock at receipt, epoch ms.
        ticks: rows of each.
        ids, squares: sums of their instruments' ids, and of the squares of these.
    """

    event_ms: Ints
    epoch: Ints
    sequence: Ints
    received_ms: Floats
    ticks: Ints
    ids: Ints
    squares: Ints


@dataclass(frozen=True, slots=True)
class Ledger:
    """Its rows by epoch and sequence; ``landed_ms`` is when each was written, epoch ms."""

    epoch: Ints
    last_sequence: Ints
    landed_ms: Floats
    rows: Ints


@dataclass(frozen=True, slots=True)
class Account:
    """The sums, in ticks. What is due is landed, or in a gap row, or unaccounted.

    Attributes:
        due: all that the schedule has.
        sent: what the exchange handed to a socket.
        in_gaps: due, not landed, at a time inside a gap row.
        unaccounted: due, not landed, in no gap row; strictly, not a millisecond is allowed for.
        unaccounted_ms: how much of the load's time that is.
        made_up: landed and never due.
    """

    due: int
    sent: int
    landed: int
    duplicates: int
    in_gaps: int
    unaccounted: int
    unaccounted_ms: float
    made_up: int
    gap_rows: int

    @property
    def is_exact(self) -> bool:
        """Whether nothing is doubled or made up, and the sums agree with each other."""
        once = self.landed - self.duplicates - self.made_up
        return (
            not (self.duplicates or self.made_up)
            and once + self.in_gaps + self.unaccounted == self.due
        )


def instrument_ids(connection: psycopg.Connection, keys: Iterable[str]) -> dict[str, int]:
    """Each key's number; keys are used again after an expiry, the newest number counts."""
    found = connection.execute(
        "SELECT broker_key, max(instrument_id) FROM instrument GROUP BY broker_key"
    ).fetchall()
    known: dict[str, int] = dict(found)
    return {key: known[key] for key in keys}


def landed(connection: psycopg.Connection, begin_ms: int, end_ms: int) -> Frames:
    """Updates with ``begin_ms`` ≤ frame time < ``end_ms``, counted by the database."""
    connection.execute(_ROOM)
    blocks = [np.empty((0, 7), np.int64)]
    with connection.cursor(name="frames") as cursor:
        cursor.execute(_FRAMES, (begin_ms, end_ms))
        while rows := cursor.fetchmany(_FETCHED_ROWS):
            blocks.append(np.array(rows, np.int64))
    event, epoch, sequence, received_us, ticks, ids, squares = np.concatenate(blocks).T
    return Frames(event, epoch, sequence, received_us / 1000, ticks, ids, squares)


def ledger(connection: psycopg.Connection) -> Ledger:
    """All of it."""
    rows = connection.execute(_LEDGER).fetchall()
    epoch, last, at, count = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Ledger(
        np.array(epoch, np.int64),
        np.array(last, np.int64),
        np.array(at, np.float64),
        np.array(count, np.int64),
    )


def rows_of(connection: psycopg.Connection, event_ms: Sequence[int]) -> dict[int, Counter[int]]:
    """How often each instrument stands in the frames of these times."""
    found: dict[int, Counter[int]] = {at: Counter() for at in event_ms}
    for at, instrument, count in connection.execute(_ROWS_OF, (list(event_ms),)):
        found[at][instrument] += count
    return found


def suspects(schedule: Schedule, count: int, frames: Frames, ids: Mapping[str, int]) -> list[int]:
    """Frame times whose rows do not add up to exactly the ticks that were due.

    Equal counts, sums and sums of squares of the ids are taken for equal sets.
    """
    due = _due_ms(schedule, count)
    place = np.searchsorted(due, frames.event_ms)
    is_due = place < count
    is_due[is_due] = due[place[is_due]] == frames.event_ms[is_due]
    place, kept = place[is_due], is_due
    sums = np.zeros((3, count), np.int64)
    for row, told in enumerate((frames.ticks, frames.ids, frames.squares)):
        np.add.at(sums[row], place, told[kept])
    groups = [[ids[key] for key in schedule.keys_of(g)] for g in range(schedule.groups)]
    wanted = np.array([[len(g), sum(g), sum(i * i for i in g)] for g in groups], np.int64)
    expected = wanted[np.arange(count) % schedule.groups].T
    wrong = due[(sums != expected).any(axis=0)]
    return sorted({*wrong.tolist(), *frames.event_ms[~is_due].tolist()})


def account(  # noqa: PLR0917 - the two sides of the books, and what explains a difference
    schedule: Schedule,
    told: Sequence[int],
    frames: Frames,
    looked_at: Mapping[int, Counter[int]],
    ids: Mapping[str, int],
    gaps: Sequence[Gap],
) -> Account:
    """Draw the balance.

    Args:
        told: of each frame, the ticks that were handed to a socket.
        looked_at: the rows of every suspect.
    """
    count = len(told)
    number_of = {at: n for n, at in enumerate(_due_ms(schedule, count).tolist())}
    sums: Counter[str] = Counter()
    for at, rows in looked_at.items():
        number = number_of.get(at)
        keys = () if number is None else schedule.keys_of(schedule.group(number))
        due = {ids[key] for key in keys}
        sums["duplicates"] += rows.total() - len(rows)
        sums["made_up"] += len(rows.keys() - due)
        missing = len(due - rows.keys())
        sums["in_gaps" if _is_in_gap(at, gaps) else "unaccounted"] += missing
    return Account(
        due=count * schedule.frame_ticks,
        sent=sum(told),
        landed=int(frames.ticks.sum()),
        duplicates=sums["duplicates"],
        in_gaps=sums["in_gaps"],
        unaccounted=sums["unaccounted"],
        unaccounted_ms=sums["unaccounted"] * 1000 / schedule.ticks_per_second,
        made_up=sums["made_up"],
        gap_rows=len(gaps),
    )


def landed_ms(frames: Frames, book: Ledger) -> Floats:
    """When each frame's ledger row was written, epoch ms; NaN if there is none."""
    at = np.full(len(frames.epoch), np.nan)
    for epoch in np.unique(frames.epoch):
        ours, theirs = frames.epoch == epoch, book.epoch == epoch
        place = np.searchsorted(book.last_sequence[theirs], frames.sequence[ours])
        times = np.append(book.landed_ms[theirs], np.nan)
        at[ours] = times[place]
    return at


def _due_ms(schedule: Schedule, count: int) -> Ints:
    return schedule.begin_ms + np.arange(count) * 1000 // schedule.frames_per_second


def _is_in_gap(at_ms: int, gaps: Sequence[Gap]) -> bool:
    return any(gap.from_ms <= at_ms <= gap.to_ms for gap in gaps)
