"""The rare frames of the socket: the market's state, and what no client knows.

Through the classes of the broker's published protobuf schema. The frames that come many times a
second are written by ``wire``.
"""

from __future__ import annotations

from dataclasses import dataclass

from brokers.upstox.generated import MarketDataFeedV3_pb2 as schema
from simulator.exchange.phases import Phase

SEGMENTS = (
    "NCD_FO",
    "BCD_FO",
    "NSE_INDEX",
    "NSE_EQ",
    "BSE_INDEX",
    "BSE_FO",
    "MCX_FO",
    "NSE_FO",
    "NSE_COM",
    "BSE_EQ",
    "MCX_INDEX",
)


@dataclass(frozen=True, slots=True)
class Statuses:
    """The state of the market, each part by segment.

    Attributes:
        segments: a name of the schema's ``MarketStatus``.
        auction, pre_open: the step of the closing auction and of the pre-open session; empty
            outside of them.
    """

    segments: tuple[tuple[str, str], ...]
    auction: tuple[tuple[str, Phase], ...] = ()
    pre_open: tuple[tuple[str, Phase], ...] = ()


def market_info(at_ms: int, statuses: Statuses) -> bytes:
    """The first frame of a connection, sent again whenever a status changes."""
    info = schema.MarketInfo(
        segmentStatus={segment: getattr(schema, status) for segment, status in statuses.segments},
        casMarketStatus={segment: _status_info(phase) for segment, phase in statuses.auction},
        preOpenSessionStatus={segment: _status_info(phase) for segment, phase in statuses.pre_open},
    )
    frame = schema.FeedResponse(type=schema.market_info, currentTs=at_ms, marketInfo=info)
    return frame.SerializeToString()


def unknown(at_ms: int) -> bytes:
    """A frame of a type that the schema does not have yet."""
    return schema.FeedResponse(type=7, currentTs=at_ms).SerializeToString()  # type: ignore[arg-type]


def _status_info(phase: Phase) -> schema.StatusInfo:
    return schema.StatusInfo(status=phase.status, updatedTime=phase.since_ms)
