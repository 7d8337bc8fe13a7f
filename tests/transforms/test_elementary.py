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
