"""``python -m tools.fuzz_frames COUNT [SEED]``: the walker against the protobuf library, at length.

Frames of every kind are damaged at random and read twice, by a codec that has met the keys of the
frames before and by the library alone. They have to agree on what is a frame and on every value.
The tests run a few thousand; a change of the walker deserves a million.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from brokers.interface import FeedFrame
from brokers.upstox.codec import UpstoxCodec, decode_by_library
from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from brokers.upstox.walker import walk
from market.errors import FrameError

_NOON_MS = 1_795_588_200_000
_EDGES = bytes((0, 1, 2, 8, 9, 10, 0x12, 0x1A, 0x7F, 0x80, 0x81, 0xFF))


def seeds() -> list[bytes]:
    """One frame of each mode, several entries in each, and what only the library reads."""
    last = wire.LTPC(ltp=101.5, ltt=_NOON_MS, ltq=75, cp=99.0)
    quotes = [wire.Quote(bidQ=75 * n, bidP=101.0 - n, askQ=150, askP=102.0 + n) for n in range(5)]
    greeks = wire.OptionGreeks(delta=0.5, theta=-9.0, gamma=0.001, vega=12.0, rho=3.0)
    bars = wire.MarketOHLC(
        ohlc=[
            wire.OHLC(interval=name, open=100.0, high=103.0, low=98.0, vol=9)
            for name in ("I1", "1d")
        ]
    )
    market = wire.MarketFullFeed(
        ltpc=last,
        marketLevel=wire.MarketLevel(bidAskQuote=quotes),
        optionGreeks=greeks,
        marketOHLC=bars,
        atp=100.5,
        vtt=1_000_000,
        oi=2.5e6,
        iv=0.14,
        tbq=1e5,
        tsq=2e5,
        casEligible=True,
    )
    with_iep = wire.LTPC(ltp=24_000.0, ltt=_NOON_MS)
    with_iep.iep.value = 5.0
    first = wire.FirstLevelWithGreeks(
        ltpc=last, firstDepth=quotes[0], optionGreeks=greeks, vtt=10, oi=20.0, iv=0.2
    )
    full = wire.FullFeed(marketFF=market)
    index = wire.FullFeed(indexFF=wire.IndexFullFeed(ltpc=with_iep, marketOHLC=bars))
    kinds = [
        wire.Feed(ltpc=with_iep),
        wire.Feed(firstLevelWithGreeks=first, requestMode=wire.option_greeks),
        wire.Feed(fullFeed=full, requestMode=wire.full_d5),
        wire.Feed(fullFeed=index, requestMode=wire.full_d30),
    ]
    alone = [_frame([kind]) for kind in kinds]
    statuses = wire.MarketInfo(segmentStatus={"NSE_FO": wire.NORMAL_OPEN})
    status = wire.FeedResponse(type=wire.market_info, currentTs=_NOON_MS, marketInfo=statuses)
    return [*alone, _frame(kinds), _frame(kinds[:2] * 3), status.SerializeToString()]


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged frames, the same for the same ``seed``."""
    source, frames = random.Random(seed), seeds()  # noqa: S311 - no secret
    for _ in range(count):
        frame = bytearray(source.choice(frames))
        for _ in range(source.choice((1, 1, 1, 2, 4))):
            source.choice(_DAMAGES)(source, frame, frames)
        yield bytes(frame)


def verdict(frame: bytes, read: Callable[[bytes], FeedFrame]) -> object:
    """All that a reader makes of a frame, in a form that can be compared; None if refused."""
    try:
        told = read(frame)
    except FrameError:
        return None
    values = np.nan_to_num(told.values, nan=-1e300)
    rows = {key: row.tobytes() for key, row in zip(told.keys, values, strict=True)}
    return told.kind, told.published_at_ms, len(told.keys), rows, dict(told.market_status)


def disagreements(
    frames: Iterator[bytes], read: Callable[[bytes], FeedFrame] | None = None
) -> tuple[list[bytes], int]:
    """Frames that a reader (None: a codec) and the library read differently.

    Returns:
        Those frames, and how many of all the walker read by itself.
    """
    read = read or UpstoxCodec().decode
    different, walked = [], 0
    for frame in frames:
        walked += walk(frame) is not None
        if verdict(frame, read) != verdict(frame, decode_by_library):
            different.append(frame)
    return different, walked


def _frame(kinds: Sequence[wire.Feed]) -> bytes:
    feeds = {f"NSE_FO|{40_000 + number}": kind for number, kind in enumerate(kinds)}
    return wire.FeedResponse(
        type=wire.live_feed, feeds=feeds, currentTs=_NOON_MS
    ).SerializeToString()


def _flip(source: random.Random, frame: bytearray, _frames: Sequence[bytes]) -> None:
    if frame:
        frame[source.randrange(len(frame))] ^= 1 << source.randrange(8)


def _edge(source: random.Random, frame: bytearray, _frames: Sequence[bytes]) -> None:
    if frame:
        frame[source.randrange(len(frame))] = source.choice(_EDGES)


def _put(source: random.Random, frame: bytearray, _frames: Sequence[bytes]) -> None:
    place = source.randint(0, len(frame))
    frame[place:place] = bytes(source.choice(_EDGES) for _ in range(source.randint(1, 10)))


def _take(source: random.Random, frame: bytearray, _frames: Sequence[bytes]) -> None:
    place = source.randint(0, len(frame))
    del frame[place : place + source.randint(1, 12)]


def _cut(source: random.Random, frame: bytearray, _frames: Sequence[bytes]) -> None:
    del frame[source.randint(0, len(frame)) :]


def _repeat(source: random.Random, frame: bytearray, _frames: Sequence[bytes]) -> None:
    begin = source.randint(0, len(frame))
    part = frame[begin : begin + source.randint(1, 40)]
    frame[begin:begin] = part


def _splice(source: random.Random, frame: bytearray, frames: Sequence[bytes]) -> None:
    frame += source.choice(frames)


_DAMAGES = (_flip, _edge, _put, _take, _cut, _repeat, _splice)

if __name__ == "__main__":
    wanted = int(sys.argv[1])
    found, by_itself = disagreements(
        mutations(wanted, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    )
    sys.stdout.write(
        f"{wanted} damaged frames, {by_itself} read by the walker, {len(found)} read differently\n"
    )
    for frame in found[:10]:
        sys.stdout.write(frame.hex() + "\n")
    sys.exit(bool(found))
