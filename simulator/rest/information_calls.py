"""Market information of an expiry: open interest, its change, put-call ratio, max pain.

The broker documents these paths, and users report that they answer 200 with ``data: null``. Both
can be had: null unless the exchange is told to work the numbers out, which it then does from the
open interest on show. Spellings are the broker's: an expiry is ``yyyy-mm-dd`` here, ``dd-mm-yyyy``
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from aiohttp import web

from market.rules import IST
from simulator.access.calls import Handler, read_day, required, underlying, worked_out
from simulator.access.guard import Guard
from simulator.access.refusals import refusal
from simulator.exchange.hours import hours
from simulator.exchange.market import Market
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.symbols import Symbol
from simulator.rest.candle_calls import first_served
from simulator.rest.option_calls import EXPIRY_WORDS, expiry_of
from simulator.rest.records import Json

_MOST_DAYS = 30
_MOST_MINUTES = 375


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: an underlying's expiry (a date or a word), a day, and a number with its meaning."""

    symbol: Symbol
    expiry: str
    day: date
    step: int


@dataclass(frozen=True, slots=True)
class Interest:
    """Open interest of an expiry at an instant: over its strikes ascending, units; spot in ₹."""

    expiry: date
    spot: float
    strike: Floats
    call_units: Ints
    put_units: Ints


class InformationCalls:
    """Handlers that share a market and its clock."""

    def __init__(
        self,
        market: Market,
        clock: Callable[[], datetime],
        guard: Guard,
        *,
        is_worked_out: bool,
    ) -> None:
        self._market = market
        self._clock = clock
        self._guard = guard
        self._is_worked_out = is_worked_out

    def routes(self) -> list[web.RouteDef]:
        """Everything of this kind under ``/v2/market``."""
        paths = {
            "oi": self._handler(None, self._open_interest),
            "change-oi": self._handler("interval", self._change),
            "pcr": self._handler("bucket_interval", self._ratio),
            "max-pain": self._handler("bucket_interval", self._pain),
        }
        return [
            web.get(f"/v2/market/{path}", self._guard.bearer(handler))
            for path, handler in paths.items()
        ]

    def _handler(self, step: str | None, work: Callable[[Asked, datetime], object]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            asked, now = _asked(request, self._market, step), self._clock()
            return await worked_out(lambda: work(asked, now) if self._is_worked_out else None)

        return handle

    def _open_interest(self, asked: Asked, now: datetime) -> Json | None:
        found = self._at(asked, self._end_of(asked.day, now))
        if found is None:
            return None
        columns = (found.strike.tolist(), found.call_units.tolist(), found.put_units.tolist())
        return {
            "total_puts": int(found.put_units.sum()),
            "total_calls": int(found.call_units.sum()),
            "spot_closing_price": found.spot,
            "expiry": found.expiry.isoformat(),
            "call_put_oi_data_list": [
                {"strike_price": strike, "call_oi": call, "put_oi": put}
                for strike, call, put in zip(*columns, strict=True)
            ],
        }

    def _change(self, asked: Asked, now: datetime) -> Json | None:
        found = self._at(asked, self._end_of(asked.day, now))
        if found is None:
            return None
        before = self._at(asked, self._end_of(self._days_before(asked.day, asked.step), now))
        calls, puts = _since(found, before)
        columns = (found.strike.tolist(), calls.tolist(), puts.tolist())
        return {
            "total_put_change_oi": int(puts.sum()),
            "total_call_change_oi": int(calls.sum()),
            "spot_closing_price": found.spot,
            "expiry": found.expiry.isoformat(),
            "call_put_oi_data_list": [
                {"strike_price": strike, "call_change_oi": call, "put_change_oi": put}
                for strike, call, put in zip(*columns, strict=True)
            ],
        }

    def _ratio(self, asked: Asked, now: datetime) -> Json | None:
        return self._through_the_day(asked, now, "pcr", put_call_ratio)

    def _pain(self, asked: Asked, now: datetime) -> Json | None:
        return self._through_the_day(asked, now, "max_pain", max_pain)

    def _through_the_day(
        self, asked: Asked, now: datetime, name: str, measure: Callable[[Interest], float]
    ) -> Json | None:
        found = self._at(asked, self._end_of(asked.day, now))
        if found is None:
            return None
        insights = [
            {name: measure(then), "spot_price": then.spot, "time": f"{at.astimezone(IST):%H:%M}"}
            for at in self._moments(asked, now)
            if (then := self._at(asked, at)) is not None
        ]
        return {
            "instrument_key": asked.symbol.key,
            "expiry_date": f"{found.expiry:%d-%m-%Y}",
            name: measure(found),
            "spot_closing_price": found.spot,
            "insights": insights,
        }

    def _at(self, asked: Asked, instant: datetime | None) -> Interest | None:
        """What was on show at an instant; None if the expiry was not listed then."""
        if instant is None:
            return None
        listing = self._market.listing(instant)
        expiry = expiry_of(listing, asked.symbol, asked.expiry)
        if expiry is None:
            return None
        rows = listing.chain(asked.symbol.underlying.symbol, expiry)
        with_spot = np.append(rows, listing.row_of_key[asked.symbol.key])
        quotes = self._market.quotes(instant, with_spot)
        units = quotes.open_interest_units
        return Interest(
            expiry=expiry,
            spot=float(quotes.last_price[-1]),
            strike=listing.strike[rows[::2]],
            call_units=units[:-1:2],
            put_units=units[1:-1:2],
        )

    def _end_of(self, day: date, now: datetime) -> datetime | None:
        """The last moment of a trading day that has been; None if there is none to be had."""
        traded = hours(self._market.rules, "NFO", day)
        if traded is None or traded.opens_at > now or first_served(self._market, day, day) != day:
            return None
        return min(traded.closes_at - timedelta(milliseconds=1), now)

    def _days_before(self, day: date, count: int) -> date:
        for _ in range(count):
            day -= timedelta(days=1)
            while not self._market.rules.is_trading_day(day):
                day -= timedelta(days=1)
        return day

    def _moments(self, asked: Asked, now: datetime) -> Iterator[datetime]:
        """From each session's open on, a bucket apart."""
        for session in self._market.rules.sessions(asked.day):
            at = session.opens_at
            while at < session.closes_at and at <= now:
                yield at
                at += timedelta(minutes=asked.step)


def put_call_ratio(interest: Interest) -> float:
    """Open interest of all puts over that of all calls; 0 without calls."""
    calls = int(interest.call_units.sum())
    return float(interest.put_units.sum()) / calls if calls else 0.0


def max_pain(interest: Interest) -> float:
    """The strike at which option holders would be paid least in total, ₹; the lowest of equals."""
    distance = interest.strike[:, None] - interest.strike[None, :]
    paid = np.maximum(distance, 0.0) @ interest.call_units
    paid += np.maximum(-distance, 0.0) @ interest.put_units
    return float(interest.strike[int(np.argmin(paid))])


def _since(now: Interest, before: Interest | None) -> tuple[Ints, Ints]:
    """Change of calls and of puts over the strikes of ``now``; a new strike had none before."""
    if before is None or before.expiry != now.expiry:
        return now.call_units, now.put_units
    places = {strike: i for i, strike in enumerate(before.strike.tolist())}
    found = np.array([places.get(strike, -1) for strike in now.strike.tolist()], np.int64)
    is_old = found >= 0
    calls = now.call_units - before.call_units[found] * is_old
    return calls, now.put_units - before.put_units[found] * is_old


def _asked(request: web.Request, market: Market, step: str | None) -> Asked:
    """The call's parameters; each has a code of its own."""
    symbol = underlying(market, required(request, "instrument_key"))
    expiry, asked_day = request.query.get("expiry", ""), request.query.get("date", "")
    if expiry not in EXPIRY_WORDS and read_day(expiry) is None:
        raise refusal(400, "UDAPI1202", "Invalid expiry date format", expiry, "expiry")
    day = read_day(asked_day)
    if day is None:
        raise refusal(400, "UDAPI1203", "Invalid date format", asked_day, "date")
    return Asked(symbol, expiry, day, _step(request, step) if step else 1)


def _step(request: web.Request, name: str) -> int:
    value = request.query.get(name, "")
    most = _MOST_DAYS if name == "interval" else _MOST_MINUTES
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:6]) <= most:
        code = "UDAPI1204" if name == "interval" else "UDAPI1205"
        raise refusal(400, code, f"Invalid {name}", value, name)
    return int(value)
