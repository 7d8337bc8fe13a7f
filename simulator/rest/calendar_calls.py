"""The exchange's calendar over HTTP: holidays, opening hours, and the state of the moment.

When which exchange is open stands in ``hours``, the steps of a day in ``phases``; here is what the
broker makes of them. Holidays and hours ask for no token. An exchange that never closes keeps the
list of holidays, with every exchange open: openness is to be read from the lists, not from the
holiday's type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime

from aiohttp import web

from market import tables
from market.rules import IST, Rules
from simulator.access.calls import day, success
from simulator.access.guard import Guard
from simulator.access.refusals import refuse
from simulator.exchange.hours import EXCHANGES, SETTLEMENT_HOLIDAYS, hours
from simulator.exchange.market import Market
from simulator.exchange.phases import Phase, auctioned_status, exchange_status
from simulator.exchange.timetable import epoch_ms
from simulator.rest.records import Json

# Commodities of the NSE have a state, but neither hours nor holidays are told of them.
_TOLD = tuple(exchange for exchange in EXCHANGES if exchange != "NSCOM")
# Common names of the days that the exchanges' lists have; another holiday goes by its source.
_NAMES: Mapping[tuple[int, int, int], str] = {
    (2025, 2, 26): "Mahashivratri",
    (2025, 3, 14): "Holi",
    (2025, 3, 31): "Id-Ul-Fitr",
    (2025, 4, 10): "Shri Mahavir Jayanti",
    (2025, 4, 14): "Dr. Baba Saheb Ambedkar Jayanti",
    (2025, 4, 18): "Good Friday",
    (2025, 5, 1): "Maharashtra Day",
    (2025, 8, 15): "Independence Day",
    (2025, 8, 27): "Ganesh Chaturthi",
    (2025, 10, 2): "Mahatma Gandhi Jayanti",
    (2025, 10, 21): "Diwali Laxmi Pujan",
    (2025, 10, 22): "Diwali Balipratipada",
    (2025, 11, 5): "Prakash Gurpurb Sri Guru Nanak Dev",
    (2025, 12, 25): "Christmas",
    (2026, 1, 15): "Municipal Corporation Election",
    (2026, 1, 26): "Republic Day",
    (2026, 3, 3): "Holi",
    (2026, 3, 26): "Shri Ram Navami",
    (2026, 3, 31): "Shri Mahavir Jayanti",
    (2026, 4, 3): "Good Friday",
    (2026, 4, 14): "Dr. Baba Saheb Ambedkar Jayanti",
    (2026, 5, 1): "Maharashtra Day",
    (2026, 5, 28): "Bakri Id",
    (2026, 6, 26): "Muharram",
    (2026, 9, 14): "Ganesh Chaturthi",
    (2026, 10, 2): "Mahatma Gandhi Jayanti",
    (2026, 10, 20): "Dussehra",
    (2026, 11, 10): "Diwali Balipratipada",
    (2026, 11, 24): "Prakash Gurpurb Sri Guru Nanak Dev",
    (2026, 12, 25): "Christmas",
}


class CalendarCalls:
    """Handlers that share a market and its clock."""

    def __init__(self, market: Market, clock: Callable[[], datetime], guard: Guard) -> None:
        self._market = market
        self._clock = clock
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """Holidays, hours and state."""
        return [
            web.get("/v2/market/holidays", self._guard.open(self._holidays)),
            web.get("/v2/market/holidays/{date}", self._guard.open(self._holiday)),
            web.get("/v2/market/timings/{date}", self._guard.open(self._timings)),
            web.get("/v2/market/status/{exchange}", self._guard.bearer(self._status)),
        ]

    async def _holidays(self, _request: web.Request) -> web.StreamResponse:
        year = self._clock().astimezone(IST).year
        return success(holidays(self._market.rules, year))

    async def _holiday(self, request: web.Request) -> web.StreamResponse:
        asked = day(request.match_info["date"])
        found = holidays(self._market.rules, asked.year)
        return success([row for row in found if row["date"] == asked.isoformat()])

    async def _timings(self, request: web.Request) -> web.StreamResponse:
        return success(timings(self._market.rules, day(request.match_info["date"])))

    async def _status(self, request: web.Request) -> web.StreamResponse:
        exchange = request.match_info["exchange"]
        if exchange not in EXCHANGES:
            raise refuse("UDAPI1089", value=exchange, property_path="exchange")
        return success(status(self._market.rules, self._clock(), exchange))


def holidays(rules: Rules, year: int) -> list[Json]:
    """A year's holidays, settlement holidays and days of special hours, by date."""
    special = {row.day: row.name for row in tables.SPECIAL_SESSIONS}
    closed = {d: _NAMES.get((d.year, d.month, d.day), why) for d, why in tables.HOLIDAYS.items()}
    kinds = (
        ("SETTLEMENT_HOLIDAY", SETTLEMENT_HOLIDAYS),
        ("TRADING_HOLIDAY", closed),
        ("SPECIAL_TIMING", special),  # last: a day of special hours may be a holiday otherwise
    )
    found = {d: (kind, name) for kind, names in kinds for d, name in names.items()}
    return [
        _holiday(rules, d, kind, name)
        for d, (kind, name) in sorted(found.items())
        if d.year == year
    ]


def _holiday(rules: Rules, day: date, kind: str, name: str) -> Json:
    open_exchanges = timings(rules, day)
    is_open = {row["exchange"] for row in open_exchanges}
    return {
        "date": day.isoformat(),
        "description": name,
        "holiday_type": kind,
        "closed_exchanges": [exchange for exchange in _TOLD if exchange not in is_open],
        "open_exchanges": open_exchanges,
    }


def timings(rules: Rules, day: date) -> list[Json]:
    """Opening hours of a day, epoch ms, of the exchanges that open; empty if none does."""
    found = {exchange: hours(rules, exchange, day) for exchange in _TOLD}
    return [
        {
            "exchange": exchange,
            "start_time": epoch_ms(times.opens_at),
            "end_time": epoch_ms(times.closes_at),
        }
        for exchange, times in found.items()
        if times is not None
    ]


def status(rules: Rules, instant: datetime, exchange: str) -> Json:
    """An exchange's state and since when; beside it that of the shares with a closing auction."""
    found: Json = {"exchange": exchange} | _told(exchange_status(rules, exchange, instant))
    auctioned = auctioned_status(rules, exchange, instant)
    return found | ({"cas_eligible_status": _told(auctioned)} if auctioned else {})


def _told(phase: Phase) -> Json:
    return {"status": phase.status, "last_updated": phase.since_ms}
