"""One file of the journal: its name, its records as bytes, and where its sound part ends.

A segment is a header and then records, one after another, all little-endian::

    header   magic 6 bytes, version u16, epoch u64, first sequence u64
    record   length u32, crc32 u32, sequence u64, received_at_ns i64, frame (length bytes)

The checksum covers everything after itself. Sequences go up by one. A segment that is complete may
be compressed (``sealed``): whatever is read here is read from either. Which segments exist, and
writing to them, belongs in ``journal``.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from market.errors import JournalError
from storage import sealed
from storage.sealed import SealedFile, Summary

VERSION = 1
HEADER_BYTES = 24
PREFIX_BYTES = 24
# No frame of a feed is near this: a greater length is damage, not data.
MAX_FRAME_BYTES = 64 * 1024 * 1024
MAX_SEQUENCE = 2**63 - 1

_MAGIC = b"OLJRNL"
_HEADER = struct.Struct("<6sHQQ")
_PREFIX = struct.Struct("<IIQq")
_STAMP = struct.Struct("<Qq")
_NAME = re.compile(r"(\d{20})-(\d{20})\.journal(\.zst)?")
_READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One received frame, as it came.

    Attributes:
        sequence: 1, 2, … within the epoch.
        received_at_ns: our clock at receipt, epoch ns.
    """

    epoch: int
    sequence: int
    received_at_ns: int
    frame: bytes


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A journal file; ordered by age, which its name tells.

    Attributes:
        path: the file when it was listed; it may be compressed, or be gone, any time after.
    """

    epoch: int
    first_sequence: int
    path: Path = field(compare=False)

    @property
    def raw_path(self) -> Path:
        """Where its records are appended, until it is complete."""
        return segment_path(self.path.parent, self.epoch, self.first_sequence)

    @property
    def sealed_path(self) -> Path:
        """Where it lies once it is compressed."""
        raw = self.raw_path
        return raw.with_name(raw.name + sealed.SUFFIX)

    @property
    def size_bytes(self) -> int:
        """Its size on disk now; 0 if it is gone."""
        for path in (self.raw_path, self.sealed_path):
            with suppress(FileNotFoundError):
                return path.stat().st_size
        return 0


@dataclass(frozen=True, slots=True)
class Tear:
    """Where the sound part of a segment ends, and why.

    Attributes:
        offset: bytes that are sound.
        is_middle: whether sound records follow the damage, so that it is not just a torn end.
    """

    offset: int
    reason: str
    is_middle: bool


def segments(folder: Path) -> list[Segment]:
    """All segments of a folder, oldest first; an absent folder has none."""
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    found = [Segment(int(n[1]), int(n[2]), path) for n, path in named if n]
    # Where both are there, the raw one: it goes last, so it is whole.
    found.sort(key=lambda s: (s, s.path.name), reverse=True)
    return sorted({(s.epoch, s.first_sequence): s for s in found}.values())


def segment_path(folder: Path, epoch: int, first_sequence: int) -> Path:
    """The name says what is inside, so that nothing is opened to find a record."""
    return folder / f"{epoch:020d}-{first_sequence:020d}.journal"


def header(epoch: int, first_sequence: int) -> bytes:
    """The first bytes of a segment."""
    return _HEADER.pack(_MAGIC, VERSION, epoch, first_sequence)


def prefix(sequence: int, received_at_ns: int, frame: bytes) -> bytes:
    """What stands before a frame in its record."""
    checksum = zlib.crc32(frame, zlib.crc32(_STAMP.pack(sequence, received_at_ns)))
    return _PREFIX.pack(len(frame), checksum, sequence, received_at_ns)


class SegmentBytes:
    """The bytes of a segment as they were appended, whichever file holds them at the moment.

    Attributes:
        path: the file that was read last.
        is_there: whether there was one; landed ones get pruned.
    """

    def __init__(self, segment: Segment) -> None:
        self.path = segment.path
        self.is_there = True
        self._segment = segment
        self._sealed: SealedFile | None = None

    @property
    def summary(self) -> Summary | None:
        """What the segment holds, if it was found compressed."""
        return self._sealed.summary if self._sealed else None

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer at the end, or before damage.

        Raises:
            JournalError: it cannot be read, or it is compressed and not what its name says.
        """
        try:
            return self._read(offset, length)
        except FileNotFoundError:
            self.is_there = False
            return b""
        except OSError as error:
            raise JournalError(
                f"journal file {self.path} cannot be read ({error}): make it readable"
            ) from error

    def _read(self, offset: int, length: int) -> bytes:
        if self._sealed is None:
            with suppress(FileNotFoundError), self._segment.raw_path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
            self._sealed = _opened(self._segment)
            self.path = self._sealed.path
        return self._sealed.read(offset, length)


def summary_of(segment: Segment) -> Summary | None:
    """What a compressed segment holds; None for one that is not compressed, or is gone.

    Raises:
        JournalError: it cannot be read, or is not what its name says.
    """
    content = SegmentBytes(segment)
    content.read(0, 0)
    return content.summary


def _opened(segment: Segment) -> SealedFile:
    found = SealedFile(segment.sealed_path)
    named = (segment.epoch, segment.first_sequence)
    if (found.summary.epoch, found.summary.first_sequence) != named:
        raise JournalError(
            f"journal file {found.path} is damaged at offset 0: it has another epoch or sequence "
            "than its name; move it away"
        )
    return found


class SegmentReader:
    """Reads one segment from where it stopped last, so that it can follow a writer.

    It may be compressed in between.

    Attributes:
        offset: where the sound part that was read ends, in bytes as they were appended.
        next_sequence: the record that has to come there.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.offset = 0
        self.next_sequence = segment.first_sequence
        self._content = SegmentBytes(segment)
        self._rest = b""

    @property
    def is_there(self) -> bool:
        """Whether the file still existed when it was read; landed ones get pruned."""
        return self._content.is_there

    def read(self) -> Iterator[Record]:
        """The sound records that are there now and were not read before.

        Raises:
            JournalError: it cannot be read, or its header is another one than the name says.
        """
        self._rest, is_more = b"", True
        while is_more:
            piece = self._content.read(self.offset + len(self._rest), _READ_BYTES)
            is_more = len(piece) == _READ_BYTES
            self._rest += piece
            yield from self._parsed()

    def tear(self) -> Tear | None:
        """What stands after the last sound record, after all were read; None if nothing does.

        A compressed segment was whole: anything that it lacks is damage in its middle.
        """
        if summary := self._content.summary:
            is_whole = self.offset == summary.size_bytes or not self.is_there
            return None if is_whole else Tear(self.offset, "compressed block altered", True)
        if not self._rest and self.offset:
            return None
        is_middle = bool(self.offset) and _holds_record(self._rest, self.next_sequence + 1)
        return Tear(self.offset, "record cut short or altered", is_middle)

    def damage(self) -> JournalError:
        """The error that names where the sound part ends."""
        return JournalError(
            f"journal file {self._content.path} is damaged at offset {self.offset}: expected "
            f"record {self.next_sequence}; restore the file, or move it away to go on without it"
        )

    def _parsed(self) -> Iterator[Record]:
        at = 0 if self.offset else self._header_length()
        self.offset += at
        while record := _parse(self._rest, at, self.segment.epoch, self.next_sequence):
            step = PREFIX_BYTES + len(record.frame)
            at, self.offset, self.next_sequence = at + step, self.offset + step, record.sequence + 1
            yield record
        self._rest = self._rest[at:]

    def _header_length(self) -> int:
        found = self._rest[:HEADER_BYTES]
        wanted = header(self.segment.epoch, self.segment.first_sequence)
        if found != wanted[: len(found)]:
            raise JournalError(
                f"journal file {self._content.path} is damaged at offset 0: not a segment of "
                f"version {VERSION} with the epoch and sequence of its name; move it away"
            )
        return HEADER_BYTES if len(found) == HEADER_BYTES else 0


def _parse(content: bytes, at: int, epoch: int, sequence: int) -> Record | None:
    """The record ``sequence`` if it stands at ``at``, whole and sound."""
    start = at + PREFIX_BYTES
    if len(content) < start:
        return None
    length, checksum, found, received_at_ns = _PREFIX.unpack_from(content, at)
    if found != sequence or length > MAX_FRAME_BYTES or len(content) < start + length:
        return None
    frame = content[start : start + length]
    if zlib.crc32(frame, zlib.crc32(content[at + 8 : start])) != checksum:
        return None
    return Record(epoch, sequence, received_at_ns, frame)


def _holds_record(content: bytes, sequence: int) -> bool:
    """Whether record ``sequence`` stands, whole and sound, anywhere in ``content``."""
    wanted = struct.pack("<Q", sequence)
    at = content.find(wanted, 8)
    while at >= 0 and not _parse(content, at - 8, 0, sequence):
        at = content.find(wanted, at + 1)
    return at >= 0
