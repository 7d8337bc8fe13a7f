"""The tape: what was last traded never turns back, and every bar is made of just that."""

from __future__ import annotations

import math
from datetime import date
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.exchange import book, noise, tape
from simulator.exchange.days import MULTIPLE, TURNOVER, curve_at
from simulator.exchange.liquidity import Row, quote_grid
from simulator.exchange.noise import Floats
from simulator.exchange.tape import Bar
from simulator.exchange.timetable import MINUTE_MS
from tests.simulator.scenes import (
    SEED,
    TUESDAY,
    WEDNESDAY,
    Scene,
    instants,
    quote_instants,
    scene,
)

_KINDS = sorted(scene().assorted())
_TRADED = [kind for kind in _KINDS if kind != "index"]
_AUCTION_MS, _CASH_MS = 380 * MINUTE_MS, 360 * MINUTE_MS
_DAYS = [WEDNESDAY, TUESDAY]
_SPECIAL = date(2026, 11, 8)


def _row(kind: str, known: Scene | None = None) -> Row:
    known = known or scene()
    return known.row(known.assorted()[kind])


def _brute(known: Scene, row: Row, start_ms: int, end_ms: int) -> list[float]:
    """The prices seen by somebody who looks at every instant that something can change at."""
    track, seen = known.track(row), []
    before = tape.last_trade(track, row, start_ms - 1).number if start_ms > 0 else 0
    auction = [_AUCTION_MS] if start_ms <= _AUCTION_MS < end_ms else []
    for at in sorted({*quote_instants(row, start_ms, end_ms), *auction}):
        trade = tape.last_trade(track, row, at)
        if trade.number > before:
            seen.append(tape.price_of(track, row, trade))
            before = trade.number
    return seen


def _bar(prices: list[float]) -> Bar:
    if not prices:
        return Bar(math.nan, -math.inf, math.inf, math.nan, 0)
    return Bar(prices[0], max(prices), min(prices), prices[-1], len(prices))


def _equal(first: Bar, second: Bar) -> bool:
    return np.array_equal(first, second, equal_nan=True)


def _joined(early: Bar, late: Bar) -> Bar:
    """The bar of two stretches that follow one another."""
    if not (early.trades and late.trades):
        return early if early.trades else late
    high, low = max(early.high, late.high), min(early.low, late.low)
    return Bar(early.open, high, low, late.close, early.trades + late.trades)


@pytest.mark.parametrize("kind", _TRADED)
@pytest.mark.parametrize("day", _DAYS)
def test_the_last_trade_never_turns_back(kind: str, day: date) -> None:
    """Later instants show the same trade or a later one: number, time and units only grow."""
    known = scene(day)
    row = _row(kind, known)
    track = known.track(row)
    trades = [tape.last_trade(track, row, at) for at in sorted(instants(known, 5, 1_500))]
    number, at, units, _ = np.array(trades).T
    assert (np.diff(number) >= 0).all()
    assert (np.diff(at) >= 0).all()
    assert ((np.diff(units) > 0) == (np.diff(number) > 0)).all()
    assert number[0] == 0
    assert (number[-1] > 0) == (row.trades >= 1.0)


@pytest.mark.parametrize("kind", _TRADED)
def test_a_trade_is_at_an_instant_of_quotes_and_in_their_book(kind: str) -> None:
    """Not ahead of now, on the grid, in whole lots, at a price on a tick from bid to ask."""
    known, row = scene(), _row(kind)
    track = known.track(row)
    for traded_ms in instants(known, 6, 400):
        trade = tape.last_trade(track, row, traded_ms)
        if trade.number == 0:
            continue
        assert trade.traded_ms <= traded_ms
        assert trade.units % row.lot_units == trade.last_units % row.lot_units == 0
        assert 0 < trade.last_units <= trade.units
        price = tape.price_of(track, row, trade)
        true = book.state(track, row, trade.traded_ms)
        quoted = book.book(track, row, trade.traded_ms, true)
        if kind == "stock" and trade.traded_ms == _AUCTION_MS:
            assert price == round(true.price * 20) / 20
            continue
        assert book.quoted_at(row, trade.traded_ms) == trade.traded_ms
        assert max(quoted.bid, 1.0) / 20 <= price <= quoted.ask / 20
        assert price * 20 == pytest.approx(round(price * 20), abs=1e-9)


@pytest.mark.parametrize("kind", _TRADED)
def test_between_quotes_nothing_happens(kind: str) -> None:
    """An instant shows what the last quote before it showed; the trade is its own last trade."""
    known, row = scene(), _row(kind)
    track = known.track(row)
    for traded_ms in instants(known, 7, 400):
        trade = tape.last_trade(track, row, traded_ms)
        if kind != "stock" or traded_ms < _AUCTION_MS:
            assert tape.last_trade(track, row, book.quoted_at(row, traded_ms)) == trade
        if trade.number:
            assert tape.last_trade(track, row, trade.traded_ms) == trade
            before = tape.last_trade(track, row, trade.traded_ms - 1)
            assert before.number < trade.number
            assert before.units <= trade.units - trade.last_units


@pytest.mark.parametrize("early_ms", [-5e-7, -1e-9, 0.0, 1e-9, 5e-7])
@pytest.mark.parametrize("number", [1, 2, 17])
def test_a_trade_within_a_hair_of_a_quote_shows_once(number: int, early_ms: float) -> None:
    """Wherever rounding puts it: it shows at the first instant that has it, and stays there."""
    known, row = scene(), _row("wing")
    track = known.track(row)
    at = book.quoted_at(row, 7_777_777)
    slope = curve_at(track, TURNOVER, at + 1) - curve_at(track, TURNOVER, at)
    passed = curve_at(track, TURNOVER, at) + early_ms * slope
    place = noise.uniform_at(row.stream ^ np.uint64(11), (track.number << 21) + number - 1)
    row = row._replace(trades=(number - 1 + place) / passed)
    for seen in range(at - row.grid_ms, at + 3 * row.grid_ms, row.grid_ms):
        trade = tape.last_trade(track, row, seen)
        if trade.number == 0:
            continue
        assert tape.last_trade(track, row, trade.traded_ms) == trade
        assert tape.bar(track, row, 0, seen + 1).close == tape.price_of(track, row, trade)
    assert tape.last_trade(track, row, at + row.grid_ms).number >= number


def test_an_index_does_not_trade() -> None:
    """Nor does what nobody trades."""
    known = scene()
    silent = _row("far wing")._replace(trades=0.0)
    for row in (_row("index"), silent):
        for traded_ms in (0, known.end_ms // 2, known.end_ms):
            assert tape.last_trade(known.track(row), row, traded_ms) == (0, 0, 0, 0)
    assert tape.bar(known.track(silent), silent, 0, known.end_ms).trades == 0


@pytest.mark.parametrize("kind", _TRADED)
@pytest.mark.parametrize("minute", [0, 1, 150, 358, 379, 384])
def test_a_bar_is_what_was_seen(kind: str, minute: int) -> None:
    """Two minutes of walking along every instant of quotes give its trades, one by one."""
    known, row = scene(), _row(kind)
    start_ms = minute * MINUTE_MS
    end_ms = min(start_ms + 2 * MINUTE_MS, known.end_ms)
    expected = _bar(_brute(known, row, start_ms, end_ms))
    assert _equal(tape.bar(known.track(row), row, start_ms, end_ms), expected)


@pytest.mark.parametrize("kind", ["wing", "far wing", "stock option"])
def test_a_slow_contract_s_day_is_what_was_seen(kind: str) -> None:
    """Along all of its day; its first trade is the first that was seen."""
    known, row = scene(), _row(kind)
    seen = _brute(known, row, 0, known.end_ms)
    assert seen
    assert _equal(tape.bar(known.track(row), row, 0, known.end_ms), _bar(seen))
    assert tape.first_price(known.track(row), row) == seen[0]


def test_an_index_s_bar_is_of_its_values() -> None:
    """Every quarter of a second, in ticks."""
    known, row = scene(), _row("index")
    track = known.track(row)
    for start_ms, end_ms in ((0, MINUTE_MS), (5 * MINUTE_MS, 6 * MINUTE_MS), (61_001, 61_900)):
        values = [
            round(book.state(track, row, at).price * 20) / 20
            for at in quote_instants(row, start_ms, end_ms)
        ]
        assert tape.bar(track, row, start_ms, end_ms) == _bar(values)


@settings(max_examples=150)
@given(
    st.sampled_from(_KINDS),
    st.lists(st.integers(0, scene().end_ms), min_size=3, max_size=3).map(sorted),
    st.integers(0, 30 * MINUTE_MS),
)
def test_bars_join(kind: str, cuts: list[int], width: int) -> None:
    """Two stretches that meet make the bar of both, wherever they meet."""
    known, row = scene(), _row(kind)
    start, middle = cuts[0], min(cuts[1], cuts[0] + width)
    end = min(cuts[2], middle + width)
    track = known.track(row)
    parts = tape.bar(track, row, start, middle), tape.bar(track, row, middle, end)
    assert _equal(tape.bar(track, row, start, end), _joined(*parts))


@cache
def _minutes(kind: str, day: date, session: str) -> tuple[Bar, ...]:
    known = scene(day, session)
    row = _row(kind, known)
    return tuple(
        tape.bar(known.track(row), row, at, at + MINUTE_MS)
        for at in range(0, known.end_ms, MINUTE_MS)
    )


def _bounds(known: Scene, row: Row, minutes: int) -> tuple[Floats, Floats]:
    """The narrowest, as they are quoted."""
    low, high = np.full((2, known.track(row).minutes), math.nan)
    grid = quote_grid(known.listing.symbols[row.symbol], SEED)
    tape.extend(known.track(row), *grid, minutes, low, high)
    return low, high


@settings(max_examples=120)
@given(
    st.sampled_from(_KINDS),
    st.sampled_from([(WEDNESDAY, "nse"), (TUESDAY, "nse"), (WEDNESDAY, "always")]),
    st.floats(0, 1),
    st.booleans(),
)
def test_a_day_is_the_join_of_its_minutes(
    kind: str, when: tuple[date, str], part: float, is_whole: bool
) -> None:
    """Up to any end, by narrow bounds and by wide ones, though it looks into few of the minutes."""
    known = scene(*when)
    row = _row(kind, known)
    track = known.track(row)
    whole = int(part * known.end_ms) // MINUTE_MS
    end_ms = whole * MINUTE_MS if is_whole else int(part * known.end_ms)
    expected = Bar(math.nan, -math.inf, math.inf, math.nan, 0)
    for made in _minutes(kind, *when)[:whole]:
        expected = _joined(expected, made)
    expected = _joined(expected, tape.bar(track, row, whole * MINUTE_MS, end_ms))
    for bounds in (tape.widest(track), _bounds(known, row, -(-end_ms // MINUTE_MS))):
        found = tape.day_bar(track, row, end_ms, *bounds)
        assert np.array_equal(found[:4], expected[:4], equal_nan=True)
        assert (found.trades > 0) == (expected.trades > 0)


def test_there_are_bursts_on_the_days_looked_at() -> None:
    """Or else the test before would say nothing of them."""
    tracks = [track for day in _DAYS for track in scene(day).tracks]
    assert any((track.curves[MULTIPLE] > 1.0).any() for track in tracks)


def test_bounds_hold_the_path() -> None:
    """What is quoted in a minute lies within its narrow bounds, and those within the wide ones."""
    known, row = scene(), _row("index")
    track = known.track(row)
    low, high = _bounds(known, row, track.minutes)
    widest = tape.widest(track)
    assert (widest[0] < low).all()
    assert (high < widest[1]).all()
    for minute in (0, 1, 200, track.minutes - 1):
        start_ms = minute * MINUTE_MS
        path = [
            math.log(book.state(track, row, at).spot / track.level)
            for at in quote_instants(row, start_ms, start_ms + MINUTE_MS)
        ]
        assert (min(path), max(path)) == pytest.approx((low[minute], high[minute]), abs=1e-12)


def test_bounds_grow_with_the_day() -> None:
    """Later minutes are not touched, known ones stay, one by one or at once."""
    known, row = scene(), _row("stock")
    at_once = _bounds(known, row, 50)
    assert np.isnan(at_once[0][50:]).all()
    low, high = np.full((2, known.track(row).minutes), math.nan)
    for minutes in (1, 1, 20, 7, 50):
        grid = quote_grid(known.listing.symbols[row.symbol], SEED)
        tape.extend(known.track(row), *grid, minutes, low, high)
    assert np.array_equal((low, high), at_once, equal_nan=True)


def test_half_known_bounds_are_made_again() -> None:
    """As another thread may leave them for a moment."""
    known, row = scene(), _row("stock")
    track = known.track(row)
    expected = _bounds(known, row, 3)
    low, high = expected[0].copy(), expected[1].copy()
    low[1], high[2] = math.nan, math.nan
    tape.extend(track, *quote_grid(known.listing.symbols[row.symbol], SEED), 3, low, high)
    assert np.array_equal((low, high), expected, equal_nan=True)


def test_the_closing_auction_is_a_stock_s_last_trade() -> None:
    """At 15:35, the only one since 15:15, of a share of the day's turnover, off no book."""
    known, row = scene(), _row("stock")
    track = known.track(row)
    before = tape.last_trade(track, row, _CASH_MS - 1)
    assert tape.last_trade(track, row, _AUCTION_MS - 1) == before
    auction = tape.last_trade(track, row, _AUCTION_MS)
    assert auction == tape.last_trade(track, row, known.end_ms)
    assert (auction.number, auction.traded_ms) == (before.number + 1, _AUCTION_MS)
    assert auction.units == before.units + auction.last_units
    assert auction.last_units == int(0.02 * row.trades * row.lots_per_trade)
    price = tape.price_of(track, row, auction)
    assert price == round(book.state(track, row, _AUCTION_MS).spot * 20) / 20
    made = tape.bar(track, row, _CASH_MS, known.end_ms)
    assert made == Bar(price, price, price, price, 1)
    assert tape.bar(track, row, _CASH_MS, _AUCTION_MS).trades == 0


def test_without_an_auction_a_stock_trades_to_the_end() -> None:
    """On a special session's evening."""
    known = scene(_SPECIAL)
    row = _row("stock", known)
    last = tape.last_trade(known.track(row), row, known.end_ms)
    assert last.traded_ms > known.end_ms - 30_000
    assert last == tape.last_trade(known.track(row), row, known.end_ms - 1)


@pytest.mark.parametrize("kind", _TRADED)
def test_a_day_trades_what_its_terms_say(kind: str) -> None:
    """As many trades, of as many lots on average."""
    known, row = scene(), _row(kind)
    last = tape.last_trade(known.track(row), row, _CASH_MS - 1 if kind == "stock" else known.end_ms)
    assert last.number == pytest.approx(row.trades, abs=0.12 * row.trades + 1)
    assert last.units / row.lot_units / last.number == pytest.approx(
        row.lots_per_trade, rel=0.1 + 1 / last.number
    )
