"""Listings: real expiries, lots and steps; keys that stay for as long as the contract."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.contract import Kind, Right
from market.rules import rules_for
from simulator.exchange import Market
from simulator.symbols import SYMBOLS, choose
from simulator.universe import Listing, list_day

_LEVELS = {name: symbol.level for name, symbol in SYMBOLS.items()}


def _listing(day: date, move: float = 1.0) -> Listing:
    levels = {name: level * move for name, level in _LEVELS.items()}
    return list_day(day, choose(None), levels, rules_for("nse"), seed=7)


def test_expiries_are_the_days_dated_rules() -> None:
    """NIFTY weekly on Tuesdays, BANKNIFTY monthly, SENSEX weekly on Thursdays."""
    chains = _listing(date(2026, 11, 25)).chains
    assert ("NIFTY", date(2026, 12, 1)) in chains
    assert ("NIFTY", date(2026, 12, 8)) in chains
    assert ("BANKNIFTY", date(2026, 12, 29)) in chains
    assert ("SENSEX", date(2026, 11, 26)) in chains
    assert all(len([1 for s, _ in chains if s == name]) == 2 for name in SYMBOLS)


def test_strikes_stand_on_real_steps_around_the_level() -> None:
    """41 strikes of an index, 25 of a stock, call and put of each, calls first."""
    listing = _listing(date(2026, 11, 25))
    rows = listing.chain("NIFTY", date(2026, 12, 1))
    assert len(rows) == 82
    assert (np.diff(listing.strike[rows[::2]]) == 50).all()
    assert listing.sign[rows].tolist() == [1.0, -1.0] * 41
    assert abs(listing.strike[rows].mean() - _LEVELS["NIFTY"]) <= 25
    assert len(listing.chain("TCS", date(2026, 12, 29))) == 50
    assert listing.chain("TCS", date(2026, 12, 1)).size == 0


def test_one_future_for_each_month_of_an_expiry() -> None:
    """NIFTY's two December weeks share December's future; monthly symbols have two."""
    rows = _listing(date(2026, 11, 25)).rows
    futures = [r.contract for r in rows if r.contract.kind is Kind.FUTURE]
    assert [c.expiry for c in futures if c.symbol == "NIFTY"] == [date(2026, 12, 29)]
    assert len([c for c in futures if c.symbol == "BANKNIFTY"]) == 2


def test_lots_follow_the_dated_rules() -> None:
    """65 for NIFTY from the January 2026 series on, 75 before; a stock's own."""
    for day, lot in ((date(2026, 11, 25), 65), (date(2025, 11, 25), 75)):
        rows = [r for r in _listing(day).rows if r.contract.symbol == "NIFTY" and r.is_derivative]
        assert {r.lot_units for r in rows} == {lot}
    lots = {r.lot_units for r in _listing(date(2026, 11, 25)).rows if r.contract.symbol == "ITC"}
    assert lots == {1, 1_600}


@settings(max_examples=25)
@given(st.integers(0, 300), st.floats(0.85, 1.15))
def test_keys_are_unique(days: int, move: float) -> None:
    """On any day, at any level, no two instruments share a key, quote name or trading symbol."""
    rows = _listing(date(2026, 1, 5) + timedelta(days=days), move).rows
    for names in (
        [r.key for r in rows],
        [r.quote_name for r in rows],
        [str(r.contract) for r in rows],
    ):
        assert len(set(names)) == len(names)


def test_a_contract_keeps_its_key() -> None:
    """Tomorrow's listing, about other strikes, calls the same contract the same."""
    today, tomorrow = _listing(date(2026, 11, 25)), _listing(date(2026, 11, 26), 1.01)
    keys = {r.contract: r.key for r in today.rows}
    both = [r for r in tomorrow.rows if r.contract in keys]
    assert len(both) > 1_000
    assert all(keys[r.contract] == r.key for r in both)


def test_names_are_spelled_as_the_broker_does() -> None:
    """Weeklies carry year, month letter and day; monthlies year and month."""
    rows = {str(r.contract): r for r in _listing(date(2026, 11, 25)).rows}
    weekly = rows["NIFTY-20261201-26000-CE"]
    assert weekly.trading_symbol == "NIFTY 26000 CE 01 DEC 26"
    assert weekly.quote_name == "NSE_FO:NIFTY26D0126000CE"
    assert weekly.is_weekly
    monthly = rows["BANKNIFTY-20261229-58500-PE"]
    assert monthly.quote_name == "NSE_FO:BANKNIFTY26DEC58500PE"
    assert not monthly.is_weekly
    assert rows["SENSEX-20261126-85000-CE"].key.startswith("BSE_FO|")


@pytest.mark.parametrize("session", ["nse", "always"])
def test_the_market_lists_around_the_last_close(session: str) -> None:
    """Strikes are fixed for the day and bracket the money at its start."""
    market = Market(3, rules_for(session), ["NIFTY"])
    morning = datetime(2026, 11, 25, 3, 46, tzinfo=UTC)
    listing = market.listing(morning)
    assert market.listing(morning + timedelta(hours=6)) is listing
    calls = [r.contract for r in listing.rows if r.contract.right is Right.CALL]
    strikes = [c.strike for c in calls if c.strike]
    assert min(strikes) < market.truth(morning).spot["NIFTY"] < max(strikes)
