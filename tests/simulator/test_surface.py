"""The surface allows no static arbitrage: the paper's conditions, and the surface itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.surface import Smile, at_the_money_variance, curvature, total_variance
from simulator.symbols import SYMBOLS

_SMILES = sorted({(s.smile.correlation, s.smile.steepness) for s in SYMBOLS.values()})
_LEVEL = st.floats(0.05, 0.8)


@pytest.mark.parametrize(("correlation", "steepness"), _SMILES)
@given(theta=st.floats(1e-7, 4.0))
def test_gatheral_jacquier_conditions(correlation: float, steepness: float, theta: float) -> None:
    """Butterfly: θφ(1+|ρ|) < 4 and θφ²(1+|ρ|) ≤ 4; calendar: 0 ≤ ∂(θφ) ≤ φ(1+√(1−ρ²))/ρ²."""
    phi = float(curvature(np.array([theta]), np.array([steepness]))[0])
    assert theta * phi * (1 + abs(correlation)) < 4
    assert theta * phi**2 * (1 + abs(correlation)) <= 4
    bump = theta * 1e-5
    around = np.array([theta - bump, theta + bump])
    slope = np.diff(around * curvature(around, np.array([steepness])))[0] / (2 * bump)
    assert 0 <= slope <= phi * (1 + np.sqrt(1 - correlation**2)) / correlation**2


@pytest.mark.parametrize(("correlation", "steepness"), _SMILES)
@given(now=_LEVEL, far=_LEVEL, years=st.floats(1e-4, 1.0))
def test_density_is_never_negative(
    correlation: float, steepness: float, now: float, far: float, years: float
) -> None:
    """Durrleman's g(k) ≥ 0 everywhere, so that no butterfly costs less than nothing."""
    theta = at_the_money_variance(np.array([years]), np.array([now**2]), np.array([far**2]))
    width = 8.0 * float(np.sqrt(theta[0]))
    k = np.linspace(-width, width, 2_001)
    w = total_variance(k, theta, np.array([correlation]), np.array([steepness]))
    slope = np.gradient(w, k)
    bend = np.gradient(slope, k)
    g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
    assert (g[4:-4] > -1e-6).all()


@given(st.sampled_from(_SMILES), _LEVEL, _LEVEL, st.floats(1e-5, 1.0), st.floats(1.0, 20.0))
def test_total_variance_grows_with_time(
    smile: tuple[float, float], now: float, far: float, years: float, ratio: float
) -> None:
    """At equal moneyness a later expiry is worth at least as much: no calendar arbitrage."""
    times = np.array([years, years * ratio])
    theta = at_the_money_variance(times, np.full(2, now**2), np.full(2, far**2))
    rho, eta = (np.array([x]) for x in smile)
    k = np.linspace(-1.0, 1.0, 201)
    near, later = (total_variance(k, theta[i : i + 1], rho, eta) for i in (0, 1))
    assert (later - near >= -1e-12).all()


def test_puts_cost_more() -> None:
    """A negative correlation lifts the low strikes."""
    k, theta = np.array([-0.05, 0.05]), np.array([0.001])
    low, high = total_variance(k, theta, np.array([-0.45]), np.array([0.75]))
    assert low > high


def test_a_smile_with_arbitrage_is_refused() -> None:
    """η(1 + |ρ|) > 2 breaks the butterfly condition."""
    with pytest.raises(ValueError, match="allows arbitrage"):
        Smile(correlation=-0.5, steepness=1.5)
