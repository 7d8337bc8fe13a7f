"""An independent client: what the exchange sent, for everyone to see, during all the trouble.

A plain synchronous socket with the same keys under another user's token, so that faults meant for
the streaming process pass it by. It shares the broker's schema with the streaming process and no
other code.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire

USER = "WITNESS"
_KEYS_PER_REQUEST = 500
_CALL_SECONDS = 10


@dataclass(slots=True)
class Witness:
    """What was sent so far: for each update frame its time (epoch ms) and the keys in it."""

    frames: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    lost: str | None = None

    def sent(self, after_ms: int, until_ms: int) -> list[tuple[str, int]]:
        """Every (key, frame time) with ``after_ms`` < frame time ≤ ``until_ms``.

        Raises:
            RuntimeError: the witness itself was cut off, so that nothing can be proved.
        """
        if self.lost:
            raise RuntimeError(f"the witness lost its connection: {self.lost}")
        return [
            (k, at) for at, keys in list(self.frames) if after_ms < at <= until_ms for k in keys
        ]

    def take(self, frame: bytes) -> None:
        """Write one frame down; snapshots are state and not news."""
        response = wire.FeedResponse.FromString(frame)
        if response.type == wire.live_feed:
            self.frames.append((response.currentTs, tuple(response.feeds)))


@contextlib.contextmanager
def watching(url: str, token: str, keys: Sequence[str]) -> Iterator[Witness]:
    """A witness of ``keys`` at the exchange ``url`` until the block ends."""
    answer = requests.get(
        f"{url}/v3/feed/market-data-feed/authorize",
        headers={"Authorization": f"Bearer {token}"},
        timeout=_CALL_SECONDS,
    )
    address = answer.json()["data"]["authorized_redirect_uri"]
    witness = Witness()
    stop = threading.Event()
    with connect(address, max_size=None, compression=None, proxy=None) as socket:
        witness.take(bytes(socket.recv(_CALL_SECONDS, decode=False)))
        for start in range(0, len(keys), _KEYS_PER_REQUEST):
            data = {"mode": "full", "instrumentKeys": list(keys[start : start + _KEYS_PER_REQUEST])}
            socket.send(json.dumps({"guid": "w", "method": "sub", "data": data}).encode())

        def read() -> None:
            try:
                while not stop.is_set():
                    witness.take(bytes(socket.recv(decode=False)))
            except ConnectionClosed as error:
                witness.lost = None if stop.is_set() else str(error)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield witness
        finally:
            stop.set()
            socket.close()
            thread.join(_CALL_SECONDS)
