"""The paths of quotes: many instruments in one call, for those who poll and follow no feed.

Which call may ask for how many keys, and what refuses it; the JSON stands in ``quote_shapes``, the
bars in ``quote_bars``. One key that is not listed voids the whole call, as at the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from simulator.access.calls import (
    Handler,
    KeyRules,
    instrument_keys,
    required,
    rows_of,
    worked_out,
)
from simulator.access.guard import Guard
from simulator.access.refusals import refuse
from simulator.exchange.market import Market
from simulator.rest import quote_shapes as shapes
from simulator.rest.quote_bars import INTERVALS
from simulator.rest.records import Json

_FULL = KeyRules(500, "UDAPI100042")
# Version 3 is documented with the code that candles have for an unknown key.
_FULL_V3 = KeyRules(500, "UDAPI100042", unknown="UDAPI100011")
_PRICES = KeyRules(500, "UDAPI100043")
_GREEKS = KeyRules(50, "UDAPI100076")

_Shape = Callable[[shapes.Asked], Json]


class QuoteCalls:
    """Handlers that share a market and its clock."""

    def __init__(self, market: Market, clock: Callable[[], datetime], guard: Guard) -> None:
        self._market = market
        self._clock = clock
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """Both versions' quotes."""
        paths = {
            "/v2/market-quote/quotes": self._quotes(_FULL, shapes.full),
            "/v3/market-quote/quotes": self._quotes(_FULL_V3, shapes.full_v3),
            "/v2/market-quote/ltp": self._quotes(_PRICES, shapes.last_price),
            "/v3/market-quote/ltp": self._quotes(_PRICES, shapes.last_price_v3),
            "/v2/market-quote/ohlc": self._bars(shapes.ohlc),
            "/v3/market-quote/ohlc": self._bars(shapes.ohlc_v3),
            "/v3/market-quote/option-greek": self._quotes(_GREEKS, shapes.option_greek),
        }
        return [web.get(path, self._guard.bearer(handler)) for path, handler in paths.items()]

    def _quotes(self, rules: KeyRules, shape: _Shape) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            keys = instrument_keys(request, rules)
            return await self._told(keys, rules, shape)

        return handle

    def _bars(self, shape: Callable[[shapes.Asked, str], Json]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            keys = instrument_keys(request, _PRICES)
            interval = required(request, "interval", "UDAPI1027")
            if interval not in INTERVALS:
                raise refuse("UDAPI1028", value=interval, property_path="interval")
            return await self._told(keys, _PRICES, lambda asked: shape(asked, interval))

        return handle

    async def _told(self, keys: list[str], rules: KeyRules, shape: _Shape) -> web.Response:
        now = self._clock()

        def work() -> Json:
            listing = self._market.listing(now)
            return shape(shapes.Asked(self._market, now, listing, rows_of(listing, keys, rules)))

        return await worked_out(work)
