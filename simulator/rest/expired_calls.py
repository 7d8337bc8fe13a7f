"""The broker's paths for contracts that have expired: expiries, contracts, candles; paid plan only.

A contract that has expired is named by its key of old and its expiry, ``NSE_FO|47983|17-04-2025``,
as the exchange uses tokens again. What is listed now stands in ``candle_calls``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime

from aiohttp import web

from market.contract import Contract
from market.rules import IST
from simulator.access.calls import day, required, underlying, worked_out
from simulator.access.guard import Guard
from simulator.access.refusals import refuse
from simulator.exchange.market import Market
from simulator.exchange.symbols import Symbol
from simulator.exchange.universe import Listed
from simulator.rest import candle_stream
from simulator.rest import candle_windows as windows
from simulator.rest.candle_calls import check_key, first_served, history, past_days
from simulator.rest.candle_windows import CandleOptions
from simulator.rest.records import Json, contract_record

_PATH = "/v2/expired-instruments"
_ONLY_OF_OPTIONS = ("strike_price", "weekly")


class ExpiredCalls:
    """Handlers of the paths behind the paid plan."""

    def __init__(
        self, market: Market, clock: Callable[[], datetime], guard: Guard, options: CandleOptions
    ) -> None:
        self._market = market
        self._clock = clock
        self._guard = guard
        self._options = options
        self._resolutions = windows.expired_resolutions(options.expired_window_months)

    def routes(self) -> list[web.RouteDef]:
        """Everything under ``/v2/expired-instruments``."""
        candles = "historical-candle/{key}/{interval}/{to_date}/{from_date}"
        paths = {
            "expiries": self._expiries,
            "option/contract": self._options_of,
            "future/contract": self._futures_of,
            candles: self._candles,
        }
        return [
            web.get(f"{_PATH}/{path}", self._guard.bearer(handler, needs_plus=True))
            for path, handler in paths.items()
        ]

    async def _expiries(self, request: web.Request) -> web.StreamResponse:
        symbol = underlying(self._market, required(request, "instrument_key"))
        return await worked_out(lambda: [str(expiry) for expiry in self._expired(symbol)])

    async def _options_of(self, request: web.Request) -> web.StreamResponse:
        return await self._contracts(request, is_option=True)

    async def _futures_of(self, request: web.Request) -> web.StreamResponse:
        return await self._contracts(request, is_option=False)

    async def _contracts(self, request: web.Request, *, is_option: bool) -> web.StreamResponse:
        symbol = underlying(self._market, required(request, "instrument_key"))
        expiry = day(required(request, "expiry_date"))
        return await worked_out(lambda: self._records(symbol, expiry, is_option=is_option))

    def _records(self, symbol: Symbol, expiry: date, *, is_option: bool) -> list[Json]:
        if expiry not in self._expired(symbol):
            return []
        return [
            _record(row, expiry)
            for row in self._market.listing_of(expiry).rows
            if row.symbol == symbol
            and row.contract.expiry == expiry
            and (row.contract.right is not None) == is_option
        ]

    async def _candles(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        check_key(found["key"])
        asked = windows.named_resolution(found["interval"], self._resolutions)
        first, last = windows.window(asked, found["to_date"], found["from_date"])
        contract, expiry = await asyncio.to_thread(self._contract, found["key"])
        last, now = min(last, expiry), self._clock()
        days = await asyncio.to_thread(past_days, self._market, asked.unit, first, last, now)
        work = history(self._market, contract, days, asked)
        return await candle_stream.newest_first(request, work)

    def _contract(self, key: str) -> tuple[Contract, date]:
        """The contract of an expired key, with its expiry; UDAPI100011 if there is none."""
        plain, _, suffix = key.rpartition("|")
        expiry = _expiry(suffix)
        if expiry is None or not self._is_expired(expiry):
            raise refuse("UDAPI100011", value=key)
        listing = self._market.listing_of(expiry)
        row = listing.row_of_key.get(plain)
        if row is None or listing.rows[row].contract.expiry != expiry:
            raise refuse("UDAPI100011", value=key)
        return listing.rows[row].contract, expiry

    def _expired(self, symbol: Symbol) -> list[date]:
        """The symbol's expiries within reach, ascending."""
        name, exchange = symbol.underlying.symbol, symbol.underlying.exchange
        today = self._today()
        first = first_served(self._market, self._first_expiry(), today)
        found, weeks = [first], (today - first).days // 7 + 1
        while found[-1] < today:
            found = list(self._market.rules.expiries(name, exchange, first, weeks))
            weeks *= 2
        return [expiry for expiry in found if expiry < today]

    def _is_expired(self, expiry: date) -> bool:
        return self._first_expiry() <= expiry < self._today()

    def _first_expiry(self) -> date:
        return windows.months_before(self._today(), self._options.expired_months)

    def _today(self) -> date:
        return self._clock().astimezone(IST).date()


def _record(row: Listed, expiry: date) -> Json:
    """A contract as the broker shows it after its expiry; an index goes by its symbol here."""
    record = contract_record(row) | {"instrument_key": f"{row.key}|{expiry:%d-%m-%Y}"}
    if row.symbol.is_index:
        record["name"] = row.symbol.underlying.symbol
    dropped = () if row.contract.right else _ONLY_OF_OPTIONS
    return {name: value for name, value in record.items() if name not in dropped}


def _expiry(suffix: str) -> date | None:
    """The date at the end of an expired key, ``dd-mm-yyyy``."""
    try:
        return date.fromisoformat("-".join(reversed(suffix.split("-"))))
    except ValueError:
        return None
