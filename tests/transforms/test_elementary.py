"""Branch-free elementary functions against 50-digit arithmetic, and their edges."""

from __future__ import annotations

import math

import mpmath
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tools.derive_coefficients import mills, mills_slope
from transforms import elementary
from transforms.elementary import exp_within, fast_exp, fast_log, log_ratio

ULP = 2.0**-52


@pytest.fixture(autouse=True)
def fifty_digits() -> None:
    """The yardstick's precision."""
    mpmath.mp.dps = 50


def error(found: float, truth: mpmath.mpf) -> float:
    """Relative error."""
    return float(abs(found / truth - 1)) if truth else abs(found)


@settings(max_examples=500)
@given(st.floats(-708.0, 709.0))
def test_exp(x: float) -> None:
    """One unit in the last place over the whole domain."""
    assert error(fast_exp(x), mpmath.exp(mpmath.mpf(x))) <= ULP
    assert exp_within(x) == fast_exp(x)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.0, 1.0),
        (-708.1, 0.0),
        (-1e300, 0.0),
        (-math.inf, 0.0),
        (709.1, math.inf),
        (math.inf, math.inf),
    ],
)
def test_exp_outside(x: float, expected: float) -> None:
    """Exactly nothing below the domain, infinite above it."""
    assert fast_exp(x) == expected
    assert math.isnan(fast_exp(math.nan))


@settings(max_examples=500)
@given(st.floats(2.3e-308, 8e307))
def test_log(x: float) -> None:
    """Two units in the last place for every normal number."""
    assert error(fast_log(x), mpmath.log(mpmath.mpf(x))) <= 2 * ULP


@settings(max_examples=500)
@given(st.floats(1e-3, 1e6), st.floats(-1e-2, 1e-2), st.floats(0.0, 14.0))
def test_log_ratio_near_one(denominator: float, share: float, digits: float) -> None:
    """No digit is lost where the quotient rounds to one, nor far from it."""
    numerator = denominator * (1.0 + share * 10.0**-digits)
    truth = mpmath.log(mpmath.mpf(numerator) / mpmath.mpf(denominator))
    assert error(log_ratio(numerator, denominator), truth) <= 2 * ULP
    assert error(log_ratio(numerator, 1.0), mpmath.log(mpmath.mpf(numerator))) <= 2 * ULP


@settings(max_examples=500)
@given(st.floats(-0.05, 0.36))
def test_expm1(x: float) -> None:
    """One unit in the last place, down to the smallest argument."""
    assert error(elementary.expm1_near_zero(x), mpmath.expm1(mpmath.mpf(x))) <= ULP


@settings(max_examples=300)
@given(st.one_of(st.floats(0.0, 12.0), st.floats(0.0, 1e6)))
def test_mills(z: float) -> None:
    """Mills' ratio and its slope keep their digits in the whole tail, where erfc has none left."""
    assert error(elementary.mills_ratio(z), mills(mpmath.mpf(z))) <= 4 * ULP
    assert error(elementary.mills_slope(z), mills_slope(mpmath.mpf(z))) <= 5 * ULP


@settings(max_examples=300)
@given(st.floats(0.0, 9.2), st.floats(-7.0, math.log10(1.05)))
def test_mills_difference(z: float, magnitude: float) -> None:
    """Both series give the difference to 8 ulp up to a distance of 4, and 1/s and z² beside it."""
    s = 10.0**magnitude
    distance = z * s
    exact_z, t = mpmath.mpf(distance) / mpmath.mpf(s), mpmath.mpf(s) / 2
    truth = mills(exact_z - t) - mills(exact_z + t)
    value, over_s, z_squared = elementary.long_mills_difference(distance, s)
    assert (
        error(value, truth) <= (8 if distance < elementary.LONG_DIFFERENCE_FARTHEST else 64) * ULP
    )
    assert over_s == pytest.approx(1.0 / s, rel=1e-15)
    assert z_squared == pytest.approx(float(exact_z**2), rel=2e-15, abs=1e-300)
    if s < elementary.SHORT_DIFFERENCE_TO:
        assert elementary.short_mills_difference(distance, s)[0] == value


def exp_of_rows(x: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """The loop that the branch-free functions are made for."""
    for i in range(len(x)):
        out[i] = fast_exp(x[i])


def test_exp_vectorises() -> None:
    """The machine code of a loop over it multiplies several rows by one instruction."""
    x = np.linspace(-800.0, 0.0, 1001)
    out = np.empty_like(x)
    # Not cached: machine code from the cache cannot be looked at.
    loop = numba.njit(error_model="numpy", fastmath={"contract", "nsz"})(exp_of_rows)
    loop(x, out)
    assert out == pytest.approx(np.exp(x), rel=4e-16, abs=3.1e-308)
    code = "".join(loop.inspect_asm().values())
    assert any(packed in code for packed in ("vmulpd", "mulpd", "fmul\tv", "fmul.2d"))
