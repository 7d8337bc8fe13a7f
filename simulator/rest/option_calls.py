"""The paths about options: the chain of an expiry, and the contracts of an underlying.

The chain's JSON stands beside its handler: both sides of every strike, no time anywhere, volatility
in percent. Single contracts' quotes are ``quote_calls``' part.

An expiry may be a date or one of the broker's words. Its documentation says only that they roll
over after each expiry; here the weeks count an underlying's expiries as they come, and the months
those that end a month's series. An underlying without weekly contracts has no rows for a week.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TypeVar

import numpy as np
from aiohttp import web

from simulator.access.calls import day, required, underlying, worked_out
from simulator.access.guard import Guard
from simulator.exchange.market import Market
from simulator.exchange.quotes import Quotes
from simulator.exchange.symbols import Symbol
from simulator.exchange.universe import Listing
from simulator.rest.records import Json, contract_record

_Item = TypeVar("_Item")

_WEEKS = ("current_week", "next_week", "far_week")
_MONTHS = ("current_month", "next_month", "far_month")
EXPIRY_WORDS = (*_WEEKS, *_MONTHS)


class OptionCalls:
    """Handlers that share a market and its clock."""

    def __init__(self, market: Market, clock: Callable[[], datetime], guard: Guard) -> None:
        self._market = market
        self._clock = clock
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """Everything under ``/v2/option``."""
        return [
            web.get("/v2/option/contract", self._guard.bearer(self._contracts)),
            web.get("/v2/option/chain", self._guard.bearer(self._chain)),
        ]

    async def _contracts(self, request: web.Request) -> web.StreamResponse:
        symbol = underlying(self._market, required(request, "instrument_key"))
        asked, now = request.query.get("expiry_date"), self._clock()
        _check_expiry(asked)
        return await worked_out(lambda: contracts(self._market.listing(now), symbol, asked))

    async def _chain(self, request: web.Request) -> web.StreamResponse:
        symbol = underlying(self._market, required(request, "instrument_key"))
        asked, now = required(request, "expiry_date"), self._clock()
        _check_expiry(asked)
        return await worked_out(lambda: chain(self._market, now, symbol, asked))


def _check_expiry(asked: str | None) -> None:
    if asked and asked not in EXPIRY_WORDS:
        day(asked)


def expiry_of(listing: Listing, symbol: Symbol, asked: str) -> date | None:
    """The expiry that a date or one of ``EXPIRY_WORDS`` names; None if there is none."""
    name = symbol.underlying.symbol
    expiries = sorted(expiry for s, expiry in listing.chains if s == name)
    monthly = [e for e in expiries if not listing.rows[listing.chain(name, e)[0]].is_weekly]
    if asked in _MONTHS:
        return _nth(monthly, _MONTHS.index(asked))
    if asked in _WEEKS:
        return _nth(expiries, _WEEKS.index(asked)) if monthly != expiries else None
    found = day(asked)
    return found if found in expiries else None


def contracts(listing: Listing, symbol: Symbol, asked: str | None) -> list[Json]:
    """The option contracts of an underlying; of one expiry, or all for None."""
    name = symbol.underlying.symbol
    expiries = sorted(expiry for s, expiry in listing.chains if s == name)
    if asked:
        one = expiry_of(listing, symbol, asked)
        expiries = [] if one is None else [one]
    return [contract_record(listing.rows[i]) for e in expiries for i in listing.chain(name, e)]


def chain(market: Market, instant: datetime, symbol: Symbol, asked: str) -> list[Json]:
    """The option chain: one row for each strike, both sides always there; empty if not listed."""
    listing = market.listing(instant)
    expiry = expiry_of(listing, symbol, asked)
    if expiry is None:
        return []
    rows = listing.chain(symbol.underlying.symbol, expiry)
    spot_row = listing.row_of_key[symbol.key]
    quotes = market.quotes(instant, np.append(rows, spot_row))
    spot, sides = float(quotes.last_price[-1]), _sides(listing, quotes, rows.size)
    return [
        {
            "expiry": expiry.isoformat(),
            "pcr": _ratio(put["market_data"]["oi"], call["market_data"]["oi"]),
            "strike_price": float(listing.strike[row]),
            "underlying_key": symbol.key,
            "underlying_spot_price": spot,
            "call_options": call,
            "put_options": put,
        }
        for row, call, put in zip(rows[::2], sides[::2], sides[1::2], strict=True)
    ]


def _sides(listing: Listing, quotes: Quotes, count: int) -> list[Json]:
    data, greeks = _market_data(quotes), _greeks(quotes)
    return [
        {
            "instrument_key": listing.rows[row].key,
            "market_data": _at(data, i),
            "option_greeks": _at(greeks, i),
        }
        for i, row in enumerate(quotes.rows[:count].tolist())
    ]


def _at(columns: Mapping[str, list[_Item]], i: int) -> dict[str, _Item]:
    return {name: column[i] for name, column in columns.items()}


def _market_data(quotes: Quotes) -> Mapping[str, list[float]]:
    return {
        "ltp": quotes.last_price.tolist(),
        "volume": quotes.volume_units.tolist(),
        "oi": quotes.open_interest_units.astype(np.float64).tolist(),
        "close_price": quotes.previous_close_price.tolist(),
        "bid_price": quotes.bid_price.tolist(),
        "bid_qty": quotes.bid_quantity_units.tolist(),
        "ask_price": quotes.ask_price.tolist(),
        "ask_qty": quotes.ask_quantity_units.tolist(),
        "prev_oi": quotes.previous_open_interest_units.astype(np.float64).tolist(),
    }


def _greeks(quotes: Quotes) -> Mapping[str, list[float]]:
    model = quotes.model
    return {
        "vega": np.round(model.vega_per_vol_point, 4).tolist(),
        "theta": np.round(model.theta_per_day, 4).tolist(),
        "gamma": np.round(model.gamma, 6).tolist(),
        "delta": np.round(model.delta, 4).tolist(),
        "iv": np.round(quotes.implied_volatility * 100.0, 2).tolist(),
        "pop": np.round(model.profit_probability * 100.0, 2).tolist(),
    }


def _ratio(put: float, call: float) -> float:
    """Put over call, as the broker does it strike by strike."""
    return round(put / call, 2) if call else 0.0


def _nth(found: list[date], n: int) -> date | None:
    return found[n] if n < len(found) else None
