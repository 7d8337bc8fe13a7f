"""Frames of the broker's feed, built by field, for the tests of the streaming package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire


@dataclass(frozen=True, slots=True)
class Told:
    """What a frame says about one key; 0 is not on the wire."""

    last_price: float = 0.0
    traded_at_ms: int = 0
    bid_price: float = 0.0
    ask_price: float = 0.0
    volume_units: int = 0
    open_interest_units: float = 0.0


def status(at_ms: int = 1_790_000_000_000, word: str = "NORMAL_OPEN") -> bytes:
    """The market status that opens a connection."""
    response = wire.FeedResponse(type=wire.market_info, currentTs=at_ms)
    response.marketInfo.segmentStatus["NSE_FO"] = wire.MarketStatus.Value(word)
    return response.SerializeToString()


def data(
    told: Mapping[str, Told], at_ms: int = 1_790_000_000_000, *, is_snapshot: bool = False
) -> bytes:
    """A frame of full feeds."""
    kind = wire.initial_feed if is_snapshot else wire.live_feed
    response = wire.FeedResponse(type=kind, currentTs=at_ms)
    for key, said in told.items():
        market = response.feeds[key].fullFeed.marketFF
        market.ltpc.ltp, market.ltpc.ltt = said.last_price, said.traded_at_ms
        market.vtt, market.oi = said.volume_units, said.open_interest_units
        if said.bid_price or said.ask_price:
            market.marketLevel.bidAskQuote.add(bidP=said.bid_price, askP=said.ask_price)
    return response.SerializeToString()
