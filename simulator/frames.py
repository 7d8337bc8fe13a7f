"""The socket's frames over a market's quotes, through the broker's published protobuf schema.

Pure: quotes in, bytes out. The schema's generated classes are all that is shared with the client;
how a frame is read back is the client's own business. When a frame is sent stands in ``session``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator.exchange import Bars
from simulator.quotes import TICK, Quotes
from simulator.universe import Listed, Listing

LTPC, GREEKS, FULL, DEEP = "ltpc", "option_greeks", "full", "full_d30"
_REQUEST_MODE = {
    LTPC: wire.ltpc,
    GREEKS: wire.option_greeks,
    FULL: wire.full_d5,
    DEEP: wire.full_d30,
}
_LEVELS = {FULL: 5, DEEP: 30}
_SEGMENTS = (
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
class Parts:
    """What one row's entry carries beside its quote.

    Attributes:
        has_depth, has_greeks: a live frame may leave either block out.
        day, minute: the day so far and the last whole minute; None where the mode has no bars.
    """

    mode: str
    has_depth: bool = True
    has_greeks: bool = True
    day: wire.OHLC | None = None
    minute: wire.OHLC | None = None


def market_info(at_ms: int, *, is_open: bool) -> bytes:
    """The first frame of a connection: each segment's state."""
    state = wire.NORMAL_OPEN if is_open else wire.NORMAL_CLOSE
    info = wire.MarketInfo(segmentStatus=dict.fromkeys(_SEGMENTS, state))
    frame = wire.FeedResponse(type=wire.market_info, currentTs=at_ms, marketInfo=info)
    return frame.SerializeToString()


def feed(
    listing: Listing, quotes: Quotes, parts: Sequence[Parts], at_ms: int, *, is_snapshot: bool
) -> bytes:
    """One frame with an entry for each quote."""
    frame = wire.FeedResponse(
        type=wire.initial_feed if is_snapshot else wire.live_feed, currentTs=at_ms
    )
    for i, (row, part) in enumerate(zip(quotes.rows, parts, strict=True)):
        listed = listing.rows[row]
        _fill(frame.feeds[listed.key], listed, quotes, i, part)
    return frame.SerializeToString()


def unknown(at_ms: int) -> bytes:
    """A frame of a type that the schema does not have yet."""
    return wire.FeedResponse(type=7, currentTs=at_ms).SerializeToString()  # type: ignore[arg-type]


def bar(bars: Bars, i: int, interval: str) -> wire.OHLC:
    """One row's bar as the wire has it."""
    return wire.OHLC(
        interval=interval,
        open=bars.open[i],
        high=bars.high[i],
        low=bars.low[i],
        close=bars.close[i],
        vol=int(bars.volume_units[i]),
        ts=bars.starts_ms,
    )


def _fill(entry: wire.Feed, listed: Listed, quotes: Quotes, i: int, part: Parts) -> None:
    entry.requestMode = _REQUEST_MODE[part.mode]
    if part.mode == LTPC:
        _fill_last(entry.ltpc, quotes, i)
    elif part.mode == GREEKS:
        _fill_first_level(entry.firstLevelWithGreeks, quotes, i)
    elif listed.is_index:
        _fill_last(entry.fullFeed.indexFF.ltpc, quotes, i)
        entry.fullFeed.indexFF.marketOHLC.ohlc.extend(_bars(part))
    else:
        _fill_full(entry.fullFeed.marketFF, quotes, i, part)


def _fill_last(last: wire.LTPC, quotes: Quotes, i: int) -> None:
    last.ltp = quotes.last_price[i]
    last.ltt = int(quotes.last_traded_ms[i])
    last.cp = quotes.previous_close_price[i]
    last.ltq = int(quotes.last_quantity_units[i])


def _fill_first_level(level: wire.FirstLevelWithGreeks, quotes: Quotes, i: int) -> None:
    _fill_last(level.ltpc, quotes, i)
    level.firstDepth.CopyFrom(_level(quotes, i, 0))
    level.vtt = int(quotes.volume_units[i])
    level.oi = float(quotes.open_interest_units[i])
    level.optionGreeks.CopyFrom(_greeks(quotes, i))
    level.iv = _volatility(quotes, i)


def _fill_full(full: wire.MarketFullFeed, quotes: Quotes, i: int, part: Parts) -> None:
    _fill_last(full.ltpc, quotes, i)
    if part.has_depth:
        full.marketLevel.bidAskQuote.extend(
            _level(quotes, i, depth) for depth in range(_LEVELS[part.mode])
        )
    if part.has_greeks:
        full.optionGreeks.CopyFrom(_greeks(quotes, i))
    full.marketOHLC.ohlc.extend(_bars(part))
    full.atp = quotes.average_price[i]
    full.vtt = int(quotes.volume_units[i])
    full.oi = float(quotes.open_interest_units[i])
    full.iv = _volatility(quotes, i)
    full.tbq = float(quotes.total_bid_quantity_units[i])
    full.tsq = float(quotes.total_ask_quantity_units[i])


def _bars(part: Parts) -> list[wire.OHLC]:
    return [b for b in (part.day, part.minute) if b is not None]


def _level(quotes: Quotes, i: int, depth: int) -> wire.Quote:
    bid = round(float(quotes.bid_price[i]) - depth * TICK, 2)
    ask = round(float(quotes.ask_price[i]) + depth * TICK, 2)
    if quotes.ask_price[i] <= 0:
        return wire.Quote()
    return wire.Quote(
        bidQ=int(quotes.bid_quantity_units[i]) * (depth + 1) if bid > 0 else 0,
        bidP=max(bid, 0.0),
        askQ=int(quotes.ask_quantity_units[i]) * (depth + 1),
        askP=ask,
    )


def _greeks(quotes: Quotes, i: int) -> wire.OptionGreeks:
    """Empty but present for what is no option."""
    if not _volatility(quotes, i):
        return wire.OptionGreeks()
    model = quotes.model
    return wire.OptionGreeks(
        delta=round(float(model.delta[i]), 4),
        theta=round(float(model.theta_per_day[i]), 4),
        gamma=round(float(model.gamma[i]), 6),
        vega=round(float(model.vega_per_vol_point[i]), 4),
        rho=round(float(model.rho_per_percent[i]), 4),
    )


def _volatility(quotes: Quotes, i: int) -> float:
    """A fraction here, unlike in the option chain; 0, that is absent, for what is no option."""
    value = float(quotes.implied_volatility[i])
    return 0.0 if math.isnan(value) else round(value, 6)
