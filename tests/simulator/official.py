"""The broker's official SDK, pointed at a simulated exchange: the independent referee.

Its REST host is a setting. Its socket address is a literal, so the ``websocket`` module that its
feeder sees is exchanged for one that swaps scheme and host; nothing else of the SDK is touched.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import upstox_client
import websocket
from upstox_client.feeder import market_data_feeder_v3

from tests.fix_simulator import DEADLINE_SECONDS, SimulatedExchange

_REAL_HOST = "wss://api.upstox.com"


def client(exchange: SimulatedExchange, token: str | None = None) -> upstox_client.ApiClient:
    """An SDK client that talks to ``exchange``."""
    configuration = upstox_client.Configuration()
    configuration.host = exchange.url
    configuration.access_token = exchange.token if token is None else token
    return upstox_client.ApiClient(configuration)


@contextmanager
def redirected_sockets(exchange: SimulatedExchange) -> Iterator[None]:
    """Let the SDK's feeder connect to ``exchange`` while the block lasts."""
    host = exchange.url.replace("http", "ws", 1)

    def app(address: str, **more: Any) -> websocket.WebSocketApp:
        return websocket.WebSocketApp(address.replace(_REAL_HOST, host), **more)

    real = market_data_feeder_v3.websocket
    market_data_feeder_v3.websocket = SimpleNamespace(WebSocketApp=app, ABNF=websocket.ABNF)
    try:
        yield
    finally:
        market_data_feeder_v3.websocket = real


class Streamer:
    """The SDK's streamer with its events in one queue."""

    def __init__(
        self, exchange: SimulatedExchange, keys: list[str], mode: str, token: str | None = None
    ) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=10_000)
        self._names: list[str] = []
        self._earlier = set(threading.enumerate())
        self.sdk = upstox_client.MarketDataStreamerV3(client(exchange, token), keys, mode)
        for name in self.sdk.Event.values():
            self.sdk.on(name, lambda *about, name=name: self._take(name, about))

    def _take(self, name: str, about: tuple[Any, ...]) -> None:
        self._names.append(name)
        self.events.put((name, about))

    def names(self) -> list[str]:
        """Names of all events so far, in order."""
        return list(self._names)

    def until(self, name: str) -> Any:
        """The next event of that name; others before it are passed over."""
        while True:
            event, about = self.events.get(timeout=DEADLINE_SECONDS)
            if event == name:
                return about

    def message(self) -> dict[str, Any]:
        """The next decoded frame."""
        (frame,) = self.until("message")
        assert isinstance(frame, dict)
        return frame

    def end(self) -> None:
        """Wait until the SDK has given up and all of its threads are gone."""
        while alive := [
            thread
            for thread in threading.enumerate()
            if thread not in self._earlier and "run_forever" in thread.name
        ]:
            alive[0].join(DEADLINE_SECONDS)
            assert not alive[0].is_alive(), "the SDK goes on"
