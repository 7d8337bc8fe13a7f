"""Following the live feed of the streaming process and handing it to the hub.

Connecting again, asking only for what was missed, and saying so, belongs here; what a message means
to browsers is the hub's.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlencode

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from dashboard import catalogue
from dashboard.hub import Hub
from market import live_frame
from market.errors import FrameError
from market.live_frame import LiveFrame

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
        resumes: reconnects after which the feed went on where it had been.
        feed: the feed's own health message, as it came last.
    """

    state: str = "connecting"
    since_ms: float | None = None
    last_message_at_ms: float | None = None
    reconnects: int = 0
    resumes: int = 0
    frames: int = 0
    last_error: str | None = None
    feed: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The ``upstream`` member of a health message."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "feed"}


@dataclass(frozen=True, slots=True)
class Place:
    """How far the feed was followed: its run, and the versions of rows and catalogue held."""

    run: str
    version: int
    catalogue: int

    @property
    def query(self) -> str:
        """The query of the feed's address that asks for what came after."""
        return urlencode({"run": self.run, "version": self.version, "catalogue": self.catalogue})


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
        self._place = Place("", 0, -1)

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
        # Only a version that was reached can be gone on from.
        query = f"?{self._place.query}" if self._place.version else ""
        async with connect(
            self._url + query,
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
            self._apply(frame)
            await socket.send(json.dumps({"type": "ack", "sequence": frame.sequence}))
        else:
            self._text(message)
        self._announce()

    def _apply(self, frame: LiveFrame) -> None:
        if frame.since > self._place.version:
            # What was held is whole: the next connection goes on from it.
            raise FrameError(
                f"frame from version {frame.since} on, expected from {self._place.version} "
                "or before: some are missing"
            )
        self._hub.apply(frame)
        self._place = replace(self._place, version=frame.version)
        self.status.frames += 1

    def _text(self, text: str) -> None:
        try:
            # Not-a-number is no JSON, and browsers could not read it.
            message = json.loads(text, parse_constant=lambda _: None)
            kind = message["type"]
            if kind == "alerts":
                self._hub.alerts.take(list(message["alerts"]))
            elif kind == "hello":
                self._greeted(message)
        except (ValueError, KeyError, TypeError) as error:
            raise FrameError(f"the live feed sent a text that is no message: {error!r}") from error
        if kind == "health":
            self.status.feed = message

    def _greeted(self, hello: dict[str, Any]) -> None:
        start, place = hello.get("start"), self._place
        self.status.resumes += start == "resumed"
        if start not in {None, "resumed"}:
            place = Place("", 0, -1)
        if "catalogue" in hello:
            known = catalogue.read(hello)
            self._hub.learn(known)
            place = replace(place, catalogue=known.version)
        self._place = replace(place, run=str(hello["run"]))

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
