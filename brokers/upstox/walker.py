"""From a frame's bytes to columns without an object for each tick.

Only bytes and what they mean by the schema; which frame is worth what is decided in ``codec``. The
protobuf library stays the judge: whatever is rare or doubtful (market status, a key that comes
twice, a message told in two parts, text beyond ASCII, negative integers, groups, anything cut) is
left to it, so that this walk has to be right only about the frames that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from numpy.typing import NDArray

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS
from brokers.keys import FrameKeys
from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from brokers.upstox.key_book import CAPACITY, KeyBook, place_of
from brokers.upstox.wire_format import (
    EIGHT_BYTES,
    PART,
    VARINT,
    byte_at,
    count,
    double_bits,
    is_ascii,
    part,
    skip,
    tag,
    varint,
)
from transforms.kernel import compiled, inlined

# 2000-01-01 and 2100-01-01: outside them a number is no instant, and a database would refuse it.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000

# The places where a message can stand; one type in two places is two of them.
_RESPONSE, _ENTRY, _FEED, _BARE, _FULL, _FIRST, _MARKET, _INDEX = range(8)
_LTPC, _LEVELS, _QUOTE, _GREEKS, _BARS, _BAR, _SKIMMED = range(8, 15)
_PLACES, _DEPTH = 15, 8
# What is done with a field: a column's number, a child's place, or one of these.
_UNKNOWN, _REFUSED, _KEY, _INTERVAL, _TYPE, _TIME, _CHILD = 30, 31, 32, 33, 34, 35, 64
_WIDTH = len(FEED_COLUMNS)
_TRADED_AT = FEED_COLUMN_INDEX["traded_at_ms"]
_TAGS = 256
_ENTRY_TAG = wire.FeedResponse.FEEDS_FIELD_NUMBER << 3 | PART
_INTERVAL_TAG = wire.OHLC.INTERVAL_FIELD_NUMBER << 3 | PART
_HAS_KEY = 1 << 32
_SIGN_BITS, _MANTISSA_BITS, _NOT_FINITE = np.uint64(1), np.uint64(52), np.uint64(0x7FF)
_NAN = np.uint64(0x7FF8 << 48)
_UNION = 1 << _BARE | 1 << _FULL | 1 << _FIRST | 1 << _MARKET | 1 << _INDEX
_FULL_MARKET, _FULL_INDEX = 1 << _FULL | 1 << _MARKET, 1 << _FULL | 1 << _INDEX

_LAST = {
    "ltp": "last_price",
    "ltt": "traded_at_ms",
    "ltq": "last_quantity_units",
    "cp": "previous_close_price",
}
_COLUMNS: dict[int, dict[str, str]] = {
    _BARE: _LAST,
    _LTPC: _LAST,
    _QUOTE: {
        "bidP": "bid_price",
        "bidQ": "bid_quantity_units",
        "askP": "ask_price",
        "askQ": "ask_quantity_units",
    },
    _GREEKS: {
        "delta": "vendor_delta",
        "gamma": "vendor_gamma",
        "theta": "vendor_theta_per_day",
        "vega": "vendor_vega_per_vol_point",
        "rho": "vendor_rho_per_percent",
    },
    _BAR: {"open": "day_open_price", "high": "day_high_price", "low": "day_low_price"},
    _MARKET: {
        "vtt": "volume_units",
        "oi": "open_interest_units",
        "atp": "average_price",
        "iv": "vendor_implied_volatility",
        "tbq": "total_bid_quantity_units",
        "tsq": "total_ask_quantity_units",
    },
    _FIRST: {
        "vtt": "volume_units",
        "oi": "open_interest_units",
        "iv": "vendor_implied_volatility",
    },
}
_ACTIONS: dict[int, dict[str, int]] = {
    _RESPONSE: {
        "type": _TYPE,
        "feeds": _CHILD + _ENTRY,
        "currentTs": _TIME,
        "marketInfo": _REFUSED,
    },
    _ENTRY: {"key": _KEY, "value": _CHILD + _FEED},
    _FEED: {
        "ltpc": _CHILD + _BARE,
        "fullFeed": _CHILD + _FULL,
        "firstLevelWithGreeks": _CHILD + _FIRST,
    },
    _BARE: {"iep": _CHILD + _SKIMMED},
    _LTPC: {"iep": _CHILD + _SKIMMED},
    _FULL: {"marketFF": _CHILD + _MARKET, "indexFF": _CHILD + _INDEX},
    _FIRST: {
        "ltpc": _CHILD + _LTPC,
        "firstDepth": _CHILD + _QUOTE,
        "optionGreeks": _CHILD + _GREEKS,
    },
    _MARKET: {
        "ltpc": _CHILD + _LTPC,
        "marketLevel": _CHILD + _LEVELS,
        "optionGreeks": _CHILD + _GREEKS,
        "marketOHLC": _CHILD + _BARS,
    },
    _INDEX: {"ltpc": _CHILD + _LTPC, "marketOHLC": _CHILD + _BARS},
    _LEVELS: {"bidAskQuote": _CHILD + _QUOTE},
    _BARS: {"ohlc": _CHILD + _BAR},
    _BAR: {"interval": _INTERVAL},
}
_TYPES: dict[int, Any] = {
    _RESPONSE: wire.FeedResponse.DESCRIPTOR,
    _ENTRY: wire.FeedResponse.FeedsEntry.DESCRIPTOR,
    _FEED: wire.Feed.DESCRIPTOR,
    _BARE: wire.LTPC.DESCRIPTOR,
    _FULL: wire.FullFeed.DESCRIPTOR,
    _FIRST: wire.FirstLevelWithGreeks.DESCRIPTOR,
    _MARKET: wire.MarketFullFeed.DESCRIPTOR,
    _INDEX: wire.IndexFullFeed.DESCRIPTOR,
    _LTPC: wire.LTPC.DESCRIPTOR,
    _LEVELS: wire.MarketLevel.DESCRIPTOR,
    _QUOTE: wire.Quote.DESCRIPTOR,
    _GREEKS: wire.OptionGreeks.DESCRIPTOR,
    _BARS: wire.MarketOHLC.DESCRIPTOR,
    _BAR: wire.OHLC.DESCRIPTOR,
}
_SHAPES = {
    FieldDescriptor.CPPTYPE_DOUBLE: EIGHT_BYTES,
    FieldDescriptor.CPPTYPE_MESSAGE: PART,
    FieldDescriptor.CPPTYPE_STRING: PART,
}


@dataclass(frozen=True, slots=True)
class Walked:
    """A frame that was taken.

    Attributes:
        type_number: 0 for a snapshot.
        published_at_ms: epoch ms; 0 if not told.
        keys: one for each row, all different; by their places in the book where it has them all.
        values: shape (keys, ``FEED_COLUMNS``); NaN where the frame is silent.
    """

    type_number: int
    published_at_ms: int
    keys: Sequence[str]
    values: NDArray[np.float64]


def walk(frame: bytes, book: KeyBook | None = None) -> Walked | None:
    """The columns of a frame of ticks; None where the protobuf library has to judge.

    Args:
        book: the keys of earlier frames; new ones are added as long as there is room.
    """
    if not isinstance(frame, bytes) or not frame:
        return None
    data = np.frombuffer(frame, np.uint8)
    slots, entries = (0, 0) if book is None else (book.slots, book.entries)
    rows, type_number, at_ms, unplaced, values, places, spans = _walk(data, _SCHEMA, slots, entries)
    if rows <= 0 or not (at_ms == 0 or EARLIEST_MS <= at_ms < LATEST_MS):
        return None
    if book is not None and unplaced == 0:
        return Walked(type_number, at_ms, FrameKeys(book.names, places), values)
    keys = _read(frame, spans)
    if len(set(keys)) != rows:
        return None
    return Walked(type_number, at_ms, keys if book is None else _placed(keys, book), values)


def _read(frame: bytes, spans: NDArray[np.int64]) -> tuple[str, ...]:
    text = frame.decode("latin-1")  # in one go; the keys themselves are ASCII
    return tuple([text[begin:end] for begin, end in spans.tolist()])


def _placed(keys: tuple[str, ...], book: KeyBook) -> Sequence[str]:
    """The keys by their places; as they are if the book has no room for one of them."""
    places = [book.add(key) for key in keys]
    return keys if None in places else FrameKeys(book.names, np.array(places, np.int64))


def warm() -> None:
    """Compile the walk, or read it from the cache."""
    feeds = {"key": wire.Feed(ltpc=wire.LTPC(ltp=1.0))}
    walk(wire.FeedResponse(feeds=feeds).SerializeToString(), KeyBook())


def _schema() -> NDArray[np.uint8]:
    """What to do at each place for each tag (a field's number and the shape of its bytes).

    A known field of another shape is unknown, as it is to the library. An entry of a map holds
    nothing else than its two fields.
    """
    schema = np.full((_PLACES, _TAGS), _UNKNOWN, np.uint8)
    schema[_ENTRY] = _REFUSED
    for place, message in _TYPES.items():
        columns = {n: FEED_COLUMN_INDEX[c] for n, c in _COLUMNS.get(place, {}).items()}
        for name, action in (columns | _ACTIONS.get(place, {})).items():
            schema[place, _tag_of(message.fields_by_name[name])] = action
    return schema


def _tag_of(field: FieldDescriptor) -> int:
    return field.number << 3 | _SHAPES.get(field.cpp_type, VARINT)


_SCHEMA = _schema()


@compiled
def _walk(
    data: Any, schema: Any, slots: int, entries: int
) -> tuple[int, int, int, int, Any, Any, Any]:
    """Rows taken (0: not to be read here), type, time, keys without a place, and by row: values,
    the keys' places and where in the frame they stand.

    A message is entered only if it ends within the one that it stands in. Both arrays are the
    caller's, so that their addresses hold for the whole call.
    """
    start: Any = np.int64(data.ctypes.data)
    actions: Any = np.int64(schema.ctypes.data)
    finish = start + len(data)
    rows = max(count(start, finish, _ENTRY_TAG), 0)
    values, spans = np.full((rows, _WIDTH), np.nan), np.zeros((rows, 2), np.int64)
    bits, head = values.view(np.uint64), np.zeros(2, np.int64)
    ends, places = np.zeros(_DEPTH, np.int64), np.zeros(_DEPTH, np.int64)
    at, depth, row, seen = start, 0, -1, 0
    ends[0], places[0] = end, place = finish, _RESPONSE
    while at >= 0 and rows > 0:
        if at == end:
            if depth == 0 or (place == _ENTRY and not _is_whole(seen)):
                break
            depth -= 1
            end, place = ends[depth], places[depth]
            continue
        action, begin, at, figure = _field(actions + place * _TAGS, at, end)
        if at < 0:
            break
        if action < _WIDTH:
            bits[row, action] = figure if _is_told(figure) else _NAN
        elif action == _UNKNOWN:
            continue
        elif action >= _CHILD:
            child = _child(action - _CHILD, place, seen, begin, at)
            if child == _SKIMMED:
                continue
            row, seen = _noted(row, seen, child)
            depth += 1
            end, place = at, child
            ends[depth], places[depth] = end, place
            at = begin if child >= 0 and depth + 1 < _DEPTH else -1
        elif action == _KEY:
            spans[row, 0], spans[row, 1] = begin - start, at - start
            at = -1 if seen & _HAS_KEY else at
            seen |= _HAS_KEY
        elif action >= _TYPE:
            head[action - _TYPE] = figure
    _settle(values)
    taken = rows if depth == 0 and at == finish else 0
    places, unplaced = _places_of(spans, start, slots, entries, taken)
    return taken * (unplaced >= 0), head[0] & 0xFFFFFFFF, head[1], unplaced, values, places, spans


@inlined
def _places_of(spans: Any, start: int, slots: int, entries: int, rows: int) -> tuple[Any, int]:
    """Each key's place in a book, or −1, and how many have none; −1 if a key comes twice."""
    places, seen = np.full(rows, -1), np.zeros(CAPACITY // 64, np.uint64)
    if slots == 0:
        return places, rows
    unplaced = 0
    for row in range(rows):
        place = place_of(slots, entries, start + spans[row, 0], start + spans[row, 1])
        if place < 0:
            unplaced += 1
            continue
        places[row], bit = place, np.uint64(1) << np.uint64(place & 63)
        if seen[place >> 6] & bit:
            return places, -1
        seen[place >> 6] |= bit
    return places, unplaced


@inlined
def _field(actions: int, at: int, end: int) -> tuple[int, int, int, Any]:
    """What to do with the field at ``at``, where its content begins and ends, and a scalar's bits.

    The end is −1 where it is not to be read here.
    """
    number, begin = tag(at, end)
    action = byte_at(actions + (number if number < _TAGS else 0))
    shape, figure = number & 7, np.uint64(0)
    if begin < 0 or action == _REFUSED:
        return action, begin, -1, figure
    if action == _UNKNOWN:
        return action, begin, skip(shape, begin, end), figure
    if shape == EIGHT_BYTES:
        figure, stop = double_bits(begin, end)
    elif shape == VARINT:
        integer, stop = varint(begin, end)
        figure = _bits(integer) if action < _WIDTH else np.uint64(integer)
    else:
        begin, stop = part(begin, end)
        if action < _CHILD and not is_ascii(begin, stop):
            stop = -1
    return action if action != _INTERVAL else _UNKNOWN, begin, stop, figure


@inlined
def _bits(integer: int) -> Any:
    number: Any = np.float64(integer)
    return number.view(np.uint64)


@inlined
def _child(place: int, parent: int, seen: int, begin: int, end: int) -> int:
    """The place as which a child is read; −1 if it is wrong or may not come again."""
    has_come = seen & 1 << place != 0
    if place == _BAR:
        kind = _kind_of_bar(begin, end)
        if kind < 0:
            return -1
        return _BAR if kind == 1 and not has_come else _SKIMMED
    if place == _SKIMMED or (place == _QUOTE and parent == _LEVELS and has_come):
        return _SKIMMED if _is_sound(begin, end) else -1  # deeper levels
    return place if place == _ENTRY or not has_come else -1


@inlined
def _noted(row: int, seen: int, child: int) -> tuple[int, int]:
    """The row and what has come in its entry, once a child is entered."""
    if child == _ENTRY:
        return row + 1, 1 << _ENTRY
    return row, seen | 1 << max(child, 0)


@compiled
def _is_sound(at: int, end: int) -> bool:
    """Whether a message of which nothing is asked ends where it says."""
    while 0 <= at < end:
        number, at = tag(at, end)
        if at >= 0:
            at = skip(number & 7, at, end)
    return at == end


@compiled
def _kind_of_bar(at: int, end: int) -> int:
    """1 if a sound bar is the day's: the last word on its interval is "1d"; 0 if not, or −1."""
    is_daily = False
    while at < end:
        number, begin = tag(at, end)
        if begin < 0:
            return -1
        at = skip(number & 7, begin, end)
        if number == _INTERVAL_TAG and at >= 0:
            begin, at = part(begin, end)
            at = at if is_ascii(begin, at) else -1
            is_daily = at - begin == 2 and byte_at(begin) == 49 and byte_at(begin + 1) == 100
        if at < 0:
            return -1
    return 1 if is_daily else 0


@inlined
def _is_whole(seen: int) -> bool:
    """Whether an entry has a key, a value, and exactly one known kind of content."""
    kind = seen & _UNION
    is_known = kind in (1 << _BARE, 1 << _FIRST, _FULL_MARKET, _FULL_INDEX)
    return seen & _HAS_KEY != 0 and seen & 1 << _FEED != 0 and is_known


@inlined
def _is_told(figure: Any) -> Any:
    """Whether bits are a number that was told: not zero, which proto3 does not send, and finite."""
    return figure << _SIGN_BITS != 0 and figure >> _MANTISSA_BITS & _NOT_FINITE != _NOT_FINITE


@inlined
def _settle(values: Any) -> None:
    """Not told: a trade's time that is no instant."""
    for row in range(len(values)):
        if not EARLIEST_MS <= values[row, _TRADED_AT] < LATEST_MS:
            values[row, _TRADED_AT] = np.nan
