"""Ways to make the exchange misbehave, for tests and rehearsals.

The switches and what they hold; where they take effect is said in ``rest`` and ``socket``. Methods
may be called from any thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

from simulator import frames


class Line(Protocol):
    """An open socket, as far as faults are concerned."""

    async def close(self, code: int) -> None:
        """Close in good order with ``code``."""

    def abort(self) -> None:
        """Reset the TCP connection."""

    async def send(self, frame: bytes) -> None:
        """Send a binary frame as it is."""


@dataclass(slots=True)
class Refusal:
    """Answers to give instead of a chain: an HTTP status, a number of times (None: for good)."""

    status: int
    times: int | None


class Control:
    """Switches of a running exchange.

    Attributes:
        is_muted: sockets stay up and are pinged, but no frame leaves.
        lines: the open sockets.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_muted = False
        self.lines: set[Line] = set()
        self._loop = loop
        self._running = asyncio.Event()
        self._running.set()
        self._refusals: dict[str, Refusal] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_paused(self) -> bool:
        """Whether nothing at all is answered, sent or pinged, as if the machine hung."""
        return not self._running.is_set()

    async def until_running(self) -> None:
        """Wait while paused."""
        await self._running.wait()

    def pause(self) -> None:
        """Hang until ``resume``."""
        self._loop.call_soon_threadsafe(self._running.clear)

    def resume(self) -> None:
        """End ``pause``."""
        self._loop.call_soon_threadsafe(self._running.set)

    def mute(self) -> None:
        """Keep sockets up but silent: pings only."""
        self.is_muted = True

    def unmute(self) -> None:
        """End ``mute``."""
        self.is_muted = False

    def refuse_chain(self, symbol: str, status: int = 500, times: int | None = None) -> None:
        """Answer chains of ``symbol`` with ``status`` (429 or 500), ``times`` times or for good."""
        self._refusals[symbol] = Refusal(status, times)

    def allow_chain(self, symbol: str) -> None:
        """End ``refuse_chain``."""
        self._refusals.pop(symbol, None)

    def refusal_of(self, symbol: str) -> int | None:
        """The status to refuse this call for ``symbol`` with, None to serve it; counts down."""
        refusal = self._refusals.get(symbol)
        if refusal is None or refusal.times == 0:
            return None
        if refusal.times is not None:
            refusal.times -= 1
        return refusal.status

    def close_sockets(self, code: int = 1011) -> None:
        """Close every socket with a close frame."""
        self._loop.call_soon_threadsafe(lambda: self._each(lambda line: line.close(code)))

    def abort_sockets(self) -> None:
        """Reset every socket's TCP connection: no close frame."""

        def abort() -> None:
            for line in tuple(self.lines):
                line.abort()

        self._loop.call_soon_threadsafe(abort)

    def send_garbage(self) -> None:
        """Send bytes that no decoder can read."""
        self.send_frame(b"\xff\xff\xff\xffnot a frame")

    def send_unknown(self) -> None:
        """Send a frame of a type newer than the schema."""
        self.send_frame(frames.unknown(1))

    def send_frame(self, frame: bytes) -> None:
        """Send any bytes as a binary frame on every socket."""
        self._loop.call_soon_threadsafe(lambda: self._each(lambda line: line.send(frame)))

    def _each(self, action: Callable[[Line], Coroutine[None, None, None]]) -> None:
        for line in tuple(self.lines):
            task = self._loop.create_task(action(line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
