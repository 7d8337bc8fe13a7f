"""Candles of many minutes and contracts: what the tape says one by one, in any order and thread."""

from __future__ import annotations

import math
import threading
from dataclasses import fields
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.exchange import bulk, tape
from simulator.exchange.book import open_interest_lots
from simulator.exchange.bulk import NO_CANDLES, Candles, Extremes
from simulator.exchange.liquidity import INDEX, Row, quote_grid
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.timetable import MINUTE_MS
from tests.simulator.scenes import NAMES, SEED, TUESDAY, WEDNESDAY, Scene, scene

_KINDS = sorted(scene().assorted())
_SPOTS = ("index", "stock")
_SPECIAL = date(2026, 11, 8)
_BEFORE = 123.45
_ROWS = np.random.default_rng(4).choice(len(scene().listing.rows), 150, replace=False)


def _extremes(known: Scene) -> Extremes:
    grids = [quote_grid(symbol, SEED) for symbol in known.listing.symbols]
    return Extremes(known.tracks, grids)


def _units(known: Scene, row: Row, end_ms: int) -> int:
    return 0 if row.kind == INDEX else tape.last_trade(known.track(row), row, end_ms - 1).units


def _columns(candles: Candles) -> list[list[float]]:
    return [getattr(candles, field.name).tolist() for field in fields(Candles)]


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("day", [WEDNESDAY, TUESDAY, _SPECIAL])
def test_minute_candles_are_the_tape_s(kind: str, day: date) -> None:
    """Minute by minute: prices, units and open interest, none without a trade but of spots."""
    known = scene(day)
    row = known.row(known.assorted()[kind])
    track = known.track(row)
    found = bulk.minute_candles(track, row, track.minutes, _BEFORE)
    last, expected = _BEFORE, []
    for minute, starts_ms in enumerate(known.grid.starts_ms.tolist()):
        start_ms, end_ms = minute * MINUTE_MS, (minute + 1) * MINUTE_MS
        made = tape.bar(track, row, start_ms, end_ms)
        prices = made[:4] if made.trades else (last,) * 4
        units = _units(known, row, end_ms) - _units(known, row, start_ms)
        held = open_interest_lots(track, row, start_ms) * row.lot_units
        if made.trades or kind in _SPOTS:
            last = prices[3]
            expected.append([starts_ms, *prices, units, held])
    assert _columns(found) == np.array(expected, np.float64).T.tolist()


@pytest.mark.parametrize("kind", _SPOTS)
@pytest.mark.parametrize("day", [WEDNESDAY, _SPECIAL])
def test_spots_have_every_minute(kind: str, day: date) -> None:
    """Also of those without a trade, as a stock's between its close and its auction."""
    known = scene(day)
    row = known.row(known.assorted()[kind])
    found = bulk.minute_candles(known.track(row), row, known.tracks[0].minutes, _BEFORE)
    assert found.starts_ms.tolist() == known.grid.starts_ms.tolist()
    assert np.isfinite(found.close).all()
    assert not found.open_interest_units.any()


def test_between_close_and_auction_a_stock_stands_still() -> None:
    """At its last price of 15:15, without volume, until 15:35."""
    known = scene()
    row = known.row(known.assorted()["stock"])
    found = bulk.minute_candles(known.track(row), row, 385, _BEFORE)
    for prices in (found.open, found.high, found.low, found.close):
        assert set(prices[360:380].tolist()) == {found.close[359]}
    assert not found.volume_units[360:380].any()
    assert found.volume_units[380] > 0
    assert not found.volume_units[381:].any()


def test_before_its_first_trade_a_spot_has_the_price_of_before() -> None:
    """And what is no spot has no candle."""
    known = scene()
    stock, wing = (known.row(known.assorted()[kind]) for kind in ("stock", "wing"))
    for row in (stock, wing):
        silent = row._replace(trades=0.0)
        found = bulk.minute_candles(known.track(row), silent, 3, _BEFORE)
        if row is stock:
            assert found.close.tolist() == found.high.tolist() == [_BEFORE] * 3
        else:
            assert _columns(found) == _columns(NO_CANDLES)


@settings(max_examples=30)
@given(st.sampled_from(_KINDS), st.integers(0, 385))
def test_the_first_minutes_do_not_depend_on_how_many_are_asked(kind: str, minutes: int) -> None:
    """A part of the day is the day's part."""
    known = scene()
    row = known.row(known.assorted()[kind])
    whole, part = (
        bulk.minute_candles(known.track(row), row, count, _BEFORE) for count in (385, minutes)
    )
    count = part.starts_ms.size
    assert _columns(part) == [column[:count] for column in _columns(whole)]
    end_ms = int(known.grid.starts_ms[minutes]) if minutes < 385 else known.grid.closes_ms
    assert count == (whole.starts_ms < end_ms).sum()


@given(st.integers(0, scene().end_ms), st.integers(0, 40 * MINUTE_MS))
@settings(max_examples=15)
def test_bars_of_many_are_those_of_each(start_ms: int, width: int) -> None:
    """In the order that is asked for, over any stretch of the day."""
    known, end_ms = scene(), min(start_ms + width, scene().end_ms)
    prices, units = bulk.bars(known.day, known.terms, _ROWS, start_ms, end_ms)
    for i, place in enumerate(_ROWS.tolist()):
        row = known.row(place)
        made = tape.bar(known.track(row), row, start_ms, end_ms)
        expected = made[:4] if made.trades else (math.nan,) * 4
        assert np.array_equal(prices[:, i], expected, equal_nan=True)
        before = _units(known, row, start_ms) if start_ms > 0 else 0
        assert units[i] == _units(known, row, end_ms) - before


def _covered(known: Scene, end_ms: int) -> tuple[Floats, Floats]:
    extremes = _extremes(known)
    extremes.cover(np.arange(len(NAMES)), end_ms)
    return extremes.low, extremes.high


@settings(max_examples=10)
@given(st.integers(0, scene().end_ms))
def test_day_bars_are_bars_from_the_open(end_ms: int) -> None:
    """Though few of the minutes are looked into: the same prices, the same units."""
    known = scene()
    found = bulk.day_bars(known.day, known.terms, _ROWS, end_ms, *_covered(known, end_ms))
    expected = bulk.bars(known.day, known.terms, _ROWS, 0, end_ms)
    assert np.array_equal(found[0], expected[0], equal_nan=True)
    assert found[1].tolist() == expected[1].tolist()


@settings(max_examples=15)
@given(st.sampled_from(_KINDS), st.integers(0, scene().end_ms))
def test_a_day_candle_is_its_day_bar(kind: str, end_ms: int) -> None:
    """With the open interest of its end; none without a trade."""
    known = scene()
    place = known.assorted()[kind]
    row = known.row(place)
    found = bulk.day_candle(known.track(row), row, end_ms, 77)
    prices, units = bulk.bars(known.day, known.terms, np.array([place]), 0, end_ms)
    if np.isnan(prices).any():
        assert _columns(found) == _columns(NO_CANDLES)
        return
    held = open_interest_lots(known.track(row), row, end_ms - 1) * row.lot_units
    expected = [77, *prices[:, 0].tolist(), int(units[0]), held]
    assert _columns(found) == [[value] for value in expected]


def test_joined_candles_follow_one_another() -> None:
    """Parts in their order, empty ones without a trace; nothing of nothing."""
    known = scene()
    row = known.row(known.assorted()["money"])
    whole = bulk.minute_candles(known.track(row), row, 60, 0.0)
    parts = [
        Candles(*(getattr(whole, field.name)[cut] for field in fields(Candles)))
        for cut in (slice(0, 20), slice(20, 20), slice(20, None))
    ]
    assert _columns(bulk.joined([NO_CANDLES, *parts])) == _columns(whole)
    assert bulk.joined([]) is NO_CANDLES


def _cover(extremes: Extremes, steps: list[tuple[int, int]]) -> None:
    for symbol, end_ms in steps:
        extremes.cover(np.array([symbol]), end_ms)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, len(NAMES) - 1), st.integers(0, scene().end_ms)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_extremes_do_not_depend_on_the_order(steps: list[tuple[int, int]], rng: object) -> None:
    """Symbols and ends in any order, again and again: the same bounds, as far as was asked."""
    first, second, third = (_extremes(scene()) for _ in range(3))
    _cover(first, steps)
    _cover(second, [*reversed(steps), *steps])
    for symbol in range(len(NAMES)):
        ends = [end_ms for asked, end_ms in steps if asked == symbol]
        third.cover(np.array([symbol]), max(ends, default=0))
        known_minutes = -(-max(ends, default=0) // MINUTE_MS)
        assert np.isfinite(first.low[symbol, :known_minutes]).all()
        assert np.isnan(first.low[symbol, known_minutes:]).all()
    for other in (second, third):
        assert np.array_equal(first.low, other.low, equal_nan=True)
        assert np.array_equal(first.high, other.high, equal_nan=True)


def test_extremes_can_be_asked_by_many_threads() -> None:
    """Whoever has covered a minute finds it final, whoever else is at it."""
    known = scene(WEDNESDAY, "always")
    symbols, end_ms = np.arange(len(NAMES)), known.end_ms
    expected = _covered(known, end_ms)
    for _ in range(3):
        extremes, start, wrong = _extremes(known), threading.Barrier(6), list[Ints]()

        def ask(
            extremes: Extremes = extremes,
            start: threading.Barrier = start,
            wrong: list[Ints] = wrong,
        ) -> None:
            start.wait()
            for part in (0.1, 0.5, 1.0):
                extremes.cover(symbols, int(part * end_ms))
                seen = int(part * end_ms) // MINUTE_MS
                if not np.array_equal(extremes.low[:, :seen], expected[0][:, :seen]):
                    wrong.append(symbols)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert np.array_equal((extremes.low, extremes.high), expected)
