"""The doors to the market data socket: the direct address, one-time addresses, the handshake.

What happens on a connection that is open stands in ``connection``.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from aiohttp import web

from simulator.access.gate import Gate
from simulator.access.guard import Guard, account_of
from simulator.access.refusals import refuse
from simulator.access.tokens import Account
from simulator.faults.control import Control
from simulator.socket.connection import CLOSE_SECONDS, Beat, Connection, SocketRules, Surroundings
from simulator.socket.source import Source

DIRECT_PATH = "/v3/feed/market-data-feed"
FEED_PATH = "/market-data-feeder/v3/upstox-developer-api/feeds"
# Where the broker's own hosts send their clients; behind a proxy those are the hosts here too.
_FEED_HOSTS = {"api.upstox.com": "wsfeeder-api.upstox.com"}


class SocketServer:
    """Opens sockets for those who come with a fresh code."""

    def __init__(
        self,
        source: Source,
        clock: Callable[[], datetime],
        gate: Gate,
        control: Control,
        rules: SocketRules,
    ) -> None:
        self._gate = gate
        self._guard = Guard(gate)
        self._surroundings = Surroundings(source, clock, control, rules)
        self._beat = Beat(clock, rules.frame_seconds, control)

    def routes(self) -> list[web.RouteDef]:
        """The direct address, which redirects, and the one-time address."""
        direct = self._guard.bearer(self._redirect)
        return [web.get(DIRECT_PATH, direct), web.get(FEED_PATH, self._feed)]

    @contextlib.asynccontextmanager
    async def beating(self, _app: web.Application) -> AsyncIterator[None]:
        """Keep the steps going; a cleanup context of the application."""
        stepping = asyncio.create_task(self._beat.run())
        try:
            yield
        finally:
            stepping.cancel()
            await asyncio.gather(stepping, return_exceptions=True)

    def one_time_address(self, request: web.Request, account: Account) -> str:
        """A socket address that works once, on the host that the client came to or on its twin."""
        scheme = "wss" if request.secure else "ws"
        query = f"requestId={uuid.uuid4()}&code={self._gate.issue_code(account)}"
        host = _FEED_HOSTS.get(request.host, request.host)
        return f"{scheme}://{host}{FEED_PATH}?{query}"

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        account = account_of(request)
        self._strike(account, is_one_time=False)
        where = self.one_time_address(request, account)
        return web.Response(status=302, headers={"Location": where})

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        account = self._gate.redeem(request.query.get("code", ""))
        self._strike(account, is_one_time=True)
        if account is None or not self._gate.enter(account):
            raise _refused(403)
        try:
            return await self._serve(request, account)
        finally:
            self._gate.leave(account)

    def _strike(self, account: Account | None, *, is_one_time: bool) -> None:
        user = None if account is None else account.user
        now, injection = self._surroundings.clock(), self._surroundings.control.injection
        status = injection.on_handshake(user, now, is_one_time=is_one_time)
        if status is not None:
            raise _refused(status)

    async def _serve(self, request: web.Request, account: Account) -> web.WebSocketResponse:
        # Pings and closes are answered by hand, as a half-open connection answers neither.
        socket = web.WebSocketResponse(
            timeout=CLOSE_SECONDS,
            compress=self._surroundings.rules.has_deflate,
            autoping=False,
            autoclose=False,
        )
        await socket.prepare(request)
        connection = Connection(self._surroundings, request, socket, account)
        lines = self._surroundings.control.lines
        lines.add(connection)
        try:
            await connection.run(self._beat)
        finally:
            lines.discard(connection)
        return socket


def _refused(status: int) -> web.HTTPException:
    """A handshake's refusal; what a 403 says is not known."""
    if status == 401:
        return refuse("UDAPI100050")
    if status == 429:
        return refuse("UDAPI10005")
    if status >= 500:
        return web.HTTPServiceUnavailable(text="Service Unavailable")
    return web.HTTPForbidden(text="Forbidden")
