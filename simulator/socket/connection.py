"""One open connection of the market data socket: what it sends, when, and how it misbehaves.

A thin shell around ``source``: it moves bytes, keeps the cadence and obeys ``injection``. All
connections are told about the same instant at each step, so that what they have in common is made
once. A client that reads slowly holds up its own connection only and then gets the newest state.
Who may open one stands in ``handshake``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket as sockets
import struct
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from aiohttp import WSMessage, WSMsgType, web

from simulator.access.tokens import Account
from simulator.faults.control import Control
from simulator.faults.injection import LineView, Orders
from simulator.socket.source import Source

CLOSE_SECONDS = 2.0  # to wait for the client's half of a close
_NO_CLOSE_FRAME = 1006  # the code that stands for an end without one
_ENDED = (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SocketRules:
    """A connection's cadence, and what the broker's documents leave open.

    Attributes:
        frame_seconds, ping_seconds: wall-clock time between frames and between pings.
        has_deflate: whether compression is accepted when a client offers it.
        expired_code: what a socket is closed with when its token dies; None to leave it open.
    """

    frame_seconds: float
    ping_seconds: float
    has_deflate: bool = False
    expired_code: int | None = None


class Beat:
    """The steps at which every connection is told what is new, each with one instant for all.

    Args:
        clock: the exchange's time; steps keep wall-clock ``seconds`` whatever its speed.
    """

    def __init__(self, clock: Callable[[], datetime], seconds: float, control: Control) -> None:
        self._clock = clock
        self._seconds = seconds
        self._control = control
        self._next = asyncio.Event()
        self._now = clock()

    async def next(self) -> datetime:
        """Wait for the next step; the exchange's time of it."""
        await self._next.wait()
        return self._now

    async def run(self) -> None:
        """Step until cancelled; no step while the exchange is paused."""
        loop = asyncio.get_running_loop()
        due_seconds = loop.time()
        while True:
            await self._control.until_running()
            self._now = self._clock()
            waiting, self._next = self._next, asyncio.Event()
            waiting.set()
            due_seconds = max(due_seconds + self._seconds, loop.time())
            await asyncio.sleep(due_seconds - loop.time())


@dataclass(slots=True)
class Surroundings:
    """What all connections share."""

    source: Source
    clock: Callable[[], datetime]
    control: Control
    rules: SocketRules
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    states: dict[datetime, tuple[Hashable, bytes]] = field(default_factory=dict)
    latest: datetime = _LONG_AGO

    def forward(self, now: datetime) -> datetime:
        """``now``, or what another connection was told of meanwhile: the source only goes on."""
        self.latest = max(self.latest, now)
        return self.latest

    def state(self, now: datetime) -> tuple[Hashable, bytes]:
        """The market's state, asked for once for all connections."""
        if now not in self.states:
            self.states.clear()
            self.states[now] = self.source.state(now)
        return self.states[now]


class Connection:
    """One open socket; a ``control.Line``."""

    def __init__(
        self,
        surroundings: Surroundings,
        request: web.Request,
        socket: web.WebSocketResponse,
        account: Account,
    ) -> None:
        self._request = request
        self._socket = socket
        self._account = account
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._control = surroundings.control
        self._rules = surroundings.rules
        self._feed = surroundings.source.open(account)
        number, opened_at = next(surroundings.numbers), surroundings.clock()
        self.view = LineView(number, account.user, opened_at, self._feed.followed)
        self._orders = Orders()
        self._state: tuple[Hashable, ...] = ()
        self._sending = asyncio.Lock()
        self._ping_due_seconds = 0.0
        self._is_heard = asyncio.Event()
        self._is_closing = False
        self._taking: asyncio.Task[None] | None = None
        self._is_reading = False
        self._ending = asyncio.Lock()

    async def run(self, beat: Beat) -> None:
        """Serve until either side closes."""
        # The state comes before the answer to any request, however early that is.
        await self._step(self._clock(), is_first=True)
        self._taking = asyncio.create_task(self._take_requests())
        stepping = asyncio.create_task(self._follow(beat))
        try:
            # Not awaited itself: whoever closes the connection cancels it.
            await asyncio.wait((self._taking,))
        finally:
            self._taking.cancel()
            if not self._is_closing:
                stepping.cancel()
            await asyncio.gather(self._taking, stepping, return_exceptions=True)
            # The server ends TCP when this returns, and the client has its half of a close to say.
            async with self._ending:
                self._feed.close()
            self._control.injection.forget(self.view)
            code = int(self._socket.close_code or _NO_CLOSE_FRAME)
            _LOG.info("socket_closed", number=self.view.number, code=code)

    async def close(self, code: int) -> None:
        """Close with ``code``; without a close frame if nothing can be said any more."""
        self._is_closing = True
        if self._orders.is_half_open:
            self.abort()
        elif code == _NO_CLOSE_FRAME:
            if self._request.transport is not None:
                self._request.transport.close()
        else:
            async with self._ending:
                await self._take_no_more()
                await self._socket.close(code=code, message=b"")

    async def _take_no_more(self) -> None:
        """Let ``close`` read the client's answer.

        While somebody else reads, aiohttp ends TCP right behind the close frame, and a client that
        writes a pong before it reads that far is told of a broken pipe instead.
        """
        # A write must not be cancelled: others wait for the same room, and would be with it.
        if self._taking is not None and self._is_reading:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)

    def abort(self) -> None:
        """Reset the TCP connection."""
        transport = self._request.transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # Lingering for no time is what makes the kernel send a reset instead of a FIN.
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    async def send(self, frame: bytes) -> None:
        """Send a binary frame; a closed socket takes it in silence."""
        async with self._sending:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.send_bytes(frame)

    async def _take_requests(self) -> None:
        while True:
            self._is_reading = True
            message = await self._socket.receive()
            self._is_reading = False
            if message.type in _ENDED:
                return
            if self._orders.is_half_open:
                if message.type is not WSMsgType.CLOSE:
                    continue
                # The client has given up: stay deaf until it is gone, or the line has healed.
                self._is_heard.clear()
                await self._is_heard.wait()
            await self._control.until_running()
            await self._take(message)
            if message.type is WSMsgType.CLOSE:
                return

    async def _take(self, message: WSMessage) -> None:
        """Text frames are passed over in silence, as the broker does."""
        if message.type is WSMsgType.PING:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.pong(message.data)
        elif message.type is WSMsgType.CLOSE:
            await self._socket.close(drain=False)
        elif message.type is WSMsgType.BINARY:
            async with self._sending:
                now = self._surroundings.forward(self._clock())
                await self._tell(self._feed.request(message.data, now), now)

    async def _follow(self, beat: Beat) -> None:
        while not self._socket.closed and not self._is_closing:
            await self._step(await beat.next())

    async def _step(self, now: datetime, *, is_first: bool = False) -> None:
        """Everything that is due: faults, the state, news, a ping."""
        self._orders = orders = self._control.injection.on_line(self.view, now)
        if orders.is_half_open:
            transport = self._request.transport
            if transport is None or transport.is_closing():
                self._is_heard.set()
            return
        self._is_heard.set()
        if await self._ends(orders, now):
            return
        if orders.forgets:
            self._feed.drop(orders.forgets)
        if not orders.is_mute:
            async with self._sending:
                now = self._surroundings.forward(now)
                await self._tell_state(now)
                if not (orders.is_quiet or is_first):
                    await self._tell(self._feed.update(now), now)
        if not orders.has_no_pings:
            await self._ping()

    async def _ends(self, orders: Orders, now: datetime) -> bool:
        """Reset or close if it must be."""
        code = orders.close_code
        if code is None and now >= self._account.expires_at:
            code = self._rules.expired_code
        if orders.is_reset:
            self.abort()
        elif code is not None:
            await self.close(code)
        return orders.is_reset or code is not None

    async def _ping(self) -> None:
        """One right after opening, then at the pace of the rules, whatever the exchange's clock."""
        now_seconds = asyncio.get_running_loop().time()
        if now_seconds >= self._ping_due_seconds:
            self._ping_due_seconds = now_seconds + self._rules.ping_seconds
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.ping()

    async def _tell_state(self, now: datetime) -> None:
        """The market's state, first of all and again whenever it changes."""
        state, frame = self._surroundings.state(now)
        if self._state != (state,):
            self._state = (state,)
            await self._tell((frame,), now)

    async def _tell(self, frames: Iterable[bytes], now: datetime) -> None:
        if self._orders.is_mute:
            return
        for frame in frames:
            for out in self._control.injection.on_frame(self.view, frame, now):
                with contextlib.suppress(ConnectionError, RuntimeError):
                    if out.is_text:
                        await self._socket.send_str(out.data.decode())
                    else:
                        await self._socket.send_bytes(out.data)
                if self._orders.bytes_per_second is not None:
                    await asyncio.sleep(len(out.data) / self._orders.bytes_per_second)
