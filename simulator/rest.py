"""The broker's REST paths over the simulated market.

Checks and routing; the shapes of the answers stand in ``payloads``, those of errors in
``refusals``. Holidays, timings and the instrument master ask for no token, as at the broker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from functools import lru_cache

import numpy as np
from aiohttp import web

from market.rules import IST
from simulator import payloads
from simulator.access import Gate
from simulator.exchange import Market
from simulator.faults import Control
from simulator.refusals import refusal
from simulator.socket import SocketServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MASTER_FILES: Mapping[str, str | None] = {"complete": None, "NSE": "NSE", "BSE": "BSE"}
_EXCHANGES = ("NSE", "NFO", "CDS", "BSE", "BFO", "BCD", "MCX", "NSCOM")
_SEGMENTS = ("NSE_EQ", "NSE_INDEX", "NSE_FO", "BSE_EQ", "BSE_INDEX", "BSE_FO")
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
        self._gate = gate
        self._control = control
        self._sockets = sockets
        self._master_of = lru_cache(maxsize=8)(self._make_master)

    def routes(self) -> list[web.RouteDef]:
        """Every path, the last one catching what is not routed."""
        return [
            web.get("/market-quote/instruments/exchange/{file}.json.gz", self._master),
            web.get("/v2/option/contract", self._guarded(self._contracts)),
            web.get("/v2/option/chain", self._guarded(self._chain)),
            web.get("/v3/market-quote/ltp", self._guarded(self._last_prices)),
            web.get("/v2/market/status/{exchange}", self._guarded(self._status)),
            web.get("/v3/feed/market-data-feed/authorize", self._guarded(self._authorize)),
            web.get("/v2/market/holidays", self._holidays),
            web.get("/v2/market/holidays/{date}", self._holidays),
            web.get("/v2/market/timings/{date}", self._timings),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        """Bearer and rate limits before ``handler``."""

        async def guard(request: web.Request) -> web.StreamResponse:
            user = self._gate.user(request.headers)
            if user is None:
                raise refusal(401, "UDAPI100050", "Invalid token used to access API")
            if not self._gate.admits(user):
                raise refusal(429, "UDAPI10005", "Too Many Request Sent")
            return await handler(request)

        return guard

    async def _master(self, request: web.Request) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        if not agent or agent.startswith("Python-urllib"):
            return web.Response(status=403, text=_FORBIDDEN_PAGE, content_type="text/html")
        file = request.match_info["file"]
        if file not in _MASTER_FILES:
            raise web.HTTPNotFound
        day = self._clock().astimezone(IST).date()
        return web.Response(body=self._master_of(day, file), content_type="application/gzip")

    def _make_master(self, day: date, file: str) -> bytes:
        return payloads.master(self._market.listing_of(day), _MASTER_FILES[file])

    async def _contracts(self, request: web.Request) -> web.StreamResponse:
        symbol = self._symbol(request)
        expiry = _day(request.query["expiry_date"]) if "expiry_date" in request.query else None
        listing = self._market.listing(self._clock())
        return _success(payloads.contracts(listing, symbol, expiry))

    async def _chain(self, request: web.Request) -> web.StreamResponse:
        symbol = self._symbol(request)
        expiry = _day(_required(request, "expiry_date"))
        if status := self._control.refusal_of(symbol):
            raise _chain_refusal(status)
        return _success(payloads.chain(self._market, self._clock(), symbol, expiry))

    async def _last_prices(self, request: web.Request) -> web.StreamResponse:
        keys = list(dict.fromkeys(_required(request, "instrument_key").split(",")))
        if len(keys) > _MOST_QUOTES:
            raise refusal(400, "UDAPI100043", f"Maximum {_MOST_QUOTES} instrument keys allowed")
        now = self._clock()
        known = self._market.listing(now).row_of_key
        # One bad key voids the whole batch, as at the broker.
        if bad := next((key for key in keys if key not in known), None):
            raise refusal(400, "UDAPI1087", "One of the instrument keys is invalid", bad)
        rows = np.array([known[key] for key in keys], np.int64)
        return _success(payloads.last_prices(self._market, now, rows))

    async def _status(self, request: web.Request) -> web.StreamResponse:
        exchange = request.match_info["exchange"]
        if exchange not in _EXCHANGES:
            raise refusal(400, "UDAPI1089", "Invalid exchange", exchange)
        return _success(payloads.status(self._market, self._clock(), exchange))

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        user = self._gate.user(request.headers)
        if user is None:
            raise refusal(401, "UDAPI100050", "Invalid token used to access API")
        address = self._sockets.one_time_address(request, user)
        # The documentation has one casing, the official client reads the other.
        return _success({"authorized_redirect_uri": address, "authorizedRedirectUri": address})

    async def _holidays(self, request: web.Request) -> web.StreamResponse:
        if "date" not in request.match_info:
            return _success(payloads.holidays(self._clock().astimezone(IST).year))
        day = _day(request.match_info["date"])
        found = payloads.holidays(day.year)
        return _success([row for row in found if row["date"] == day.isoformat()])

    async def _timings(self, request: web.Request) -> web.StreamResponse:
        return _success(payloads.timings(self._market.rules, _day(request.match_info["date"])))

    def _symbol(self, request: web.Request) -> str:
        """The symbol of the underlying that the request names by its key."""
        key = _required(request, "instrument_key")
        if key.partition("|")[0] not in _SEGMENTS or "|" not in key:
            raise refusal(400, "UDAPI1011", "instrument_key is of invalid format", key)
        found = [s.underlying.symbol for s in self._market.symbols if s.key == key]
        if not found:
            raise refusal(400, "UDAPI100011", "Invalid instrument key", key)
        return found[0]


async def not_routed(request: web.Request) -> web.StreamResponse:
    """The gateway's answer to a path that leads nowhere."""
    raise refusal(404, "UDAPI100060", "Resource not Found", request.path)


def _chain_refusal(status: int) -> web.HTTPError:
    if status == 429:
        return refusal(429, "UDAPI10005", "Too Many Request Sent")
    return refusal(status, "UDAPI100500", "Something went wrong, please contact us")


def _required(request: web.Request, name: str) -> str:
    value = request.query.get(name)
    if not value:
        raise refusal(400, "UDAPI1009", f"{name} is required")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise refusal(400, "UDAPI1088", "Invalid date, expected YYYY-MM-DD", text) from None


def _success(data: object) -> web.Response:
    return web.json_response(payloads.success(data))
