"""Frames as the official schema reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from market.rules import rules_for
from simulator import frames
from simulator.exchange import Market
from simulator.frames import Parts

_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_AT_MS = int(_NOON.timestamp() * 1000)
_MARKET = Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])
_LISTING = _MARKET.listing(_NOON)
_INDEX, _STOCK = 0, 1
_OPTION = int(_LISTING.chain("NIFTY", date(2026, 12, 1))[40])


def _feed(row: int, part: Parts, *, is_snapshot: bool = False) -> official.Feed:
    quotes = _MARKET.quotes(_NOON, np.array([row]))
    frame = frames.feed(_LISTING, quotes, [part], _AT_MS, is_snapshot=is_snapshot)
    decoded = official.FeedResponse.FromString(frame)
    assert list(decoded.feeds) == [_LISTING.rows[row].key]
    assert decoded.currentTs == _AT_MS
    assert decoded.type == (official.initial_feed if is_snapshot else official.live_feed)
    return decoded.feeds[_LISTING.rows[row].key]


@pytest.mark.parametrize(("is_open", "state"), [(True, 2), (False, 3)])
def test_market_info(is_open: bool, state: int) -> None:
    """Every segment in NORMAL_OPEN or NORMAL_CLOSE."""
    info = official.FeedResponse.FromString(frames.market_info(5, is_open=is_open))
    assert info.type == official.market_info
    assert set(info.marketInfo.segmentStatus.values()) == {state}
    assert {"NSE_FO", "BSE_FO", "NSE_INDEX"} <= set(info.marketInfo.segmentStatus)


def test_option_in_full() -> None:
    """Five levels, Greeks, a fraction of volatility, units of open interest."""
    quotes = _MARKET.quotes(_NOON, np.array([_OPTION]))
    feed = _feed(_OPTION, Parts(frames.FULL), is_snapshot=True)
    full = feed.fullFeed.marketFF
    assert feed.requestMode == official.full_d5
    assert len(full.marketLevel.bidAskQuote) == 5
    assert full.marketLevel.bidAskQuote[0].bidP == quotes.bid_price[0]
    assert full.marketLevel.bidAskQuote[0].askP == quotes.ask_price[0]
    assert full.ltpc.ltp == quotes.last_price[0]
    assert full.ltpc.ltt == quotes.last_traded_ms[0]
    assert full.oi == quotes.open_interest_units[0]
    assert full.iv == pytest.approx(quotes.implied_volatility[0], abs=1e-6)
    assert full.optionGreeks.vega > 0


def test_a_live_entry_may_be_partial() -> None:
    """A block that is left out is absent, not empty."""
    feed = _feed(_OPTION, Parts(frames.FULL, has_depth=False, has_greeks=False))
    assert not feed.fullFeed.marketFF.HasField("marketLevel")
    assert not feed.fullFeed.marketFF.HasField("optionGreeks")


def test_what_is_no_option_has_empty_greeks() -> None:
    """Present and empty for a stock; an index has neither depth nor Greeks."""
    stock = _feed(_STOCK, Parts(frames.FULL)).fullFeed.marketFF
    assert stock.HasField("optionGreeks")
    assert not stock.optionGreeks.ByteSize()
    assert _feed(_INDEX, Parts(frames.FULL)).fullFeed.WhichOneof("FullFeedUnion") == "indexFF"


def test_the_smaller_modes() -> None:
    """Last price only; or one level with Greeks; or thirty levels."""
    assert _feed(_OPTION, Parts(frames.LTPC)).WhichOneof("FeedUnion") == "ltpc"
    greeks = _feed(_OPTION, Parts(frames.GREEKS))
    assert greeks.requestMode == official.option_greeks
    assert greeks.firstLevelWithGreeks.firstDepth.bidP > 0
    deep = _feed(_OPTION, Parts(frames.DEEP))
    assert len(deep.fullFeed.marketFF.marketLevel.bidAskQuote) == 30


def test_bars() -> None:
    """A bar keeps its interval, start and range."""
    bars = _MARKET.minute_bars(_NOON, np.array([_OPTION]))
    bar = frames.bar(bars, 0, "I1")
    full = _feed(_OPTION, Parts(frames.FULL, minute=bar)).fullFeed.marketFF
    (sent,) = full.marketOHLC.ohlc
    assert (sent.interval, sent.ts) == ("I1", bars.starts_ms)
    assert sent.low <= sent.close <= sent.high


def test_an_unknown_type_decodes_to_a_number() -> None:
    """What a client meets when the broker adds a type."""
    assert official.FeedResponse.FromString(frames.unknown(1)).type == 7
