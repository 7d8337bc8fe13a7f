"""Reading a REST call: its parameters, and the envelope of a good answer.

What every group of paths needs. The refusals' shape stands in ``refusals``, who may call in
``guard``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date

from aiohttp import web

from simulator.exchange import Market
from simulator.refusals import refusal
from simulator.symbols import Symbol

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SEGMENTS = ("NSE_EQ", "NSE_INDEX", "NSE_FO", "BSE_EQ", "BSE_INDEX", "BSE_FO")


def success(data: object) -> web.Response:
    """A good answer in the broker's envelope."""
    return web.json_response({"status": "success", "data": data})


def required(request: web.Request, name: str) -> str:
    """A query parameter that must be there."""
    value = request.query.get(name)
    if not value:
        raise refusal(400, "UDAPI1009", f"{name} is required")
    return value


def day(text: str) -> date:
    """A date as the broker takes it, ``YYYY-MM-DD``."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise refusal(400, "UDAPI1088", "Invalid date, expected YYYY-MM-DD", text) from None


def underlying(market: Market, key: str) -> Symbol:
    """The underlying that a key names."""
    if key.partition("|")[0] not in _SEGMENTS or "|" not in key:
        raise refusal(400, "UDAPI1011", "instrument_key is of invalid format", key)
    found = [symbol for symbol in market.symbols if symbol.key == key]
    if not found:
        raise refusal(400, "UDAPI100011", "Invalid instrument key", key)
    return found[0]
