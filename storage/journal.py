"""The journal: every received frame on disk before anything is made of it.

Recovery, replay and a database outage are one path: read from the last landed record. How a
segment's bytes look belongs in ``segments``, compressing complete ones in ``sealing``, finding an
instant in ``journal_index``; what is inside a frame belongs to the broker's codec.

Each append reaches the operating system at once, so that a killed process loses nothing; it is
forced to disk every ``sync_seconds``, so that a power failure loses no more than that.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from market.errors import JournalError
from storage.sealing import sync_folder
from storage.segments import (
    MAX_FRAME_BYTES,
    MAX_SEQUENCE,
    Record,
    Segment,
    SegmentReader,
    header,
    prefix,
    segment_path,
    segments,
    summary_of,
)

__all__ = ["JournalReader", "JournalWriter", "Record", "epochs", "prune", "records", "repair"]

SEGMENT_BYTES = 64 * 1024 * 1024
_LOCK_ATTEMPTS = 20


class JournalWriter:
    """Appends the frames of one epoch; one writer per epoch, held by a lock on its file.

    Opened on an epoch that exists, it cuts a torn end and goes on after the last record.

    Args:
        sync_seconds: longest time before frames are forced to disk; 0: each at once.
        segment_bytes: size at which the next file is begun.
        clock: seconds that only go up.

    Raises:
        JournalError: the folder cannot be written, or what is there is damaged.
    """

    def __init__(
        self,
        folder: Path,
        epoch: int,
        sync_seconds: float,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._epoch = epoch
        self._sync_seconds = sync_seconds
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._file = -1
        self._is_dirty = False
        self._synced_at = clock()
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        repair(folder, epoch)
        self._next = _next_sequence(folder, epoch)
        self._begin_segment()

    def append(self, received_at_ns: int, frame: bytes) -> int:
        """Write one frame; its sequence.

        Raises:
            JournalError: it could not be written, and no part of it stays.
        """
        if len(frame) > MAX_FRAME_BYTES:
            raise JournalError(f"frame of {len(frame)} bytes, expected at most {MAX_FRAME_BYTES}")
        if self._offset >= self._segment_bytes:
            self._end_segment()
            self._begin_segment()
        with _writing(self._path):
            self._write((prefix(self._next, received_at_ns, frame), frame))
        sequence, self._next = self._next, self._next + 1
        self._is_dirty = True
        if self._clock() - self._synced_at >= self._sync_seconds:
            self.sync()
        return sequence

    def sync(self) -> None:
        """Force what was appended to disk; nothing to do is nothing done."""
        if self._is_dirty:
            with _writing(self._path):
                os.fdatasync(self._file)
            self._is_dirty = False
        self._synced_at = self._clock()

    def close(self) -> None:
        """Force to disk and let go of the file; a second call does nothing."""
        if self._file >= 0:
            self._end_segment()

    def _begin_segment(self) -> None:
        self._path = segment_path(self._folder, self._epoch, self._next)
        with _writing(self._path):
            self._file = _locked(self._path)
            self._offset = 0
            self._write((header(self._epoch, self._next),))
            os.fdatasync(self._file)
            sync_folder(self._folder)

    def _end_segment(self) -> None:
        self.sync()
        os.close(self._file)
        self._file = -1

    def _write(self, parts: tuple[bytes, ...]) -> None:
        total = sum(map(len, parts))
        try:
            written = os.writev(self._file, parts)
            if written < total:
                # A signal or a full disk: the rest either follows or fails with the reason.
                rest = memoryview(b"".join(parts))[written:]
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._offset)
            os.lseek(self._file, self._offset, os.SEEK_SET)
            raise
        self._offset += total


class JournalReader:
    """Reads one epoch in order, and goes on where it stopped: it can follow a writer.

    Records that were pruned are passed over.
    """

    def __init__(self, folder: Path, epoch: int, after_sequence: int = 0) -> None:
        self._folder = folder
        self._epoch = epoch
        self._after = after_sequence
        self._reader: SegmentReader | None = None

    def available(self) -> Iterator[Record]:
        """The records that are there now; call it again for those that came since.

        Raises:
            JournalError: damage before the end of the newest file, naming file and offset.
        """
        while self._find_segment() and self._reader:
            yield from self._unread(self._reader)
            following = self._following(self._reader)
            if following is None:
                tear = self._reader.tear()
                if tear and tear.is_middle:
                    raise self._reader.damage()
                return
            # What the writer appended before it began the next file.
            yield from self._unread(self._reader)
            if following.first_sequence != self._reader.next_sequence and self._reader.is_there:
                raise self._reader.damage()
            self._reader = SegmentReader(following)

    def _unread(self, reader: SegmentReader) -> Iterator[Record]:
        for record in reader.read():
            if record.sequence > self._after:
                self._after = record.sequence
                yield record

    def _find_segment(self) -> bool:
        if self._reader is None:
            own = [s for s in segments(self._folder) if s.epoch == self._epoch]
            begun = [s for s in own if s.first_sequence <= self._after + 1]
            if own:
                self._reader = SegmentReader(begun[-1] if begun else own[0])
        return self._reader is not None

    def _following(self, reader: SegmentReader) -> Segment | None:
        later = (s for s in segments(self._folder) if s > reader.segment)
        return next((s for s in later if s.epoch == self._epoch), None)


def records(folder: Path, epoch: int, after_sequence: int = 0) -> Iterator[Record]:
    """The records of an epoch after ``after_sequence``, up to the end or a torn last one.

    Raises:
        JournalError: damage before the end of the newest file, naming file and offset.
    """
    return JournalReader(folder, epoch, after_sequence).available()


def epochs(folder: Path) -> list[int]:
    """The epochs that have files, oldest first."""
    return sorted({s.epoch for s in segments(folder)})


def repair(folder: Path, epoch: int) -> int:
    """Cut the torn end of an epoch's newest file; the bytes that were cut.

    Raises:
        JournalError: sound records follow the damage, or the epoch is being written.
    """
    own = [s for s in segments(folder) if s.epoch == epoch]
    if not own:
        return 0
    path = own[-1].path
    if path != own[-1].raw_path:
        return _checked_whole(own[-1])
    with _writing(path), path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reader = _read_through(own[-1])
        tear = reader.tear()
        if tear is None:
            return 0
        if tear.is_middle:
            raise reader.damage()
        size = path.stat().st_size
        file.truncate(tear.offset)
        os.fsync(file.fileno())
        if not tear.offset:
            path.unlink()
        return size - tear.offset


def prune(
    folder: Path, landed: Mapping[int, int], cap_bytes: int, expired_at: datetime | None = None
) -> int:
    """Delete whole landed files, oldest first, until the folder is under its cap; bytes freed.

    A file that is being written, or holds a record that is not landed, stays whatever the cap.

    Args:
        landed: epoch → last sequence that is landed.
        expired_at: files whose records are all older go even under the cap; None: no file does.
    """
    found = segments(folder)
    excess = sum(s.size_bytes for s in found) - cap_bytes
    freed = 0
    for segment, following in zip(found, [*found[1:], None], strict=False):
        if freed >= excess and not _is_expired(segment, expired_at):
            break
        if _last_sequence(segment, following) <= landed.get(segment.epoch, 0):
            freed += _remove_unless_written(segment)
    return freed


def _is_expired(segment: Segment, expired_at: datetime | None) -> bool:
    if expired_at is None:
        return False
    if summary := summary_of(segment):
        return summary.latest_received_at_ns < expired_at.timestamp() * 1e9
    with suppress(FileNotFoundError):
        # What was never compressed was last touched when its last record came.
        return segment.raw_path.stat().st_mtime < expired_at.timestamp()
    return False


def _last_sequence(segment: Segment, following: Segment | None) -> int:
    if following is not None and following.epoch == segment.epoch:
        return following.first_sequence - 1
    if summary := summary_of(segment):
        return summary.last_sequence
    reader = _read_through(segment)
    tear = reader.tear()
    # What stands behind damage has not been landed by anyone.
    return reader.next_sequence - 1 if tear is None or not tear.is_middle else MAX_SEQUENCE


def _remove_unless_written(segment: Segment) -> int:
    size = segment.size_bytes
    with suppress(FileNotFoundError), segment.raw_path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        segment.raw_path.unlink()
    segment.sealed_path.unlink(missing_ok=True)
    return size


def _checked_whole(segment: Segment) -> int:
    """A compressed file has no torn end to cut: it is whole, or damaged."""
    reader = _read_through(segment)
    if reader.tear():
        raise reader.damage()
    return 0


def _locked(path: Path) -> int:
    """A descriptor of the empty file at ``path``, which is ours alone from now on.

    Between creating and locking it, one who prunes may have locked or removed it: once more, then.
    """
    for attempt in range(_LOCK_ATTEMPTS):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink:
                os.ftruncate(file, 0)
                return file
        except BlockingIOError:
            if attempt == _LOCK_ATTEMPTS - 1:
                os.close(file)
                raise
            time.sleep(0.001)
        os.close(file)
    raise BlockingIOError(f"{path} is removed again and again")


def _read_through(segment: Segment) -> SegmentReader:
    reader = SegmentReader(segment)
    for _ in reader.read():
        pass
    return reader


def _next_sequence(folder: Path, epoch: int) -> int:
    own = [s for s in segments(folder) if s.epoch == epoch]
    return _read_through(own[-1]).next_sequence if own else 1


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise JournalError(f"journal file {path} is being written by another process") from error
    except OSError as error:
        raise JournalError(
            f"journal {path} cannot be written ({error}): free the disk, or make it writable"
        ) from error
