"""The strikes of a delta and the volatilities there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transforms import black76
from transforms.skew import (
    DELTA,
    SKEW_STATUSES,
    quantile_of,
    shapes,
    strike_of_delta,
    wing_volatilities,
)
from transforms.volatility import ATM_STATUSES

FORWARD, YEARS = 24_000.0, 0.08
STRIKES = np.arange(20_000.0, 28_001.0, 50.0)

Floats = NDArray[np.float64]


def wings(strikes: Floats, volatility: Floats) -> tuple[float, float]:
    """Call and put volatility at 25Δ of one expiry."""
    found = wing_volatilities(
        np.array([0, len(strikes)], dtype=np.int64),
        strikes,
        volatility,
        np.array([FORWARD]),
        np.array([YEARS]),
        quantile_of(DELTA),
    )
    return float(found[0, 0]), float(found[1, 0])


@pytest.mark.parametrize(
    ("forward", "deviation", "delta", "strike"),
    [
        (1.421 * 0.992266 / 0.997306, 0.1180654, 0.15, 1.609029),
        (3.199719966312926, 0.3199034, -0.821, 4.51896),
    ],
)
def test_published_strikes(forward: float, deviation: float, delta: float, strike: float) -> None:
    """QuantLib's test suite, blackdeltacalculator.cpp, from an independent R implementation."""
    assert strike_of_delta(forward, deviation, delta) == pytest.approx(strike, rel=1e-4)


@given(
    st.floats(100.0, 50_000.0),
    st.floats(0.01, 1.5),
    st.floats(0.02, 0.98),
    st.booleans(),
)
def test_the_strike_has_that_delta(
    forward: float, deviation: float, size: float, is_call: bool
) -> None:
    """Black-76 undiscounted gives the delta back."""
    delta = size if is_call else -size
    strike = strike_of_delta(forward, deviation, delta)
    assert black76.delta(forward, strike, 1.0, 0.0, deviation, is_call) == pytest.approx(delta)


@given(st.floats(0.08, 0.25), st.floats(-0.6, 0.2), st.floats(0.0, 2.0))
def test_the_volatility_is_that_of_its_own_strike(
    level: float, slope: float, curvature: float
) -> None:
    """The fixed point: the strike made from the found volatility has that volatility itself."""
    x = np.log(STRIKES / FORWARD)
    variance = (level**2 + slope * 0.05 * x + curvature * x * x) * YEARS
    volatility = np.sqrt(np.maximum(variance, 0.05**2 * YEARS) / YEARS)
    found = wings(STRIKES, volatility)
    for sigma, delta in zip(found, (DELTA, -DELTA), strict=True):
        strike = strike_of_delta(FORWARD, sigma * math.sqrt(YEARS), delta)
        there = np.interp(math.log(strike / FORWARD), x, volatility**2)
        assert sigma == pytest.approx(math.sqrt(there), rel=1e-9)


def test_a_flat_smile_has_no_skew() -> None:
    """Both wings have the one volatility."""
    assert wings(STRIKES, np.full(len(STRIKES), 0.15)) == pytest.approx((0.15, 0.15))


def test_strikes_without_a_volatility_are_bridged() -> None:
    """Two quoted strikes around a delta are enough, however far apart."""
    volatility = np.full(len(STRIKES), math.nan)
    volatility[[0, 80, -1]] = 0.2, 0.15, 0.18
    call, put = wings(STRIKES, volatility)
    assert 0.15 < call < 0.18
    assert 0.15 < put < 0.2


@pytest.mark.parametrize(
    ("low", "high", "known"),
    [
        (20_000.0, 24_300.0, (False, True)),
        (23_800.0, 28_000.0, (True, False)),
        (23_900.0, 24_100.0, (False, False)),
    ],
)
def test_nothing_beyond_the_quoted_strikes(
    low: float, high: float, known: tuple[bool, bool]
) -> None:
    """A 25Δ strike lies some 600 away here: a strip that ends before has no wing there."""
    is_quoted = (low <= STRIKES) & (high >= STRIKES)
    found = wings(STRIKES, np.where(is_quoted, 0.15, math.nan))
    assert tuple(not math.isnan(value) for value in found) == known


def test_of_several_crossings_the_nearest_counts() -> None:
    """A smile so steep in a far wing that the delta rises again is read near the forward."""
    strikes = np.array([20_000.0, 22_000.0, 24_000.0, 26_000.0, 28_000.0])
    steep = wings(strikes, np.array([0.15, 0.15, 0.15, 0.15, 1.5]))
    assert steep == pytest.approx((0.15, 0.15))


@pytest.mark.parametrize("forward", [math.nan, 0.0, -1.0])
@pytest.mark.parametrize("years", [math.nan, 0.0, -1.0])
def test_no_input_raises(forward: float, years: float) -> None:
    """Impossible terms leave NaN, and so does an expiry without strikes."""
    found = wing_volatilities(
        np.array([0, 2, 2], dtype=np.int64),
        np.array([0.0, 100.0]),
        np.array([math.inf, -1.0]),
        np.array([forward, 100.0]),
        np.array([years, 1.0]),
        quantile_of(DELTA),
    )
    assert np.isnan(found).all()


def test_shapes_and_their_reasons() -> None:
    """Risk reversal and butterfly by hand, and each way of not having them."""
    nan = math.nan
    reversal, butterfly, status = shapes(
        np.array([0.15, 0.15, 0.15, 0.15, nan, nan, nan]),
        np.array([0, 0, 0, 0, 1, 2, 3], dtype=np.int8),
        np.array([[0.16, nan, 0.16, nan, 0.16, 0.16, 0.16], [0.2, 0.2, nan, nan, 0.2, 0.2, 0.2]]),
    )
    assert reversal[0] == pytest.approx(-0.04)
    assert butterfly[0] == pytest.approx(0.03)
    assert np.isnan(reversal[1:]).all()
    assert np.isnan(butterfly[1:]).all()
    assert [SKEW_STATUSES[code] for code in status] == [
        "skew_ok",
        "no_call_wing",
        "no_put_wing",
        "no_wings",
        *ATM_STATUSES[1:],
    ]
