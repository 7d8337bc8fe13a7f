"""The books of one scenario: sent by the exchange, received, landed, and what gap rows own up to.

Pure set arithmetic over what the witness, the journal and the database hold, and the plain reading
of the latter two. Nothing here asks the streaming process how it thinks that it did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from brokers.interface import FrameKind
from brokers.upstox.codec import decode
from market.errors import FrameError
from storage import journal

# Two sockets are told the same step of the exchange, yet a request in between may move one by this.
SAME_STEP_MS = 60
# A gap begins with the last frame that came and ends with the first: each up to a frame away.
FRAME_MS = 250

_LANDED = """
    SELECT t.epoch, t.sequence, i.broker_key, round(extract(epoch FROM t.event_at) * 1000)::bigint,
        count(*)
    FROM tick t JOIN instrument i USING (instrument_id)
    WHERE t.received_at > to_timestamp(%s / 1000.0)
        AND t.received_at <= to_timestamp(%s / 1000.0)
    GROUP BY 1, 2, 3, 4
"""
_GAPS = """
    SELECT extract(epoch FROM from_at)::float8 * 1000, extract(epoch FROM to_at)::float8 * 1000,
        reason
    FROM gap WHERE to_at > to_timestamp(%s / 1000.0) AND from_at <= to_timestamp(%s / 1000.0)
"""

Row = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap row; epoch ms."""

    from_ms: float
    to_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """What the journal holds of a stretch of time.

    Attributes:
        rows: (epoch, sequence, key) of every tick.
        unreadable_ms: when frames came that no decoder reads, epoch ms.
    """

    rows: frozenset[Row]
    unreadable_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Landed:
    """What the hypertable holds of a stretch of time.

    Attributes:
        times: frame time (epoch ms) of each (epoch, sequence, key).
        duplicates: rows that stand there once more than they should.
    """

    times: Mapping[Row, int]
    duplicates: int


@dataclass(frozen=True, slots=True)
class Account:
    """The sums. ``is_balanced`` is the whole claim: sent = landed + recorded gaps, nothing twice.

    Attributes:
        sent: ticks that the witness saw for the keys that the process follows.
        received: ticks in the journal, snapshots included.
        landed: ticks in the hypertable, snapshots included.
        not_landed: received and not in the hypertable.
        made_up: in the hypertable and not received.
        in_gaps: sent, never received, and inside a gap row.
        unaccounted: sent, never received, and in no gap row.
        example: one of the latter, for whoever must find out why.
    """

    sent: int
    received: int
    landed: int
    duplicates: int
    not_landed: int
    made_up: int
    in_gaps: int
    unaccounted: int
    gaps: tuple[Gap, ...]
    example: str = ""

    @property
    def is_balanced(self) -> bool:
        """Whether nothing is missing, doubled or made up."""
        return not (self.duplicates or self.not_landed or self.made_up or self.unaccounted)


def received(folder: Path, after_ms: int, until_ms: int) -> Received:
    """Read the journal under ``folder``, every epoch of it."""
    rows, unreadable = set[Row](), list[float]()
    for epoch in journal.epochs(folder):
        for record in journal.records(folder, epoch):
            at_ms = record.received_at_ns / 1e6
            if not after_ms < at_ms <= until_ms:
                continue
            try:
                frame = decode(record.frame)
            except FrameError:
                unreadable.append(at_ms)
                continue
            if frame.kind is not FrameKind.STATUS:
                rows |= {(record.epoch, record.sequence, key) for key in frame.keys}
    return Received(frozenset(rows), tuple(unreadable))


def landed(dsn: str, after_ms: int, until_ms: int) -> Landed:
    """Read the hypertable."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(_LANDED, (after_ms, until_ms)).fetchall()
    counts = Counter({(epoch, sequence, key): n for epoch, sequence, key, _, n in found})
    times = {(epoch, sequence, key): at for epoch, sequence, key, at, _ in found}
    return Landed(times, counts.total() - len(counts))


def gaps(dsn: str, after_ms: int, until_ms: int) -> tuple[Gap, ...]:
    """Read the gap rows that touch the stretch, oldest first."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(_GAPS, (after_ms, until_ms)).fetchall()
    return tuple(sorted((Gap(*row) for row in found), key=lambda gap: gap.from_ms))


def account(
    sent: Sequence[tuple[str, int]],
    got: Received,
    kept: Landed,
    known_gaps: Sequence[Gap],
    shifts_ms: Sequence[int] = (0,),
) -> Account:
    """Draw the balance.

    Args:
        shifts_ms: what a fault may have added to the frame times that the process was told.
    """
    missing = list(_missing(sent, kept.times, shifts_ms))
    lost = [(key, at) for key, at in missing if not _is_in_gap(at, known_gaps)]
    return Account(
        sent=len(sent),
        received=len(got.rows),
        landed=len(kept.times) + kept.duplicates,
        duplicates=kept.duplicates,
        not_landed=len(got.rows - kept.times.keys()),
        made_up=len(kept.times.keys() - got.rows),
        in_gaps=len(missing) - len(lost),
        unaccounted=len(lost),
        gaps=tuple(known_gaps),
        example=f"{lost[0][0]} at {lost[0][1]} ms" if lost else "",
    )


def _missing(
    sent: Iterable[tuple[str, int]], times: Mapping[Row, int], shifts_ms: Sequence[int]
) -> Iterator[tuple[str, int]]:
    """Those sent that are not among the landed."""
    steps = defaultdict[str, set[int]](set)
    for (_, _, key), at in times.items():
        steps[key] |= {at // SAME_STEP_MS + shift for shift in (-1, 0, 1)}
    for key, at in sent:
        if not any((at + shift) // SAME_STEP_MS in steps[key] for shift in shifts_ms):
            yield key, at


def _is_in_gap(at_ms: int, known_gaps: Sequence[Gap]) -> bool:
    return any(gap.from_ms - FRAME_MS <= at_ms <= gap.to_ms + FRAME_MS for gap in known_gaps)
