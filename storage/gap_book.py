"""The gap book: gaps that the database does not know yet, on disk so that no death forgets them.

One file beside the journal, a line an entry: when a slot's gap began, when it ended, when the
database had it, and which journal epoch carries a slot that is well. When a gap begins and ends is
decided in ``streaming.feed``; the rows of the database belong in ``ticks``.

How an entry looks as a line belongs in ``gap_lines``. Each reaches the operating system at once, so
that a killed process loses none. What is settled goes when the file is written anew: at the start,
and when it has grown.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from market.errors import JournalError
from storage.gap_lines import (
    ClosedGap,
    Entry,
    IdleSlot,
    LineWriter,
    LiveSlot,
    OpenGap,
    Recorded,
    read_entries,
)
from storage.sealing import sync_folder

__all__ = ["ClosedGap", "Entry", "GapBook", "Gaps", "IdleSlot", "LiveSlot", "OpenGap", "Recorded"]

FILE_NAME = "gaps.book"
COMPACT_BYTES = 4 * 1024 * 1024
GAP_LIMIT = 1_000

# Only a holder that replaces the file in the same instant makes one try again.
_LOCK_ATTEMPTS = 20


_Identity = tuple[int, datetime, int, str]


class Gaps:
    """What the entries so far amount to.

    Attributes:
        slots: how each slot stands, as far as it is known.
    """

    def __init__(self, gap_limit: int = GAP_LIMIT) -> None:
        self.slots: dict[int, OpenGap | LiveSlot] = {}
        self._gap_limit = gap_limit
        self._waiting: dict[_Identity, ClosedGap] = {}

    @property
    def waiting(self) -> tuple[ClosedGap, ...]:
        """Closed gaps that the database does not have, oldest first."""
        return tuple(self._waiting.values())

    def entries(self) -> list[Entry]:
        """The fewest entries that amount to the same."""
        idle = {gap.slot for gap in self._waiting.values()} - set(self.slots)
        return [*self._waiting.values(), *map(IdleSlot, sorted(idle)), *self.slots.values()]

    def take(self, entry: Entry) -> None:
        """Take one more entry."""
        match entry:
            case OpenGap():
                self._open(entry)
            case LiveSlot():
                self.slots[entry.slot] = entry
            case IdleSlot():
                self.slots.pop(entry.slot, None)
            case ClosedGap():
                self._close(entry)
            case Recorded():
                self._forget(entry)

    def _open(self, gap: OpenGap) -> None:
        known = self.slots.get(gap.slot)
        if isinstance(known, OpenGap):
            first = min(known, gap, key=lambda g: g.from_at)
            gap = replace(first, keys=_union(known.keys, gap.keys))
        self.slots[gap.slot] = gap

    def _close(self, gap: ClosedGap) -> None:
        self.slots[gap.slot] = LiveSlot(gap.slot, gap.epoch, gap.keys, gap.from_at)
        own = [g for g in self._waiting.values() if g.slot == gap.slot]
        if len(self._waiting) >= self._gap_limit and own:
            # Memory is bounded, and a gap is never lost: the time between two becomes one too.
            gap = _joined(self._waiting.pop(_identity(own[-1])), gap)
        self._add(gap)

    def _add(self, gap: ClosedGap) -> None:
        known = self._waiting.get(_identity(gap))
        self._waiting[_identity(gap)] = _joined(known, gap) if known else gap

    def _forget(self, recorded: Recorded) -> None:
        known = self._waiting.get(_identity(recorded))
        if known and known.to_at <= recorded.to_at:
            del self._waiting[_identity(recorded)]


class GapBook:
    """The file, and what it amounts to; one writer, held by a lock on the file.

    What is noted holds for this process even if the file cannot be written; the next note tries
    to write all of it again.
    """

    def __init__(
        self, path: Path, compact_bytes: int = COMPACT_BYTES, gap_limit: int = GAP_LIMIT
    ) -> None:
        self.damaged_lines = 0
        self._path = path
        self._compact_bytes = compact_bytes
        self._gap_limit = gap_limit
        self._gaps = Gaps(gap_limit)
        self._lines = LineWriter()
        self._file = -1
        self._size = self._rewrite_bytes = 0
        self._is_behind = True

    @property
    def slots(self) -> dict[int, OpenGap | LiveSlot]:
        """How each slot stands."""
        return dict(self._gaps.slots)

    @property
    def waiting(self) -> tuple[ClosedGap, ...]:
        """Closed gaps that the database does not have, oldest first."""
        return self._gaps.waiting

    def open(self) -> None:
        """Read what an earlier process left, and write it anew without what is settled.

        Raises:
            JournalError: it cannot be read or written, or another process holds it.
        """
        with _told_as_journal_error(self._path):
            self._take_over()
            self._rewrite()

    def note(self, *entries: Entry) -> None:
        """Take entries; they are in the operating system's hands when this returns.

        Raises:
            JournalError: they are kept in memory only.
        """
        for entry in entries:
            self._gaps.take(entry)
        if self._file < 0:
            return self.open()
        with _told_as_journal_error(self._path):
            if self._is_behind or self._size > self._rewrite_bytes:
                self._rewrite()
            else:
                self._append(self._lines.lines(entries))

    def sync_job(self) -> Callable[[], None]:
        """What forces everything noted so far to disk; it blocks and may run in a thread."""
        if self._file < 0:
            return lambda: None
        with _told_as_journal_error(self._path):
            file = os.dup(self._file)

        def sync() -> None:
            try:
                with _told_as_journal_error(self._path):
                    os.fdatasync(file)
            finally:
                os.close(file)

        return sync

    def close(self) -> None:
        """Force to disk and let go; a second call does nothing."""
        if self._file >= 0:
            file, self._file = self._file, -1
            try:
                with _told_as_journal_error(self._path):
                    os.fdatasync(file)
            finally:
                os.close(file)

    def _take_over(self) -> None:
        """Lock the file, and put what it says before what this process noted meanwhile."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _locked(self._path)
        try:
            content = self._path.read_bytes()
        except OSError:
            os.close(self._file)
            self._file = -1
            raise
        own, self._gaps = self._gaps.entries(), Gaps(self._gap_limit)
        kept, self.damaged_lines = read_entries(content)
        for entry in [*kept, *own]:
            self._gaps.take(entry)

    def _rewrite(self) -> None:
        """Put a file beside the old one, then in its place; locked before anyone can see it."""
        self._is_behind = True
        self._lines = LineWriter()
        content = self._lines.lines(self._gaps.entries())
        part = self._path.with_name(self._path.name + ".part")
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(file, content)
            os.fsync(file)
            part.replace(self._path)
        except OSError:
            os.close(file)
            with suppress(OSError):
                part.unlink()
            raise
        os.close(self._file)
        self._file, self._size, self._is_behind = file, len(content), False
        self._rewrite_bytes = max(self._compact_bytes, 2 * self._size)
        sync_folder(self._path.parent)

    def _append(self, lines: bytes) -> None:
        try:
            _write_all(self._file, lines)
        except OSError:
            self._is_behind = True
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(lines)


def _identity(gap: ClosedGap | Recorded) -> _Identity:
    return gap.slot, gap.from_at, gap.epoch, gap.reason


def _joined(first: ClosedGap, second: ClosedGap) -> ClosedGap:
    from_at, to_at = min(first.from_at, second.from_at), max(first.to_at, second.to_at)
    return replace(first, from_at=from_at, to_at=to_at, keys=_union(first.keys, second.keys))


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return first if first == second else tuple(sorted({*first, *second}))


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _locked(path: Path) -> int:
    """A descriptor of the file that lies at ``path`` now, which is ours alone."""
    for _ in range(_LOCK_ATTEMPTS):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink:
                return file
        except OSError:
            os.close(file)
            raise
        os.close(file)
    raise BlockingIOError(f"{path} is replaced again and again")


@contextmanager
def _told_as_journal_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"the gap book {path} cannot be kept: {error}; check the disk's space, the folder's "
            "permissions, and that no other process streams into this journal"
        ) from error
