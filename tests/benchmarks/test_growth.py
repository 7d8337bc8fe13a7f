"""The exponent of growth, on times whose law is known."""

from __future__ import annotations

import pytest

from benchmarks.growth import SIZES, exponent


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_power_law(power: float) -> None:
    """A power law's exponent, whatever its scale."""
    assert exponent(SIZES, [3e-4 * n**power for n in SIZES]) == pytest.approx(power)


def test_fixed_costs_hide_growth() -> None:
    """With a fixed cost on top of a linear one, the exponent is below 1."""
    assert 0.5 < exponent(SIZES, [20.0 + 1e-3 * n for n in SIZES]) < 1.0


def test_market_is_large_enough() -> None:
    """The largest size can be cut from the market without repeating it."""
    from benchmarks import universe

    assert len(universe.market()) >= SIZES[-1]
