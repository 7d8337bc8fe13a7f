"""The surface allows no static arbitrage: the paper's conditions, and the surface itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange.noise import Floats
from simulator.exchange.surface import Smile, at_the_money_variance, curvature, total_variance
from simulator.exchange.symbols import SYMBOLS

_SMILES = sorted({(s.smile.correlation, s.smile.steepness) for s in SYMBOLS.values()})
_LEVEL = st.floats(0.05, 0.8)


def _along(k: Floats, theta: float, correlation: float, steepness: float) -> Floats:
    return np.array([total_variance(x, theta, correlation, steepness) for x in k.tolist()])


@pytest.mark.parametrize(("correlation", "steepness"), _SMILES)
@given(theta=st.floats(1e-7, 4.0))
def test_gatheral_jacquier_conditions(correlation: float, steepness: float, theta: float) -> None:
    """Butterfly: θφ(1+|ρ|) < 4 and θφ²(1+|ρ|) ≤ 4; calendar: 0 ≤ ∂(θφ) ≤ φ(1+√(1−ρ²))/ρ²."""
    phi = curvature(theta, steepness)
    assert theta * phi * (1 + abs(correlation)) < 4
    assert theta * phi**2 * (1 + abs(correlation)) <= 4
    bump = theta * 1e-5
    low, high = theta - bump, theta + bump
    slope = (high * curvature(high, steepness) - low * curvature(low, steepness)) / (2 * bump)
    assert 0 <= slope <= phi * (1 + math.sqrt(1 - correlation**2)) / correlation**2


@pytest.mark.parametrize(("correlation", "steepness"), _SMILES)
@given(now=_LEVEL, far=_LEVEL, years=st.floats(1e-4, 1.0))
def test_density_is_never_negative(
    correlation: float, steepness: float, now: float, far: float, years: float
) -> None:
    """Durrleman's g(k) ≥ 0 everywhere, so that no butterfly costs less than nothing."""
    theta = at_the_money_variance(years, now**2, far**2)
    width = 8.0 * math.sqrt(theta)
    k = np.linspace(-width, width, 2_001)
    w = _along(k, theta, correlation, steepness)
    slope = np.gradient(w, k)
    bend = np.gradient(slope, k)
    g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
    assert (g[4:-4] > -1e-6).all()


@given(st.sampled_from(_SMILES), _LEVEL, _LEVEL, st.floats(1e-5, 1.0), st.floats(1.0, 20.0))
def test_total_variance_grows_with_time(
    smile: tuple[float, float], now: float, far: float, years: float, ratio: float
) -> None:
    """At equal moneyness a later expiry is worth at least as much: no calendar arbitrage."""
    k = np.linspace(-1.0, 1.0, 201)
    near, later = (
        _along(k, at_the_money_variance(at, now**2, far**2), *smile)
        for at in (years, years * ratio)
    )
    assert (later - near >= -1e-12).all()


@given(_LEVEL, _LEVEL)
def test_variance_begins_at_today_s_and_ends_at_the_far_one(now: float, far: float) -> None:
    """The variance of the next moment is today's, that of a distant one the long run's."""

    def between(start: float, end: float) -> float:
        early, late = (at_the_money_variance(at, now**2, far**2) for at in (start, end))
        return (late - early) / (end - start)

    assert between(0.0, 1e-7) == pytest.approx(now**2, rel=1e-4)
    assert between(5.0, 6.0) == pytest.approx(far**2, rel=1e-4, abs=1e-9)


@given(st.sampled_from(_SMILES), st.floats(1e-6, 2.0))
def test_the_money_has_its_own_variance(smile: tuple[float, float], theta: float) -> None:
    """θ is the total variance where strike and forward meet."""
    assert total_variance(0.0, theta, *smile) == pytest.approx(theta, rel=1e-12)


def test_puts_cost_more() -> None:
    """A negative correlation lifts the low strikes."""
    low, high = (total_variance(k, 0.001, -0.45, 0.75) for k in (-0.05, 0.05))
    assert low > high


@pytest.mark.parametrize("steepness", [1.5, math.nan])
def test_a_smile_with_arbitrage_is_refused(steepness: float) -> None:
    """η(1 + |ρ|) > 2 breaks the butterfly condition."""
    with pytest.raises(ValueError, match="allows arbitrage"):
        Smile(correlation=-0.5, steepness=steepness)
