"""Recordings made by hand, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from storage.journal import JournalWriter

START = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
OPTION, STOCK, INDEX = "NSE_FO|43001", "NSE_EQ|INE002A01018", "NSE_INDEX|Nifty 50"


def at(seconds: float) -> datetime:
    """``seconds`` after ``START``."""
    return START + timedelta(seconds=seconds)


def info(seconds: float, state: wire.MarketStatus = wire.NORMAL_OPEN) -> bytes:
    """A ``market_info`` frame."""
    told = wire.MarketInfo(segmentStatus={"NSE_FO": state, "NSE_EQ": state})
    return _frame(wire.market_info, seconds, marketInfo=told)


def feeds(seconds: float, *, is_snapshot: bool = False, **entries: wire.Feed) -> bytes:
    """A frame of entries; keyword names stand for the keys of this module."""
    keys = {"option": OPTION, "stock": STOCK, "index": INDEX}
    kind = wire.initial_feed if is_snapshot else wire.live_feed
    return _frame(kind, seconds, feeds={keys[name]: e for name, e in entries.items()})


def full(last_price: float, **blocks: object) -> wire.Feed:
    """An entry of mode ``full``; without ``blocks`` it leaves all but the last price out."""
    market = wire.MarketFullFeed(ltpc=wire.LTPC(ltp=last_price, cp=100.0), **blocks)  # type: ignore[arg-type]
    return wire.Feed(fullFeed=wire.FullFeed(marketFF=market), requestMode=wire.full_d5)


def whole(last_price: float, bid_price: float) -> wire.Feed:
    """An entry of mode ``full`` with every block."""
    return full(
        last_price,
        marketLevel=wire.MarketLevel(bidAskQuote=[wire.Quote(bidP=bid_price)] * 5),
        optionGreeks=wire.OptionGreeks(delta=0.5),
        marketOHLC=wire.MarketOHLC(ohlc=[wire.OHLC(interval="1d", close=last_price)]),
        vtt=10,
        oi=650.0,
    )


def last(last_price: float) -> wire.Feed:
    """An entry of mode ``ltpc``."""
    return wire.Feed(ltpc=wire.LTPC(ltp=last_price, cp=100.0))


def write(folder: Path, frames: Iterable[tuple[float, bytes]], epoch: int = START_MS) -> Path:
    """A journal of frames, each with its seconds after ``START``; the folder."""
    journal = JournalWriter(folder, epoch, 1.0)
    for seconds, frame in frames:
        journal.append(int(at(seconds).timestamp() * 1e6) * 1000, frame)
    journal.close()
    return folder


def decoded(frames: Sequence[bytes]) -> list[wire.FeedResponse]:
    """Frames as the broker's own schema reads them."""
    return [wire.FeedResponse.FromString(frame) for frame in frames]


def _frame(kind: wire.Type, seconds: float, **content: object) -> bytes:
    frame = wire.FeedResponse(type=kind, currentTs=START_MS + int(seconds * 1000), **content)  # type: ignore[arg-type]
    return frame.SerializeToString()
