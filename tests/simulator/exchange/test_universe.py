"""Listings: real lots and names; keys that stay for as long as the contract; strikes, too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.contract import Kind, Right, parse_contract
from market.rules import rules_for
from simulator.exchange.market import Market
from simulator.exchange.series import Calendar
from simulator.exchange.symbols import SYMBOLS, choose
from simulator.exchange.universe import Listing, list_day
from tests.simulator.closes import closes

_RULES = rules_for("nse")
_TODAY = date(2026, 11, 25)
_FEW = ("NIFTY", "INDIAVIX", "SENSEX", "BAJAJ-AUTO", "M&M", "IDEA")


def _listing(day: date = _TODAY, names: tuple[str, ...] = _FEW, seed: int = 7) -> Listing:
    return list_day(day, choose(names), closes(seed), _RULES, seed)


@lru_cache(maxsize=1)
def _whole() -> Listing:
    return list_day(_TODAY, choose(None), closes(7), _RULES, 7)


def test_the_whole_exchange_has_the_real_ones_size() -> None:
    """Some 30 to 40 thousand options, three futures on all that has any."""
    listing = _whole()
    options = int((listing.sign != 0).sum())
    assert 28_000 < options < 44_000
    derivatives = [s for s in SYMBOLS.values() if s.has_derivatives]
    assert len(listing.future_rows) == 3 * len(derivatives)
    assert len(listing.rows) == len(SYMBOLS) + len(listing.future_rows) + options
    assert {name for name, _ in listing.chains} == {s.underlying.symbol for s in derivatives}


def test_a_small_market_is_a_part_of_the_whole() -> None:
    """The same contracts under the same keys, with the same random streams."""
    whole = _whole()
    streams = dict(zip(whole.rows, whole.streams.tolist(), strict=True))
    small = _listing()
    assert {row: streams[row] for row in small.rows} == dict(
        zip(small.rows, small.streams.tolist(), strict=True)
    )
    chosen = {row for row in whole.rows if row.contract.symbol in _FEW}
    assert chosen == set(small.rows)


def test_chains_are_strikes_ascending_call_then_put() -> None:
    """On whole steps, each strike with both rights; an expiry that is not listed has no rows."""
    listing = _listing()
    for (name, expiry), rows in listing.chains.items():
        strikes = listing.strike[rows]
        assert (strikes[::2] == strikes[1::2]).all()
        assert (np.diff(strikes[::2]) > 0).all()
        assert np.allclose(strikes / SYMBOLS[name].step % 1, 0)
        assert listing.sign[rows].tolist() == [1.0, -1.0] * (len(rows) // 2)
        contracts = [listing.rows[row].contract for row in rows]
        assert [c.strike for c in contracts] == strikes.tolist()
        assert {(c.symbol, c.expiry) for c in contracts} == {(name, expiry)}
    assert listing.chain("M&M", date(2026, 12, 1)).size == 0


def test_arrays_tell_what_the_records_tell() -> None:
    """Row by row: symbol, series, step, lot, settlement."""
    listing = _listing()
    for i, row in enumerate(listing.rows):
        contract = row.contract
        assert listing.symbols[listing.symbol_index[i]] is row.symbol
        assert listing.lot_units[i] == row.lot_units
        assert listing.is_index[i] == row.is_index
        assert listing.row_of_key[row.key] == i
        assert (listing.expiry_id[i] == -1) == (contract.expiry is None)
        if contract.expiry is not None:
            settles_ms = _RULES.settlement_at(contract.expiry).timestamp() * 1000
            assert listing.settles_ms[i] == settles_ms
            series = listing.expiries[listing.expiry_id[i]]
            assert series == (contract.symbol, contract.expiry)
    for name, i in listing.spot_row.items():
        assert listing.rows[i].contract == parse_contract(name, SYMBOLS[name].underlying.kind)
    for (name, expiry), i in listing.future_rows.items():
        contract = listing.rows[i].contract
        assert (contract.kind, contract.symbol, contract.expiry) == (Kind.FUTURE, name, expiry)


def test_streams_differ_and_depend_on_seed_and_contract() -> None:
    """The same contract has the same stream on another day, another one under another seed."""
    listing, later, other = _listing(), _listing(_TODAY + timedelta(days=1)), _listing(seed=8)
    assert len(set(_whole().streams.tolist())) == len(_whole().rows)
    then = dict(zip((r.contract for r in later.rows), later.streams, strict=True))
    both = [(s, then[r.contract]) for r, s in zip(listing.rows, listing.streams, strict=True)]
    assert all(now == after for now, after in both)
    assert not set(listing.streams.tolist()) & set(other.streams.tolist())


def test_lots_follow_the_dated_rules() -> None:
    """65 for NIFTY from the January 2026 series on, 75 before; a stock's own."""
    for day, lot in ((_TODAY, 65), (date(2025, 9, 25), 75)):
        rows = [r for r in _listing(day).rows if r.contract.symbol == "NIFTY"]
        near = [r for r in rows if r.contract.expiry and r.contract.expiry.year == day.year]
        assert {r.lot_units for r in near} == {lot}
    lots = {r.lot_units for r in _listing().rows if r.contract.symbol == "M&M"}
    assert lots == {1, SYMBOLS["M&M"].lot_units}


def _assert_unique(listing: Listing) -> None:
    rows = listing.rows
    for names in (
        [r.key for r in rows],
        [r.quote_name for r in rows],
        [r.trading_symbol for r in rows],
        [str(r.contract) for r in rows],
    ):
        assert len(set(names)) == len(names)


@settings(max_examples=12)
@given(st.integers(0, 480), st.integers(0, 50))
def test_keys_are_unique(days: int, seed: int) -> None:
    """On any day, after any closes, no two instruments share a key, quote name or symbol."""
    names = ("NIFTY", "FINNIFTY", "SENSEX", "FORCEMOT", "IDEA", "TITAN")
    _assert_unique(_listing(date(2025, 9, 8) + timedelta(days=days), names, seed))


def test_keys_of_the_whole_exchange_are_unique() -> None:
    """Tokens of five to seven digits that no test contract of the master has."""
    listing = _whole()
    _assert_unique(listing)
    tokens = {row.token for row in listing.rows if row.is_derivative}
    assert {len(token) for token in tokens} <= {5, 6, 7}
    assert not tokens & {"999001", "999002"}


def test_a_contract_keeps_its_key_and_stays() -> None:
    """All that does not expire is listed on the next days, too, and called the same."""
    day, known = date(2026, 9, 8), dict[str, str]()
    while day < date(2026, 12, 31):
        now = {str(r.contract): r.key for r in _listing(day, ("NIFTY", "SENSEX", "IDEA")).rows}
        for contract, key in known.items():
            expiry = parse_contract(contract).expiry
            assert now.get(contract, key if expiry and expiry < day else None) == key
        known = now
        day += timedelta(days=6)


def test_names_are_spelled_as_the_broker_does() -> None:
    """Weeklies carry year, month letter and day; monthlies year and month."""
    chosen = choose(("NIFTY", "BANKNIFTY", "SENSEX", "M&M", "BANKEX"))
    listing = list_day(_TODAY, chosen, lambda symbol, *_: (symbol.level,) * 2, _RULES, 7)
    rows = {str(r.contract): r for r in listing.rows}
    weekly = rows["NIFTY-20261201-26000-CE"]
    assert weekly.trading_symbol == "NIFTY 26000 CE 01 DEC 26"
    assert weekly.quote_name == "NSE_FO:NIFTY26D0126000CE"
    assert weekly.is_weekly
    monthly = rows["BANKNIFTY-20261229-58500-PE"]
    assert monthly.quote_name == "NSE_FO:BANKNIFTY26DEC58500PE"
    assert not monthly.is_weekly
    future = rows["M&M-20261229-FUT"]
    assert future.trading_symbol == "M&M FUT 29 DEC 26"
    assert future.quote_name == "NSE_FO:M&M26DECFUT"
    assert rows["SENSEX-20261126-85000-CE"].key.startswith("BSE_FO|")
    assert rows["BANKEX"].key == "BSE_INDEX|BANKEX"


def test_ids_can_be_read_back() -> None:
    """Hyphens and ampersands in symbols included."""
    for row in _listing().rows:
        assert parse_contract(str(row.contract), row.contract.kind) == row.contract


@pytest.mark.parametrize("session", ["nse", "always"])
def test_the_market_lists_around_its_closes(session: str) -> None:
    """A listing is fixed for the day, brackets the money at its start, and keeps its strikes."""
    market = Market(3, rules_for(session), ["NIFTY"])
    morning = datetime(2026, 11, 25, 3, 46, tzinfo=UTC)
    listing = market.listing(morning)
    assert market.listing(morning + timedelta(hours=6)) is listing
    spot = market.truth(morning).spot["NIFTY"]
    for rows in listing.chains.values():
        assert listing.strike[rows[0]] < spot < listing.strike[rows[-1]]
    tomorrow = {r.contract for r in market.listing_of(_TODAY + timedelta(days=1)).rows}
    assert {r.contract for r in listing.rows if r.contract.right is Right.CALL} <= tomorrow


def test_series_and_chains_agree() -> None:
    """Each series of the calendar is a chain, weekly where the calendar says so."""
    listing, calendar = _listing(), Calendar(_TODAY, _RULES)
    series = [s for symbol in listing.symbols for s in calendar.series(symbol)]
    assert list(listing.chains) == [(s.symbol.underlying.symbol, s.expiry) for s in series]
    for one in series:
        rows = listing.chain(one.symbol.underlying.symbol, one.expiry)
        assert {listing.rows[row].is_weekly for row in rows} == {one.is_weekly}
