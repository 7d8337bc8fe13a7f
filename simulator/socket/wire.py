"""Entries of the feed as bytes: columns in, the broker's protobuf encoding out.

What the schema's generated class would write for ``FeedResponse.feeds`` one entry after another,
written here for many at once: a frame is then the join of entries, and an entry that several
clients are told is encoded once. The encoding is canonical proto3: fields in the order of their
numbers, zero scalars left out, messages present even if empty.

Which values an entry has is decided in ``entries``, who is told it in ``hub``.

Source: https://protobuf.dev/programming-guides/encoding/ and the broker's MarketDataFeed.proto.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.exchange.noise import Ints
from simulator.exchange.quotes import Ladder
from transforms.kernel import compiled

LTPC, GREEKS, FULL, DEEP = "ltpc", "option_greeks", "full", "full_d30"
MODES = (LTPC, GREEKS, FULL, DEEP)
# Levels of depth that each mode tells.
LEVELS = {LTPC: 0, GREEKS: 1, FULL: 5, DEEP: 30}
# The number of each mode in an answer: RequestMode of the schema.
_REQUEST_MODES = {LTPC: 0, GREEKS: 2, FULL: 1, DEEP: 3}

# Bits of an entry's ``content``: which blocks of it are there.
HAS_DEPTH, HAS_GREEKS, HAS_AUCTION, HAS_DAY, HAS_MINUTE, IS_INDEX = 1, 2, 4, 8, 16, 32
WHOLE = HAS_DEPTH | HAS_GREEKS

_FIELDS = (
    *(("content", "i8"), ("last_price", "f8"), ("last_traded_ms", "i8")),
    *(("last_quantity_units", "i8"), ("previous_close_price", "f8")),
    *(("average_price", "f8"), ("volume_units", "i8"), ("open_interest_units", "f8")),
    *(("implied_volatility", "f8"), ("total_bid_quantity_units", "f8")),
    *(("total_ask_quantity_units", "f8"), ("delta", "f8"), ("theta", "f8"), ("gamma", "f8")),
    *(("vega", "f8"), ("rho", "f8"), ("indicative_price", "f8"), ("reference_price", "f8")),
    *(("indicative_quantity_units", "i8"), ("imbalance_units", "i8")),
    *(("market_imbalance_units", "i8"), ("is_auction_eligible", "i8")),
    *(("day_open", "f8"), ("day_high", "f8"), ("day_low", "f8"), ("day_close", "f8")),
    *(("day_volume_units", "i8"), ("day_starts_ms", "i8")),
    *(("minute_open", "f8"), ("minute_high", "f8"), ("minute_low", "f8")),
    *(("minute_close", "f8"), ("minute_volume_units", "i8"), ("minute_starts_ms", "i8")),
)
# One record for each row: ₹, units, epoch ms, volatility as a fraction, Greeks as told.
ENTRY = np.dtype([(name, f"<{kind}") for name, kind in _FIELDS])
# The same bytes with each double as its bits, which is how they go on the wire.
_BITS = np.dtype([(name, "<i8" if kind == "i8" else "<u8") for name, kind in _FIELDS])
_LEVEL = np.dtype([("bid", "<f8"), ("bid_units", "<i8"), ("ask", "<f8"), ("ask_units", "<i8")])
_LEVEL_BITS = np.dtype([("bid", "<u8"), ("bid_units", "<i8"), ("ask", "<u8"), ("ask_units", "<i8")])

Entries = NDArray[np.void]
_Buffer = NDArray[np.uint8]

_VARINT, _FIXED, _BLOCK = 0, 1, 2  # wire types
_ENTRY_BYTES = 640  # more than any entry without its key and depth needs
_LEVEL_BYTES = 42
_DAY, _MINUTE = np.frombuffer(b"1d", np.uint8), np.frombuffer(b"I1", np.uint8)


@dataclass(frozen=True, slots=True)
class Keys:
    """Instrument keys as UTF-8 on end: key i is ``text[starts[i]:starts[i + 1]]``."""

    text: _Buffer
    starts: Ints

    @staticmethod
    def of(keys: Sequence[str]) -> Keys:
        """Pack ``keys``."""
        packed = [key.encode() for key in keys]
        starts = np.zeros(len(packed) + 1, np.int64)
        np.cumsum([len(key) for key in packed], out=starts[1:])
        return Keys(np.frombuffer(b"".join(packed), np.uint8), starts)


def encode(
    mode: str, entries: Entries, depth: Ladder | None, keys: Keys, rows: Ints
) -> list[bytes]:
    """Each record's map entry of ``FeedResponse.feeds``, tag and length included.

    Args:
        entries: records of ``ENTRY``, shape (n,).
        depth: at least the mode's ``LEVELS`` of each record; None for a mode without.
        rows: place of each record's key in ``keys``.
    """
    levels = LEVELS[mode]
    longest = int(np.diff(keys.starts).max(initial=0))
    buffer = np.empty(rows.size * (_ENTRY_BYTES + levels * _LEVEL_BYTES + longest), np.uint8)
    starts = np.empty(rows.size + 1, np.int64)
    bits = np.ascontiguousarray(entries).view(_BITS)
    book = _book(depth, levels, rows.size)
    _encode(buffer, starts, _REQUEST_MODES[mode], bits, book, keys.text, keys.starts, rows)
    written = buffer[starts[0] :].tobytes()
    places = (starts - starts[0]).tolist()
    return [written[begin:end] for begin, end in pairwise(places)]


def frame(kind: int, at_ms: int, entries: Iterable[bytes]) -> bytes:
    """A whole ``FeedResponse`` around encoded entries.

    Args:
        kind: its ``Type``; 0, a snapshot, is not on the wire.
        at_ms: its ``currentTs``, epoch ms, positive.
    """
    head = bytes((1 << 3 | _VARINT, kind)) if kind else b""
    return b"".join((head, *entries, bytes((3 << 3 | _VARINT,)), _plain_varint(at_ms)))


def _book(depth: Ladder | None, levels: int, count: int) -> NDArray[np.void]:
    """Depth as records, shape (count, levels); empty for a mode without."""
    book = np.empty((count, levels), _LEVEL)
    if depth is not None:
        book["bid"] = depth.bid_price[:, :levels]
        book["bid_units"] = depth.bid_quantity_units[:, :levels]
        book["ask"] = depth.ask_price[:, :levels]
        book["ask_units"] = depth.ask_quantity_units[:, :levels]
    return book.view(_LEVEL_BITS)


def _plain_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


# From here on everything is written from its end to its begin: a block's length is known when its
# content stands. ``at`` is the place of the first byte written so far, and each function returns
# the new one. Stores go to unsigned places: numba asks of a signed one whether it is negative.


@compiled
def _varint(buffer: _Buffer, at: int, value: Any) -> int:
    size = 1
    rest = value >> np.uint64(7)
    while rest:
        rest >>= np.uint64(7)
        size += 1
    at -= size
    place = np.uint64(at)
    for _ in range(size - 1):
        buffer[place] = value | np.uint64(0x80)
        value >>= np.uint64(7)
        place += np.uint64(1)
    buffer[place] = value
    return at


@compiled
def _tag(buffer: _Buffer, at: int, number: int, wire_type: int) -> int:
    if number > 15:
        return _varint(buffer, at, np.uint64(number << 3 | wire_type))
    buffer[np.uint64(at - 1)] = number << 3 | wire_type
    return at - 1


@compiled
def _integer(buffer: _Buffer, at: int, number: int, value: int) -> int:
    if value == 0:
        return at
    return _tag(buffer, _varint(buffer, at, np.uint64(value)), number, _VARINT)


@compiled
def _double(buffer: _Buffer, at: int, number: int, bits: Any) -> int:
    if bits == 0:
        return at
    at -= 8
    place = np.uint64(at)
    buffer[place] = bits
    buffer[place + np.uint64(1)] = bits >> np.uint64(8)
    buffer[place + np.uint64(2)] = bits >> np.uint64(16)
    buffer[place + np.uint64(3)] = bits >> np.uint64(24)
    buffer[place + np.uint64(4)] = bits >> np.uint64(32)
    buffer[place + np.uint64(5)] = bits >> np.uint64(40)
    buffer[place + np.uint64(6)] = bits >> np.uint64(48)
    buffer[place + np.uint64(7)] = bits >> np.uint64(56)
    return _tag(buffer, at, number, _FIXED)


@compiled
def _block(buffer: _Buffer, at: int, number: int, end: int) -> int:
    """Close a block whose content stands in ``buffer[at:end]``."""
    return _tag(buffer, _varint(buffer, at, np.uint64(end - at)), number, _BLOCK)


@compiled
def _text(buffer: _Buffer, at: int, number: int, text: _Buffer) -> int:
    end = at
    at -= text.size
    for place in range(text.size):
        buffer[at + place] = text[place]
    return _block(buffer, at, number, end)


@compiled
def _last(buffer: _Buffer, at: int, number: int, entry: Any) -> int:
    """LTPC; its indicative price is a wrapper with a presence of its own."""
    end = at
    if entry.content & HAS_AUCTION:
        inner = at
        at = _block(buffer, _double(buffer, at, 1, entry.indicative_price), 5, inner)
    at = _double(buffer, at, 4, entry.previous_close_price)
    at = _integer(buffer, at, 3, entry.last_quantity_units)
    at = _integer(buffer, at, 2, entry.last_traded_ms)
    at = _double(buffer, at, 1, entry.last_price)
    return _block(buffer, at, number, end)


@compiled
def _level(buffer: _Buffer, at: int, number: int, level: Any) -> int:
    """Quote."""
    end = at
    at = _double(buffer, at, 4, level.ask)
    at = _integer(buffer, at, 3, level.ask_units)
    at = _double(buffer, at, 2, level.bid)
    at = _integer(buffer, at, 1, level.bid_units)
    return _block(buffer, at, number, end)


@compiled
def _greeks(buffer: _Buffer, at: int, number: int, entry: Any) -> int:
    """OptionGreeks."""
    end = at
    at = _double(buffer, at, 5, entry.rho)
    at = _double(buffer, at, 4, entry.vega)
    at = _double(buffer, at, 3, entry.gamma)
    at = _double(buffer, at, 2, entry.theta)
    at = _double(buffer, at, 1, entry.delta)
    return _block(buffer, at, number, end)


@compiled
def _day(buffer: _Buffer, at: int, entry: Any) -> int:
    """The day so far, an OHLC."""
    end = at
    at = _integer(buffer, at, 7, entry.day_starts_ms)
    at = _integer(buffer, at, 6, entry.day_volume_units)
    at = _double(buffer, at, 5, entry.day_close)
    at = _double(buffer, at, 4, entry.day_low)
    at = _double(buffer, at, 3, entry.day_high)
    at = _double(buffer, at, 2, entry.day_open)
    return _block(buffer, _text(buffer, at, 1, _DAY), 1, end)


@compiled
def _minute(buffer: _Buffer, at: int, entry: Any) -> int:
    """The last whole minute, an OHLC."""
    end = at
    at = _integer(buffer, at, 7, entry.minute_starts_ms)
    at = _integer(buffer, at, 6, entry.minute_volume_units)
    at = _double(buffer, at, 5, entry.minute_close)
    at = _double(buffer, at, 4, entry.minute_low)
    at = _double(buffer, at, 3, entry.minute_high)
    at = _double(buffer, at, 2, entry.minute_open)
    return _block(buffer, _text(buffer, at, 1, _MINUTE), 1, end)


@compiled
def _bars(buffer: _Buffer, at: int, number: int, entry: Any) -> int:
    """MarketOHLC: present even without bars."""
    end = at
    if entry.content & HAS_MINUTE:
        at = _minute(buffer, at, entry)
    if entry.content & HAS_DAY:
        at = _day(buffer, at, entry)
    return _block(buffer, at, number, end)


@compiled
def _auction(buffer: _Buffer, at: int, entry: Any) -> int:
    """The closing auction's fields of MarketFullFeed."""
    at = _integer(buffer, at, 16, entry.is_auction_eligible)
    at = _integer(buffer, at, 15, entry.market_imbalance_units)
    at = _integer(buffer, at, 14, entry.imbalance_units)
    at = _integer(buffer, at, 13, entry.indicative_quantity_units)
    at = _double(buffer, at, 12, entry.reference_price)
    return _double(buffer, at, 11, entry.indicative_price)


@compiled
def _counters(buffer: _Buffer, at: int, entry: Any) -> int:
    """The scalars of MarketFullFeed that are always told."""
    at = _double(buffer, at, 10, entry.total_ask_quantity_units)
    at = _double(buffer, at, 9, entry.total_bid_quantity_units)
    at = _double(buffer, at, 8, entry.implied_volatility)
    at = _double(buffer, at, 7, entry.open_interest_units)
    at = _integer(buffer, at, 6, entry.volume_units)
    return _double(buffer, at, 5, entry.average_price)


@compiled
def _depth(buffer: _Buffer, at: int, book: NDArray[np.void]) -> int:
    """MarketLevel."""
    end = at
    for place in range(book.size - 1, -1, -1):
        at = _level(buffer, at, 1, book[place])
    return _block(buffer, at, 2, end)


@compiled
def _market(buffer: _Buffer, at: int, entry: Any, book: NDArray[np.void]) -> int:
    """FullFeed with MarketFullFeed."""
    end = at
    if entry.content & HAS_AUCTION:
        at = _auction(buffer, at, entry)
    at = _bars(buffer, _counters(buffer, at, entry), 4, entry)
    if entry.content & HAS_GREEKS:
        at = _greeks(buffer, at, 3, entry)
    if entry.content & HAS_DEPTH:
        at = _depth(buffer, at, book)
    return _block(buffer, _block(buffer, _last(buffer, at, 1, entry), 1, end), 2, end)


@compiled
def _index(buffer: _Buffer, at: int, entry: Any) -> int:
    """FullFeed with IndexFullFeed."""
    end = at
    at = _last(buffer, _bars(buffer, at, 2, entry), 1, entry)
    return _block(buffer, _block(buffer, at, 2, end), 2, end)


@compiled
def _first_level(buffer: _Buffer, at: int, entry: Any, book: NDArray[np.void]) -> int:
    """FirstLevelWithGreeks."""
    end = at
    at = _double(buffer, at, 6, entry.implied_volatility)
    at = _double(buffer, at, 5, entry.open_interest_units)
    at = _integer(buffer, at, 4, entry.volume_units)
    if entry.content & HAS_GREEKS:
        at = _greeks(buffer, at, 3, entry)
    if entry.content & HAS_DEPTH:
        at = _level(buffer, at, 2, book[0])
    return _block(buffer, _last(buffer, at, 1, entry), 3, end)


@compiled
def _encode(
    buffer: _Buffer,
    starts: Ints,
    mode: int,
    entries: Entries,
    book: NDArray[np.void],
    text: _Buffer,
    key_starts: Ints,
    rows: Ints,
) -> None:
    """Every entry, the last one first; entry i ends up in ``buffer[starts[i]:starts[i + 1]]``."""
    at = buffer.size
    starts[rows.size] = at
    for i in range(rows.size - 1, -1, -1):
        end, entry = at, entries[i]
        at = _integer(buffer, at, 4, mode)
        if mode == 0:
            at = _last(buffer, at, 1, entry)
        elif mode == 2:
            at = _first_level(buffer, at, entry, book[i])
        elif entry.content & IS_INDEX:
            at = _index(buffer, at, entry)
        else:
            at = _market(buffer, at, entry, book[i])
        at = _block(buffer, at, 2, end)
        key = text[key_starts[rows[i]] : key_starts[rows[i] + 1]]
        at = _block(buffer, _text(buffer, at, 1, key), 2, end)
        starts[i] = at
