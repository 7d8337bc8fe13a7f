"""Series and strikes: the rules' expiries, widths that cover what may come, strikes that stay."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.rules import Rules, rules_for
from simulator.exchange.series import Calendar, Series, places, spans
from simulator.exchange.symbols import SYMBOLS, Symbol
from tests.simulator.closes import closes

_RULES = rules_for("nse")
_TODAY = date(2026, 11, 25)
_DAYS = st.integers(0, 700).map(lambda days: date(2025, 9, 8) + timedelta(days=days))
_KINDS = ("NIFTY", "SENSEX", "BANKNIFTY", "TCS", "IDEA")


def _series(name: str, day: date = _TODAY, rules: Rules = _RULES) -> tuple[Series, ...]:
    return Calendar(day, rules).series(SYMBOLS[name])


def _strikes(series: Series, day: date, seed: int = 1) -> list[int]:
    return places(spans(series, Calendar(day, _RULES), closes(seed)))


def test_weekly_symbols_have_weeks_months_and_quarters() -> None:
    """The next four expiries, the next three months and the ends of two quarters beyond."""
    december = [date(2026, 12, day) for day in (1, 8, 15, 22, 29)]
    months = [date(2027, 1, 26), date(2027, 2, 23), date(2027, 3, 30), date(2027, 6, 29)]
    assert [s.expiry for s in _series("NIFTY")] == december + months
    assert [s.is_weekly for s in _series("NIFTY")] == [True] * 4 + [False] * 5
    assert [s.expiry for s in _series("NIFTY") if s.has_future] == december[4:] + months[:2]
    assert len(_series("SENSEX")) == 8  # the first of its four is a month's


def test_other_symbols_have_three_months() -> None:
    """Each with its future; an index without derivatives has nothing."""
    months = [date(2026, 12, 29), date(2027, 1, 26), date(2027, 2, 23)]
    for name in ("BANKNIFTY", "M&M", "BAJAJ-AUTO"):
        assert [s.expiry for s in _series(name)] == months
        assert all(s.has_future and not s.is_weekly for s in _series(name))
    assert _series("INDIAVIX") == ()


@given(_DAYS)
def test_months_are_expiries_too(day: date) -> None:
    """What a weekly symbol lists is what the rules call its expiries."""
    for name in ("NIFTY", "SENSEX"):
        exchange = SYMBOLS[name].underlying.exchange
        known = _RULES.expiries(name, exchange, day, 45)
        assert {s.expiry for s in _series(name, day)} <= set(known)
        assert set(known[:4]) <= {s.expiry for s in _series(name, day)}


@settings(max_examples=60)
@given(_DAYS, st.sampled_from(_KINDS), st.integers(0, 20))
def test_a_listed_strike_stays_until_expiry(day: date, name: str, seed: int) -> None:
    """A day's strikes are among the next trading day's, whatever the closes did."""
    later = _RULES.expiries("*", "NSE", day, 1)[0] if seed % 2 else day + timedelta(days=1)
    tomorrow = {s.expiry: s for s in _series(name, later)}
    for series in _series(name, day):
        if series.expiry >= later:
            now, then = _strikes(series, day, seed), _strikes(tomorrow[series.expiry], later, seed)
            assert set(now) <= set(then)


@given(_DAYS, st.sampled_from(_KINDS))
def test_a_series_begins_with_strikes(day: date, name: str) -> None:
    """The closes that make the strikes are known by the day on which the rules list the series."""
    assert all(len(_strikes(series, day)) > 5 for series in _series(name, day))


@given(_DAYS, st.sampled_from(("NIFTY", "SENSEX", "MIDCPNIFTY")))
def test_an_index_is_covered(day: date, name: str) -> None:
    """By forty steps, and 3.2 deviations of a volatility a fifth higher, on both sides."""
    symbol, last = SYMBOLS[name], Calendar(day, _RULES).yesterday
    for series in _series(name, day):
        days = (series.expiry - day).days
        if days > 140:  # only the first close of the series counts until then
            continue
        level = closes()(symbol, last, last)[0] / symbol.step
        width = max(3.2 * 1.2 * symbol.volatility * sqrt(days / 365) * level, 40) - 1
        found = _strikes(series, day)
        assert found[0] <= level - min(width, 1_000) + 10
        assert found[-1] >= level + min(width, 1_000) - 10


@given(_DAYS, st.sampled_from(("TCS", "RELIANCE", "ADANIGREEN", "FORCEMOT")))
def test_a_stock_is_covered(day: date, name: str) -> None:
    """Two months by 2.8 deviations, from ten to some thirty steps; fewer strikes in the third."""
    symbol, last = SYMBOLS[name], Calendar(day, _RULES).yesterday
    near, _, third = _series(name, day)
    level = closes()(symbol, last, last)[0] / symbol.step
    width = 2.8 * symbol.volatility * sqrt((near.expiry - day).days / 365) * level
    found = _strikes(near, day)
    assert found[0] <= level - min(max(width, 10), 30) + 4
    assert found[-1] >= level + min(max(width, 10), 30) - 4
    if (third.expiry - day).days > 66:
        assert len(_strikes(third, day)) < len(found)


def test_strikes_grow_wider_apart_from_the_money() -> None:
    """NIFTY every 50 to forty steps from any close, then every 100, then every 500."""
    series, symbol = _series("NIFTY")[5], SYMBOLS["NIFTY"]

    def still(symbol: Symbol, first: date, last: date) -> tuple[float, float]:
        return symbol.level, symbol.level

    strikes = [p * symbol.step for p in places(spans(series, Calendar(_TODAY, _RULES), still))]
    gaps = {a: b - a for a, b in pairwise(strikes)}
    assert {gaps[k] for k in strikes[:-1] if 24_000 <= k < 28_000} == {50.0}
    assert {gaps[k] for k in strikes[:-1] if 21_000 <= k < 24_000 or 28_000 <= k < 31_000} == {100}
    assert {gaps[k] for k in strikes[:-1] if k < 21_000 or k >= 31_000} == {500.0}


@pytest.mark.parametrize("session", ["nse", "always"])
def test_only_closes_of_days_before_are_asked_for(session: str) -> None:
    """Of trading days, in order, at most some 300 days back."""
    rules = rules_for(session)
    calendar, asked = Calendar(_TODAY, rules), list[tuple[date, date]]()

    def band(symbol: Symbol, first: date, last: date) -> tuple[float, float]:
        asked.append((first, last))
        return symbol.level, symbol.level

    for name in _KINDS:
        for series in calendar.series(SYMBOLS[name]):
            spans(series, calendar, band)
    assert all(first <= last < _TODAY for first, last in asked)
    assert all(rules.is_trading_day(day) for pair in asked for day in pair)
    assert min(asked)[0] > _TODAY - timedelta(days=300)
