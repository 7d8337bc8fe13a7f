"""When each exchange of the broker is open on a given day, as its ``timings`` tell.

Whole days only: the steps within a day stand in ``phases``. The hours of shares and their
derivatives are ``market``'s dated rules; currencies and commodities, which nothing is listed on
here, have plain hours of their own::

    CDS, BCD      09:00-17:00
    MCX, NSCOM    09:00-23:30, to 23:55 in New York's winter; from 17:00 on most holidays
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from market import tables
from market.rules import Rules, Session, at_ist

# In the order in which the broker tells their timings.
EXCHANGES = ("MCX", "NSE", "NFO", "CDS", "BSE", "BCD", "BFO", "NSCOM")

EXCHANGE_OF_SEGMENT: Mapping[str, str] = {
    "NSE_EQ": "NSE",
    "NSE_INDEX": "NSE",
    "NSE_FO": "NFO",
    "NCD_FO": "CDS",
    "NSE_COM": "NSCOM",
    "BSE_EQ": "BSE",
    "BSE_INDEX": "BSE",
    "BSE_FO": "BFO",
    "BCD_FO": "BCD",
    "MCX_FO": "MCX",
    "MCX_INDEX": "MCX",
}

CASH = ("NSE", "BSE")
DERIVATIVES = ("NFO", "BFO")
CURRENCIES = ("CDS", "BCD")
COMMODITIES = ("MCX", "NSCOM")

# Days on which banks are shut and shares trade: currencies do not. Those of 2026 are as many as
# the broker lists; the exchanges' currency segments publish them.
SETTLEMENT_HOLIDAYS: Mapping[date, str] = {
    date(2025, 2, 19): "Chhatrapati Shivaji Maharaj Jayanti",
    date(2025, 4, 1): "Annual Bank Closing",
    date(2025, 5, 12): "Buddha Purnima",
    date(2025, 9, 5): "Id-E-Milad",
    date(2026, 2, 19): "Chhatrapati Shivaji Maharaj Jayanti",
    date(2026, 3, 19): "Gudi Padwa",
    date(2026, 4, 1): "Annual Bank Closing",
    date(2026, 8, 26): "Id-E-Milad",
}

# On any other holiday of the share market commodities trade in the evening.
_SHUT_ALL_DAY = frozenset(
    [
        *(date(2025, month, day) for month, day in ((4, 18), (8, 15), (10, 2), (12, 25))),
        *(date(2026, month, day) for month, day in ((1, 26), (4, 3), (10, 2), (12, 25))),
    ]
)

_EARLIEST = tables.SESSION_HOURS[0].valid_from
_NEW_YORK = ZoneInfo("America/New_York")
_CASH_CLOSE = time(15, 30)
_CURRENCY_CLOSE = time(17, 0)
_EVENING = time(17, 0)
_OTHER_OPEN = time(9, 0)
_MUHURAT = "Muhurat"


@dataclass(frozen=True, slots=True)
class Hours:
    """An exchange's day: ``opens_at <= t < closes_at``, aware UTC; no pre-open, no post-close."""

    opens_at: datetime
    closes_at: datetime


def is_always_open(rules: Rules, day: date) -> bool:
    """Whether ``day`` belongs to an exchange that never closes."""
    return any(session.name == "always" for session in rules.sessions(day))


def hours(rules: Rules, exchange: str, day: date) -> Hours | None:
    """When one of ``EXCHANGES`` trades on ``day``; None if not at all, or before any rule.

    Shares that are not in the closing auction trade on until 15:30, and so does their exchange.
    """
    if day < _EARLIEST:
        return None
    sessions = rules.sessions(day)
    if is_always_open(rules, day) or (sessions and exchange in DERIVATIVES):
        return Hours(sessions[0].opens_at, sessions[-1].closes_at)
    if exchange in CASH:
        return _cash_hours(rules, sessions[0]) if sessions else None
    if exchange in CURRENCIES:
        return _currency_hours(sessions, day)
    return _commodity_hours(sessions, day) if exchange in COMMODITIES else None


def _cash_hours(rules: Rules, session: Session) -> Hours:
    if session.name != "regular":
        return Hours(session.opens_at, session.closes_at)
    return _between(session.day, rules.cash_hours(session.day).opens, _CASH_CLOSE)


def _currency_hours(sessions: tuple[Session, ...], day: date) -> Hours | None:
    if not sessions or day in SETTLEMENT_HOLIDAYS:
        return None
    if sessions[0].name == _MUHURAT:
        return Hours(sessions[0].opens_at, sessions[-1].closes_at)
    return _between(day, _OTHER_OPEN, _CURRENCY_CLOSE) if sessions[0].name == "regular" else None


def _commodity_hours(sessions: tuple[Session, ...], day: date) -> Hours | None:
    if sessions and sessions[0].name == _MUHURAT:
        return Hours(sessions[0].opens_at, sessions[-1].closes_at)
    if sessions:
        is_regular = sessions[0].name == "regular"
        return _between(day, _OTHER_OPEN, _night(day) if is_regular else _CURRENCY_CLOSE)
    has_evening = day in tables.HOLIDAYS and day.weekday() < 5 and day not in _SHUT_ALL_DAY
    return _between(day, _EVENING, _night(day)) if has_evening else None


def _night(day: date) -> time:
    """Commodities follow New York: its winter makes their day longer."""
    is_summer = bool(datetime.combine(day, time(12), _NEW_YORK).dst())
    return time(23, 30) if is_summer else time(23, 55)


def _between(day: date, opens: time, closes: time) -> Hours:
    return Hours(at_ist(day, opens), at_ist(day, closes))
