"""Following the live feed of the streaming process and handing it to the hub.

Connecting again, and saying so, belongs here; what a message means to browsers is the hub's.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from dashboard import catalogue
from dashboard.hub import Hub
from market import live_frame
from market.errors import FrameError

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
SILENCE_SECONDS = 5.0
"""The feed tells its health each second: a connection that is silent for so long is dead."""

RETRIED = (OSError, TimeoutError, InvalidHandshake, InvalidMessage, ConnectionClosed, FrameError)
"""Worth another connection. Anything else is a mistake in this program and stops it."""


def delays(
    first_seconds: float = 0.2, cap_seconds: float = 5.0, draw: Callable[[], float] = random.random
) -> Iterator[float]:
    """Waits between attempts, doubling up to the cap; the upper half of each is drawn."""
    ceiling = first_seconds
    while True:
        yield ceiling * (0.5 + 0.5 * draw())
        ceiling = min(cap_seconds, ceiling * 2)


@dataclass(slots=True)
class Status:
    """How the connection to the feed stands; instants are epoch ms.

    Attributes:
        state: ``connecting``, ``connected`` or ``lost``.
        feed: the feed's own health message, as it came last.
        alerts: the newest alerts, newest first, as the feed told them last.
    """

    state: str = "connecting"
    since_ms: float | None = None
    last_message_at_ms: float | None = None
    reconnects: int = 0
    frames: int = 0
    last_error: str | None = None
    feed: dict[str, Any] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The ``upstream`` member of a health message."""
        names = ("state", "since_ms", "last_message_at_ms", "reconnects", "frames", "last_error")
        return {name: getattr(self, name) for name in names}


class Upstream:
    """One lasting subscription to everything the feed has.

    Args:
        url: the feed's WebSocket address.
        announce: called after each change of the hub or of the status.
        now_ms: epoch ms, for the status.
        waits: makes the delays of one series of attempts.
    """

    def __init__(
        self,
        url: str,
        hub: Hub,
        announce: Callable[[], None],
        now_ms: Callable[[], float],
        waits: Callable[[], Iterator[float]] = delays,
    ) -> None:
        self.status = Status()
        self._url = url
        self._hub = hub
        self._announce = announce
        self._now_ms = now_ms
        self._waits = waits

    async def follow(self) -> None:
        """Follow the feed until cancelled."""
        waits = self._waits()
        while True:
            frames = self.status.frames
            try:
                await self._session()
            except RETRIED as error:
                self._lost(error)
            if self.status.frames > frames:
                waits = self._waits()
            await asyncio.sleep(next(waits))

    async def _session(self) -> None:
        async with connect(
            self._url,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            proxy=None,
            open_timeout=SILENCE_SECONDS,
            close_timeout=1,
        ) as socket:
            await socket.send('{"type":"watch","all":true}')
            self._change("connected")
            log.info("live feed connected", url=self._url)
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await socket.recv()
                await self._take(socket, message)

    async def _take(self, socket: ClientConnection, message: str | bytes) -> None:
        self.status.last_message_at_ms = self._now_ms()
        if isinstance(message, bytes):
            frame = live_frame.decode(message)
            self._hub.apply(frame)
            self.status.frames += 1
            await socket.send(json.dumps({"type": "ack", "sequence": frame.sequence}))
        else:
            self._text(message)
        self._announce()

    def _text(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind = message["type"]
            if kind == "alerts":
                self.status.alerts = list(message["alerts"])
        except (ValueError, KeyError, TypeError) as error:
            raise FrameError(f"the live feed sent a text that is no message: {error!r}") from error
        if kind == "hello":
            self._hub.learn(catalogue.read(message))
        elif kind == "health":
            self.status.feed = message

    def _lost(self, error: Exception) -> None:
        was_connected = self.status.state == "connected"
        self.status.reconnects += was_connected
        self.status.last_error = f"{type(error).__name__}: {error}"[:200]
        if self.status.state != "lost":
            log.warning("live feed lost", url=self._url, error=self.status.last_error)
            self._change("lost")

    def _change(self, state: str) -> None:
        self.status.state, self.status.since_ms = state, self._now_ms()
        if state == "connected":
            self.status.last_error = None
        self._announce()
