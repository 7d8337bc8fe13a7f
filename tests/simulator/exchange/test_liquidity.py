"""Liveliness: the money is busy, the wings are slow, and a contract is the same by itself."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from market.rules import rules_for
from simulator.exchange import liquidity
from simulator.exchange.liquidity import EQUITY, FUTURE, INDEX, OPTION, Terms
from simulator.exchange.symbols import SYMBOLS, choose
from tests.simulator.scenes import LAST_TUESDAY, NAMES, SEED, TUESDAY, WEDNESDAY, paths, scene

_DAYS = [date(2026, 11, 8), WEDNESDAY, TUESDAY]


@pytest.mark.parametrize("day", _DAYS)
@pytest.mark.parametrize("session", ["nse", "always"])
def test_a_row_alone_is_the_row_of_the_listing(day: date, session: str) -> None:
    """Field by field, but for its symbol's place."""
    known, rules = scene(day, session), rules_for(session)
    for place, listed in enumerate(known.listing.rows):
        expected = known.row(place)
        track = known.track(expected)
        alone = liquidity.row_alone(listed.contract, listed.symbol, rules, SEED, track)
        assert alone == expected._replace(symbol=0, strike=alone.strike)
        assert np.array_equal([alone.strike], [expected.strike], equal_nan=True)


def test_terms_lie_as_the_listing_does() -> None:
    """Row by row: kinds, strikes, settlement and lots are the contract's."""
    known = scene()
    kinds = {"index": INDEX, "equity": EQUITY, "future": FUTURE, "option": OPTION}
    names = [row.contract.kind.value.lower() for row in known.listing.rows]
    assert known.terms.kind.tolist() == [kinds[name] for name in names]
    for name in ("strike", "sign", "settles_ms", "lot_units"):
        told = getattr(known.terms, name), getattr(known.listing, name)
        assert np.array_equal(*told, equal_nan=True)
    assert set(known.terms.settles_ms[known.terms.kind <= EQUITY]) == {0}


def _same(first: Terms, second: Terms, name: str) -> bool:
    return np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)


def test_what_a_contract_is_does_not_depend_on_the_day() -> None:
    """Only how lively it is: streams, grids and lots are of the contract."""
    listing, symbols = scene().listing, scene().listing.symbols
    made, _ = paths()
    today, later = (
        liquidity.terms(listing, symbols, SEED, made.tracks(day)) for day in (WEDNESDAY, TUESDAY)
    )
    names = ("stream", "grid_ms", "phase_ms", "lot_units", "open_lots", "step")
    assert all(_same(today, later, name) for name in names)
    assert not _same(today, later, "trades")


def test_what_a_contract_is_does_not_depend_on_company() -> None:
    """The same among other symbols, and another with another seed."""
    known = scene()
    rows = known.chain("ITC", LAST_TUESDAY)
    listing = known.listing
    alone, _ = paths(("ITC",))
    for place in rows[:6].tolist():
        contract, symbol = listing.rows[place].contract, choose(["ITC"])[0]
        track = alone.track(WEDNESDAY, 0)
        row = liquidity.row_alone(contract, symbol, rules_for("nse"), SEED, track)
        assert row == known.row(place)._replace(symbol=0)
        other = liquidity.row_alone(contract, symbol, rules_for("nse"), SEED + 1, track)
        assert other.stream != row.stream


def test_one_symbol_is_quoted_at_once() -> None:
    """Slower kinds at some of the instants of the quicker ones, never at the very open or close."""
    known = scene()
    for place, symbol in enumerate(known.listing.symbols):
        own = known.terms.symbol == place
        phase_ms, grid_ms = liquidity.quote_grid(symbol, SEED)
        assert grid_ms == 250
        assert (known.terms.grid_ms[own] % grid_ms == 0).all()
        assert (known.terms.phase_ms[own] % grid_ms == phase_ms).all()
        slowest = known.terms.phase_ms[own & (known.terms.kind == OPTION)]
        assert np.unique(slowest).size == 1
        for grid in (250, 500, 1_000):
            found = known.terms.phase_ms[own & (known.terms.grid_ms == grid)]
            assert (found == slowest[0] % grid).all()
        assert 0 < phase_ms < grid_ms


def test_nothing_is_quoted_at_the_very_close() -> None:
    """No symbol's grid begins at the open, whatever the seed: none would end at the close, then."""
    grids = [liquidity.quote_grid(s, seed) for s in SYMBOLS.values() for seed in range(40)]
    assert {grid_ms for _, grid_ms in grids} == {250}
    assert {phase_ms for phase_ms, _ in grids} == set(range(1, 250, 2))


def test_quicker_kinds_are_quoted_more_often() -> None:
    """An index four times a second, stocks and futures twice, options once."""
    terms = scene().terms
    paces = {kind: set(terms.grid_ms[terms.kind == kind].tolist()) for kind in range(4)}
    assert paces == {INDEX: {250}, EQUITY: {500}, FUTURE: {500}, OPTION: {1_000}}


@pytest.mark.parametrize(("name", "expiry"), [("NIFTY", TUESDAY), ("ITC", LAST_TUESDAY)])
def test_the_money_is_livelier_than_the_wings(name: str, expiry: date) -> None:
    """More trades of more lots, and tighter; the farthest strikes are silent for minutes."""
    known, terms = scene(), scene().terms
    rows = known.chain(name, expiry)
    track = known.tracks[terms.symbol[rows[0]]]
    opened = track.level * math.exp(track.curves[1, 0])
    steps = np.abs(terms.strike[rows] - opened) / terms.step[rows]
    near, far = rows[steps < 2], rows[steps > 15]
    for lively in (terms.trades, terms.trades * terms.lots_per_trade):
        assert lively[near].min() > lively[far].max()
        assert np.median(lively[near]) > 5 * np.median(lively[far])
    assert terms.illiquidity[near].max() < terms.illiquidity[far].min()
    assert terms.trades[rows[-4:]].max() < 385


def test_liveliness_keeps_its_bounds() -> None:
    """No index trades; nothing trades all the time; every trade is of a lot at least."""
    terms = scene().terms
    assert not terms.trades[terms.kind == INDEX].any()
    assert terms.trades.max() <= 15_000
    assert terms.lots_per_trade.min() >= 1.0
    assert ((terms.trades == 0.0) | (terms.trades >= 1.0)).all()
    assert ((terms.illiquidity >= 0.0) & (terms.illiquidity < 1.0)).all()
    assert not terms.open_lots[terms.settles_ms == 0].any()
    assert terms.open_lots[terms.settles_ms > 0].min() > 0.0


def test_nearer_expiries_are_livelier() -> None:
    """Of the same strike, and of futures."""
    known, terms = scene(), scene().terms
    strike = known.listing.strike[known.at_the_money("NIFTY", TUESDAY)]
    traded = []
    for name, expiry in sorted(known.listing.expiries):
        rows = known.listing.chain(name, expiry)
        if name == "NIFTY" and strike in terms.strike[rows]:
            both = rows[terms.strike[rows] == strike]
            traded.append((terms.trades * terms.lots_per_trade)[both].sum())
    assert traded[0] == max(traded)
    assert traded[0] > 3 * traded[-1]
    futures = [
        row for (name, _), row in sorted(known.listing.future_rows.items()) if name == "NIFTY"
    ]
    lots = (terms.trades * terms.lots_per_trade)[futures]
    assert len(lots) == 3
    assert lots[0] == lots.max()


def test_every_symbol_s_row_is_its_own() -> None:
    """A row of many, by place, says what the columns say."""
    known = scene()
    for place in np.random.default_rng(2).integers(0, len(known.listing.rows), 50).tolist():
        row = liquidity.row_of(known.terms, place)
        assert [str(value) for value in row] == [str(column[place]) for column in known.terms]
    assert {row.symbol.underlying.symbol for row in known.listing.rows} == set(NAMES)


def test_what_is_absent_neither_trades_nor_is_held() -> None:
    """And everything else stays as it is, of the others too."""
    terms = scene().terms
    absent = np.arange(terms.trades.size) % 3 == 0
    found = liquidity.without(terms, absent)
    for name in ("trades", "open_lots"):
        before, after = getattr(terms, name), getattr(found, name)
        assert not after[absent].any()
        assert after[~absent].tolist() == before[~absent].tolist()
    kept = terms._replace(trades=found.trades, open_lots=found.open_lots)
    assert all(_same(found, kept, name) for name in Terms._fields)
