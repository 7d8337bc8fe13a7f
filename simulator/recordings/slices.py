"""A feed frame cut along its entries, without decoding what they say.

So that a recorded frame can be given to a client that follows some of its keys, byte for byte as
it came. What the entries mean is none of this module's business.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire

_VARINT, _LENGTH = 0, 2
_WIDTHS = {1: 8, 5: 4}
_ENTRY = wire.FeedResponse.FEEDS_FIELD_NUMBER << 3 | _LENGTH
_KEY = 1 << 3 | _LENGTH
_SHORT_KEY = bytes([_KEY])


@dataclass(frozen=True, slots=True)
class Sliced:
    """A frame cut along its map of feeds.

    Attributes:
        pieces: key and bytes of each entry, in order; everything else under the key None.
        is_readable: False for bytes that are no message; the frame is then one piece.
    """

    pieces: tuple[tuple[str | None, bytes], ...]
    is_readable: bool = True

    @property
    def header(self) -> wire.FeedResponse:
        """The frame without its entries.

        Raises:
            DecodeError: it is no message.
        """
        return wire.FeedResponse.FromString(b"".join(p for key, p in self.pieces if key is None))

    @property
    def keys(self) -> list[str]:
        """The keys of its entries, in order."""
        return [key for key, _ in self.pieces if key is not None]

    def only(self, keys: Container[str]) -> bytes | None:
        """The frame with these keys alone; None if it had entries and none is left."""
        kept = [(key, piece) for key, piece in self.pieces if key is None or key in keys]
        if len(kept) == len(self.pieces) or any(key is not None for key, _ in kept):
            return b"".join(piece for _, piece in kept)
        return None


def cut(frame: bytes) -> Sliced:
    """Cut a frame; the entries' values are not looked into."""
    try:
        return Sliced(tuple(_pieces(frame)))
    except (IndexError, ValueError):
        return Sliced(((None, frame),), is_readable=False)


def _pieces(frame: bytes) -> Iterator[tuple[str | None, bytes]]:
    at = 0
    while at < len(frame):
        tag, body = _varint(frame, at)
        end = _field_end(frame, tag, body)
        yield (_entry_key(frame, body, end) if tag == _ENTRY else None), frame[at:end]
        at = end


def _field_end(frame: bytes, tag: int, body: int) -> int:
    kind = tag & 7
    if kind == _VARINT:
        return _varint(frame, body)[1]
    if kind == _LENGTH:
        length, start = _varint(frame, body)
        end = start + length
    else:
        end = body + _WIDTHS[kind] if kind in _WIDTHS else -1
    if not 0 < end <= len(frame):
        raise ValueError("field runs past its frame")
    return end


def _entry_key(frame: bytes, body: int, end: int) -> str:
    """The key of the map entry whose length stands at ``body``; "" if it was left out."""
    _, at = _varint(frame, body)
    if frame[at : at + 1] == _SHORT_KEY and frame[at + 1] < 128:
        # How every encoder writes it; the way below reads whatever else is allowed.
        return _text(frame, at + 2, frame[at + 1], end)
    while at < end:
        tag, inner = _varint(frame, at)
        if tag == _KEY:
            length, start = _varint(frame, inner)
            return _text(frame, start, length, end)
        at = _field_end(frame, tag, inner)
    return ""


def _text(frame: bytes, start: int, length: int, end: int) -> str:
    if start + length > end:
        raise ValueError("key runs past its entry")
    return frame[start : start + length].decode()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at`` and where it ends."""
    if (first := data[at]) < 128:
        return first, at + 1
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("number too long")
