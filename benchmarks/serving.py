"""A simulated exchange on one core, and how many ticks a second each of two clients is served.

The exchange runs in a process of its own, pinned to one core, its clock so fast that nearly every
contract has news at each step. Two plain WebSocket clients in this process, on the other cores,
subscribe to the same number of keys in full mode over loopback and count the entries of each frame.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TextIO

import requests
from websockets.asyncio.client import connect

from benchmarks.alone import Alone, pin
from brokers.interface import Mode
from brokers.upstox.codec import subscribe
from brokers.upstox.generated import MarketDataFeedV3_pb2 as schema
from simulator.access.tokens import mint
from simulator.clocks import FastClock
from simulator.exchange.market import Market
from simulator.server import SimulatorConfig, serve
from simulator.socket.handshake import DIRECT_PATH

CLIENTS = 2
KEYS = 2_000
SECONDS = 10.0
WARM_SECONDS = 3.0
SPEED = 100.0
FRAME_SECONDS = 0.02
SYMBOLS = ("NIFTY", "BANKNIFTY", "SENSEX")
START = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
_MOST_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Served:
    """What each client got; ``core_share`` is the exchange's use of its core meanwhile."""

    ticks_per_second: Sequence[float]
    megabytes_per_second: Sequence[float]
    frames_per_second: Sequence[float]
    core_share: float

    def details(self) -> dict[str, object]:
        """For the report."""
        return {
            "clients": CLIENTS,
            "keys_each": KEYS,
            "clock_speed": SPEED,
            "ticks_per_second": [round(rate) for rate in self.ticks_per_second],
            "megabytes_per_second": [round(rate, 1) for rate in self.megabytes_per_second],
            "frames_per_second": [round(rate, 1) for rate in self.frames_per_second],
            "exchange_core_share": round(self.core_share, 2),
        }


@dataclass(slots=True)
class _Counted:
    """What one client has seen so far."""

    ticks: int = 0
    frames: int = 0
    size_bytes: int = 0


def measure() -> Served:
    """Serve two clients for ``SECONDS`` after a warm-up."""
    with Alone("benchmarks.serving") as exchange:
        if "error" in exchange.hello:
            raise SystemExit(f"the exchange did not start: {exchange.hello['error']}")
        _leave_core(int(exchange.hello["core"]))
        return asyncio.run(_watch(exchange))


def nearest_keys(market: Market, at: datetime, count: int) -> list[str]:
    """The spots, and the options and futures nearest the money: what has the most news."""
    listing, spot = market.listing(at), market.truth(at).spot
    names = [row.symbol.underlying.symbol for row in listing.rows]
    strikes = [row.contract.strike for row in listing.rows]
    distance = [
        0.0 if strike is None else abs(strike / spot[name] - 1.0)
        for name, strike in zip(names, strikes, strict=True)
    ]
    places = sorted(range(len(names)), key=distance.__getitem__)
    return [listing.rows[place].key for place in places[:count]]


async def _watch(exchange: Alone) -> Served:
    counted = [_Counted() for _ in range(CLIENTS)]
    url, token, keys = (exchange.hello[name] for name in ("url", "token", "keys"))
    clients = [asyncio.create_task(_listen(url, token, keys, own)) for own in counted]
    await asyncio.sleep(WARM_SECONDS)
    used = exchange.ask(question="cpu")["seconds"]
    before = [(own.ticks, own.size_bytes, own.frames) for own in counted]
    began = time.perf_counter()
    await asyncio.sleep(SECONDS)
    lasted = time.perf_counter() - began
    after = [(own.ticks, own.size_bytes, own.frames) for own in counted]
    used = exchange.ask(question="cpu")["seconds"] - used
    for client in clients:
        client.cancel()
    done = await asyncio.gather(*clients, return_exceptions=True)
    if lost := [end for end in done if not isinstance(end, asyncio.CancelledError)]:
        raise SystemExit(f"a client lost its connection: {lost[0]!r}")
    grown = [
        [(b - a) / lasted for a, b in zip(old, new, strict=True)]
        for old, new in zip(before, after, strict=True)
    ]
    ticks, size_bytes, frames = zip(*grown, strict=True)
    return Served(ticks, [size / 1e6 for size in size_bytes], frames, used / lasted)


async def _listen(url: str, token: str, keys: Sequence[str], counted: _Counted) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await asyncio.to_thread(
        requests.get, f"{url}{DIRECT_PATH}", headers=bearer, allow_redirects=False, timeout=30
    )
    async with connect(
        answer.headers["Location"], max_size=_MOST_BYTES, compression=None
    ) as socket:
        await socket.send(subscribe(keys, Mode.FULL))
        while True:
            frame = await socket.recv(decode=False)
            counted.ticks += len(schema.FeedResponse.FromString(frame).feeds)
            counted.size_bytes += len(frame)
            counted.frames += 1


def _leave_core(core: int) -> None:
    others = os.sched_getaffinity(0) - {core}
    if others:
        os.sched_setaffinity(0, others)


async def _serve(core: int, mouth: TextIO) -> None:
    clock = FastClock(START, 0.0)
    config = SimulatorConfig(
        symbols=SYMBOLS, limits=(), frame_seconds=FRAME_SECONDS, has_deflate=False
    )
    async with serve(config, clock) as running:
        keys = nearest_keys(running.market, START, KEYS)
        token = mint(START, timedelta(days=30))
        hello = {"url": running.url, "token": token, "keys": keys, "core": core}
        print(json.dumps(hello), file=mouth, flush=True)
        clock.set_speed(SPEED)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps({"seconds": time.process_time()}), file=mouth, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(_serve(pin(), answers))
