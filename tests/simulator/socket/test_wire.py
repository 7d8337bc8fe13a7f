"""The columnar encoder, byte for byte against the official schema's own serialisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from simulator.exchange.quotes import Ladder
from simulator.socket import wire

_LEVELS = 30
_INT64 = (1 << 63) - 1
_ENTRY_PLACES = tuple(wire.ENTRY.names or ())
_IS_FLOAT = {name: wire.ENTRY[name].kind == "f" for name in _ENTRY_PLACES}

_double = st.one_of(
    st.sampled_from([0.0, -0.0, 0.05, -1.0, 1e-320, 1.7976931348623157e308]),
    st.floats(allow_nan=False),
)
_integer = st.one_of(
    st.sampled_from([0, 1, 127, 128, -1, _INT64, -_INT64 - 1]), st.integers(-_INT64 - 1, _INT64)
)
_content = st.integers(0, 63)


@st.composite
def _record(draw: st.DrawFn) -> tuple[Any, ...]:
    values = [draw(_double if _IS_FLOAT[name] else _integer) for name in _ENTRY_PLACES[1:]]
    return (draw(_content), *values)


@st.composite
def _depth(draw: st.DrawFn, count: int) -> Ladder:
    size = count * _LEVELS
    # A few drawn values spread over all places: what matters is each value in some place.
    doubles = np.resize(np.array(draw(st.lists(_double, min_size=1, max_size=7))), (2, size))
    units = np.resize(np.array(draw(st.lists(_integer, min_size=1, max_size=7))), (2, size))
    table = (count, _LEVELS)
    orders = np.zeros(table, np.int64)
    return Ladder(
        bid_price=doubles[0].reshape(table),
        bid_quantity_units=units[0].reshape(table),
        bid_orders=orders,
        ask_price=doubles[1].reshape(table),
        ask_quantity_units=units[1].reshape(table),
        ask_orders=orders,
    )


def _message(mode: str, entry: Any, depth: Ladder, i: int) -> official.Feed:
    """The same entry, built with the official classes."""
    feed = official.Feed(requestMode=official.RequestMode.Value(_ECHOED[mode]))
    content = int(entry["content"])
    if mode == wire.LTPC:
        feed.ltpc.CopyFrom(_last(entry))
    elif mode == wire.GREEKS:
        feed.firstLevelWithGreeks.CopyFrom(_first_level(entry, depth, i))
    elif content & wire.IS_INDEX:
        feed.fullFeed.indexFF.ltpc.CopyFrom(_last(entry))
        feed.fullFeed.indexFF.marketOHLC.CopyFrom(_bars(entry))
    else:
        feed.fullFeed.marketFF.CopyFrom(_market(entry, depth, i, wire.LEVELS[mode]))
    return feed


_ECHOED = {
    wire.LTPC: "ltpc",
    wire.GREEKS: "option_greeks",
    wire.FULL: "full_d5",
    wire.DEEP: "full_d30",
}


def _last(entry: Any) -> official.LTPC:
    last = official.LTPC(
        ltp=entry["last_price"],
        ltt=int(entry["last_traded_ms"]),
        ltq=int(entry["last_quantity_units"]),
        cp=entry["previous_close_price"],
    )
    if entry["content"] & wire.HAS_AUCTION:
        last.iep.value = entry["indicative_price"]
    return last


def _first_level(entry: Any, depth: Ladder, i: int) -> official.FirstLevelWithGreeks:
    first = official.FirstLevelWithGreeks(
        ltpc=_last(entry),
        vtt=int(entry["volume_units"]),
        oi=entry["open_interest_units"],
        iv=entry["implied_volatility"],
    )
    if entry["content"] & wire.HAS_DEPTH:
        first.firstDepth.CopyFrom(_quote(depth, i, 0))
    if entry["content"] & wire.HAS_GREEKS:
        first.optionGreeks.CopyFrom(_greeks(entry))
    return first


def _market(entry: Any, depth: Ladder, i: int, levels: int) -> official.MarketFullFeed:
    full = official.MarketFullFeed(
        ltpc=_last(entry),
        marketOHLC=_bars(entry),
        atp=entry["average_price"],
        vtt=int(entry["volume_units"]),
        oi=entry["open_interest_units"],
        iv=entry["implied_volatility"],
        tbq=entry["total_bid_quantity_units"],
        tsq=entry["total_ask_quantity_units"],
    )
    if entry["content"] & wire.HAS_DEPTH:
        full.marketLevel.bidAskQuote.extend(_quote(depth, i, place) for place in range(levels))
    if entry["content"] & wire.HAS_GREEKS:
        full.optionGreeks.CopyFrom(_greeks(entry))
    if entry["content"] & wire.HAS_AUCTION:
        full.iep, full.rp = entry["indicative_price"], entry["reference_price"]
        full.ieq = int(entry["indicative_quantity_units"])
        full.iiqTotal = int(entry["imbalance_units"])
        full.iiqM = int(entry["market_imbalance_units"])
        full.casEligible = bool(entry["is_auction_eligible"])
    return full


def _quote(depth: Ladder, i: int, place: int) -> official.Quote:
    return official.Quote(
        bidQ=int(depth.bid_quantity_units[i, place]),
        bidP=depth.bid_price[i, place],
        askQ=int(depth.ask_quantity_units[i, place]),
        askP=depth.ask_price[i, place],
    )


def _greeks(entry: Any) -> official.OptionGreeks:
    names = ("delta", "theta", "gamma", "vega", "rho")
    return official.OptionGreeks(**{name: entry[name] for name in names})


def _bars(entry: Any) -> official.MarketOHLC:
    bars = official.MarketOHLC()
    for flag, interval, name in ((wire.HAS_DAY, "1d", "day"), (wire.HAS_MINUTE, "I1", "minute")):
        if entry["content"] & flag:
            bars.ohlc.add(
                interval=interval,
                **{part: entry[f"{name}_{part}"] for part in ("open", "high", "low", "close")},
                vol=int(entry[f"{name}_volume_units"]),
                ts=int(entry[f"{name}_starts_ms"]),
            )
    return bars


@given(st.data(), st.sampled_from(wire.MODES))
def test_entries_are_the_librarys_bytes(data: st.DataObject, mode: str) -> None:
    """Any values, any blocks, any keys: what SerializeToString writes for the same map entry."""
    records = data.draw(st.lists(_record(), max_size=3))
    entries = np.array(records, wire.ENTRY)
    # A truth value has one byte of its own on the wire.
    entries["is_auction_eligible"] %= 2
    depth = data.draw(_depth(len(records)))
    names = data.draw(st.lists(st.text(max_size=200), min_size=1, max_size=4))
    rows = data.draw(
        st.lists(st.integers(0, len(names) - 1), min_size=len(records), max_size=len(records)).map(
            lambda chosen: np.array(chosen, np.int64)
        )
    )
    written = wire.encode(mode, entries, depth, wire.Keys.of(names), rows)
    wanted = [
        official.FeedResponse(feeds={names[row]: _message(mode, entry, depth, i)})
        for i, (entry, row) in enumerate(zip(entries, rows.tolist(), strict=True))
    ]
    assert written == [message.SerializeToString() for message in wanted]


@pytest.mark.parametrize("kind", [official.initial_feed, official.live_feed])
@pytest.mark.parametrize("at_ms", [1, 127, 128, 1_790_000_000_000])
def test_a_frame_is_the_librarys_bytes(kind: int, at_ms: int) -> None:
    """Type before the entries, currentTs behind them; a snapshot's type is not on the wire."""
    message = official.FeedResponse(type=kind, currentTs=at_ms)
    message.feeds["NSE_FO|1"].ltpc.ltp = 5.0
    entry = np.zeros(1, wire.ENTRY)
    entry["last_price"] = 5.0
    keys, rows = wire.Keys.of(["NSE_FO|1"]), np.zeros(1, np.int64)
    told = wire.encode(wire.LTPC, entry, None, keys, rows)
    assert wire.frame(kind, at_ms, told) == message.SerializeToString()


def test_no_entries() -> None:
    """An empty request to encode is an empty answer."""
    nothing = np.empty(0, np.int64)
    empty = np.zeros(0, wire.ENTRY)
    assert wire.encode(wire.LTPC, empty, None, wire.Keys.of([]), nothing) == []
