"""The instrument master: the files that list everything, one a day, for anyone to fetch.

Needs no token, but a User-Agent that does not look like a script's. A day's files come out at 06:00
IST; until then those of the day before are served. What a record looks like stands in ``records``.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from aiohttp import web

from market.rules import IST
from simulator.exchange.market import Market
from simulator.rest.records import Json, dummy_records, master_record

_PATH = "/market-quote/instruments/exchange/{file}.json.gz"
_COMES_OUT = time(6, 0)
_GZIP = 31  # zlib's number for a gzip file with the largest window
# What each file holds: an exchange's instruments, all of them for "*", nothing that is simulated.
_FILES: Mapping[str, str | None] = {
    "complete": "*",
    "NSE": "NSE",
    "BSE": "BSE",
    "MCX": None,
    "suspended-instrument": None,
    "MTF": None,
    "NSE_MIS": None,
    "BSE_MIS": None,
    "mf-instruments": None,
    "global": None,
}
_FORBIDDEN_PAGE = (
    "<!DOCTYPE html><html><head><title>Access denied</title></head>"
    "<body><h1>Error 1010</h1><p>Access denied by the browser's signature.</p></body></html>"
)


class InstrumentCalls:
    """Handlers of the assets host."""

    def __init__(self, market: Market, clock: Callable[[], datetime]) -> None:
        self._market = market
        self._clock = clock
        self._packed = lru_cache(maxsize=8)(self._pack)
        self._packing = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """The files."""
        return [web.get(_PATH, self._file)]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        if not agent or agent.startswith("Python-urllib"):
            return web.Response(status=403, text=_FORBIDDEN_PAGE, content_type="text/html")
        file = request.match_info["file"]
        if file not in _FILES:
            raise web.HTTPNotFound
        async with self._packing:  # a file is made once, however many ask for it at once
            body = await asyncio.to_thread(self._packed, file_day(self._clock()), _FILES[file])
        return web.Response(body=body, content_type="application/gzip")

    def _pack(self, day: date, exchange: str | None) -> bytes:
        return master(self._market, day, exchange)


def file_day(now: datetime) -> date:
    """The day whose files are out at an aware instant."""
    local = now.astimezone(IST)
    return local.date() - timedelta(days=local.time() < _COMES_OUT)


def master(market: Market, day: date, exchange: str | None) -> bytes:
    """A day's file, gzipped JSON: of one exchange, of all of them for ``*``, empty for None."""
    packer = zlib.compressobj(6, wbits=_GZIP)
    records = () if exchange is None else _records(market, day, exchange)
    packed = [packer.compress(b"[")]
    # Record by record: the whole list at once would hold the interpreter, and with it the loop.
    for place, record in enumerate(records):
        packed.append(packer.compress((", " * (place > 0) + json.dumps(record)).encode()))
    return b"".join((*packed, packer.compress(b"]"), packer.flush()))


def _records(market: Market, day: date, exchange: str) -> Iterator[Json]:
    has_auction = market.rules.cash_hours(day).auction_until is not None
    for row in market.listing_of(day).rows:
        if exchange in ("*", row.symbol.underlying.exchange):
            yield master_record(row, has_auction=has_auction)
    yield from (record for record in dummy_records() if exchange in ("*", record["exchange"]))
