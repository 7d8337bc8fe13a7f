"""The journal by time: the records of a stretch, found without reading what lies before it.

A file's first record tells when it begins, so the one to start in is found by bisection. Times are
our clock's at receipt; where it was set back, a stretch is what came between two records of an
epoch, not a set of times. Reading in order belongs in ``journal``.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from storage.journal import records
from storage.segments import MAX_SEQUENCE, Record, Segment, SegmentReader, segments, summary_of

_UNIX_START = datetime(1970, 1, 1, tzinfo=UTC)


def between(folder: Path, from_at: datetime, to_at: datetime) -> Iterator[Record]:
    """Every record received at ``from_at`` or later and before ``to_at``, all epochs, by time.

    Args:
        from_at, to_at: aware.

    Raises:
        JournalError: damage in that stretch, naming file and offset.
    """
    stretches = [_stretch(folder, own, _ns(from_at), _ns(to_at)) for own in _by_epoch(folder)]
    return heapq.merge(*stretches, key=lambda record: record.received_at_ns)


def epochs_between(folder: Path, from_at: datetime, to_at: datetime) -> list[int]:
    """The epochs with a record in that stretch, oldest first; arguments as for ``between``."""
    return [
        own[0].epoch
        for own in _by_epoch(folder)
        if next(_stretch(folder, own, _ns(from_at), _ns(to_at)), None)
    ]


def _by_epoch(folder: Path) -> list[list[Segment]]:
    return [list(own) for _, own in groupby(segments(folder), key=lambda s: s.epoch)]


def _stretch(folder: Path, own: Sequence[Segment], from_ns: int, to_ns: int) -> Iterator[Record]:
    """One epoch's part of a stretch."""
    if _first_received_at_ns(own[0]) >= to_ns or _is_over_before(own[-1], from_ns):
        return
    begin = own[max(0, bisect_left(own, from_ns, key=_first_received_at_ns) - 1)]
    is_inside = False
    for record in records(folder, begin.epoch, begin.first_sequence - 1):
        if record.received_at_ns >= to_ns:
            return
        is_inside = is_inside or record.received_at_ns >= from_ns
        if is_inside:
            yield record


def _first_received_at_ns(segment: Segment) -> int:
    """Of a file's first record; of one without records, later than any."""
    if summary := summary_of(segment):
        return summary.first_received_at_ns
    first = next(SegmentReader(segment).read(), None)
    return first.received_at_ns if first else MAX_SEQUENCE


def _is_over_before(newest: Segment, at_ns: int) -> bool:
    summary = summary_of(newest)
    return summary is not None and summary.latest_received_at_ns < at_ns


def _ns(instant: datetime) -> int:
    return (instant - _UNIX_START) // timedelta(microseconds=1) * 1000
