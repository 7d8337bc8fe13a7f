"""Ticks per second from the wire into the live state, and from the simulated exchange on the wire.

Both on one core. The first replays frames that the simulator's hub made, through ``codec.decode``
into ``LiveState``, in turns with what one would write without them: the schema's own objects, read
field by field into one object a contract. How the second is measured stands in ``serving``.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from benchmarks import serving
from benchmarks.alone import Alone, pin
from benchmarks.report import Metric, within
from brokers.interface import Instrument, Mode
from brokers.upstox.codec import decode, subscribe
from brokers.upstox.generated import MarketDataFeedV3_pb2 as schema
from market.rules import rules_for
from simulator.access.tokens import Account, TokenKind
from simulator.exchange.market import Market
from simulator.exchange.universe import Listing
from simulator.socket.session import MarketSource
from streaming.live import LiveState

ROUNDS = 5
KEYS = 2_000
STEPS = 40
STEP = timedelta(seconds=2)
ENTRIES = 50
TICKS_PER_SECOND = 50_000.0
MERGED_TICKS_PER_SECOND = 300_000.0


@dataclass(slots=True)
class Plain:
    """What the plain loop remembers of a contract; None was never told."""

    last_price: float | None = None
    traded_at_ms: int | None = None
    last_quantity: int | None = None
    previous_close: float | None = None
    bid: float | None = None
    bid_quantity: int | None = None
    ask: float | None = None
    ask_quantity: int | None = None
    volume: int | None = None
    open_interest: float | None = None
    average: float | None = None
    volatility: float | None = None
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    rho: float | None = None
    total_bid: float | None = None
    total_ask: float | None = None
    day_open: float | None = None
    day_high: float | None = None
    day_low: float | None = None
    version: int = 0


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Medians of the rounds, and what each of two clients is served."""
    with Alone("benchmarks.ingest") as program:
        if "error" in program.hello:
            raise SystemExit(f"nothing was decoded: {program.hello['error']}")
        rates = program.hello
    served = serving.measure()
    metrics = {
        "wire_to_state_ticks_per_core_s": _goal(
            statistics.median(rates["ours"]),
            "Decoded and merged, per second of processor time",
            MERGED_TICKS_PER_SECOND,
        ),
        "vs_object_loop": _ratio(rates["ours"], rates["plain"]),
        "served_ticks_per_s_to_2_clients": _goal(
            min(served.ticks_per_second), "The slower of two clients of an exchange on one core"
        ),
        "served_ticks_per_core_s_to_2_clients": _goal(
            min(served.ticks_per_second) / served.core_share,
            "The same per second of the exchange's processor time, which others do not slow down",
        ),
    }
    details = {
        "keys": KEYS,
        "mode": "full",
        "entries_per_frame": ENTRIES,
        "rounds": ROUNDS,
        "ticks_per_round": rates["ticks"],
        "frame_bytes": rates["bytes"],
        "served": served.details(),
    }
    return metrics, details


def _goal(value: float, meaning: str, goal: float = TICKS_PER_SECOND) -> Metric:
    return within(value, "ticks/s", goal, f"{meaning}; goal: at least 1.")


def _ratio(ours: Sequence[float], plain: Sequence[float]) -> Metric:
    """The rates' ratio in each round; ``reference`` is the loop against itself."""
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    meaning = "Against the schema's objects read one by one; above 1: ours is the faster."
    return within(ratio, "×", 1.0, meaning)


def recorded(count: int = KEYS, steps: int = STEPS) -> tuple[Listing, Sequence[bytes]]:
    """The snapshot of ``count`` keys in full mode and the updates of ``steps`` steps.

    In frames of at most ``ENTRIES``, as a broker sends them: many small ones are the harder case.
    """
    market = Market(7, rules_for("nse"), serving.SYMBOLS)
    start = serving.START
    account = Account("BENCH", True, TokenKind.ANALYTICS, start + timedelta(days=1))
    feed = MarketSource(market).open(account)
    keys = serving.nearest_keys(market, start, count)
    frames = list(feed.request(subscribe(keys, Mode.FULL), start))
    for number in range(1, steps + 1):
        frames += feed.update(start + number * STEP)
    return market.listing(start), [part for frame in frames for part in _parts(frame)]


def _parts(frame: bytes) -> Iterator[bytes]:
    whole = schema.FeedResponse.FromString(frame)
    entries = list(whole.feeds.items())
    for begin in range(0, len(entries), ENTRIES):
        part = schema.FeedResponse(type=whole.type, currentTs=whole.currentTs)
        for key, entry in entries[begin : begin + ENTRIES]:
            part.feeds[key].CopyFrom(entry)
        yield part.SerializeToString()


def following(listing: Listing) -> LiveState:
    """A state with room for every contract: made once a day, so no part of what is timed."""
    state = LiveState()
    state.follow(_instruments(listing), {})
    return state


def into_live_state(state: LiveState, frames: Sequence[bytes]) -> LiveState:
    """Ours: columns, merged by age."""
    for frame in frames:
        state.take_frame(decode(frame), 0.0)
    return state


def into_objects(frames: Sequence[bytes]) -> dict[str, Plain]:
    """The peer: the schema's objects, a field that was told overwrites the one before."""
    state: dict[str, Plain] = {}
    for number, frame in enumerate(frames):
        for key, entry in schema.FeedResponse.FromString(frame).feeds.items():
            told = state.get(key)
            if told is None:
                told = state[key] = Plain()
            told.version = number
            _take(told, entry)
    return state


def _take(told: Plain, entry: schema.Feed) -> None:
    full = entry.fullFeed
    if full.HasField("indexFF"):
        _take_last(told, full.indexFF.ltpc)
        _take_day(told, full.indexFF.marketOHLC)
        return
    market = full.marketFF
    _take_last(told, market.ltpc)
    if market.marketLevel.bidAskQuote:
        best = market.marketLevel.bidAskQuote[0]
        told.bid, told.bid_quantity = best.bidP, best.bidQ
        told.ask, told.ask_quantity = best.askP, best.askQ
    if market.HasField("optionGreeks"):
        greeks = market.optionGreeks
        told.delta, told.gamma, told.theta = greeks.delta, greeks.gamma, greeks.theta
        told.vega, told.rho = greeks.vega, greeks.rho
    _take_day(told, market.marketOHLC)
    told.volume = market.vtt or told.volume
    told.open_interest = market.oi or told.open_interest
    told.average = market.atp or told.average
    told.volatility = market.iv or told.volatility
    told.total_bid = market.tbq or told.total_bid
    told.total_ask = market.tsq or told.total_ask


def _take_last(told: Plain, last: schema.LTPC) -> None:
    told.last_price = last.ltp or told.last_price
    told.traded_at_ms = last.ltt or told.traded_at_ms
    told.last_quantity = last.ltq or told.last_quantity
    told.previous_close = last.cp or told.previous_close


def _take_day(told: Plain, bars: schema.MarketOHLC) -> None:
    for bar in bars.ohlc:
        if bar.interval == "1d":
            told.day_open, told.day_high, told.day_low = bar.open, bar.high, bar.low


def _instruments(listing: Listing) -> list[Instrument]:
    return [
        Instrument(row.contract, row.symbol.underlying, row.key, row.lot_units)
        for row in listing.rows
    ]


def _measured() -> dict[str, object]:
    """Ticks per second of processor time, both in turns; the first round warms up."""
    listing, frames = recorded()
    ticks = sum(len(schema.FeedResponse.FromString(frame).feeds) for frame in frames)
    doors: list[tuple[str, Callable[[LiveState], object]]] = [
        ("ours", lambda state: into_live_state(state, frames)),
        ("plain", lambda _: into_objects(frames)),
    ]
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for number in range(-1, ROUNDS):
        state = following(listing)
        for name, door in doors if number % 2 else reversed(doors):
            began = time.process_time()
            door(state)
            if number >= 0:
                rates[name].append(ticks / (time.process_time() - began))
    return {**rates, "ticks": ticks, "bytes": sum(map(len, frames)) // len(frames)}


if __name__ == "__main__":
    mouth = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pin()
    mouth.write(json.dumps(_measured()) + "\n")
    mouth.flush()
