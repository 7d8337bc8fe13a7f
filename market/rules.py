"""Looking up the dated tables: what was in force on a given day.

The facts stand in ``tables``. Sessions cut into windows stand in ``session``. Every question takes
the day it is asked for; nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from market import tables

IST = ZoneInfo("Asia/Kolkata")


class _Dated(Protocol):
    @property
    def valid_from(self) -> date: ...


_Row = TypeVar("_Row", bound=_Dated)


@dataclass(frozen=True, slots=True)
class Session:
    """One unbroken stretch of trading: ``opens_at <= t < closes_at``, aware UTC."""

    day: date
    opens_at: datetime
    closes_at: datetime
    name: str


class Rules:
    """The NSE and BSE derivatives segment, from the tables that ship with optionlake."""

    def sessions(self, day: date) -> tuple[Session, ...]:
        """The sessions of an exchange day, in order; empty on a holiday or weekend."""
        special = tuple(
            Session(day, at_ist(day, row.opens), at_ist(day, row.closes), row.name)
            for row in tables.SPECIAL_SESSIONS
            if row.day == day
        )
        if special or day.weekday() >= 5 or day in tables.HOLIDAYS:
            return special
        hours = _in_force(tables.SESSION_HOURS, day)
        return (Session(day, at_ist(day, hours.opens), at_ist(day, hours.closes), "regular"),)

    def is_trading_day(self, day: date) -> bool:
        """Whether derivatives trade at all on ``day``."""
        return bool(self.sessions(day))

    def expiry_on_or_before(self, day: date) -> date:
        """Move an expiry that falls on a closed day to the trading day before it."""
        while not self._is_regular_day(day):
            day -= timedelta(days=1)
        return day

    def expiries(self, symbol: str, exchange: str, on: date, count: int) -> tuple[date, ...]:
        """The next ``count`` expiry dates of ``symbol``, the first not before ``on``.

        A cross-check and the simulator's source; live expiries are the instrument master's.
        """
        found: list[date] = []
        day = on
        while len(found) < count:
            rule = self._expiry_rule(symbol, exchange, day)
            if day.weekday() == rule.weekday and (rule.has_weekly or _is_last_of_month(day)):
                expiry = self.expiry_on_or_before(day)
                if expiry >= on and expiry not in found:
                    found.append(expiry)
            day += timedelta(days=1)
        return tuple(found)

    def lot_units(self, symbol: str, expiry: date) -> int | None:
        """Lot size in units for the series that expires on ``expiry``; None if no row tells."""
        rows = [r for r in tables.LOT_RULES if r.symbol == symbol and r.first_expiry <= expiry]
        return max(rows, key=lambda r: r.first_expiry).units if rows else None

    def settlement_at(self, expiry: date) -> datetime:
        """The instant (aware UTC) that fixes the final settlement price of ``expiry``."""
        return at_ist(expiry, _in_force(tables.SETTLEMENT_RULES, expiry).settles)

    def rate(self, day: date) -> float:
        """Risk-free rate in force, continuous, per year."""
        return _in_force(tables.RATE_RULES, day).rate

    def tick_rupees(self) -> float:
        """Smallest price step of an option, ₹."""
        return tables.OPTION_TICK_RUPEES

    def _is_regular_day(self, day: date) -> bool:
        return any(session.name == "regular" for session in self.sessions(day))

    def _expiry_rule(self, symbol: str, exchange: str, day: date) -> tables.ExpiryRule:
        rows = [r for r in tables.EXPIRY_RULES if r.exchange == exchange]
        own = [r for r in rows if r.symbol == symbol] or [r for r in rows if r.symbol == "*"]
        return _in_force(tuple(own), day)


class AlwaysOpen(Rules):
    """The demo's exchange: one session each calendar day, midnight to midnight IST.

    Expiries, lots and settlement stay the real ones.
    """

    def sessions(self, day: date) -> tuple[Session, ...]:
        """One session, the whole calendar day."""
        opens_at = at_ist(day, time(0))
        return (Session(day, opens_at, opens_at + timedelta(days=1), "always"),)

    def _is_regular_day(self, day: date) -> bool:
        return any(session.name == "regular" for session in Rules.sessions(self, day))


def rules_for(session: str) -> Rules:
    """The rules behind the setting ``session``: ``nse`` or ``always``.

    Raises:
        ValueError: for any other name.
    """
    known: dict[str, type[Rules]] = {"nse": Rules, "always": AlwaysOpen}
    if session not in known:
        raise ValueError(f"session {session!r} is not known, expected one of {sorted(known)}")
    return known[session]()


def at_ist(day: date, clock: time) -> datetime:
    """An IST wall time as an aware UTC instant."""
    return datetime.combine(day, clock, IST).astimezone(UTC)


def _in_force(rows: tuple[_Row, ...], day: date) -> _Row:
    valid = [row for row in rows if row.valid_from <= day]
    if not valid:
        raise ValueError(f"no rule in force on {day}: the tables start at {rows[0].valid_from}")
    return max(valid, key=lambda row: row.valid_from)


def _is_last_of_month(day: date) -> bool:
    return (day + timedelta(days=7)).month != day.month
