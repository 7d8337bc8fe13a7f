"""A trading day of the whole exchange in one answer: a path of the simulator's own.

Not part of the broker's protocol, which has no bulk history. The candles are made while they are
sent, so that neither side has to hold the day.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime

from aiohttp import web

from simulator.exchange.bulk import Candles
from simulator.exchange.market import Market
from simulator.exchange.universe import Listed
from simulator.faults.middleware import CONSOLE_PATH
from simulator.rest import bars, candle_stream

_NDJSON = "application/x-ndjson"


class BulkCandles:
    """One-minute candles of all contracts of a day."""

    def __init__(self, market: Market, clock: Callable[[], datetime]) -> None:
        self._market = market
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """``GET /simulator/candles?day=YYYY-MM-DD[&symbol=NIFTY,SENSEX]``."""
        return [web.get(f"{CONSOLE_PATH}candles", self._day)]

    async def _day(self, request: web.Request) -> web.StreamResponse:
        """One JSON object a line, one line a contract: its key, its id, its candles oldest first.

        Candles have the broker's shape; today's are those of the whole minutes so far. Contracts
        that did not trade have an empty list; a day without a session has no lines.
        """
        try:
            day = date.fromisoformat(request.query.get("day", ""))
            symbols = self._symbols(request.query.get("symbol"))
            await asyncio.to_thread(self._market.listing_of, day)
        except ValueError as error:
            return web.json_response({"error": f"{error}; expected {_EXPECTED}"}, status=400)
        return await candle_stream.streamed(request, _NDJSON, self._lines(day, symbols))

    def _symbols(self, text: str | None) -> frozenset[str]:
        """The names asked for; all for None."""
        listed = frozenset(symbol.underlying.symbol for symbol in self._market.symbols)
        asked = listed if text is None else frozenset(text.split(","))
        if asked - listed:
            raise ValueError(f"symbols {sorted(asked - listed)} are not listed")
        return asked

    async def _lines(self, day: date, symbols: frozenset[str]) -> AsyncIterator[bytes]:
        now = self._clock()
        if not any(session.opens_at < now for session in self._market.rules.sessions(day)):
            return
        listing = await asyncio.to_thread(self._market.listing_of, day)
        rows = (i for i, row in enumerate(listing.rows) if row.contract.symbol in symbols)
        contracts = bars.trading_day(self._market, day, rows, now)
        while line := await asyncio.to_thread(_next_line, contracts):
            yield line


_EXPECTED = "?day=YYYY-MM-DD[&symbol=NIFTY,SENSEX] with a day that the exchange has rules for"


def _next_line(contracts: Iterator[tuple[Listed, Candles]]) -> bytes:
    """The next contract's line; empty at the end."""
    found = next(contracts, None)
    if found is None:
        return b""
    listed, candles = found
    line = {
        "instrument_key": listed.key,
        "contract_id": str(listed.contract),
        "candles": candle_stream.shape(candles),
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
