"""The broker's REST paths over the simulated market, put together from their groups.

What a path does stands with its group: ``option_calls``, ``quote_calls``, ``calendar_calls``,
``information_calls``, ``instrument_calls``. Logging in, candles and expired contracts are groups
that the server adds itself. Here are only the way to a socket, and the way to nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from simulator.access.calls import success
from simulator.access.gate import Gate
from simulator.access.guard import Guard, account_of
from simulator.access.refusals import refuse
from simulator.exchange.market import Market
from simulator.rest.calendar_calls import CalendarCalls
from simulator.rest.information_calls import InformationCalls
from simulator.rest.instrument_calls import InstrumentCalls
from simulator.rest.option_calls import OptionCalls
from simulator.rest.quote_calls import QuoteCalls
from simulator.socket.handshake import SocketServer


class Rest:
    """The groups that share a market, its clock and the gate.

    Args:
        has_information: whether market information is worked out, and not null as is reported.
    """

    def __init__(
        self,
        market: Market,
        clock: Callable[[], datetime],
        gate: Gate,
        sockets: SocketServer,
        *,
        has_information: bool = False,
    ) -> None:
        self._guard = Guard(gate)
        self._sockets = sockets
        self._groups = (
            OptionCalls(market, clock, self._guard),
            QuoteCalls(market, clock, self._guard),
            CalendarCalls(market, clock, self._guard),
            InformationCalls(market, clock, self._guard, is_worked_out=has_information),
            InstrumentCalls(market, clock),
        )

    def routes(self) -> list[web.RouteDef]:
        """Every group's paths, and the socket's authorization."""
        authorize = self._guard.bearer(self._authorize)
        return [
            web.get("/v3/feed/market-data-feed/authorize", authorize),
            *(route for group in self._groups for route in group.routes()),
        ]

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        address = self._sockets.one_time_address(request, account_of(request))
        # The documentation has one casing, the official client reads the other.
        return success({"authorized_redirect_uri": address, "authorizedRedirectUri": address})


async def not_routed(request: web.Request) -> web.StreamResponse:
    """The gateway's answer to a path that leads nowhere."""
    raise refuse("UDAPI100060", value=request.path)
