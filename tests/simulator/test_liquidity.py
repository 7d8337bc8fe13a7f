"""Liveliness: the money is busy, the wings are slow, counters only grow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market.rules import rules_for
from simulator import liquidity
from simulator.exchange import Market

_MARKET = Market(7, rules_for("nse"), ["NIFTY", "BANKNIFTY", "ITC"])
_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_LISTING = _MARKET.listing(_NOON)
_LEVELS = np.array([_MARKET.truth(_NOON).spot[s.underlying.symbol] for s in _MARKET.symbols])


def test_the_money_is_faster_than_the_wings() -> None:
    """Near the money 200–500 ms between changes (a little more a week out), seconds far away."""
    pace = liquidity.pace(_LISTING, date(2026, 11, 25), _LEVELS)
    rows = _LISTING.chain("NIFTY", date(2026, 12, 1))
    steps = np.abs(liquidity.steps_from(_LISTING, _LEVELS[_LISTING.symbol_index])[rows])
    near, far = pace.period_ms[rows[steps < 1]], pace.period_ms[rows[steps > 15]]
    assert near.min() >= 200
    assert near.max() <= 620
    assert far.min() > 1_000
    assert pace.lots_per_ms[rows[steps < 1]].min() > 10 * pace.lots_per_ms[rows[steps > 18]].max()


@given(st.lists(st.integers(0, 86_400_000), min_size=2, max_size=20), st.floats(0, 0.05))
def test_volume_only_grows_by_whole_lots(elapsed: list[int], rate: float) -> None:
    """From zero at the open, in multiples of the lot."""
    at = np.array([0, *sorted(elapsed)])
    lots = np.full(at.size, 65)
    streams = np.full(at.size, 99, np.uint64)
    volume = liquidity.volume_units(streams, np.full(at.size, rate), lots, at)
    assert volume[0] == 0
    assert (np.diff(volume) >= 0).all()
    assert (volume % 65 == 0).all()


def test_open_interest_gathers_out_of_the_money() -> None:
    """Calls above the spot, puts below, all in whole lots, none on the spot itself."""
    quotes = _MARKET.quotes(_NOON)
    assert (quotes.open_interest_units % _LISTING.lot_units == 0).all()
    assert not quotes.open_interest_units[_LISTING.settles_ms == 0].any()
    rows = _LISTING.chain("NIFTY", date(2026, 12, 1))
    calls, puts = quotes.open_interest_units[rows[::2]], quotes.open_interest_units[rows[1::2]]
    strikes = _LISTING.strike[rows[::2]]
    assert np.average(strikes, weights=calls) > np.average(strikes, weights=puts)


def test_open_interest_moves_through_the_day() -> None:
    """Most contracts change from hour to hour, by a believable amount."""
    before, after = (_MARKET.quotes(_NOON + timedelta(hours=h)) for h in (0, 1))
    held = before.open_interest_units > 100_000
    change = after.open_interest_units[held] / before.open_interest_units[held] - 1
    assert (change != 0).mean() > 0.9
    assert np.abs(change).max() < 0.3
