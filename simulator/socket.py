"""The market data socket: one-time addresses, the connection's life, pings.

A thin shell around ``session``: it moves bytes, keeps the cadence and obeys ``faults``. A client
that reads slowly holds up its own connection only and then gets the newest state.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from aiohttp import WSMsgType, web

from simulator import frames
from simulator.access import Gate
from simulator.control import Control
from simulator.exchange import Market
from simulator.guard import Guard, account_of
from simulator.session import FeedSession
from simulator.timetable import epoch_ms
from simulator.tokens import Account

FEED_PATH = "/market-data-feeder/v3/upstox-developer-api/feeds"
_CLOSE_SECONDS = 2.0  # to wait for the client's half of a close
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between frames and between pings."""

    frame_seconds: float
    ping_seconds: float


class SocketServer:
    """Opens sockets for those who come with a fresh code."""

    def __init__(
        self,
        market: Market,
        clock: Callable[[], datetime],
        gate: Gate,
        control: Control,
        cadence: Cadence,
    ) -> None:
        self._market = market
        self._clock = clock
        self._gate = gate
        self._guard = Guard(gate)
        self._control = control
        self._cadence = cadence

    def routes(self) -> list[web.RouteDef]:
        """The direct address, which redirects, and the one-time address."""
        return [
            web.get("/v3/feed/market-data-feed", self._guard.bearer(self._redirect)),
            web.get(FEED_PATH, self._feed),
        ]

    def one_time_address(self, request: web.Request, account: Account) -> str:
        """A socket address that works once, on the host that the client came to."""
        scheme = "wss" if request.secure else "ws"
        query = f"requestId={uuid.uuid4()}&code={self._gate.issue_code(account)}"
        return f"{scheme}://{request.host}{FEED_PATH}?{query}"

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        address = self.one_time_address(request, account_of(request))
        return web.Response(status=302, headers={"Location": address})

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        account = self._gate.redeem(request.query.get("code", ""))
        if account is None or not self._gate.enter(account):
            raise web.HTTPForbidden(text="Forbidden")
        try:
            return await self._serve(request)
        finally:
            self._gate.leave(account)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=_CLOSE_SECONDS, compress=False)
        await socket.prepare(request)
        connection = _Connection(request, socket, self._market, self._clock, self._control)
        self._control.lines.add(connection)
        try:
            await connection.run(self._cadence)
        finally:
            self._control.lines.discard(connection)
        return socket


class _Connection:
    """One open socket; a ``faults.Line``."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        market: Market,
        clock: Callable[[], datetime],
        control: Control,
    ) -> None:
        self._request = request
        self._socket = socket
        self._market = market
        self._clock = clock
        self._control = control
        self._session = FeedSession(market)
        self._was_open: bool | None = None

    async def run(self, cadence: Cadence) -> None:
        """Serve until either side closes."""
        # The state comes before the answer to any request, however early that is.
        await self._tell_state(self._clock())
        talk = [
            asyncio.create_task(self._send_frames(cadence.frame_seconds)),
            asyncio.create_task(self._send_pings(cadence.ping_seconds)),
        ]
        try:
            await self._take_requests()
        finally:
            for task in talk:
                task.cancel()
            await asyncio.gather(*talk, return_exceptions=True)
            _LOG.info("socket_closed", code=int(self._socket.close_code or 1006))

    async def close(self, code: int) -> None:
        """Close in good order with ``code``."""
        await self._socket.close(code=code, message=b"")

    def abort(self) -> None:
        """Reset the TCP connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def send(self, frame: bytes) -> None:
        """Send a binary frame; a closed socket takes it in silence."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.send_bytes(frame)

    async def _take_requests(self) -> None:
        async for message in self._socket:
            # Text frames are passed over in silence, as the broker does.
            if message.type is WSMsgType.BINARY:
                await self._control.until_running()
                answer = self._session.request(message.data, self._clock())
                await self._tell(answer)

    async def _send_frames(self, seconds: float) -> None:
        while not self._socket.closed:
            await self._control.until_running()
            now = self._clock()
            await self._tell_state(now)
            if not self._control.is_muted:
                await self._tell(self._session.update(now))
            await asyncio.sleep(seconds)

    async def _send_pings(self, seconds: float) -> None:
        while not self._socket.closed:
            await self._control.until_running()
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.ping()
            await asyncio.sleep(seconds)

    async def _tell_state(self, now: datetime) -> None:
        """The market's state, first of all and again whenever it changes."""
        is_open = self._market.shown(now).is_open
        if is_open != self._was_open and not self._control.is_muted:
            self._was_open = is_open
            await self._tell(frames.market_info(epoch_ms(now), is_open=is_open))

    async def _tell(self, frame: bytes | None) -> None:
        if frame is not None and not self._control.is_muted:
            await self.send(frame)
