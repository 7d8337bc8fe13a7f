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

SETTLEMENT_PHASES = ("before", "averaging", "auction", "settled")
UNDERLYING_PHASES = ("continuous", "auction", "closed")


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


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an expiry's final settlement price comes about; instants are aware UTC.

    Attributes:
        settles_at: by when it is fixed.
        averaging_starts_at: the price is the average from here to ``settles_at``; None if it is
            one price.
        auction_starts_at: the price is found in the auction that starts here, without a
            continuous market of the underlying; None if there is no auction.
        method: see ``tables.SettlementRule``.
        auction_jump_variance: variance of the log return at the auction; 0 until estimated.
    """

    settles_at: datetime
    averaging_starts_at: datetime | None
    auction_starts_at: datetime | None
    method: str
    auction_jump_variance: float

    def phase(self, at: datetime) -> str:
        """One of ``SETTLEMENT_PHASES``, at an aware instant."""
        if at >= self.settles_at:
            return "settled"
        if self.averaging_starts_at is not None and at >= self.averaging_starts_at:
            return "averaging"
        if self.auction_starts_at is not None and at >= self.auction_starts_at:
            return "auction"
        return "before"


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

    def settlement(self, expiry: date) -> Settlement:
        """What fixes the final settlement price of ``expiry``, and when."""
        rule = _in_force(tables.SETTLEMENT_RULES, expiry)
        has_auction = rule.method == "closing_auction"
        cash = _in_force(tables.CASH_HOURS, expiry) if has_auction else None
        return Settlement(
            settles_at=at_ist(expiry, rule.settles),
            averaging_starts_at=at_ist(expiry, rule.averages_from) if rule.averages_from else None,
            auction_starts_at=at_ist(expiry, cash.continuous_until) if cash else None,
            method=rule.method,
            auction_jump_variance=rule.auction_jump_variance,
        )

    def settlement_at(self, expiry: date) -> datetime:
        """The instant (aware UTC) that fixes the final settlement price of ``expiry``."""
        return at_ist(expiry, _in_force(tables.SETTLEMENT_RULES, expiry).settles)

    def settlement_phase(self, expiry: date, at: datetime) -> str:
        """How far the settlement of ``expiry`` has come, one of ``SETTLEMENT_PHASES``.

        ``averaging`` and ``auction`` happen on the expiry's own day only. The closing price of
        any other day is made in the same way, but no option settles to it.
        """
        return self.settlement(expiry).phase(at)

    def cash_hours(self, day: date) -> tables.CashHours:
        """The hours of shares that are in force on ``day``, whether or not it is a trading day."""
        return _in_force(tables.CASH_HOURS, day)

    def underlying_phase(self, at: datetime) -> str:
        """Which market the underlyings have at an aware instant, one of ``UNDERLYING_PHASES``.

        In ``auction`` options trade while an index has no continuous market: its tick is frozen or
        indicative.
        """
        local = at.astimezone(IST)
        for session in self.sessions(local.date()):
            if session.name == "regular":
                return _cash_phase(_in_force(tables.CASH_HOURS, local.date()), local.time())
            if session.opens_at <= at < session.closes_at:
                return "continuous"
        return "closed"

    def rate(self, day: date, tenor_days: float = 91.0) -> float:
        """Risk-free rate in force for a tenor, continuous, per year."""
        return self.rate_rule(day, tenor_days).rate

    def rate_rule(self, day: date, tenor_days: float = 91.0) -> tables.RateRule:
        """The latest date's row of the nearest tenor, the shorter of two equally near.

        Its ``source`` says where the rate comes from, or that it is the default.
        """
        latest = _in_force(tables.RATE_RULES, day).valid_from
        rows = [row for row in tables.RATE_RULES if row.valid_from == latest]
        return min(rows, key=lambda row: (abs(row.tenor_days - tenor_days), row.tenor_days))

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


def _cash_phase(hours: tables.CashHours, clock: time) -> str:
    if hours.opens <= clock < hours.continuous_until:
        return "continuous"
    if hours.auction_until and hours.continuous_until <= clock < hours.auction_until:
        return "auction"
    return "closed"


def _in_force(rows: tuple[_Row, ...], day: date) -> _Row:
    valid = [row for row in rows if row.valid_from <= day]
    if not valid:
        raise ValueError(f"no rule in force on {day}: the tables start at {rows[0].valid_from}")
    return max(valid, key=lambda row: row.valid_from)


def _is_last_of_month(day: date) -> bool:
    return (day + timedelta(days=7)).month != day.month
