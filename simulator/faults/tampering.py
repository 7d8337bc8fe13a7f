"""What a fault does to a frame of the socket: bytes in, what is sent in their place out.

Pure, through the broker's published protobuf schema. When a fault strikes is decided in
``injection``. A frame that is no ``FeedResponse`` (somebody's recording) passes as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator.exchange import noise
from simulator.faults.catalogue import Arguments

UNKNOWN = 99  # no enum value and no field of the schema has this number
UNKNOWN_TYPE = 7


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send: binary unless ``is_text``."""

    data: bytes
    is_text: bool = False


_Edit = Callable[[wire.FeedResponse, Arguments], None]
_Swap = Callable[[bytes, Arguments], Sequence[Outgoing]]


def tampered(name: str, arguments: Arguments, frame: bytes) -> Sequence[Outgoing]:
    """What the frame fault ``name`` sends in place of ``frame``."""
    if name in _SWAPS:
        return _SWAPS[name](frame, arguments)
    return (Outgoing(_edited(frame, _EDITS[name], arguments)),)


def without_keys(frame: bytes, is_hidden: Callable[[str], bool]) -> Sequence[Outgoing]:
    """The frame without the entries of hidden keys; nothing if it had no other."""
    parsed = _parsed(frame)
    if parsed is None or not parsed.feeds:
        return (Outgoing(frame),)
    for key in [key for key in parsed.feeds if is_hidden(key)]:
        del parsed.feeds[key]
    return (Outgoing(parsed.SerializeToString()),) if parsed.feeds else ()


def unknown_type(at_ms: int) -> bytes:
    """A frame of a type that the schema does not have yet."""
    return wire.FeedResponse(type=UNKNOWN_TYPE, currentTs=at_ms).SerializeToString()  # type: ignore[arg-type]


def unread(size_bytes: int) -> bytes:
    """Bytes that are no protobuf message: they begin with a field number of zero."""
    streams = np.array([noise.stream(0, "garbage")], np.uint64)
    drawn = noise.uniform(streams, np.arange(size_bytes, dtype=np.int64))
    return b"\x07" + (drawn[1:] * 256.0).astype(np.uint8).tobytes()


def _parsed(frame: bytes) -> wire.FeedResponse | None:
    try:
        return wire.FeedResponse.FromString(frame)
    except DecodeError:
        return None


def _edited(frame: bytes, edit: _Edit, arguments: Arguments) -> bytes:
    parsed = _parsed(frame)
    if parsed is None:
        return frame
    edit(parsed, arguments)
    return parsed.SerializeToString()


def _strip(parsed: wire.FeedResponse, arguments: Arguments) -> None:
    if parsed.type != wire.live_feed:
        return
    blocks = arguments.words("blocks")
    for entry in parsed.feeds.values():
        part = _member(entry)
        for block in blocks:
            for field in _BLOCKS[block]:
                if part is not None and field in part.DESCRIPTOR.fields_by_name:
                    part.ClearField(field)


_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "ltpc": ("ltpc",),
    "depth": ("marketLevel", "firstDepth"),
    "greeks": ("optionGreeks",),
    "ohlc": ("marketOHLC",),
}
_Member = wire.MarketFullFeed | wire.IndexFullFeed | wire.FirstLevelWithGreeks


def _member(entry: wire.Feed) -> _Member | None:
    """The part of an entry that has blocks; None for bare last prices."""
    if entry.HasField("firstLevelWithGreeks"):
        return entry.firstLevelWithGreeks
    if not entry.HasField("fullFeed"):
        return None
    full = entry.fullFeed
    return full.indexFF if full.HasField("indexFF") else full.marketFF


def _last(entry: wire.Feed) -> wire.LTPC | None:
    part = _member(entry)
    if part is not None:
        return part.ltpc if part.HasField("ltpc") else None
    return entry.ltpc if entry.HasField("ltpc") else None


def _new_values(parsed: wire.FeedResponse, _arguments: Arguments) -> None:
    for entry in parsed.feeds.values():
        entry.requestMode = UNKNOWN  # type: ignore[assignment]
    for segment in list(parsed.marketInfo.segmentStatus):
        parsed.marketInfo.segmentStatus[segment] = UNKNOWN  # type: ignore[assignment]


def _new_fields(parsed: wire.FeedResponse, _arguments: Arguments) -> None:
    for entry in parsed.feeds.values():
        entry.MergeFromString(_field(b"newer than the schema"))
    parsed.MergeFromString(_field(b"newer than the schema"))


def _skew(parsed: wire.FeedResponse, arguments: Arguments) -> None:
    parsed.currentTs = max(parsed.currentTs + arguments.whole("shift_ms"), 0)


def _age(parsed: wire.FeedResponse, arguments: Arguments) -> None:
    for entry in parsed.feeds.values():
        last = _last(entry)
        if last is not None:
            last.ltt = max(last.ltt + arguments.whole("shift_ms"), 0)


def _truncate(frame: bytes, arguments: Arguments) -> Sequence[Outgoing]:
    keeps = arguments.number("keeps")
    return (Outgoing(frame[: int(len(frame) * keeps)]),)


def _pad(frame: bytes, arguments: Arguments) -> Sequence[Outgoing]:
    parsed = _parsed(frame)
    is_snapshot = parsed is not None and parsed.type == wire.initial_feed and bool(parsed.feeds)
    missing = arguments.whole("size_bytes") - len(frame)
    if not is_snapshot or missing <= 0:
        return (Outgoing(frame),)
    return (Outgoing(frame + _field(bytes(missing))),)


def _field(payload: bytes) -> bytes:
    """A length-delimited field no. ``UNKNOWN`` of a message (protobuf's encoding, wire type 2)."""
    return _varint(UNKNOWN << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_EDITS: Mapping[str, _Edit] = {
    "partial": _strip,
    "unknown_enum": _new_values,
    "unknown_field": _new_fields,
    "clock_skew": _skew,
    "stale_ltt": _age,
}
_SWAPS: Mapping[str, _Swap] = {
    "text_frame": lambda f, a: (Outgoing(a.text("text").encode(), is_text=True), Outgoing(f)),
    "truncated": _truncate,
    "garbage": lambda _f, a: (Outgoing(unread(a.whole("size_bytes"))),),
    "unknown_type": lambda f, _a: (Outgoing(unknown_type(1)), Outgoing(f)),
    "duplicate": lambda f, _a: (Outgoing(f), Outgoing(f)),
    "big_snapshot": _pad,
}
