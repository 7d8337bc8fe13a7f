"""The market is a pure function of seed and instant; what is shown is tied to what is true."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.rules import rules_for
from simulator.exchange import Market
from simulator.quotes import Quotes
from simulator.timetable import epoch_ms

_INSTANTS = st.datetimes(datetime(2026, 11, 20), datetime(2026, 12, 3), timezones=st.just(UTC))
_SYMBOLS = ("NIFTY", "SENSEX", "ITC")
_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)


def _market(session: str = "nse", seed: int = 7) -> Market:
    return Market(seed, rules_for(session), _SYMBOLS)


def _columns(quotes: Quotes) -> list[list[float]]:
    return [
        quotes.quoted_ms.tolist(),
        quotes.last_price.tolist(),
        quotes.bid_price.tolist(),
        quotes.ask_price.tolist(),
        quotes.volume_units.tolist(),
        quotes.open_interest_units.tolist(),
        quotes.previous_close_price.tolist(),
        quotes.previous_open_interest_units.tolist(),
    ]


@settings(max_examples=25)
@given(st.lists(_INSTANTS, min_size=2, max_size=4))
def test_any_order_gives_the_same_answers(instants: list[datetime]) -> None:
    """Asking forwards, backwards or from a fresh market changes nothing."""
    first, second = _market(), _market()
    forwards = [_columns(first.quotes(t)) for t in instants]
    backwards = [_columns(second.quotes(t)) for t in reversed(instants)]
    assert forwards == backwards[::-1]


def test_seeds_make_different_markets() -> None:
    """And the same seed the same one."""
    spots = [_market(seed=s).truth(_NOON).spot["NIFTY"] for s in (7, 7, 8)]
    assert spots[0] == spots[1] != spots[2]


def test_symbols_do_not_depend_on_company() -> None:
    """A symbol's prices are the same whatever else is listed."""
    alone = Market(7, rules_for("nse"), ["ITC"]).truth(_NOON)
    assert alone.spot["ITC"] == _market().truth(_NOON).spot["ITC"]


@given(_INSTANTS, st.integers(1, 3_000))
def test_prices_are_piecewise_constant(instant: datetime, later_ms: int) -> None:
    """Between two of a row's own changes nothing about it changes."""
    market = _market("always")
    later = instant + timedelta(milliseconds=later_ms)
    if market.shown(instant).trading_day != market.shown(later).trading_day:
        return
    before, after = market.quotes(instant), market.quotes(later)
    still = before.quoted_ms == after.quoted_ms
    for a, b in zip(_columns(before), _columns(after), strict=True):
        assert (np.array(a)[still] == np.array(b)[still]).all()
    assert (after.quoted_ms >= before.quoted_ms).all()
    assert (after.volume_units >= before.volume_units).all()


@given(_INSTANTS)
def test_quotes_bracket_the_true_price(instant: datetime) -> None:
    """At a row's own change its bid and ask lie around the model price, on ticks."""
    market = _market("always")
    quotes, listing = market.quotes(instant), market.listing(instant)
    options = listing.sign[quotes.rows] != 0
    price, bid, ask = (x[options] for x in (quotes.model.price, quotes.bid_price, quotes.ask_price))
    assert ((bid <= price) | (bid == 0.05)).all()
    assert (ask >= price).all()
    assert ((quotes.last_price[options] >= bid) & (quotes.last_price[options] <= ask)).all()
    assert np.allclose(ask * 20, np.round(ask * 20))


def test_counters_start_at_zero_and_grow() -> None:
    """Volume is zero at the open, in lots, and reaches most strikes by noon."""
    market, opens = _market(), datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
    lots = market.listing(opens).lot_units
    assert not market.quotes(opens).volume_units.any()
    volume = [market.quotes(opens + timedelta(minutes=m)).volume_units for m in range(0, 380, 19)]
    assert (np.diff(volume, axis=0) >= 0).all()
    assert (np.array(volume) % lots == 0).all()
    assert (volume[-1] > 0).mean() > 0.95


def test_prices_freeze_at_the_close() -> None:
    """From the close to the next open nothing moves, over night, holiday and listing change."""
    market = _market()
    closes = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
    at_close = market.quotes(closes)
    evening = market.quotes(closes + timedelta(hours=5))
    assert _columns(evening) == _columns(at_close)
    holiday = closes + timedelta(hours=20)
    keys = {r.key: i for i, r in enumerate(market.listing(holiday).rows)}
    then = market.quotes(holiday)
    for i, row in enumerate(market.listing(closes).rows):
        if row.key in keys:
            assert then.last_price[keys[row.key]] == at_close.last_price[i]
            assert then.volume_units[keys[row.key]] == at_close.volume_units[i]


def test_yesterday_is_remembered() -> None:
    """Previous close and previous open interest are what was shown at the last close."""
    market = _market()
    close, noon = datetime(2026, 11, 23, 10, 10, tzinfo=UTC), _NOON
    shown, now = market.quotes(close), market.quotes(noon)
    before = {r.key: i for i, r in enumerate(market.listing(close).rows)}
    for i, row in enumerate(market.listing(noon).rows):
        if row.key in before:
            j = before[row.key]
            assert now.previous_close_price[i] == shown.last_price[j]
            assert now.previous_open_interest_units[i] == shown.open_interest_units[j]


def test_bars_hold_the_last_price() -> None:
    """The day's range covers its last price; the minute is the last whole one."""
    market = _market()
    rows = market.listing(_NOON).chain("NIFTY", date(2026, 12, 1))
    day, minute = market.day_bars(_NOON, rows), market.minute_bars(_NOON, rows)
    last = market.quotes(_NOON, rows).last_price
    assert ((day.low <= last) & (last <= day.high) & (day.close == last)).all()
    assert minute.starts_ms == epoch_ms(_NOON) - 60_000
    assert (minute.volume_units <= day.volume_units).all()
    assert (minute.low <= minute.high).all()


def test_settlement_leaves_finite_numbers() -> None:
    """After the settlement of its last day a contract is worth its intrinsic value."""
    market = _market("always")
    evening = datetime(2026, 12, 1, 16, 0, tzinfo=UTC)
    truth = market.truth(evening)
    rows = truth.listing.chain("NIFTY", date(2026, 12, 1))
    intrinsic = np.maximum(
        truth.listing.sign[rows] * (truth.spot["NIFTY"] - truth.listing.strike[rows]), 0
    )
    assert truth.price[rows] == pytest.approx(intrinsic, abs=1.0)
    quotes = market.quotes(evening)
    assert all(np.isfinite(column).all() for column in map(np.array, _columns(quotes)))
