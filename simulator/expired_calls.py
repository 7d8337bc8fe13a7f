"""The broker's paths for contracts that have expired: expiries, contracts, candles; paid plan only.

A contract that has expired is named by its key of old and its expiry, ``NSE_FO|47983|17-04-2025``,
as the exchange uses tokens again. What is listed now stands in ``candle_calls``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from aiohttp import web

from market.contract import Contract
from market.rules import IST
from simulator import candle_stream, quotes
from simulator import candle_windows as windows
from simulator.calls import day, required, success, underlying
from simulator.candle_calls import check_key, first_served, history, past_days
from simulator.candle_windows import CandleOptions
from simulator.exchange import Market
from simulator.guard import Guard
from simulator.refusals import refuse
from simulator.symbols import Symbol
from simulator.universe import Listed

_PATH = "/v2/expired-instruments"
_TICK_PAISE = quotes.TICK * 100


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
        found = await asyncio.to_thread(self._expired, symbol)
        return success([expiry.isoformat() for expiry in found])

    async def _options_of(self, request: web.Request) -> web.StreamResponse:
        return success(await self._records(request, is_option=True))

    async def _futures_of(self, request: web.Request) -> web.StreamResponse:
        return success(await self._records(request, is_option=False))

    async def _records(self, request: web.Request, *, is_option: bool) -> list[dict[str, Any]]:
        symbol = underlying(self._market, required(request, "instrument_key"))
        expiry = day(required(request, "expiry_date"))
        if expiry not in await asyncio.to_thread(self._expired, symbol):
            return []
        listing = await asyncio.to_thread(self._market.listing_of, expiry)
        return [
            _record(row, expiry)
            for row in listing.rows
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


def _record(row: Listed, expiry: date) -> dict[str, Any]:
    """A contract as the broker shows it after its expiry."""
    symbol, contract = row.symbol, row.contract
    record = {
        "name": symbol.underlying.symbol if symbol.is_index else symbol.name,
        "segment": row.segment,
        "exchange": symbol.underlying.exchange,
        "expiry": expiry.isoformat(),
        "instrument_key": f"{row.key}|{expiry:%d-%m-%Y}",
        "exchange_token": row.token,
        "trading_symbol": row.trading_symbol,
        "tick_size": _TICK_PAISE,
        "lot_size": row.lot_units,
        "instrument_type": "FUT" if contract.right is None else contract.right.value,
        "freeze_quantity": float(row.lot_units * 40),
        "underlying_key": symbol.key,
        "underlying_type": symbol.underlying.kind.value,
        "underlying_symbol": symbol.underlying.symbol,
        "minimum_lot": row.lot_units,
    }
    if contract.right is not None:
        record |= {"strike_price": contract.strike, "weekly": row.is_weekly}
    return record


def _expiry(suffix: str) -> date | None:
    """The date at the end of an expired key, ``dd-mm-yyyy``."""
    try:
        return date.fromisoformat("-".join(reversed(suffix.split("-"))))
    except ValueError:
        return None
