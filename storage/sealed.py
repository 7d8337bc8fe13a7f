"""A journal file that is complete: its content compressed, readable from anywhere in it.

Everything is a frame of zstd, so that ``zstd -d`` gives the content back. Little-endian::

    summary  skippable frame: magic 6 bytes, version u16, epoch u64, first sequence u64,
             last sequence u64, first received i64, latest received i64 (epoch ns),
             content size u64, crc32 u32 of all that
    block    skippable frame: compressed size u32, content size u32, crc32 u32 of the two;
             then a zstd frame with its own checksum: the next 1 MiB of the content

What the content means belongs in ``segments``, which files get compressed in ``sealing``.
"""

from __future__ import annotations

import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import accumulate
from pathlib import Path

import zstandard

from market.errors import JournalError

BLOCK_BYTES = 1024 * 1024
SUFFIX = ".zst"
# A file that is still being made; whoever finds one that nobody makes may delete it.
PART_SUFFIX = ".zst.part"
# Dearer levels take twice the time for a few per cent: the feed's numbers hardly repeat.
_LEVEL = 3
_VERSION = 1
_MAGIC = b"OLSEAL"
_FRAME = struct.Struct("<II")
_SUMMARY = struct.Struct("<6sHQQQqqQ")
_BLOCK = struct.Struct("<II")
_CHECKSUM = struct.Struct("<I")
_SUMMARY_FRAME = _FRAME.pack(0x184D2A50, _SUMMARY.size + _CHECKSUM.size)
_BLOCK_FRAME = _FRAME.pack(0x184D2A51, _BLOCK.size + _CHECKSUM.size)
_SUMMARY_BYTES = len(_SUMMARY_FRAME) + _SUMMARY.size + _CHECKSUM.size
_BLOCK_HEAD_BYTES = len(_BLOCK_FRAME) + _BLOCK.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file holds, told without decompressing it.

    Attributes:
        first_received_at_ns, latest_received_at_ns: of the first record, and the latest of all.
        size_bytes: length of the content.
    """

    epoch: int
    first_sequence: int
    last_sequence: int
    first_received_at_ns: int
    latest_received_at_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a block's zstd frame lies in the file, and how long its content is."""

    at: int
    compressed_bytes: int
    content_bytes: int


class SealedFile:
    """The content of one file; only the blocks that are asked for are decompressed.

    Attributes:
        path: the file.
        summary: what it holds.

    Raises:
        FileNotFoundError: it is not there.
        JournalError: its summary is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.summary = _parsed_summary(path, file.read(_SUMMARY_BYTES))
            self._blocks = list(_found_blocks(file.fileno()))
        self._ends = list(accumulate(block.content_bytes for block in self._blocks))
        self._kept = (-1, b"")

    def read(self, offset: int, length: int) -> bytes:
        """Content from ``offset``: ``length`` bytes, or fewer where it ends or is damaged."""
        number = bisect_right(self._ends, offset)
        parts: list[bytes] = []
        while length > 0 and number < len(self._blocks):
            content = self._content(number)
            start = offset - (self._ends[number] - self._blocks[number].content_bytes)
            part = content[start : start + length]
            if not part:
                break
            parts.append(part)
            offset, length, number = offset + len(part), length - len(part), number + 1
        return b"".join(parts)

    def _content(self, number: int) -> bytes:
        """A block's content, or nothing if it is not what was written."""
        if self._kept[0] != number:
            block = self._blocks[number]
            with self.path.open("rb") as file:
                found = os.pread(file.fileno(), block.compressed_bytes, block.at)
            self._kept = (number, _decompressed(found, block.content_bytes))
        return self._kept[1]


def write(path: Path, summary: Summary, content: Iterator[bytes]) -> int:
    """Write a whole file and force it to disk; its size in bytes.

    Raises:
        OSError: it could not be written; what is there of it is of no use.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with path.open("wb") as file:
        packed = _SUMMARY.pack(_MAGIC, _VERSION, *astuple(summary))
        file.write(_SUMMARY_FRAME + packed + _checksum(packed))
        for piece in content:
            compressed = compressor.compress(piece)
            sizes = _BLOCK.pack(len(compressed), len(piece))
            file.write(_BLOCK_FRAME + sizes + _checksum(sizes) + compressed)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _parsed_summary(path: Path, found: bytes) -> Summary:
    packed = found[len(_SUMMARY_FRAME) : -_CHECKSUM.size]
    if found == _SUMMARY_FRAME + packed + _checksum(packed) and len(packed) == _SUMMARY.size:
        magic, version, *fields = _SUMMARY.unpack(packed)
        if (magic, version) == (_MAGIC, _VERSION):
            return Summary(*fields)
    raise JournalError(
        f"journal file {path} is damaged at offset 0: not a compressed segment of version "
        f"{_VERSION}; restore the file, or move it away to go on without it"
    )


def _found_blocks(descriptor: int) -> Iterator[_Block]:
    """The blocks up to the end, or to a head that is damaged."""
    at = _SUMMARY_BYTES
    while len(head := os.pread(descriptor, _BLOCK_HEAD_BYTES, at)) == _BLOCK_HEAD_BYTES:
        sizes = head[len(_BLOCK_FRAME) : -_CHECKSUM.size]
        compressed_bytes, content_bytes = _BLOCK.unpack(sizes)
        is_sound = head == _BLOCK_FRAME + sizes + _checksum(sizes)
        if not is_sound or not 0 < content_bytes <= BLOCK_BYTES:
            return
        yield _Block(at + _BLOCK_HEAD_BYTES, compressed_bytes, content_bytes)
        at += _BLOCK_HEAD_BYTES + compressed_bytes


def _decompressed(found: bytes, content_bytes: int) -> bytes:
    try:
        # A damaged frame may ask for any amount of memory.
        if zstandard.frame_content_size(found) != content_bytes:
            return b""
        return zstandard.ZstdDecompressor().decompress(found)
    except zstandard.ZstdError:
        return b""


def _checksum(content: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(content))
