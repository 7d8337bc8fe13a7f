"""The broker's REST paths over the simulated market.

Checks and routing; the shapes of the answers stand in ``payloads``, those of errors in
``refusals``. Holidays, timings and the instrument master ask for no token, as at the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache

import numpy as np
from aiohttp import web

from market.rules import IST
from simulator import payloads
from simulator.access import Gate
from simulator.calls import day, required, success, underlying
from simulator.control import Control
from simulator.exchange import Market
from simulator.guard import Guard, account_of
from simulator.refusals import refusal
from simulator.socket import SocketServer

_MASTER_FILES: Mapping[str, str | None] = {"complete": None, "NSE": "NSE", "BSE": "BSE"}
_EXCHANGES = ("NSE", "NFO", "CDS", "BSE", "BFO", "BCD", "MCX", "NSCOM")
_MOST_QUOTES = 500
_FORBIDDEN_PAGE = (
    "<!DOCTYPE html><html><head><title>Access denied</title></head>"
    "<body><h1>Error 1010</h1><p>Access denied by the browser's signature.</p></body></html>"
)


class Rest:
    """Handlers that share a market, its clock, the gate and the fault switches."""

    def __init__(
        self,
        market: Market,
        clock: Callable[[], datetime],
        gate: Gate,
        control: Control,
        sockets: SocketServer,
    ) -> None:
        self._market = market
        self._clock = clock
        self._guard = Guard(gate)
        self._control = control
        self._sockets = sockets
        self._master_of = lru_cache(maxsize=8)(self._make_master)

    def routes(self) -> list[web.RouteDef]:
        """Every path, the last one catching what is not routed."""
        return [
            web.get("/market-quote/instruments/exchange/{file}.json.gz", self._master),
            web.get("/v2/option/contract", self._guard.bearer(self._contracts)),
            web.get("/v2/option/chain", self._guard.bearer(self._chain)),
            web.get("/v3/market-quote/ltp", self._guard.bearer(self._last_prices)),
            web.get("/v2/market/status/{exchange}", self._guard.bearer(self._status)),
            web.get("/v3/feed/market-data-feed/authorize", self._guard.bearer(self._authorize)),
            web.get("/v2/market/holidays", self._holidays),
            web.get("/v2/market/holidays/{date}", self._holidays),
            web.get("/v2/market/timings/{date}", self._timings),
        ]

    async def _master(self, request: web.Request) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        if not agent or agent.startswith("Python-urllib"):
            return web.Response(status=403, text=_FORBIDDEN_PAGE, content_type="text/html")
        file = request.match_info["file"]
        if file not in _MASTER_FILES:
            raise web.HTTPNotFound
        today = self._clock().astimezone(IST).date()
        return web.Response(body=self._master_of(today, file), content_type="application/gzip")

    def _make_master(self, day: date, file: str) -> bytes:
        return payloads.master(self._market.listing_of(day), _MASTER_FILES[file])

    async def _contracts(self, request: web.Request) -> web.StreamResponse:
        symbol = underlying(self._market, required(request, "instrument_key")).underlying.symbol
        expiry = day(request.query["expiry_date"]) if "expiry_date" in request.query else None
        listing = self._market.listing(self._clock())
        return success(payloads.contracts(listing, symbol, expiry))

    async def _chain(self, request: web.Request) -> web.StreamResponse:
        symbol = underlying(self._market, required(request, "instrument_key")).underlying.symbol
        expiry = day(required(request, "expiry_date"))
        if status := self._control.refusal_of(symbol):
            raise _chain_refusal(status)
        return success(payloads.chain(self._market, self._clock(), symbol, expiry))

    async def _last_prices(self, request: web.Request) -> web.StreamResponse:
        keys = list(dict.fromkeys(required(request, "instrument_key").split(",")))
        if len(keys) > _MOST_QUOTES:
            raise refusal(400, "UDAPI100043", f"Maximum {_MOST_QUOTES} instrument keys allowed")
        now = self._clock()
        known = self._market.listing(now).row_of_key
        # One bad key voids the whole batch, as at the broker.
        if bad := next((key for key in keys if key not in known), None):
            raise refusal(400, "UDAPI1087", "One of the instrument keys is invalid", bad)
        rows = np.array([known[key] for key in keys], np.int64)
        return success(payloads.last_prices(self._market, now, rows))

    async def _status(self, request: web.Request) -> web.StreamResponse:
        exchange = request.match_info["exchange"]
        if exchange not in _EXCHANGES:
            raise refusal(400, "UDAPI1089", "Invalid exchange", exchange)
        return success(payloads.status(self._market, self._clock(), exchange))

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        address = self._sockets.one_time_address(request, account_of(request))
        # The documentation has one casing, the official client reads the other.
        return success({"authorized_redirect_uri": address, "authorizedRedirectUri": address})

    async def _holidays(self, request: web.Request) -> web.StreamResponse:
        if "date" not in request.match_info:
            return success(payloads.holidays(self._clock().astimezone(IST).year))
        asked = day(request.match_info["date"])
        found = payloads.holidays(asked.year)
        return success([row for row in found if row["date"] == asked.isoformat()])

    async def _timings(self, request: web.Request) -> web.StreamResponse:
        return success(payloads.timings(self._market.rules, day(request.match_info["date"])))


async def not_routed(request: web.Request) -> web.StreamResponse:
    """The gateway's answer to a path that leads nowhere."""
    raise refusal(404, "UDAPI100060", "Resource not Found", request.path)


def _chain_refusal(status: int) -> web.HTTPError:
    if status == 429:
        return refusal(429, "UDAPI10005", "Too Many Request Sent")
    return refusal(status, "UDAPI100500", "Something went wrong, please contact us")
