"""The exchange's dated facts, each with the source that says so.

Rows only. How they are looked up stands in ``rules``; add a row here when a circular changes a
fact, and never edit an old row. Dates are exchange dates, times are IST wall times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time


@dataclass(frozen=True, slots=True)
class SessionHours:
    """Continuous trading of index and stock derivatives from ``valid_from`` on (IST)."""

    valid_from: date
    opens: time
    closes: time
    source: str


@dataclass(frozen=True, slots=True)
class SpecialSession:
    """A session on a day, or at an hour, that the weekly pattern does not give (IST)."""

    day: date
    opens: time
    closes: time
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """Expiry weekday of a symbol (``*``: every other symbol of the exchange). Monday is 0."""

    valid_from: date
    exchange: str
    symbol: str
    weekday: int
    has_weekly: bool
    source: str


@dataclass(frozen=True, slots=True)
class LotRule:
    """Lot size in units for series that expire on or after ``first_expiry``."""

    first_expiry: date
    symbol: str
    units: int
    source: str


@dataclass(frozen=True, slots=True)
class CashHours:
    """Trading of the derivatives' underlyings from ``valid_from`` on (IST).

    Attributes:
        opens, continuous_until: continuous trading, when an index has a market of its own.
        auction_until: end of the closing auction that follows at once; None where there is none.
    """

    valid_from: date
    opens: time
    continuous_until: time
    auction_until: time | None
    source: str


@dataclass(frozen=True, slots=True)
class SettlementRule:
    """How the final settlement price comes about, for expiries from ``valid_from`` on (IST).

    Attributes:
        settles: by when it is fixed.
        averages_from: start of the averaging that ends at ``settles``; None if it is one price.
        auction_jump_variance: variance of the log return from the last continuous price to the
            auction's, beyond what the clock accounts for; 0 until estimated from history.
        method: ``average_last_30_minutes`` or ``closing_auction``.
    """

    valid_from: date
    settles: time
    averages_from: time | None
    auction_jump_variance: float
    method: str
    source: str


@dataclass(frozen=True, slots=True)
class RateRule:
    """Risk-free rate of one tenor, continuous, per year. All tenors of a date come together."""

    valid_from: date
    tenor_days: int
    rate: float
    source: str


SESSION_HOURS = (
    SessionHours(date(2010, 1, 4), time(9, 0), time(15, 30), "NSE, 9:00 open from 4 Jan 2010"),
    SessionHours(date(2010, 10, 18), time(9, 15), time(15, 30), "NSE, pre-open session"),
    SessionHours(date(2026, 8, 3), time(9, 15), time(15, 40), "closing auction, phase 1"),
    # One source only so far: confirm against the circular when it takes effect.
    SessionHours(date(2026, 12, 7), time(9, 15), time(15, 45), "NSE/CMTR/76963"),
)

_AUCTION = "SEBI 16 Jan 2026, closing auction from 3 Aug 2026"
CASH_HOURS = (
    CashHours(date(2010, 1, 4), time(9, 0), time(15, 30), None, "NSE, 9:00 open from 4 Jan 2010"),
    CashHours(date(2010, 10, 18), time(9, 15), time(15, 30), None, "NSE, pre-open session"),
    CashHours(date(2026, 8, 3), time(9, 15), time(15, 15), time(15, 35), _AUCTION),
    # One source only so far, as for SESSION_HOURS of that day.
    CashHours(date(2026, 12, 7), time(9, 15), time(15, 30), time(15, 40), "NSE/CMTR/76963"),
)

_HOLIDAYS_2025 = "NSE holiday list 2025"
_HOLIDAYS_2026 = "NSE holiday list 2026"
HOLIDAYS: dict[date, str] = {
    **{
        date(2025, month, day): _HOLIDAYS_2025
        for month, days in (
            (2, (26,)),
            (3, (14, 31)),
            (4, (10, 14, 18)),
            (5, (1,)),
            (8, (15, 27)),
            (10, (2, 21, 22)),
            (11, (5,)),
            (12, (25,)),
        )
        for day in days
    },
    **{
        date(2026, month, day): _HOLIDAYS_2026
        for month, days in (
            (1, (15, 26)),
            (3, (3, 26, 31)),
            (4, (3, 14)),
            (5, (1, 28)),
            (6, (26,)),
            (9, (14,)),
            (10, (2, 20)),
            (11, (10, 24)),
            (12, (25,)),
        )
        for day in days
    },
}

SPECIAL_SESSIONS = (
    SpecialSession(date(2025, 2, 1), time(9, 15), time(15, 30), "Union Budget", "NSE circular"),
    SpecialSession(date(2025, 10, 21), time(13, 45), time(14, 45), "Muhurat", "NSE circular"),
    SpecialSession(date(2026, 2, 1), time(9, 15), time(15, 30), "Union Budget", "NSE circular"),
    SpecialSession(date(2026, 11, 8), time(18, 0), time(19, 0), "Muhurat", "broker's timings"),
)

_TUE_THU = "SEBI 26 May 2025, effective 1 Sep 2025"
_WEEKLY_END = "NSE FAOP/64506 of 10 Oct 2024"
EXPIRY_RULES = (
    ExpiryRule(date(2024, 11, 20), "NSE", "NIFTY", 3, True, _WEEKLY_END),
    ExpiryRule(date(2024, 11, 20), "NSE", "*", 3, False, _WEEKLY_END),
    ExpiryRule(date(2025, 1, 1), "BSE", "SENSEX", 1, True, "BSE, expiry on Tuesday"),
    ExpiryRule(date(2025, 1, 1), "BSE", "*", 1, False, "BSE, expiry on Tuesday"),
    ExpiryRule(date(2025, 9, 1), "NSE", "NIFTY", 1, True, _TUE_THU),
    ExpiryRule(date(2025, 9, 1), "NSE", "*", 1, False, _TUE_THU),
    ExpiryRule(date(2025, 9, 1), "BSE", "SENSEX", 3, True, _TUE_THU),
    ExpiryRule(date(2025, 9, 1), "BSE", "*", 3, False, _TUE_THU),
)

_LOTS_2026 = "NSE/FAOP/70616 of 3 Oct 2025"
LOT_RULES = (
    LotRule(date(2024, 12, 1), "NIFTY", 75, _WEEKLY_END),
    LotRule(date(2025, 7, 1), "BANKNIFTY", 35, "NSE half-yearly review"),
    LotRule(date(2024, 12, 1), "BANKNIFTY", 30, _WEEKLY_END),
    LotRule(date(2024, 12, 1), "FINNIFTY", 65, _WEEKLY_END),
    LotRule(date(2024, 12, 1), "MIDCPNIFTY", 120, _WEEKLY_END),
    LotRule(date(2025, 7, 1), "MIDCPNIFTY", 140, "NSE half-yearly review"),
    LotRule(date(2024, 12, 1), "SENSEX", 20, "BSE contract specification"),
    LotRule(date(2026, 1, 1), "NIFTY", 65, _LOTS_2026),
    LotRule(date(2026, 1, 1), "BANKNIFTY", 30, _LOTS_2026),
    LotRule(date(2026, 1, 1), "FINNIFTY", 60, _LOTS_2026),
    LotRule(date(2026, 1, 1), "MIDCPNIFTY", 120, _LOTS_2026),
)

# The average is that of each constituent's trades, weighted by volume. In the auction, orders are
# taken until between 15:28 and 15:30 at random. What fixes the price from 7 Dec 2026 on, when
# expiring contracts are said to stop at 15:30 and the auction to begin then, is not published yet.
SETTLEMENT_RULES = (
    SettlementRule(
        date(2000, 6, 12),
        settles=time(15, 30),
        averages_from=time(15, 0),
        auction_jump_variance=0.0,
        method="average_last_30_minutes",
        source="NSE settlement price",
    ),
    SettlementRule(
        date(2026, 8, 3),
        settles=time(15, 30),
        averages_from=None,
        auction_jump_variance=0.0,  # not estimated yet
        method="closing_auction",
        source=_AUCTION,
    ),
)

RATE_RULES = (
    RateRule(date(2000, 1, 1), 91, 0.065, "default: 91-day treasury bill, not dated yet"),
)

OPTION_TICK_RUPEES = 0.05
