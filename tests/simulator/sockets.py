"""A plain WebSocket client of the simulated exchange, its frames read by the official schema."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official_schema
from websockets.sync.client import ClientConnection, connect

from tests.fix_simulator import DEADLINE_SECONDS, SimulatedExchange

NIFTY = "NSE_INDEX|Nifty 50"


def keys_near_money(exchange: SimulatedExchange, count: int = 20) -> list[str]:
    """The spot and the contracts nearest the money of the first expiry."""
    listing = exchange.market.listing(exchange.clock())
    expiry = min(e for s, e in listing.chains if s == "NIFTY")
    rows = listing.chain("NIFTY", expiry)
    middle = len(rows) // 2
    chosen = rows[middle - count // 2 : middle + count // 2]
    return [NIFTY, *(listing.rows[row].key for row in chosen)]


def address(exchange: SimulatedExchange) -> str:
    """A fresh one-time address."""
    url = f"{exchange.url}/v3/feed/market-data-feed/authorize"
    answer = requests.get(url, headers=exchange.headers, timeout=10).json()
    return str(answer["data"]["authorized_redirect_uri"])


def opened(exchange: SimulatedExchange, **more: Any) -> ClientConnection:
    """A new connection; a context manager."""
    return connect(address(exchange), max_size=None, **more)


def subscribe(socket: ClientConnection, keys: Sequence[str], mode: str = "full") -> None:
    """Ask for ``keys``."""
    data = {"mode": mode, "instrumentKeys": list(keys)}
    socket.send(json.dumps({"guid": "g", "method": "sub", "data": data}).encode())


def message(socket: ClientConnection) -> str | bytes:
    """The next message as it is."""
    return socket.recv(timeout=DEADLINE_SECONDS)


def read(socket: ClientConnection) -> official_schema.FeedResponse:
    """The next frame, decoded."""
    frame = message(socket)
    assert isinstance(frame, bytes)
    return official_schema.FeedResponse.FromString(frame)


def eventually(is_true: Callable[[], bool]) -> None:
    """Poll until true; fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
