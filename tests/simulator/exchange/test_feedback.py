"""Dealers' gamma against an independent sum, and what hedging makes of the volatility."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange import feedback
from simulator.exchange.noise import Floats

_RATE, _CARRY, _NOW, _FAR = 0.055, 0.059, 0.14**2, 0.13**2
_CORRELATION, _STEEPNESS = -0.45, 0.75
_SPOT = st.floats(5_000, 90_000)
_YEARS = st.floats(1e-4, 0.2)
_PLACES = np.arange(-20, 21)


def _crore(spot: float, net_units: Floats, strikes: Floats, years: float) -> float:
    return feedback.gamma_crore(
        spot, net_units, strikes, years, _CARRY, _RATE, _NOW, _FAR, _CORRELATION, _STEEPNESS
    )


def _deltas(forward: float, strikes: Floats, deviations: Floats, discount: float) -> Floats:
    """Calls' deltas, by the error function."""
    d1 = np.log(forward / strikes) / deviations + 0.5 * deviations
    return np.array([discount * 0.5 * (1.0 + math.erf(x / math.sqrt(2.0))) for x in d1])


def _deviations(forward: float, strikes: Floats, years: float) -> Floats:
    """σ√T of the SSVI surface, with the term structure integrated step by step."""
    middles = (np.arange(4_000) + 0.5) * years / 4_000
    theta = (_FAR + (_NOW - _FAR) * np.exp(-6.0 * middles)).mean() * years
    phi = _STEEPNESS / np.sqrt(theta * (1.0 + theta))
    x = phi * np.log(strikes / forward)
    root = np.sqrt((x + _CORRELATION) ** 2 + 1.0 - _CORRELATION**2)
    deviations: Floats = np.sqrt(0.5 * theta * (1.0 + _CORRELATION * x + root))
    return deviations


@given(_SPOT, _YEARS, st.integers(0, 2**32 - 1))
def test_gamma_is_an_independent_sum(spot: float, years: float, seed: int) -> None:
    """Δ that the book gains from a 1 % rise, from differences of deltas at a held surface."""
    strikes = np.round(spot / 50) * 50 + 50.0 * _PLACES
    net = np.random.default_rng(seed).normal(0.0, 1e6, strikes.size)
    forward, discount = spot * math.exp(_CARRY * years), math.exp(-_RATE * years)
    deviations = _deviations(forward, strikes, years)
    bump = forward * 1e-6
    up, down = (
        _deltas(forward + change, strikes, deviations, discount) for change in (bump, -bump)
    )
    gains = (up - down) / (2.0 * bump) * (0.01 * spot)
    expected = net * gains * spot / 1e7
    scale = float(np.abs(expected).sum())
    assert _crore(spot, net, strikes, years) == pytest.approx(
        float(expected.sum()), abs=1e-5 * scale + 1e-12
    )


@given(_SPOT, _YEARS)
def test_calls_make_dealers_long_gamma(spot: float, years: float) -> None:
    """Calls alone are positive, puts alone the same with the other sign, both together nothing."""
    strikes = np.round(spot / 50) * 50 + 50.0 * _PLACES
    held = np.full(strikes.size, 75_000.0)
    calls = _crore(spot, held, strikes, years)
    assert calls > 0.0
    assert _crore(spot, -held, strikes, years) == pytest.approx(-calls)
    assert _crore(spot, 3.0 * held, strikes, years) == pytest.approx(3.0 * calls)
    assert _crore(spot, 0.0 * held, strikes, years) == 0.0


@given(st.floats(0, 5), st.floats(-1e6, 1e6))
def test_the_multiple_keeps_its_bounds(feedback_: float, ratio: float) -> None:
    """1/(1 + λg) wherever that lies within the bounds; never outside of them."""
    found = feedback.multiple(feedback_, ratio)
    assert feedback.LEAST <= found <= feedback.MOST
    if feedback.LEAST <= 1.0 + feedback_ * ratio <= feedback.MOST:
        assert found == pytest.approx(1.0 / (1.0 + feedback_ * ratio))


@given(st.floats(0, 5), st.floats(-100, 100), st.floats(0, 100))
def test_more_gamma_never_means_more_movement(feedback_: float, ratio: float, more: float) -> None:
    """Falling in g; hedgers without weight or without gamma change nothing."""
    assert feedback.multiple(feedback_, ratio + more) <= feedback.multiple(feedback_, ratio)
    assert feedback.multiple(0.0, ratio) == 1.0
    assert feedback.multiple(feedback_, 0.0) == 1.0


@pytest.mark.parametrize("ratio", [-0.6, 1.5])
def test_the_multiple_has_no_jump(ratio: float) -> None:
    """The bounds are reached, not jumped to."""
    near = [feedback.multiple(1.0, ratio + shift) for shift in (-1e-9, 0.0, 1e-9)]
    assert near == pytest.approx([near[1]] * 3, rel=1e-8)


def test_a_crore_is_ten_million() -> None:
    """And nobody's holdings are empty."""
    assert feedback.crore(3.5e7) == 3.5
    assert feedback.NOTHING.settles_ms.size == feedback.NOTHING.net_units.size == 0
