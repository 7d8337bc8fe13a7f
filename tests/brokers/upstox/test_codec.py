"""The codec against the SDK as referee, against mutated frames, and against its own promises."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given, settings
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as referee

from brokers.interface import FEED_COLUMNS, FeedFrame, FrameKind, Mode
from brokers.upstox.codec import UpstoxCodec, decode, subscribe, unsubscribe
from market.errors import FrameError

NOON_MS = 1_795_588_200_000

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
    days = [bar for bar in body.get("marketOHLC", {}).get("ohlc", []) if bar["interval"] == "1d"]
    sources = (
        (LTPC, feed.get("ltpc") or body.get("ltpc", {})),
        (QUOTE, levels[0] if levels else body.get("firstDepth", {})),
        (GREEKS, body.get("optionGreeks", {})),
        (COUNTERS, body),
        (DAY, days[0] if days else {}),
    )
    told = {c: float(source.get(n, 0)) for names, source in sources for c, n in names.items()}
    return {column: value for column, value in told.items() if value != 0}


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


def _accepts_or_refuses(frame: bytes) -> None:
    try:
        decoded = decode(frame)
    except FrameError:
        return
    assert decoded.values.shape == (len(decoded.keys), len(FEED_COLUMNS))
    assert not np.isinf(decoded.values).any()
    assert not (decoded.values == 0).any()


@given(st.binary(max_size=200))
@example(b"")
def test_random_bytes_never_raise_anything_else(frame: bytes) -> None:
    """Whatever arrives is a frame or a ``FrameError``."""
    _accepts_or_refuses(frame)


@settings(max_examples=300)
@given(responses, st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=8), st.data())
def test_mutated_frames_never_raise_anything_else(
    response: referee.FeedResponse, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Changed, cut and doubled frames are read or refused; never infinite, never zero."""
    mutated = bytearray(response.SerializeToString())
    for place, value in changes:
        mutated[place % len(mutated)] = value
    start = data.draw(st.integers(0, len(mutated) // 4))
    end = data.draw(st.integers(start, len(mutated)))
    for frame in (mutated, mutated[start:], mutated[:end], mutated + mutated[start:end]):
        _accepts_or_refuses(bytes(frame))


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
