"""Dated rules against published facts: holidays, sessions, expiries, lots, settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from market import tables
from market.rules import (
    SETTLEMENT_PHASES,
    UNDERLYING_PHASES,
    AlwaysOpen,
    Rules,
    Settlement,
    at_ist,
    rules_for,
)

RULES = Rules()


def _days(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(days=n) for n in range(365)]


@pytest.mark.parametrize(("year", "holidays", "specials"), [(2025, 14, 2), (2026, 16, 2)])
def test_year_has_the_published_number_of_days(year: int, holidays: int, specials: int) -> None:
    """Weekdays less the exchange's weekday holidays, plus its special sessions."""
    weekdays = [d for d in _days(year) if d.weekday() < 5]
    regular = [d for d in weekdays if any(s.name == "regular" for s in RULES.sessions(d))]
    trading = [d for d in _days(year) if RULES.is_trading_day(d)]
    assert len(weekdays) - len(regular) == holidays
    assert len(trading) == len(regular) + specials


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (date(2026, 7, 31), time(9, 15), time(15, 30)),
        (date(2026, 8, 3), time(9, 15), time(15, 40)),
        (date(2026, 12, 7), time(9, 15), time(15, 45)),
        (date(2025, 10, 21), time(13, 45), time(14, 45)),
        (date(2026, 2, 1), time(9, 15), time(15, 30)),
        (date(2026, 11, 8), time(18, 0), time(19, 0)),
    ],
)
def test_session_hours_are_dated(day: date, opens: time, closes: time) -> None:
    """Hours changed on known days; Muhurat and Budget sessions fall outside the weekly pattern."""
    (session,) = RULES.sessions(day)
    assert (session.opens_at, session.closes_at) == (at_ist(day, opens), at_ist(day, closes))


@pytest.mark.parametrize("day", [date(2026, 11, 24), date(2026, 11, 22), date(2026, 1, 26)])
def test_closed_days_have_no_session(day: date) -> None:
    """Holidays and ordinary weekends."""
    assert RULES.sessions(day) == ()


@pytest.mark.parametrize(
    ("symbol", "exchange", "on", "expected"),
    [
        # 24 Nov 2026 is a Tuesday holiday, so November's monthly expired on Monday the 23rd.
        ("NIFTY", "NSE", date(2026, 11, 20), [date(2026, 11, 23), date(2026, 12, 1)]),
        ("BANKNIFTY", "NSE", date(2026, 11, 24), [date(2026, 12, 29), date(2027, 1, 26)]),
        ("SENSEX", "BSE", date(2026, 11, 24), [date(2026, 11, 26), date(2026, 12, 3)]),
        ("RELIANCE", "NSE", date(2026, 9, 1), [date(2026, 9, 29), date(2026, 10, 27)]),
        ("NIFTY", "NSE", date(2025, 8, 25), [date(2025, 8, 28), date(2025, 9, 2)]),
    ],
)
def test_expiries(symbol: str, exchange: str, on: date, expected: list[date]) -> None:
    """Weekly and monthly expiries, moved to the trading day before a holiday."""
    assert list(RULES.expiries(symbol, exchange, on, 2)) == expected


@pytest.mark.parametrize(
    ("symbol", "expiry", "units"),
    [
        ("NIFTY", date(2025, 12, 30), 75),
        ("NIFTY", date(2026, 1, 6), 65),
        ("BANKNIFTY", date(2025, 6, 26), 30),
        ("BANKNIFTY", date(2025, 7, 31), 35),
        ("FINNIFTY", date(2026, 9, 29), 60),
        ("SENSEX", date(2026, 11, 26), 20),
        ("UNHEARD", date(2026, 1, 6), None),
    ],
)
def test_lots(symbol: str, expiry: date, units: int | None) -> None:
    """Lots by series; a symbol without a row is unknown, not one."""
    assert RULES.lot_units(symbol, expiry) == units


def test_settlement_is_half_past_three_ist() -> None:
    """The settlement price is fixed by 15:30 IST, which is 10:00 UTC."""
    assert RULES.settlement_at(date(2026, 12, 1)) == datetime(2026, 12, 1, 10, 0, tzinfo=UTC)


AVERAGED, AUCTIONED = date(2026, 7, 28), date(2026, 8, 4)


def test_settlement_before_the_closing_auction() -> None:
    """Until 3 Aug 2026: the average of 15:00 to 15:30 (NSE settlement price)."""
    assert RULES.settlement(AVERAGED) == Settlement(
        settles_at=at_ist(AVERAGED, time(15, 30)),
        averaging_starts_at=at_ist(AVERAGED, time(15, 0)),
        auction_starts_at=None,
        method="average_last_30_minutes",
        auction_jump_variance=0.0,
    )


def test_settlement_in_the_closing_auction() -> None:
    """From 3 Aug 2026: one price, from an auction after 15:15 (SEBI 16 Jan 2026); no jump yet."""
    assert RULES.settlement(AUCTIONED) == Settlement(
        settles_at=at_ist(AUCTIONED, time(15, 30)),
        averaging_starts_at=None,
        auction_starts_at=at_ist(AUCTIONED, time(15, 15)),
        method="closing_auction",
        auction_jump_variance=0.0,
    )


@pytest.mark.parametrize(
    ("expiry", "method"),
    [
        (date(2022, 8, 23), "average_last_30_minutes"),
        (date(2026, 8, 2), "average_last_30_minutes"),
        (date(2026, 8, 3), "closing_auction"),
        (date(2026, 12, 8), "closing_auction"),
    ],
)
def test_settlement_method_is_dated(expiry: date, method: str) -> None:
    """The first day of the new rule is 3 Aug 2026; both ways agree on the instant."""
    settlement = RULES.settlement(expiry)
    assert settlement.method == method
    assert settlement.settles_at == RULES.settlement_at(expiry)


@pytest.mark.parametrize(
    ("expiry", "clock", "phase"),
    [
        (AVERAGED, time(9, 15), "before"),
        (AVERAGED, time(14, 59, 59), "before"),
        (AVERAGED, time(15, 0), "averaging"),
        (AVERAGED, time(15, 29, 59), "averaging"),
        (AVERAGED, time(15, 30), "settled"),
        (AUCTIONED, time(15, 0), "before"),
        (AUCTIONED, time(15, 15), "auction"),
        (AUCTIONED, time(15, 29, 59), "auction"),
        (AUCTIONED, time(15, 30), "settled"),
    ],
)
def test_settlement_phase_on_expiry_day(expiry: date, clock: time, phase: str) -> None:
    """Averaging before 3 Aug 2026, the auction after; each bound belongs to the later phase."""
    assert RULES.settlement_phase(expiry, at_ist(expiry, clock)) == phase
    assert phase in SETTLEMENT_PHASES


def test_other_days_do_not_settle() -> None:
    """The last half hour of the day before expiry is only that; the day after, all is settled."""
    day = timedelta(days=1)
    for expiry in (AVERAGED, AUCTIONED):
        late = at_ist(expiry, time(15, 20))
        assert RULES.settlement_phase(expiry, late - day) == "before"
        assert RULES.settlement_phase(expiry, late + day) == "settled"


@pytest.mark.parametrize(
    ("day", "clock", "phase"),
    [
        (date(2026, 7, 31), time(9, 14, 59), "closed"),
        (date(2026, 7, 31), time(9, 15), "continuous"),
        (date(2026, 7, 31), time(15, 29), "continuous"),
        (date(2026, 7, 31), time(15, 30), "closed"),
        (date(2026, 8, 3), time(15, 14, 59), "continuous"),
        (date(2026, 8, 3), time(15, 15), "auction"),
        (date(2026, 8, 3), time(15, 35), "closed"),  # options trade on until 15:40
        (date(2026, 12, 7), time(15, 29), "continuous"),
        (date(2026, 12, 7), time(15, 30), "auction"),
        (date(2026, 12, 7), time(15, 40), "closed"),
        (date(2026, 11, 8), time(18, 30), "continuous"),  # Muhurat, a Sunday
        (date(2026, 11, 8), time(15, 20), "closed"),
        (date(2026, 11, 24), time(12, 0), "closed"),  # holiday
        (date(2026, 11, 22), time(12, 0), "closed"),  # Sunday
    ],
)
def test_underlying_phase(day: date, clock: time, phase: str) -> None:
    """Options outlast the underlying's own continuous market; special sessions have no auction."""
    assert RULES.underlying_phase(at_ist(day, clock)) == phase
    assert phase in UNDERLYING_PHASES


def test_always_open_has_a_market_but_settles_really() -> None:
    """The demo's underlying never leaves continuous trading; its expiries settle as the real."""
    rules, at = AlwaysOpen(), at_ist(AUCTIONED, time(15, 20))
    assert rules.underlying_phase(at) == "continuous"
    assert rules.underlying_phase(at_ist(date(2026, 11, 22), time(3, 0))) == "continuous"
    assert rules.settlement(AUCTIONED) == RULES.settlement(AUCTIONED)
    assert rules.settlement_phase(AUCTIONED, at) == "auction"


@pytest.mark.parametrize("tenor_days", [0.0, 7.0, 91.0, 1000.0])
def test_rate_is_the_labelled_default(tenor_days: float) -> None:
    """Without a dated figure every day and tenor has 6.5 %, and says that it is the default."""
    rule = RULES.rate_rule(date(2026, 11, 24), tenor_days)
    assert rule.rate == RULES.rate(date(2026, 11, 24), tenor_days) == 0.065
    assert rule.source.startswith("default")


@pytest.mark.parametrize(
    ("day", "tenor_days", "rate"),
    [
        (date(2026, 1, 1), 7, 0.065),
        (date(2026, 1, 2), 7, 0.01),
        (date(2026, 1, 2), 60.5, 0.01),  # as near to both: the shorter
        (date(2026, 1, 2), 61, 0.02),
        (date(2026, 1, 2), 9999, 0.03),
        (date(2026, 1, 9), 364, 0.04),  # the newer date has one tenor only
    ],
)
def test_rate_by_date_and_tenor(
    monkeypatch: pytest.MonkeyPatch, day: date, tenor_days: float, rate: float
) -> None:
    """The latest date in force first, then its nearest tenor (figures made up for the test)."""
    made_up = [
        tables.RateRule(date(2026, 1, day), tenor, value, "made up")
        for day, tenor, value in ((2, 30, 0.01), (2, 91, 0.02), (2, 364, 0.03), (9, 91, 0.04))
    ]
    monkeypatch.setattr(tables, "RATE_RULES", (*tables.RATE_RULES, *made_up))
    assert RULES.rate(day, tenor_days) == rate


def test_always_open_never_closes_but_expires_really() -> None:
    """The demo's sessions abut without a gap; expiries stay the exchange's."""
    rules = AlwaysOpen()
    day = date(2026, 11, 24)
    (today,), (tomorrow,) = rules.sessions(day), rules.sessions(day + timedelta(days=1))
    assert today.closes_at == tomorrow.opens_at
    assert rules.expiries("NIFTY", "NSE", day, 4) == RULES.expiries("NIFTY", "NSE", day, 4)


def test_unknown_session_names_what_is_known() -> None:
    """A wrong setting says what would be right."""
    with pytest.raises(ValueError, match=r"always.*nse"):
        rules_for("lunar")


def test_cash_hours_are_dated() -> None:
    """The row in force, whatever the day of the week."""
    rules = rules_for("nse")
    assert rules.cash_hours(date(2026, 8, 2)).auction_until is None
    assert rules.cash_hours(date(2026, 8, 3)).auction_until == time(15, 35)
