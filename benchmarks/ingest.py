"""Ticks per second from the wire into the live state, and from the simulated exchange on the wire.

Both on one core. The first replays frames that the simulator's hub made through a codec into
``LiveState``, alone and with all that the pipeline makes of a frame beside landing it, in turns
with what one would write instead: the schema's own objects, read field by field into one object a
contract. How the second is measured stands in ``serving``.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

import polars as pl

from benchmarks import serving
from benchmarks.alone import Alone, pin
from benchmarks.report import Metric, within
from brokers.interface import ChainPayload, Instrument, Mode
from brokers.upstox.chain import read_chain
from brokers.upstox.codec import UpstoxCodec, subscribe
from brokers.upstox.generated import MarketDataFeedV3_pb2 as schema
from market.rules import rules_for
from simulator.access.tokens import Account, TokenKind
from simulator.exchange.market import Market
from simulator.exchange.symbols import Symbol
from simulator.exchange.universe import Listing
from simulator.rest.option_calls import chain
from simulator.socket.session import MarketSource
from streaming.alerts import AlertDesk
from streaming.chain_view import ChainView, view_of
from streaming.live import LiveState
from transforms.chain import analyse

ROUNDS = 5
KEYS = 2_000
STEPS = 40
STEP = timedelta(seconds=2)
ENTRIES = 50
EXPIRIES = 2
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
        "full_loop_ticks_per_core_s": _goal(
            statistics.median(rates["loop"]),
            "The same with alerts, minute bars and marks",
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
        "marks_per_round": rates["marks"],
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
    market, start = _market(), serving.START
    account = Account("BENCH", True, TokenKind.ANALYTICS, start + timedelta(days=1))
    feed = MarketSource(market).open(account)
    keys = serving.nearest_keys(market, start, count)
    frames = list(feed.request(subscribe(keys, Mode.FULL), start))
    for number in range(1, steps + 1):
        frames += feed.update(start + number * STEP)
    return market.listing(start), [part for frame in frames for part in _parts(frame)]


def chains() -> Sequence[ChainView]:
    """The chains of each symbol's nearest expiries at the start, as the pipeline takes them."""
    market, rules = _market(), rules_for("nse")
    listing = market.listing(serving.START)
    listed = _instruments(listing)
    return [
        view_of(_analysed(market, symbol, days[:EXPIRIES], listed), rules)
        for symbol in listing.symbols
        if (days := sorted(day for name, day in listing.chains if name == symbol.underlying.symbol))
    ]


def _market() -> Market:
    return Market(7, rules_for("nse"), serving.SYMBOLS)


def _analysed(
    market: Market, symbol: Symbol, days: Sequence[date], listed: Sequence[Instrument]
) -> pl.DataFrame:
    name, at = symbol.underlying.symbol, serving.START
    quotes = []
    for day in days:
        rows = chain(market, at, symbol, day.isoformat())
        body = json.dumps({"status": "success", "data": rows}).encode()
        quotes.append(read_chain(ChainPayload(name, day, body, at, at), listed))
    return analyse(pl.concat(quotes), at, rules_for("nse")).contracts


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


def watching(listing: Listing, views: Sequence[ChainView]) -> tuple[LiveState, AlertDesk]:
    """As ``following``, with chains to mark and the alerts' detectors."""
    state, desk = following(listing), AlertDesk(rules_for("nse"))
    desk.follow(_instruments(listing))
    for view in views:
        state.take_chain(view, {})
        desk.take_levels(view.symbol, view.levels)
    return state, desk


def into_live_state(state: LiveState, frames: Sequence[bytes]) -> LiveState:
    """Ours: columns, merged by age."""
    decode = UpstoxCodec().decode
    for frame in frames:
        state.take_frame(decode(frame), 0.0)
    return state


def into_the_loop(state: LiveState, desk: AlertDesk, frames: Sequence[bytes]) -> int:
    """Ours, and all that follows: alerts, minute bars, and at each step of the exchange the marks.

    Returns:
        How many marks were made.
    """
    decode, marks, marked_ms = UpstoxCodec().decode, 0, 0
    for frame in frames:
        told = decode(frame)
        at_ms = told.published_at_ms or 0
        state.take_frame(told, at_ms)
        desk.take_frame(told, at_ms)
        if at_ms > marked_ms:
            now, marked_ms = datetime.fromtimestamp(at_ms / 1000, UTC), at_ms
            marks += state.mark(now)
            desk.work(now)
    return marks


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
    """Ticks per second of processor time, all in turns; the first round warms up."""
    listing, frames = recorded()
    views = chains()
    ticks = sum(len(schema.FeedResponse.FromString(frame).feeds) for frame in frames)
    rates: dict[str, list[float]] = {"ours": [], "plain": [], "loop": []}
    for number in range(-1, ROUNDS):
        state, (watched, desk) = following(listing), watching(listing, views)
        doors: list[tuple[str, Callable[[], object]]] = [
            ("ours", partial(into_live_state, state, frames)),
            ("plain", partial(into_objects, frames)),
            ("loop", partial(into_the_loop, watched, desk, frames)),
        ]
        for name, door in doors if number % 2 else reversed(doors):
            began = time.process_time()
            door()
            if number >= 0:
                rates[name].append(ticks / (time.process_time() - began))
    size_bytes = sum(map(len, frames)) // len(frames)
    marks = into_the_loop(*watching(listing, views), frames)
    return {**rates, "ticks": ticks, "bytes": size_bytes, "marks": marks}


if __name__ == "__main__":
    mouth = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pin()
    mouth.write(json.dumps(_measured()) + "\n")
    mouth.flush()
