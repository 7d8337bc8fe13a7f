"""Books: on ticks around the true price, all of a symbol at once, and nothing to earn in them."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.exchange import book
from simulator.exchange.book import TICK, Book, State
from simulator.exchange.days import LOG_SPOT
from simulator.exchange.liquidity import OPTION
from simulator.exchange.noise import Floats
from simulator.exchange.timetable import MINUTE_MS
from tests.simulator.scenes import (
    LAST_TUESDAY,
    TUESDAY,
    WEDNESDAY,
    Scene,
    instants,
    quote_instants,
    scene,
)

_INSTANT = st.integers(0, scene().end_ms)
_KINDS = sorted(scene().assorted())
_DAYS = [WEDNESDAY, TUESDAY, LAST_TUESDAY]
_NOTHING = 1e-9  # ₹ that nobody counts
_AUCTION_MS = 360 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class _Chain:
    """The executable prices of a chain at an instant, ₹ by strike."""

    strikes: Floats
    call_bid: Floats
    call_ask: Floats
    put_bid: Floats
    put_ask: Floats
    discount: float
    forward: float


def _quoted(known: Scene, place: int, traded_ms: int) -> tuple[State, Book]:
    """What a row shows at any instant: the book of when it was last quoted."""
    row = known.row(place)
    at = book.quoted_at(row, traded_ms)
    true = book.state(known.track(row), row, at)
    return true, book.book(known.track(row), row, at, true)


def _chain(known: Scene, name: str, expiry: date, traded_ms: int) -> _Chain:
    rows = known.chain(name, expiry)
    found = [_quoted(known, place, traded_ms) for place in rows.tolist()]
    bids, asks = (np.array([getattr(b, side) * TICK for _, b in found]) for side in ("bid", "ask"))
    true = found[0][0]
    rate = known.track(known.row(int(rows[0]))).rate
    return _Chain(
        known.listing.strike[rows[::2]],
        bids[::2],
        asks[::2],
        bids[1::2],
        asks[1::2],
        math.exp(-rate * true.years),
        true.forward,
    )


@settings(max_examples=200)
@given(st.sampled_from(_KINDS), _INSTANT, st.sampled_from(_DAYS))
def test_bid_and_ask_bracket_the_price(kind: str, traded_ms: int, day: date) -> None:
    """Whole ticks, uncrossed, the true price between them."""
    known = scene(day)
    place = known.assorted()[kind]
    true, quoted = _quoted(known, place, traded_ms)
    if quoted == (0.0, 0.0):
        assert kind in {"index", "stock"}
        return
    assert all(float(side).is_integer() for side in quoted)
    assert 0.0 <= quoted.bid < quoted.ask
    assert quoted.bid * TICK <= true.price + _NOTHING
    assert quoted.ask * TICK >= true.price - _NOTHING


@pytest.mark.parametrize("kind", _KINDS)
def test_quote_instants_are_on_the_grid(kind: str) -> None:
    """The open and then one grid apart; shown is the newest one not after the instant."""
    known = scene()
    row = known.row(known.assorted()[kind])
    grid = list(quote_instants(row, 0, known.end_ms + 1))
    assert grid[:3] == [0, row.phase_ms, row.phase_ms + row.grid_ms]
    for traded_ms in instants(known, 3, 200):
        at = book.quoted_at(row, traded_ms)
        assert at == grid[bisect_right(grid, traded_ms) - 1]
        assert book.quoted_at(row, at) == at


@given(_INSTANT)
def test_nobody_bids_for_an_index(traded_ms: int) -> None:
    """Nor asks; it has its own value in ticks."""
    known = scene()
    true, quoted = _quoted(known, known.assorted()["index"], traded_ms)
    assert quoted == (0.0, 0.0)
    assert book.last_of(quoted, true, 0.9) == round(true.price * 20)


def test_a_stock_has_a_book_while_its_market_is_open() -> None:
    """Until its auction begins; its options are quoted to the end."""
    known = scene()
    stock, option = (known.assorted()[kind] for kind in ("stock", "stock option"))
    for traded_ms in range(0, known.end_ms + 1, 5 * MINUTE_MS):
        row = known.row(stock)
        true = book.state(known.track(row), row, traded_ms)
        quoted = book.book(known.track(row), row, traded_ms, true)
        assert (quoted.ask > 0.0) == (traded_ms < _AUCTION_MS)
        assert _quoted(known, option, traded_ms)[1].ask > 0.0


@settings(max_examples=25)
@given(_INSTANT, st.sampled_from(_DAYS), st.sampled_from(["NIFTY", "ITC"]))
def test_verticals_earn_nothing(traded_ms: int, day: date, name: str) -> None:
    """Of any two strikes: never paid for the better option, nor for more than their distance."""
    for expiry in _expiries(scene(day), name)[:2]:
        chain = _chain(scene(day), name, expiry, traded_ms)
        low, high = np.triu_indices(chain.strikes.size, 1)
        width = chain.discount * (chain.strikes[high] - chain.strikes[low])
        for better, worse, bid, ask in (
            (low, high, chain.call_bid, chain.call_ask),
            (high, low, chain.put_bid, chain.put_ask),
        ):
            assert (bid[worse] - ask[better]).max() <= _NOTHING
            assert (bid[better] - ask[worse] - width).max() <= _NOTHING


@settings(max_examples=25)
@given(_INSTANT, st.sampled_from(_DAYS), st.integers(0, 2**32 - 1))
def test_butterflies_earn_nothing(traded_ms: int, day: date, seed: int) -> None:
    """Of any three strikes, however uneven: the wings cost at least what the body brings."""
    for name in ("NIFTY", "ITC"):
        chain = _chain(scene(day), name, _expiries(scene(day), name)[0], traded_ms)
        count = chain.strikes.size
        drawn = np.sort(np.random.default_rng(seed).integers(0, count, (3, 3_000)), axis=0)
        drawn = drawn[:, (drawn[0] < drawn[1]) & (drawn[1] < drawn[2])]
        adjacent = np.arange(count - 2) + np.arange(3)[:, None]
        left, body, right = np.concatenate([drawn, adjacent], axis=1)
        k = chain.strikes
        weight = (k[right] - k[body]) / (k[right] - k[left])
        for bid, ask in ((chain.call_bid, chain.call_ask), (chain.put_bid, chain.put_ask)):
            cost = weight * ask[left] + (1.0 - weight) * ask[right] - bid[body]
            assert cost.min() >= -_NOTHING


@settings(max_examples=25)
@given(_INSTANT, st.sampled_from(_DAYS), st.sampled_from(["NIFTY", "ITC"]))
def test_boxes_and_conversions_earn_nothing(traded_ms: int, day: date, name: str) -> None:
    """Call and put of a strike are a forward: it costs what the true one is worth, either way."""
    for expiry in _expiries(scene(day), name)[:2]:
        chain = _chain(scene(day), name, expiry, traded_ms)
        worth = chain.discount * (chain.forward - chain.strikes)
        long, short = chain.call_ask - chain.put_bid, chain.call_bid - chain.put_ask
        assert (worth - long).max() <= _NOTHING
        assert (short - worth).max() <= _NOTHING
        # A box: long by one strike, short by another, against the distance of the two.
        implied = chain.discount * chain.strikes
        assert (short + implied).max() - (long + implied).min() <= _NOTHING


@settings(max_examples=40)
@given(_INSTANT, st.sampled_from(_DAYS[:2]), st.sampled_from(["NIFTY", "BANKNIFTY", "ITC"]))
def test_parity_with_the_future_earns_nothing(traded_ms: int, day: date, name: str) -> None:
    """Whenever the options are quoted, against the future that can be bought and sold then."""
    known = scene(day)
    future = known.listing.future_rows[name, LAST_TUESDAY]
    at = book.quoted_at(known.row(int(known.chain(name, LAST_TUESDAY)[0])), traded_ms)
    assert book.quoted_at(known.row(future), at) == at
    chain = _chain(known, name, LAST_TUESDAY, at)
    _, quoted = _quoted(known, future, at)
    bought = chain.discount * (quoted.ask * TICK - chain.strikes)
    sold = chain.discount * (quoted.bid * TICK - chain.strikes)
    assert (sold - (chain.call_ask - chain.put_bid)).max() <= _NOTHING
    assert ((chain.call_bid - chain.put_ask) - bought).max() <= _NOTHING


@settings(max_examples=30)
@given(_INSTANT, st.sampled_from(["NIFTY", "ITC"]), st.floats(-0.25, 0.25))
def test_total_variance_never_falls_with_expiry(traded_ms: int, name: str, k: float) -> None:
    """At equal log-moneyness the true surface is worth more for each later expiry."""
    known = scene()
    totals = []
    for expiry in _expiries(known, name):
        row = known.row(int(known.chain(name, expiry)[0]))
        track = known.track(row)
        forward = book.state(track, row, traded_ms).forward
        true = book.state(track, row._replace(strike=forward * math.exp(k)), traded_ms)
        totals.append(true.volatility**2 * true.years)
    assert len(totals) >= 3
    assert all(early <= late + 1e-15 for early, late in pairwise(totals))


def _expiries(known: Scene, name: str) -> list[date]:
    return sorted(expiry for symbol, expiry in known.listing.expiries if symbol == name)


@given(_INSTANT)
def test_the_state_is_one_of_its_symbol(traded_ms: int) -> None:
    """Forward by carry, discounting by the rate, a spot's price its own, deltas of the right."""
    known = scene()
    places = known.assorted()
    for kind, place in places.items():
        row = known.row(place)
        track, true = known.track(row), book.state(known.track(row), row, traded_ms)
        again = book.state_at(track, row, traded_ms, math.log(true.spot / track.level))
        assert again == pytest.approx(true, rel=1e-9, nan_ok=True)
        carried = true.spot * math.exp((track.rate + track.basis) * true.years)
        assert true.forward == pytest.approx(carried, rel=1e-12)
        assert math.isnan(true.volatility) == (row.kind != OPTION)
        if row.kind != OPTION:
            assert (true.price, true.delta) == (true.forward, 1.0)
        assert true.delta * (row.sign or 1.0) >= 0.0, kind


@given(st.floats(0.0, 5_000), st.floats(0, 50_000), st.integers(200, 10_000), st.floats(0, 0.99))
def test_spreads_widen_with_risk(price: float, drift: float, life: int, illiquid: float) -> None:
    """Dearer, more sensitive, longer-lived or less liquid quotes are never tighter."""
    here = book.half_spread(price, drift, life, illiquid)
    assert here >= TICK / 2
    assert here == book.half_spread(price, -drift, life, illiquid)
    wider = [
        book.half_spread(price * 2, drift, life, illiquid),
        book.half_spread(price, drift * 2, life, illiquid),
        book.half_spread(price, drift, life * 2, illiquid),
        book.half_spread(price, drift, life, illiquid + 0.01),
    ]
    assert min(wider) >= here


def test_spreads_widen_in_bursts() -> None:
    """An option's, by what its price may do until it is quoted again."""
    known = scene()
    row = known.row(known.assorted()["money"])
    track = known.track(row)
    true = book.state(track, row, 0)
    curves = track.curves.copy()
    curves[7] = 4.0
    calm, wild = (book.book(t, row, 0, true) for t in (track, track._replace(curves=curves)))
    assert wild.ask - wild.bid > calm.ask - calm.bid


@given(st.integers(0, 10_000), st.integers(1, 300), st.floats(0, 1, exclude_max=True))
def test_trades_happen_inside_the_book(bid: int, width: int, draw: float) -> None:
    """On a tick from bid to ask, at either too; never for nothing."""
    quoted = Book(float(bid), float(bid + width))
    true = State(100.0, 100.0, 0.1, 0.2, 5.0, 0.5)
    price = book.last_of(quoted, true, draw)
    assert float(price).is_integer()
    assert max(quoted.bid, 1.0) <= price <= quoted.ask
    assert book.last_of(quoted, true, 0.0) == max(quoted.bid, 1.0)
    assert book.last_of(quoted, true, 1.0 - 1e-12) == quoted.ask


@pytest.mark.parametrize("kind", _KINDS)
def test_open_interest_is_told_once_a_minute(kind: str) -> None:
    """In lots, the same until the next minute; spots have none."""
    known = scene()
    row = known.row(known.assorted()[kind])
    track, told = known.track(row), set[int]()
    for minute in range(120):
        at = minute * MINUTE_MS
        found = {book.open_interest_lots(track, row, at + x) for x in (0, 1, 31_000, 59_999)}
        assert len(found) == 1
        assert found == {book.open_interest_at(track, row, at, _here(known, kind, minute))}
        assert book.told_at(at + 59_999) == at
        told |= found
    assert min(told) >= 0
    assert (told == {0}) == (row.settles_ms == 0)
    assert len(told) > 1 or max(told) < 500


def _here(known: Scene, kind: str, minute: int) -> float:
    row = known.row(known.assorted()[kind])
    return float(known.track(row).curves[LOG_SPOT, minute])


def test_open_interest_gathers_out_of_the_money() -> None:
    """Calls above the spot, puts below, more at round strikes."""
    known = scene()
    rows = known.chain("NIFTY", TUESDAY)
    lots = np.array(
        [
            book.open_interest_lots(known.tracks[0], known.row(place), 3_600_000)
            for place in rows.tolist()
        ]
    )
    strikes = known.listing.strike[rows[::2]]
    assert np.average(strikes, weights=lots[::2]) > np.average(strikes, weights=lots[1::2])
    is_round = strikes % 500 == 0
    assert lots[::2][is_round].mean() > 1.2 * lots[::2][~is_round].mean()


def test_open_interest_moves_through_the_day() -> None:
    """Most contracts change from hour to hour, by a believable amount."""
    known = scene()
    before, after = (
        np.array(
            [
                book.open_interest_lots(known.tracks[0], known.row(place), hour * 3_600_000)
                for place in known.chain("NIFTY", TUESDAY).tolist()
            ]
        )
        for hour in (2, 3)
    )
    held = before > 1_500
    change = after[held] / before[held] - 1
    assert held.sum() > 30
    assert (change != 0).mean() > 0.9
    assert np.abs(change).max() < 0.3
