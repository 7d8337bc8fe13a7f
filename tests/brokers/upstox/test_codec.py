"""The codec against the SDK as referee, against mutated frames, and against its own promises."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from google.protobuf import wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as referee

from brokers.interface import FEED_COLUMNS, FeedFrame, FrameKind, Mode
from brokers.keys import FrameKeys
from brokers.upstox.codec import UpstoxCodec, decode, subscribe, unsubscribe
from brokers.upstox.key_book import CAPACITY
from market.errors import FrameError

NOON_MS = 1_795_588_200_000
# What the codec takes for an instant: the years 2000 to 2099.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000

prices = st.floats(0.05, 1e6).map(lambda x: round(x, 2)) | st.just(0.0)
figures = st.floats(-1e4, 1e4) | st.just(0.0)
units = st.integers(0, 2**40)
instants = st.integers(NOON_MS - 10**9, NOON_MS) | st.just(0)
keys = st.from_regex(r"(NSE|BSE)_FO\|[0-9]{5}", fullmatch=True)

ltpcs = st.builds(referee.LTPC, ltp=prices, ltt=instants, ltq=units, cp=prices)
quotes = st.builds(referee.Quote, bidQ=units, bidP=prices, askQ=units, askP=prices)
greeks = st.builds(
    referee.OptionGreeks, delta=figures, theta=figures, gamma=figures, vega=figures, rho=figures
)
bars = st.builds(
    referee.OHLC,
    interval=st.sampled_from(["1d", "I1"]),
    open=prices,
    high=prices,
    low=prices,
    close=prices,
    vol=units,
    ts=instants,
)
ohlcs = st.builds(
    referee.MarketOHLC, ohlc=st.lists(bars, max_size=2, unique_by=lambda bar: bar.interval)
)
levels = st.builds(referee.MarketLevel, bidAskQuote=st.lists(quotes, max_size=5))
absent = st.none()
markets = st.builds(
    referee.MarketFullFeed,
    ltpc=ltpcs | absent,
    marketLevel=levels | absent,
    optionGreeks=greeks | absent,
    marketOHLC=ohlcs | absent,
    atp=prices,
    vtt=units,
    oi=prices,
    iv=prices,
    tbq=prices,
    tsq=prices,
)
indices = st.builds(referee.IndexFullFeed, ltpc=ltpcs | absent, marketOHLC=ohlcs | absent)
first_levels = st.builds(
    referee.FirstLevelWithGreeks,
    ltpc=ltpcs | absent,
    firstDepth=quotes | absent,
    optionGreeks=greeks | absent,
    vtt=units,
    oi=prices,
    iv=prices,
)
feeds = (
    st.builds(referee.Feed, ltpc=ltpcs)
    | st.builds(referee.Feed, firstLevelWithGreeks=first_levels, requestMode=st.just(2))
    | st.builds(referee.Feed, fullFeed=st.builds(referee.FullFeed, marketFF=markets))
    | st.builds(referee.Feed, fullFeed=st.builds(referee.FullFeed, indexFF=indices))
)
responses = st.builds(
    referee.FeedResponse,
    type=st.sampled_from([0, 1]),
    feeds=st.dictionaries(keys, feeds, min_size=1, max_size=6),
    currentTs=instants,
)

# Where the SDK's dictionary holds each column, by the mode that carries it.
LTPC = {
    "last_price": "ltp",
    "traded_at_ms": "ltt",
    "last_quantity_units": "ltq",
    "previous_close_price": "cp",
}
QUOTE = {
    "bid_price": "bidP",
    "bid_quantity_units": "bidQ",
    "ask_price": "askP",
    "ask_quantity_units": "askQ",
}
GREEKS = {
    "vendor_delta": "delta",
    "vendor_gamma": "gamma",
    "vendor_theta_per_day": "theta",
    "vendor_vega_per_vol_point": "vega",
    "vendor_rho_per_percent": "rho",
}
COUNTERS = {
    "volume_units": "vtt",
    "open_interest_units": "oi",
    "average_price": "atp",
    "vendor_implied_volatility": "iv",
    "total_bid_quantity_units": "tbq",
    "total_ask_quantity_units": "tsq",
}
DAY = {"day_open_price": "open", "day_high_price": "high", "day_low_price": "low"}


def _expected(feed: dict[str, Any]) -> dict[str, float]:
    """A row by column name, read from the SDK's own dictionary (where int64 is text)."""
    full = feed.get("fullFeed", {})
    body = full.get("marketFF") or full.get("indexFF") or feed.get("firstLevelWithGreeks") or {}
    levels = body.get("marketLevel", {}).get("bidAskQuote", [])
    days = [
        bar for bar in body.get("marketOHLC", {}).get("ohlc", []) if bar.get("interval") == "1d"
    ]
    sources = (
        (LTPC, feed.get("ltpc") or body.get("ltpc", {})),
        (QUOTE, levels[0] if levels else body.get("firstDepth", {})),
        (GREEKS, body.get("optionGreeks", {})),
        (COUNTERS, body),
        (DAY, days[0] if days else {}),
    )
    told = {c: float(source.get(n, 0)) for names, source in sources for c, n in names.items()}
    return {column: value for column, value in told.items() if _is_figure(column, value)}


def _is_figure(column: str, value: float) -> bool:
    """proto3 cannot tell zero from absent; what is not finite, or no instant, is no figure."""
    if column == "traded_at_ms" and not EARLIEST_MS <= value < LATEST_MS:
        return False
    return value != 0 and math.isfinite(value)


def _row(frame: FeedFrame, key: str) -> dict[str, float]:
    values = frame.values[frame.keys.index(key)]
    return {c: v for c, v in zip(FEED_COLUMNS, values.tolist(), strict=True) if not math.isnan(v)}


@given(responses)
def test_values_equal_the_sdk(response: referee.FeedResponse) -> None:
    """Each column holds what the SDK's dictionary says; what is zero or absent there is NaN."""
    frame = decode(response.SerializeToString())
    told = MessageToDict(response)
    assert sorted(frame.keys) == sorted(told["feeds"])
    assert frame.values.shape == (len(frame.keys), len(FEED_COLUMNS))
    for key, feed in told["feeds"].items():
        assert _row(frame, key) == _expected(feed)
    assert frame.published_at_ms == (int(told["currentTs"]) if "currentTs" in told else None)
    assert frame.kind is (FrameKind.UPDATE if "type" in told else FrameKind.SNAPSHOT)


def _is_readable(feed: referee.Feed) -> bool:
    """Whether the entry is of a kind that the SDK of today knows."""
    member = feed.WhichOneof("FeedUnion")
    return bool(member) and (
        member != "fullFeed" or bool(feed.fullFeed.WhichOneof("FullFeedUnion"))
    )


def _agrees(frame: bytes) -> None:
    """The codec reads what the SDK reads, refuses what the SDK refuses, and does nothing else."""
    try:
        told = referee.FeedResponse.FromString(frame)
    except DecodeError:
        with pytest.raises(FrameError):
            decode(frame)
        return
    wanted = {key: _expected(MessageToDict(f)) for key, f in told.feeds.items() if _is_readable(f)}
    is_dated = told.currentTs == 0 or EARLIEST_MS <= told.currentTs < LATEST_MS
    if not is_dated or not (wanted or told.HasField("marketInfo")):
        with pytest.raises(FrameError):
            decode(frame)
        return
    decoded = decode(frame)
    assert {key: _row(decoded, key) for key in decoded.keys} == wanted
    assert decoded.published_at_ms == (told.currentTs or None)
    names = {number: name for name, number in referee.MarketStatus.items()}
    segments = told.marketInfo.segmentStatus.items()
    assert decoded.market_status == {s: names.get(status, str(status)) for s, status in segments}
    assert decoded.values.shape == (len(wanted), len(FEED_COLUMNS))


def _later_version() -> Descriptor:
    """The SDK's schema as it may be next year: new fields in every message, a new kind of entry."""
    described = FileDescriptorProto()
    referee.DESCRIPTOR.CopyToProto(described)
    described.name = "later.proto"
    for message in described.message_type:
        for number, kind in ((900, FieldDescriptorProto.TYPE_STRING), (901, 1), (902, 3)):
            message.field.add(name=f"new{number}", number=number, type=kind, label=1)
        if message.name == "Feed":
            new = message.field.add(name="newKind", number=903, type=11, label=1, oneof_index=0)
            new.type_name = f".{described.package}.OptionGreeks"
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto.FromString(wrappers_pb2.DESCRIPTOR.serialized_pb))
    pool.Add(described)
    return pool.FindMessageTypeByName(f"{described.package}.FeedResponse")


SCALARS = {
    FieldDescriptor.CPPTYPE_DOUBLE: st.sampled_from([0.0, math.inf, math.nan])
    | prices
    | st.floats(),
    FieldDescriptor.CPPTYPE_INT64: st.just(0) | instants | st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_STRING: st.sampled_from(["1d", "I1", ""]) | st.text(max_size=5),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(0, 3) | st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}


@st.composite
def any_message(draw: st.DrawFn, kind: Descriptor) -> Message:
    """A message with any of its fields, each of any value that the wire can carry."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        if draw(st.booleans()):
            _fill(draw, message, field)  # of a oneof's members the last one drawn stays
    return message


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor) -> None:
    value = _any_value(field)
    target = getattr(message, field.name)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        inner = entry.fields_by_name["value"]
        for key, item in draw(
            st.dictionaries(keys | st.text(max_size=3), _any_value(inner), max_size=3)
        ).items():
            if inner.message_type is None:
                target[key] = item
            else:
                target[key].CopyFrom(item)
    elif field.is_repeated:
        target.extend(draw(st.lists(value, max_size=6)))
    elif entry is not None:
        target.CopyFrom(draw(value))
    else:
        setattr(message, field.name, draw(value))


def _any_value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return any_message(field.message_type)
    return SCALARS[field.cpp_type]


def _encoded(message: Message) -> bytes:
    return message.SerializeToString()


wild_frames = any_message(_later_version()).map(_encoded)


@given(wild_frames)
def test_any_frame_reads_as_the_sdk_reads_it(frame: bytes) -> None:
    """Every kind of entry and block present or absent, any value, fields and numbers unheard of."""
    _agrees(frame)


@given(st.binary(max_size=200))
@example(b"")
def test_random_bytes_never_raise_anything_else(frame: bytes) -> None:
    """Whatever arrives is a frame or a ``FrameError``."""
    _agrees(frame)


@given(responses)
def test_a_frame_cut_anywhere_is_read_or_refused(response: referee.FeedResponse) -> None:
    """A cut at each length: entries that arrived whole may be read, nothing is made up."""
    frame = response.SerializeToString()
    for length in range(len(frame)):
        _agrees(frame[:length])


# Found bytes are told as they are: making them smaller takes minutes and explains nothing.
@settings(max_examples=150, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(wild_frames | responses.map(_encoded), st.data())
def test_mutated_frames_never_raise_anything_else(frame: bytes, data: st.DataObject) -> None:
    """Bits flipped, bytes put in, taken out, repeated: read as the SDK does, or refused."""
    mutated = bytearray(frame)
    for change in data.draw(
        st.lists(st.sampled_from(["flip", "put", "take", "repeat"]), max_size=6)
    ):
        place = data.draw(st.integers(0, max(len(mutated) - 1, 0)))
        if change == "flip" and mutated:
            mutated[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "put":
            mutated[place:place] = data.draw(st.binary(min_size=1, max_size=4))
        elif change == "take":
            del mutated[place : place + data.draw(st.integers(1, 4))]
        else:
            mutated += mutated[place:]
    _agrees(bytes(mutated))


def test_market_status() -> None:
    """The first frame of a connection names each segment's state; 0 is a state too."""
    info = referee.MarketInfo(segmentStatus={"NSE_FO": 2, "BSE_FO": 0, "MCX_FO": 9})
    told = referee.FeedResponse(type=2, currentTs=NOON_MS, marketInfo=info)
    frame = decode(told.SerializeToString())
    assert frame.kind is FrameKind.STATUS
    assert frame.market_status == {
        "NSE_FO": "NORMAL_OPEN",
        "BSE_FO": "PRE_OPEN_START",
        # A status of a later version of the protocol.
        "MCX_FO": "9",
    }
    assert frame.keys == () and frame.values.shape == (0, len(FEED_COLUMNS))


def test_unknown_type_with_feeds_is_an_update() -> None:
    """A type added later must not cost the ticks that we can read."""
    told = referee.FeedResponse(type=7, feeds={"NSE_FO|1": referee.Feed(ltpc={"ltp": 1.5})})
    frame = decode(told.SerializeToString())
    assert (frame.kind, frame.column("last_price").tolist()) == (FrameKind.UPDATE, [1.5])


@pytest.mark.parametrize(
    "response",
    [
        referee.FeedResponse(type=1, currentTs=NOON_MS),
        referee.FeedResponse(feeds={"NSE_FO|1": referee.Feed(requestMode=1)}),
        referee.FeedResponse(feeds={"NSE_FO|1": referee.Feed(fullFeed=referee.FullFeed())}),
        referee.FeedResponse(currentTs=-5, feeds={"NSE_FO|1": referee.Feed(ltpc={"ltp": 1.5})}),
    ],
    ids=["nothing", "mode only", "empty union", "time before 2000"],
)
def test_frames_that_carry_nothing_known_are_refused(response: referee.FeedResponse) -> None:
    """A frame is worth something or it is counted as unknown."""
    with pytest.raises(FrameError):
        decode(response.SerializeToString())


def test_text_message_is_refused() -> None:
    """The feed is binary; text from a proxy or a fault is no frame."""
    with pytest.raises(FrameError):
        decode("hello")  # type: ignore[arg-type]


def test_impossible_trade_time_is_not_told() -> None:
    """A trade time no database could hold is dropped, its price is kept."""
    told = referee.FeedResponse(feeds={"k": referee.Feed(ltpc={"ltp": 2.0, "ltt": 2**62})})
    frame = decode(told.SerializeToString())
    assert np.isnan(frame.column("traded_at_ms")).all()
    assert frame.column("last_price").tolist() == [2.0]


@pytest.mark.parametrize(
    ("mode", "name"), [(Mode.LTP, "ltpc"), (Mode.GREEKS, "option_greeks"), (Mode.FULL, "full")]
)
def test_subscribe(mode: Mode, name: str) -> None:
    """The request is JSON with the broker's word for the mode, equal for equal arguments."""
    request = json.loads(subscribe(["NSE_INDEX|Nifty 50", "NSE_FO|1"], mode))
    assert request.pop("guid")
    assert request == {
        "method": "sub",
        "data": {"mode": name, "instrumentKeys": ["NSE_INDEX|Nifty 50", "NSE_FO|1"]},
    }
    assert subscribe(["a"], mode) == subscribe(["a"], mode)


def test_unsubscribe() -> None:
    """The opposite request names no mode."""
    request = json.loads(unsubscribe(["NSE_FO|1"]))
    assert request["method"] == "unsub"
    assert request["data"] == {"instrumentKeys": ["NSE_FO|1"]}


def test_class_is_the_functions() -> None:
    """``UpstoxCodec`` adds nothing."""
    codec = UpstoxCodec()
    frame = referee.FeedResponse(feeds={"k": referee.Feed(ltpc={"ltp": 2.0})}).SerializeToString()
    assert codec.subscribe(["k"], Mode.FULL) == subscribe(["k"], Mode.FULL)
    assert codec.unsubscribe(["k"]) == unsubscribe(["k"])
    assert codec.decode(frame).keys == decode(frame).keys


def _frame_of(keys: Iterable[str]) -> bytes:
    feeds = {key: referee.Feed(ltpc={"ltp": 2.0}) for key in keys}
    return referee.FeedResponse(feeds=feeds).SerializeToString()


def test_keys_that_are_known_come_by_their_places() -> None:
    """From its first frame on; another codec has places of its own."""
    codec, other = UpstoxCodec(), UpstoxCodec()
    first, again = (codec.decode(_frame_of(keys)).keys for keys in ("ab", "cba"))
    elsewhere = other.decode(_frame_of("c")).keys
    assert isinstance(first, FrameKeys) and isinstance(again, FrameKeys)
    assert isinstance(elsewhere, FrameKeys)
    assert first.names is again.names and first.names is not elsewhere.names
    assert set(first.places.tolist()) == {0, 1}
    assert [again.names[place] for place in again.places] == list(again)
    assert (set(again), len(again.names)) == ({"a", "b", "c"}, 3)
    assert (list(elsewhere), elsewhere.places.tolist()) == (["c"], [0])


def test_made_up_keys_do_not_pile_up() -> None:
    """A codec that is told ever new keys forgets them, and reads each frame all the same."""
    codec, lists = UpstoxCodec(), set[int]()
    for number in range(40):
        made_up = [f"NSE_FO|{number}x{n}" for n in range(1_000)]
        found = codec.decode(_frame_of(made_up)).keys
        assert sorted(found) == sorted(made_up)
        known = codec.decode(_frame_of("ab")).keys
        assert isinstance(known, FrameKeys) and set(known) == {"a", "b"}
        assert len(known.names) <= CAPACITY
        lists.add(id(known.names))
    assert len(lists) > 1


def test_a_key_too_long_for_the_book_is_told_as_text() -> None:
    """It costs the frame its places, not the key."""
    codec, keys = UpstoxCodec(), ["a", "k" * 100]
    assert sorted(codec.decode(_frame_of(keys)).keys) == keys


def test_threads_share_a_codec() -> None:
    """The event loop and a replay decode at the same time: each gets its own frame's keys."""
    codec = UpstoxCodec()
    told = [[f"NSE_FO|{(7 * n + i) % 300}" for i in range(20)] for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda keys: set(codec.decode(_frame_of(keys)).keys), told))
    assert found == [set(keys) for keys in told]
