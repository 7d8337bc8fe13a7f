"""Reading a REST call: its parameters, and the envelope of a good answer.

What every group of paths needs. The refusals' shape stands in ``refusals``, who may call in
``guard``.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
from aiohttp import web

from simulator.access.refusals import refuse
from simulator.exchange.market import Market
from simulator.exchange.noise import Ints
from simulator.exchange.symbols import Symbol
from simulator.exchange.universe import Listing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SEGMENTS = (
    "NSE_EQ|NSE_INDEX|NSE_FO|NCD_FO|NSE_COM|BSE_EQ|BSE_INDEX|BSE_FO|BCD_FO|MCX_FO|MCX_INDEX"
    "|GLOBAL_INDEX|GLOBAL_INDICATOR"
)
_KEY = re.compile(rf"(?:{_SEGMENTS})\|[\w ]+", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What a path says to a list of keys.

    Attributes:
        most: keys in one call.
        too_many, unknown: codes for more than that, and for a key that is not listed.
    """

    most: int
    too_many: str
    unknown: str = "UDAPI1087"


def success(data: object) -> web.Response:
    """A good answer in the broker's envelope."""
    return web.Response(body=_envelope(data), content_type="application/json")


async def worked_out(make: Callable[[], object]) -> web.Response:
    """The same of what ``make`` returns, made and written in a thread: a market's work is long."""
    body = await asyncio.to_thread(lambda: _envelope(make()))
    return web.Response(body=body, content_type="application/json")


def required(request: web.Request, name: str, code: str = "UDAPI1009") -> str:
    """A query parameter that must be there."""
    value = request.query.get(name)
    if not value:
        raise refuse(code, property_path=name)
    return value


def day(text: str) -> date:
    """A date as the broker takes it, ``YYYY-MM-DD``; else UDAPI1088."""
    found = read_day(text)
    if found is None:
        raise refuse("UDAPI1088", value=text)
    return found


def read_day(text: str) -> date | None:
    """The same; None if it is no date."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def underlying(market: Market, key: str) -> Symbol:
    """The underlying that a key names; UDAPI1011 for the format, UDAPI100011 if there is none."""
    if not _KEY.fullmatch(key):
        raise refuse("UDAPI1011", value=key, property_path="instrument_key")
    found = [symbol for symbol in market.symbols if symbol.key == key]
    if not found:
        raise refuse("UDAPI100011", value=key, property_path="instrument_key")
    return found[0]


def instrument_keys(request: web.Request, rules: KeyRules) -> list[str]:
    """The comma-separated keys of a call, each once.

    Version 2 called the parameter ``symbol``, and the official client still does. Refused with
    UDAPI1009 if there is none, ``rules.too_many``, and UDAPI1011 for a key's format, in this order.
    """
    name = "symbol" if "symbol" in request.query else "instrument_key"
    keys = list(dict.fromkeys(required(request, name).split(",")))
    if len(keys) > rules.most:
        raise refuse(rules.too_many, property_path=name)
    bad = [key for key in keys if not _KEY.fullmatch(key)]
    if bad:
        raise refuse("UDAPI1011", value=bad[0], property_path=name)
    return keys


def rows_of(listing: Listing, keys: list[str], rules: KeyRules) -> Ints:
    """The keys' places in a listing; one that is not listed voids the whole call."""
    known = listing.row_of_key
    bad = [key for key in keys if key not in known]
    if bad:
        raise refuse(rules.unknown, value=bad[0], property_path="instrument_key")
    return np.array([known[key] for key in keys], np.int64)


def _envelope(data: object) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()
