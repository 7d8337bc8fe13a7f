"""The broker's candle paths for what is listed now: history in versions 2 and 3, and intraday.

No token is asked for, as at the broker. Widths of windows and names of intervals stand in
``candle_windows``, how bars come about in ``bars``, contracts that have expired in
``expired_calls``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache, partial

from aiohttp import web

from market.contract import Contract
from market.rules import IST
from simulator.access.calls import Handler
from simulator.access.guard import Guard
from simulator.access.refusals import refuse
from simulator.exchange.bulk import Candles
from simulator.exchange.market import Market
from simulator.rest import bars, candle_stream
from simulator.rest import candle_windows as windows
from simulator.rest.candle_stream import Work
from simulator.rest.candle_windows import CandleOptions, Resolution, Unit

_ONE_DAY = timedelta(days=1)
# The form of a key; that of an expired contract has its expiry at the end.
_KEY_PATTERN = re.compile(
    r"(?:(?:NSE|BSE)_(?:EQ|INDEX|FO)|(?:NCD|BCD|MCX)_FO|MCX_INDEX|NSE_COM)"
    r"\|(?:[\w ]+|[\w-]+\|\d\d-\d\d-\d{4})",
    re.ASCII,
)


class CandleCalls:
    """Handlers of the paths without a token."""

    def __init__(
        self, market: Market, clock: Callable[[], datetime], guard: Guard, options: CandleOptions
    ) -> None:
        self._market = market
        self._clock = clock
        self._guard = guard
        self._options = options

    def routes(self) -> list[web.RouteDef]:
        """Version 3 and 2; ``to_date`` stands before ``from_date``, which may be left out."""
        three, two = "/v3/historical-candle", "/v2/historical-candle"
        dates, unit = "{to_date}/{from_date}", "{unit}/{interval}"
        paths: dict[str, Handler] = {
            f"{three}/intraday/{{key}}/{unit}": self._intraday,
            f"{three}/{{key}}/{unit}": _without_date,
            f"{three}/{{key}}/{unit}/{{to_date}}": self._history,
            f"{three}/{{key}}/{unit}/{dates}": self._history,
            f"{two}/intraday/{{key}}/{{interval}}": self._intraday_2,
            f"{two}/{{key}}/{{interval}}": _without_date,
            f"{two}/{{key}}/{{interval}}/{{to_date}}": self._history_2,
            f"{two}/{{key}}/{{interval}}/{dates}": self._history_2,
        }
        return [web.get(path, self._guard.open(handler)) for path, handler in paths.items()]

    async def _history(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        check_key(found["key"])
        return await self._answer(request, windows.resolution(found["unit"], found["interval"]))

    async def _history_2(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        check_key(found["key"])
        asked = windows.named_resolution(found["interval"], windows.VERSION_2)
        return await self._answer(request, asked)

    async def _answer(self, request: web.Request, asked: Resolution) -> web.StreamResponse:
        found, now = request.match_info, self._clock()
        first, last = windows.window(asked, found["to_date"], found.get("from_date"))
        contract = await asyncio.to_thread(self._listed, found["key"], now)
        days = await asyncio.to_thread(past_days, self._market, asked.unit, first, last, now)
        above = self._options.late_day_above_days
        if asked.unit is Unit.DAYS and above is not None and (last - first).days > above:
            days = days[:-1]
        work = history(self._market, contract, days, asked)
        return await candle_stream.newest_first(request, work)

    async def _intraday(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        check_key(found["key"])
        asked = windows.resolution(found["unit"], found["interval"], windows.INTRADAY_UNITS)
        return await self._today(request, asked)

    async def _intraday_2(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        check_key(found["key"])
        asked = windows.named_resolution(found["interval"], windows.VERSION_2_INTRADAY)
        return await self._today(request, asked)

    async def _today(self, request: web.Request, asked: Resolution) -> web.StreamResponse:
        now = self._clock()
        contract = await asyncio.to_thread(self._listed, request.match_info["key"], now)
        day = self._market.shown(now).trading_day
        has_begun = day == now.astimezone(IST).date()
        is_shown = has_begun or self._options.has_intraday_when_closed
        work = [partial(bars.series, self._market, contract, [day], asked, now)] * is_shown
        return await candle_stream.newest_first(request, iter(work))

    def _listed(self, key: str, now: datetime) -> Contract:
        """The contract of a key that is listed now; what has expired is not, whatever its key."""
        listing = self._market.listing(now)
        if key not in listing.row_of_key:
            raise refuse("UDAPI100011", value=key)
        return listing.rows[listing.row_of_key[key]].contract


def check_key(key: str) -> None:
    """Refuse what is no key at all with UDAPI1021."""
    if not _KEY_PATTERN.fullmatch(key):
        raise refuse("UDAPI1021", value=key)


def past_days(market: Market, unit: Unit, first: date, last: date, now: datetime) -> list[date]:
    """The trading days of a window that are over at the present date, ascending.

    Widened to whole bars, and cut to the days that the broker, and this market, have data of.
    """
    yesterday = now.astimezone(IST).date() - _ONE_DAY
    first, last = windows.whole_bars(first, min(last, yesterday), unit)
    last = min(last, yesterday)
    first = first_served(market, max(first, unit.earliest), last)
    many = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in many if market.rules.sessions(day)]


def history(
    market: Market, contract: Contract, days: Sequence[date], asked: Resolution
) -> Iterator[Work]:
    """The work of a history, newest piece first, for ``candle_stream``."""
    for piece in bars.pieces(days, asked.unit):
        yield partial(_series, market, contract, piece, asked)


def _series(market: Market, contract: Contract, days: Sequence[date], asked: Resolution) -> Candles:
    return bars.series(market, contract, days, asked)


@lru_cache(maxsize=64)
def first_served(market: Market, first: date, last: date) -> date:
    """The first day from ``first`` on that the market can list; the day after ``last`` if none.

    The exchange's dated rules begin somewhere; before that no day can be made.
    """
    if first > last or _is_served(market, first):
        return first
    low, high = first.toordinal(), last.toordinal() + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _is_served(market, date.fromordinal(middle)):
            high = middle
        else:
            low = middle
    return date.fromordinal(high)


def _is_served(market: Market, day: date) -> bool:
    try:
        market.listing_of(day)
    except ValueError:
        return False
    return True


async def _without_date(request: web.Request) -> web.StreamResponse:
    check_key(request.match_info["key"])
    raise refuse("UDAPI1022", property_path="to_date")
