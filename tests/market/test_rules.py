"""Dated rules against published facts: holidays, sessions, expiries, lots, settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from market.rules import AlwaysOpen, Rules, at_ist, rules_for

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
