"""Ways to make a running exchange misbehave, for tests and rehearsals, from any thread.

Lasting faults go into ``injection``, which decides when they strike; what is done at once (close,
reset, send) goes straight to the open sockets, and ``pause`` hangs everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Protocol

from market.errors import ConfigurationError
from simulator.faults import tampering
from simulator.faults.fault import Fault, fault
from simulator.faults.injection import Injection, LineView

CHAIN_PATH = "/v2/option/chain"
_GARBAGE = b"\xff\xff\xff\xffnot a frame"


class Line(Protocol):
    """An open socket, as far as faults are concerned."""

    @property
    def view(self) -> LineView:
        """Its number, user and subscriptions."""

    async def close(self, code: int) -> None:
        """Close in good order with ``code``."""

    def abort(self) -> None:
        """Reset the TCP connection."""

    async def send(self, frame: bytes) -> None:
        """Send a binary frame as it is."""


class Control:
    """Switches of a running exchange.

    Args:
        clock: the exchange's time, from which lasting faults begin.

    Attributes:
        injection: the faults, each with its counts.
        lines: the open sockets.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        injection: Injection,
        clock: Callable[[], datetime],
    ) -> None:
        self.injection = injection
        self.lines: set[Line] = set()
        self._clock = clock
        self._loop = loop
        self._running = asyncio.Event()
        self._running.set()
        self._mute: int | None = None
        self._refusals: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, chosen: Fault) -> int:
        """Let a fault strike from now on; returns its number, for ``remove``."""
        return self.injection.add(chosen, self._clock())

    def remove(self, number: int) -> bool:
        """End a fault; False if none has that number."""
        return self.injection.remove(number)

    def clear(self) -> None:
        """End every fault, ``mute`` and ``refuse_chain`` among them."""
        self.injection.clear()

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

    @property
    def is_muted(self) -> bool:
        """Whether ``mute`` is on."""
        return self._mute is not None and self.injection.has(self._mute)

    def mute(self) -> None:
        """Keep every socket up but silent: pings only."""
        if not self.is_muted:
            self._mute = self.add(fault("mute"))

    def unmute(self) -> None:
        """End ``mute``."""
        if self._mute is not None:
            self.remove(self._mute)
            self._mute = None

    def refuse_chain(self, symbol: str, status: int = 500, times: int | None = None) -> None:
        """Answer chains of ``symbol`` with ``status`` (429 or 5xx), ``times`` times or for good.

        Raises:
            ConfigurationError: for any other status.
        """
        if status != 429 and not 500 <= status < 600:
            raise ConfigurationError(f"status {status} is no refusal, expected 429 or 500 to 599")
        match = (CHAIN_PATH, symbol)
        chosen = fault("rate_limited", times=times, match=match)
        if status != 429:
            chosen = fault("server_error", times=times, match=match, status=status)
        self.allow_chain(symbol)
        self._refusals[symbol] = self.add(chosen)

    def allow_chain(self, symbol: str) -> None:
        """End ``refuse_chain``."""
        if symbol in self._refusals:
            self.remove(self._refusals.pop(symbol))

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
        self.send_frame(_GARBAGE)

    def send_unknown(self) -> None:
        """Send a frame of a type newer than the schema."""
        self.send_frame(tampering.unknown_type(1))

    def send_frame(self, frame: bytes) -> None:
        """Send any bytes as a binary frame on every socket."""
        self._loop.call_soon_threadsafe(lambda: self._each(lambda line: line.send(frame)))

    def _each(self, action: Callable[[Line], Coroutine[None, None, None]]) -> None:
        for line in tuple(self.lines):
            task = self._loop.create_task(action(line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
