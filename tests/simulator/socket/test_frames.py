"""The rare frames as the official schema reads them."""

from __future__ import annotations

from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from simulator.exchange.phases import Phase
from simulator.socket import frames
from simulator.socket.frames import Statuses


def test_market_info() -> None:
    """Statuses by segment, free strings with their instants, absent maps without them."""
    segments = (("NSE_FO", "NORMAL_OPEN"), ("NSE_EQ", "PRE_OPEN_START"))
    steps = (("NSE_EQ", Phase("CAS_M_STOP", 7)),)
    told = official.FeedResponse.FromString(
        frames.market_info(5, Statuses(segments, auction=steps, pre_open=()))
    )
    assert (told.type, told.currentTs) == (official.market_info, 5)
    assert dict(told.marketInfo.segmentStatus) == {
        "NSE_FO": official.NORMAL_OPEN,
        "NSE_EQ": official.PRE_OPEN_START,
    }
    step = told.marketInfo.casMarketStatus["NSE_EQ"]
    assert (step.status, step.updatedTime) == ("CAS_M_STOP", 7)
    assert not told.marketInfo.preOpenSessionStatus


def test_an_unknown_type_decodes_to_a_number() -> None:
    """What a client meets when the broker adds a type."""
    assert official.FeedResponse.FromString(frames.unknown(1)).type == 7
