"""Opening hours of every exchange, against dates whose hours are on record."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import tables
from market.rules import IST, rules_for
from simulator.exchange.hours import (
    CURRENCIES,
    DERIVATIVES,
    EXCHANGE_OF_SEGMENT,
    EXCHANGES,
    SETTLEMENT_HOLIDAYS,
    hours,
)

_NSE = rules_for("nse")
_DAYS = st.dates(date(2025, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize(
    ("exchange", "day", "told"),
    [
        ("NFO", "2026-07-31", "09:15-15:30"),
        ("NSE", "2026-07-31", "09:15-15:30"),
        ("NFO", "2026-08-03", "09:15-15:40"),
        ("NSE", "2026-08-03", "09:15-15:30"),
        ("BFO", "2026-12-07", "09:15-15:45"),
        ("BSE", "2026-12-07", "09:15-15:30"),
        ("CDS", "2026-11-25", "09:00-17:00"),
        ("MCX", "2026-11-25", "09:00-23:55"),
        ("MCX", "2026-07-31", "09:00-23:30"),
        ("NSE", "2026-11-24", None),
        ("BCD", "2026-11-24", None),
        ("MCX", "2026-11-24", "17:00-23:55"),
        ("MCX", "2026-10-02", None),
        ("CDS", "2026-02-19", None),
        ("NSE", "2026-02-19", "09:15-15:30"),
        ("NSE", "2026-02-01", "09:15-15:30"),
        ("MCX", "2026-02-01", "09:00-17:00"),
        ("CDS", "2026-02-01", None),
        ("MCX", "2026-11-08", "18:00-19:00"),
        ("CDS", "2025-10-21", "13:45-14:45"),
        ("MCX", "2026-11-28", None),
    ],
)
def test_hours_are_dated(exchange: str, day: str, told: str | None) -> None:
    """Regular days before and after each change, holidays, special sessions, a Saturday."""
    found = hours(_NSE, exchange, date.fromisoformat(day))
    shown = found and "-".join(
        f"{at.astimezone(IST):%H:%M}" for at in (found.opens_at, found.closes_at)
    )
    assert shown == told


@given(day=_DAYS)
def test_derivatives_are_open_exactly_when_the_rules_say(day: date) -> None:
    """Their hours are the session's; currencies never trade when shares do not."""
    session = _NSE.sessions(day)
    for exchange in DERIVATIVES:
        found = hours(_NSE, exchange, day)
        assert (found is None) == (not session)
        if found:
            assert (found.opens_at, found.closes_at) == (
                session[0].opens_at,
                session[-1].closes_at,
            )
    if not session:
        assert [hours(_NSE, exchange, day) for exchange in CURRENCIES] == [None, None]


@given(day=_DAYS)
def test_an_exchange_that_never_closes_has_whole_days(day: date) -> None:
    """Midnight to midnight, every exchange, holidays and weekends too."""
    rules = rules_for("always")
    for exchange in EXCHANGES:
        found = hours(rules, exchange, day)
        assert found is not None
        assert found.closes_at - found.opens_at == timedelta(days=1)
        assert found.opens_at == datetime(day.year, day.month, day.day, tzinfo=IST)


@pytest.mark.parametrize("session", ["nse", "always"])
@pytest.mark.parametrize("day", [date.min, date(2010, 1, 3)])
def test_nothing_is_open_before_the_rules_begin(session: str, day: date) -> None:
    """Any date may be asked for; the last one has hours like any other."""
    rules = rules_for(session)
    assert [hours(rules, exchange, day) for exchange in EXCHANGES] == [None] * len(EXCHANGES)
    assert hours(rules, "NFO", date.max) is not None


def test_an_exchange_that_is_not_there_is_never_open() -> None:
    """No hours, not those of a neighbour."""
    assert hours(_NSE, "NYSE", date(2026, 11, 25)) is None


def test_settlement_holidays_are_trading_days_of_shares() -> None:
    """Otherwise they would be holidays; the broker lists four in 2026."""
    assert not set(SETTLEMENT_HOLIDAYS) & set(tables.HOLIDAYS)
    assert all(_NSE.sessions(day) for day in SETTLEMENT_HOLIDAYS)
    assert sum(day.year == 2026 for day in SETTLEMENT_HOLIDAYS) == 4


def test_every_segment_belongs_to_an_exchange() -> None:
    """And every exchange has one."""
    assert set(EXCHANGE_OF_SEGMENT.values()) == set(EXCHANGES)
