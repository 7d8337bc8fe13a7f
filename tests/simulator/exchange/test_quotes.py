"""What is on show: the books, trades and counters of each row, and the depth behind them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.exchange import bulk, pricing, quotes, tape
from simulator.exchange.book import TICK, book, open_interest_lots, quoted_at, state
from simulator.exchange.days import epoch_ms_of
from simulator.exchange.liquidity import INDEX, OPTION, terms
from simulator.exchange.pricing import Priced
from simulator.exchange.quotes import Quotes, Settled
from simulator.exchange.timetable import MINUTE_MS
from tests.simulator.scenes import SEED, TUESDAY, WEDNESDAY, paths, scene

_INSTANT = st.integers(0, scene().end_ms)
_MONDAY = date(2026, 11, 23)
_ROWS = np.concatenate(
    [
        list(scene().assorted().values()),
        np.random.default_rng(8).choice(len(scene().listing.rows), 60, replace=False),
    ]
)
_ROOT = Path(__file__).parents[3]


@cache
def _before(day: date = WEDNESDAY) -> Settled:
    """What the day before left of the rows that are listed on ``day``."""
    made, timetable = paths()
    known, earlier = scene(day), timetable.day_before(day)
    listing = known.listing
    then = terms(listing, listing.symbols, SEED, made.tracks(earlier))
    return quotes.settle(made.day(earlier), then)


def _quotes(traded_ms: int, day: date = WEDNESDAY, rows: Any = _ROWS) -> Quotes:
    known = scene(day)
    return quotes.quotes_at(known.day, known.terms, rows, traded_ms, _before(day))


def _entries(found: Quotes) -> list[tuple[float, ...]]:
    """Row by row."""
    columns = [getattr(found, f.name) for f in fields(Quotes) if f.name != "model"]
    columns += [getattr(found.model, f.name) for f in fields(Priced)]
    return list(zip(*(column.tolist() for column in columns), strict=True))


@settings(max_examples=25)
@given(_INSTANT)
def test_quotes_are_what_the_tape_and_the_book_say(traded_ms: int) -> None:
    """Row by row, against the kernels of one contract."""
    known, found, before = scene(), _quotes(traded_ms), _before()
    for i, place in enumerate(_ROWS.tolist()):
        row = known.row(place)
        track, at = known.track(row), quoted_at(row, traded_ms)
        true = state(track, row, at)
        quoted = book(track, row, at, true)
        assert found.quoted_ms[i] == epoch_ms_of(track, at)
        sides = found.bid_price[i], found.ask_price[i]
        assert sides == pytest.approx((quoted.bid * TICK, quoted.ask * TICK), abs=1e-9)
        assert found.model.price[i] == pytest.approx(true.price, rel=1e-12)
        assert found.model.delta[i] == pytest.approx(true.delta, rel=1e-9, abs=1e-15)
        held = open_interest_lots(track, row, at) * row.lot_units
        assert found.open_interest_units[i] == held
        trade = tape.last_trade(track, row, at)
        assert found.volume_units[i] == trade.units
        assert found.last_quantity_units[i] == trade.last_units
        if trade.number:
            assert found.last_price[i] == tape.price_of(track, row, trade)
            assert found.last_traded_ms[i] == epoch_ms_of(track, trade.traded_ms)
        elif row.kind != INDEX:
            assert found.last_price[i] == before.close_price[place]
            assert found.last_traded_ms[i] == before.last_traded_ms[place]


@given(_INSTANT)
@settings(max_examples=10)
def test_greeks_are_the_model_s_own(traded_ms: int) -> None:
    """Of options, at their true volatility; 0 of everything else."""
    known, found = scene(), _quotes(traded_ms)
    names = ("gamma", "theta_per_day", "vega_per_vol_point", "rho_per_percent")
    for i, place in enumerate(_ROWS.tolist()):
        row = known.row(place)
        told = [float(getattr(found.model, n)[i]) for n in (*names, "profit_probability")]
        assert np.isnan(found.implied_volatility[i]) == (row.kind != OPTION)
        if row.kind != OPTION:
            assert not any(told)
            continue
        track = known.track(row)
        true = state(track, row, quoted_at(row, traded_ms))
        assert found.implied_volatility[i] == pytest.approx(true.volatility, rel=1e-12)
        more = pricing.greeks(
            true.forward, row.strike, true.years, true.volatility, track.rate, row.sign
        )
        assert told == pytest.approx(list(more), rel=1e-9)


@settings(max_examples=20)
@given(_INSTANT, st.lists(st.integers(0, _ROWS.size - 1), max_size=12))
def test_a_row_does_not_depend_on_the_others(traded_ms: int, chosen: list[int]) -> None:
    """In any order, repeated or alone."""
    whole = _entries(_quotes(traded_ms))
    part = _quotes(traded_ms, rows=_ROWS[np.array(chosen, np.int64)])
    assert np.array_equal(_entries(part), [whole[i] for i in chosen], equal_nan=True)


@settings(max_examples=15)
@given(_INSTANT, st.sampled_from([WEDNESDAY, TUESDAY]))
def test_average_and_last_lie_in_the_day_s_range(traded_ms: int, day: date) -> None:
    """Wherever there is a trade; without one there is no average."""
    known = scene(day)
    rows = np.array(list(known.assorted().values()))
    found = _quotes(traded_ms, day, rows)
    prices, units = bulk.bars(known.day, known.terms, rows, 0, traded_ms + 1)
    low, high = prices[2] - 1e-9, prices[1] + 1e-9
    has_traded = found.volume_units > 0
    assert found.volume_units.tolist() == units.tolist()
    assert not found.average_price[~has_traded].any()
    for price in (found.average_price, found.last_price):
        assert ((low <= price) & (price <= high))[has_traded].all()


def test_the_day_before_leaves_its_closes() -> None:
    """Its last price, its last trade and its open interest, whatever trades today."""
    known, before = scene(), _before()
    assert _quotes(0).previous_close_price.tolist() == before.close_price[_ROWS].tolist()
    made, timetable = paths()
    assert timetable.day_before(WEDNESDAY) == _MONDAY
    then = terms(known.listing, known.listing.symbols, SEED, made.tracks(_MONDAY))
    day, end_ms = made.day(_MONDAY), made.track(_MONDAY, 0).minutes * MINUTE_MS
    closed = quotes.quotes_at(day, then, _ROWS, end_ms, before)
    has_traded = closed.last_quantity_units > 0
    is_spot = known.terms.settles_ms[_ROWS] == 0
    assert has_traded.sum() > 30
    for traded_ms in (0, 5_000_000, known.end_ms):
        found = _quotes(traded_ms)
        chosen = has_traded | is_spot
        assert found.previous_close_price[chosen].tolist() == closed.last_price[chosen].tolist()
        held = closed.open_interest_units
        assert found.previous_open_interest_units.tolist() == held.tolist()
    first = _quotes(0)
    waiting = first.last_quantity_units == 0
    told = first.last_traded_ms[waiting & has_traded]
    assert told.tolist() == closed.last_traded_ms[waiting & has_traded].tolist()


def test_what_did_not_trade_is_left_at_its_worth() -> None:
    """On a tick, at least one, between what was bid and asked at the close."""
    known = scene()
    row = known.row(known.assorted()["far wing"])._replace(trades=0.0)
    track = known.track(row)
    close = quotes.close_price(track, row)
    at = quoted_at(row, known.end_ms)
    quoted = book(track, row, at, state(track, row, at))
    assert max(quoted.bid, 1.0) - 1e-6 <= close / TICK <= quoted.ask + 1e-6
    assert close / TICK == pytest.approx(round(close / TICK), abs=1e-6)
    worthless = row._replace(strike=row.strike / 100.0)
    assert quotes.close_price(track, worthless) == TICK


@settings(max_examples=25)
@given(_INSTANT)
def test_quantities_are_lots(traded_ms: int) -> None:
    """From one lot to sixty wherever somebody offers, nothing where nobody does."""
    known, found = scene(), _quotes(traded_ms)
    lots = known.terms.lot_units[_ROWS]
    for side in ("bid", "ask"):
        price = getattr(found, f"{side}_price")
        units = getattr(found, f"{side}_quantity_units")
        assert (units % lots == 0).all()
        assert ((units > 0) == (price > 0)).all()
        assert (units <= 60 * lots).all()
        assert (getattr(found, f"total_{side}_quantity_units") >= units).all()


def test_quantities_change_with_the_quote() -> None:
    """And stand until the next one, on both sides apart."""
    known = scene()
    place = known.assorted()["money"]
    row = known.row(place)
    rows = np.array([place])
    first = row.phase_ms + 100 * row.grid_ms
    seen = [_quotes(first + i * row.grid_ms, rows=rows) for i in range(200)]
    bids = [int(found.bid_quantity_units[0]) for found in seen]
    asks = [int(found.ask_quantity_units[0]) for found in seen]
    assert len(set(bids)) > 40
    assert abs(np.corrcoef(bids, asks)[0, 1]) < 0.3
    assert _entries(_quotes(first + row.grid_ms - 1, rows=rows)) == _entries(seen[0])


@settings(max_examples=25)
@given(_INSTANT, st.integers(1, 30))
def test_the_ladder_stands_on_the_quote(traded_ms: int, levels: int) -> None:
    """The best level is the quote; a tick between levels, none below a tick, none of an index."""
    found = _quotes(traded_ms)
    depth = quotes.ladder(found, levels)
    assert depth.bid_price.shape == (_ROWS.size, levels)
    for side, away in (("bid", -1), ("ask", 1)):
        price = getattr(depth, f"{side}_price")
        units = getattr(depth, f"{side}_quantity_units")
        orders = getattr(depth, f"{side}_orders")
        best = getattr(found, f"{side}_price")
        assert price[:, 0] == pytest.approx(best, abs=1e-9)
        assert units[:, 0].tolist() == getattr(found, f"{side}_quantity_units").tolist()
        assert ((price > 0) == (units > 0)).all()
        assert ((price > 0) == (orders > 0)).all()
        expected = best[:, None] + away * TICK * np.arange(levels)
        expected[(expected < TICK / 2) | (best == 0)[:, None]] = 0.0
        assert price == pytest.approx(expected, abs=1e-6)
    is_index = scene().terms.kind[_ROWS] == INDEX
    assert is_index.any()
    assert not depth.ask_price[is_index].any()


def test_rounding_is_to_the_nearest_tick() -> None:
    """Halves aside."""
    assert quotes.round_to_tick(np.array([1.01, 1.03, 1.05])).tolist() == [1.0, 1.05, 1.05]


@given(st.floats(0, 100_000))
def test_rounded_prices_are_ticks(price: float) -> None:
    """Not farther than half a tick away, and their own rounding."""
    rounded = quotes.round_to_tick(np.array([price]))
    assert abs(rounded[0] - price) <= TICK / 2 + 1e-9
    assert quotes.round_to_tick(rounded) == rounded
    assert rounded[0] * 20 == pytest.approx(round(rounded[0] * 20), abs=1e-6)


def digest() -> str:
    """Of quotes, depths and candles of some instants, to the last bit."""
    known, parts = scene(), []
    for traded_ms in (0, 1_234_567, known.end_ms):
        found = _quotes(traded_ms)
        parts += [getattr(found, f.name) for f in fields(Quotes) if f.name != "model"]
        parts += [getattr(found.model, f.name) for f in fields(Priced)]
        parts += [quotes.ladder(found, 5).bid_quantity_units]
    for place in known.assorted().values():
        row = known.row(place)
        candles = bulk.minute_candles(known.track(row), row, known.tracks[0].minutes, 1.0)
        parts += [getattr(candles, f.name) for f in fields(bulk.Candles)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()


def test_every_process_sees_the_same_market() -> None:
    """A fresh interpreter with another hash seed shows not one bit else."""
    script = "from tests.simulator.exchange.test_quotes import digest; print(digest())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(_ROOT)},
    )
    assert done.stdout.strip() == digest()
