"""What streaming asks of a store of received frames, and the store that lies in a folder.

The protocols are all that the programs know, so that another log (a message broker's stream) can
stand behind them. How a folder keeps frames belongs in ``journal``; landing them is ``ticks``'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from market.errors import JournalError
from storage import journal
from storage.journal import JournalWriter
from storage.sealing import seal_all
from storage.segments import Record, Segment, segments, summary_of

# Files of one process are last written within this of each other while its connections live.
_SIDE_BY_SIDE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest record of a log: where the next process takes over.

    Attributes:
        epoch: the newest epoch that was begun, with a record or without; 0: none.
        received_at: our clock (aware UTC) at the newest record; None if there is none.
    """

    epoch: int = 0
    received_at: datetime | None = None


class FrameWriter(Protocol):
    """Appends the frames of one epoch; every method may raise JournalError."""

    def append(self, received_at_ns: int, frame: bytes) -> int:
        """Keep one frame; its sequence: 1, 2, … within the epoch."""

    def sync(self) -> None:
        """Make what was appended outlive a loss of power."""

    def close(self) -> None:
        """Sync and let go; a second call does nothing."""


class FrameLog(Protocol):
    """Frames by epoch and sequence; all methods block and may raise JournalError."""

    def writer(self, epoch: int) -> FrameWriter:
        """The one writer of an epoch."""

    def epochs(self) -> list[int]:
        """The epochs that have frames, oldest first."""

    def records(self, epoch: int, after_sequence: int) -> Iterator[Record]:
        """The frames of an epoch after a sequence, in order, up to what is there now."""

    def newest(self) -> Newest:
        """Where an earlier process stopped."""

    def last_received_at(self, epoch: int) -> datetime | None:
        """Our clock (aware UTC) at the last record of an epoch; None if none is left."""

    def size_bytes(self) -> int:
        """What the log occupies."""

    def tidy(self, landed: Mapping[int, int], now: datetime) -> None:
        """Make room: frames that are landed (epoch → last sequence) may go, no others."""


@dataclass(frozen=True, slots=True)
class FolderLog:
    """The journal's folder as a log.

    Attributes:
        sync_seconds: longest time before frames are forced to disk; 0: each at once.
        cap_bytes: size above which landed frames go, oldest first.
        keep_days: landed frames that are older go even under the cap; 0: they stay.
    """

    folder: Path
    sync_seconds: float = 0.1
    cap_bytes: int = 10 * 1024**3
    keep_days: float = 0.0

    def writer(self, epoch: int) -> JournalWriter:
        """As ``FrameLog.writer``."""
        return JournalWriter(self.folder, epoch, self.sync_seconds)

    def epochs(self) -> list[int]:
        """As ``FrameLog.epochs``."""
        return journal.epochs(self.folder)

    def records(self, epoch: int, after_sequence: int) -> Iterator[Record]:
        """As ``FrameLog.records``."""
        return journal.records(self.folder, epoch, after_sequence)

    def newest(self) -> Newest:
        """As ``FrameLog.newest``; reads only the files written last, for there may be many."""
        found = segments(self.folder)
        newest_ns, written_at = 0, 0.0
        for at, segment in sorted(((_written_at(s), s) for s in found), reverse=True):
            # Several connections write side by side, so the youngest file is not all.
            if newest_ns and at < written_at - _SIDE_BY_SIDE_SECONDS:
                break
            written_at = written_at or at
            newest_ns = max(newest_ns, self._newest_ns(segment))
        return Newest(found[-1].epoch if found else 0, _instant(newest_ns))

    def last_received_at(self, epoch: int) -> datetime | None:
        """As ``FrameLog.last_received_at``."""
        own = [segment for segment in segments(self.folder) if segment.epoch == epoch]
        # The last file may have been begun and not written to.
        return _instant(next((ns for s in reversed(own) if (ns := self._newest_ns(s))), 0))

    def _newest_ns(self, segment: Segment) -> int:
        if summary := summary_of(segment):
            return summary.latest_received_at_ns
        kept = journal.records(self.folder, segment.epoch, segment.first_sequence - 1)
        return max((record.received_at_ns for record in kept), default=0)

    def size_bytes(self) -> int:
        """As ``FrameLog.size_bytes``."""
        return sum(segment.size_bytes for segment in segments(self.folder))

    def tidy(self, landed: Mapping[int, int], now: datetime) -> None:
        """Compress complete files and prune landed ones; a full disk stops only the former.

        Raises:
            JournalError: one of both could not be done; the other was tried all the same.
        """
        expired_at = now - timedelta(days=self.keep_days) if self.keep_days else None
        try:
            with _told_as_journal_error(self.folder):
                seal_all(self.folder)
        finally:
            with _told_as_journal_error(self.folder):
                journal.prune(self.folder, landed, self.cap_bytes, expired_at)


def _instant(epoch_ns: int) -> datetime | None:
    return datetime.fromtimestamp(epoch_ns / 1e9, UTC) if epoch_ns else None


def _written_at(segment: Segment) -> float:
    """When a file was last written, epoch seconds; 0 if it is gone by now."""
    with suppress(FileNotFoundError):
        return segment.path.stat().st_mtime
    return 0.0


@contextmanager
def _told_as_journal_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"the journal in {folder} could not be tidied: {error}; check the disk's space and "
            "the folder's permissions"
        ) from error
