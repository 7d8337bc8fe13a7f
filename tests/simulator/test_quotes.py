"""Quotes stand on ticks around the true price."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.quotes import TICK, half_spread, on_ticks, quantity_units, round_to_tick


@given(st.floats(0, 100_000), st.floats(0, 50), st.floats(0, 0.999999))
def test_bid_and_ask_bracket_the_price(price: float, half: float, draw: float) -> None:
    """Whole ticks, at least one tick, uncrossed, the last trade inside, the spread as asked."""
    bid, ask, last = (x[0] for x in on_ticks(*(np.array([v]) for v in (price, half, draw))))
    for shown in (bid, ask, last):
        assert abs(shown / TICK - round(shown / TICK)) < 1e-6
    assert TICK - 1e-9 <= bid < ask
    assert bid - 1e-9 <= last <= ask + 1e-9
    assert bid <= max(price - half, TICK) + 1e-6
    assert ask >= price + half - 1e-6


@given(st.floats(0.05, 5_000), st.floats(-1, 1), st.integers(200, 10_000))
def test_spread_widens_with_risk(price: float, delta: float, life_ms: int) -> None:
    """Dearer, more sensitive or longer-lived quotes are never tighter."""

    def half(price: float, delta: float, life: int) -> float:
        spot, volatility = np.array([26_000.0]), np.array([0.12])
        wide = half_spread(np.array([price]), np.array([delta]), spot, volatility, np.array([life]))
        return float(wide[0])

    here = half(price, delta, life_ms)
    assert here <= half(price * 2, delta, life_ms)
    assert here <= half(price, 1.0, life_ms)
    assert here <= half(price, delta, life_ms * 2)
    assert here >= TICK / 2


def test_rounding_is_to_the_nearest_tick() -> None:
    """Halves aside."""
    assert round_to_tick(np.array([1.01, 1.03, 1.05])).tolist() == [1.0, 1.05, 1.05]


def test_quantities_are_lots() -> None:
    """From one lot to the most."""
    changed = np.arange(1_000)
    found = quantity_units(np.array([5], np.uint64), changed, np.full(1_000, 75), 60)
    assert (found % 75 == 0).all()
    assert (found.min(), found.max()) == (75, 75 * 60)
