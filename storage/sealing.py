"""Compressing the journal's complete files, beside a writer and its readers.

A file is compressed to another name, forced to disk, renamed, and only then is the raw one removed:
whatever dies in between, the records are there once. How a compressed file looks belongs in
``sealed``, how it is read in ``segments``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from market.errors import JournalError
from storage import sealed
from storage.sealed import Summary
from storage.segments import HEADER_BYTES, Segment, SegmentReader, segments


@dataclass(frozen=True, slots=True)
class _Found:
    """What a raw file holds, and where its sound part ends."""

    summary: Summary
    is_complete: bool


def seal_all(folder: Path) -> int:
    """Compress every file that nobody writes any more; the bytes that this freed.

    Files without records stay as they are, and so do damaged ones: they are for a person to see.
    Several processes may do this at once.

    Raises:
        JournalError: the disk is full or cannot be written; nothing is lost.
    """
    found = segments(folder)
    _remove_abandoned(folder)
    newest = {segment.epoch: segment for segment in found}
    return sum(
        seal(segment, is_newest=newest[segment.epoch] == segment)
        for segment in found
        if segment.path == segment.raw_path
    )


def seal(segment: Segment, *, is_newest: bool) -> int:
    """Compress one raw file unless it is being written, empty or damaged; the bytes freed.

    Args:
        is_newest: whether it is the last of its epoch, whose torn end may be cut off.

    Raises:
        JournalError: the disk is full or cannot be written; nothing is lost.
    """
    try:
        with segment.raw_path.open("rb") as file:
            # A writer may be about to lock a file that it has just made: hands off.
            if os.fstat(file.fileno()).st_size <= HEADER_BYTES:
                return 0
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have been done with it between our opening and our locking.
            return _seal_locked(segment, file, is_newest) if os.fstat(file.fileno()).st_nlink else 0
    except (FileNotFoundError, BlockingIOError):
        return 0
    except OSError as error:
        raise JournalError(
            f"journal file {segment.raw_path} cannot be compressed ({error}): free the disk"
        ) from error


def _seal_locked(segment: Segment, file: IO[bytes], is_newest: bool) -> int:
    summary = _summary(segment, is_newest)
    if summary is None:
        return 0
    raw = segment.raw_path
    part = raw.with_name(raw.name + sealed.PART_SUFFIX)
    try:
        size = sealed.write(part, summary, _content(file, summary.size_bytes))
    except OSError:
        part.unlink(missing_ok=True)
        raise
    freed = raw.stat().st_size - size
    part.replace(segment.sealed_path)
    # The new name must be on disk before the old one is gone from it.
    sync_folder(raw.parent)
    raw.unlink()
    return freed


def _summary(segment: Segment, is_newest: bool) -> Summary | None:
    """What the sound part holds; None if there is nothing, or anything but a torn end behind it."""
    reader = SegmentReader(segment)
    try:
        first, latest = _receipts(reader)
    except JournalError:
        return None
    tear = reader.tear()
    if first is None or (tear is not None and (tear.is_middle or not is_newest)):
        return None
    last = reader.next_sequence - 1
    return Summary(segment.epoch, segment.first_sequence, last, first, latest, reader.offset)


def _receipts(reader: SegmentReader) -> tuple[int | None, int]:
    """When the first record of a segment was received, and the latest of all; epoch ns."""
    first, latest = None, 0
    for record in reader.read():
        if first is None:
            first = latest = record.received_at_ns
        latest = max(latest, record.received_at_ns)
    return first, latest


def _content(file: IO[bytes], size: int) -> Iterator[bytes]:
    file.seek(0)
    for start in range(0, size, sealed.BLOCK_BYTES):
        yield file.read(min(sealed.BLOCK_BYTES, size - start))


def _remove_abandoned(folder: Path) -> None:
    """Half-made files whose raw one is gone; the others are made anew."""
    for part in folder.glob(f"*{sealed.PART_SUFFIX}"):
        raw = part.with_name(part.name.removesuffix(sealed.PART_SUFFIX))
        if not raw.exists():
            with suppress(FileNotFoundError):
                part.unlink()


def sync_folder(folder: Path) -> None:
    """Force names that were made or removed in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
