"""The yardstick itself: its roots solve the equation, and it knows where there is none."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from mpmath import mp, mpf

from benchmarks import exact_roots
from benchmarks.exact_roots import Option, premium, root, roots
from benchmarks.universe import TERMS
from tests import strategies
from tests.reference_black76 import precise_price

PLAIN = Option(250.0, 24_500.0, 24_600.0, 14 / 365, 0.065, True)


def _priced(drawn: strategies.Option) -> Option:
    terms = Option(0.0, drawn.forward, drawn.strike, drawn.years, drawn.rate, drawn.is_call)
    return replace(terms, premium=float(premium(terms, drawn.volatility)))


def _frame(*options: Option) -> pl.DataFrame:
    return pl.DataFrame({name: [getattr(o, name) for o in options] for name in TERMS})


@given(strategies.options())
def test_roots_solve_the_equation(drawn: strategies.Option) -> None:
    """Priced at the root, the option costs the stored double, to 1e-30 of its time value."""
    option = _priced(drawn)
    found = root(option, start=drawn.volatility)
    assume(found is not None)
    with mp.workdps(exact_roots.DIGITS):
        intrinsic = option.intrinsic / option.growth
        off = premium(option, found) - mpf(option.premium)
        assert abs(off) <= mpf("1e-30") * (mpf(option.premium) - intrinsic)


@given(strategies.options(deviations=5.0))
def test_price_agrees_with_another_arithmetic(drawn: strategies.Option) -> None:
    """The value is that of 100-digit decimals, which shares no code with it."""
    terms = Option(0.0, drawn.forward, drawn.strike, drawn.years, drawn.rate, drawn.is_call)
    with mp.workdps(50):
        ours = Decimal(mp.nstr(premium(terms, drawn.volatility), 45))
    other = precise_price(drawn)
    assert abs(ours - other) <= abs(other) * Decimal("1e-35")


@given(strategies.options(deviations=6.0))
def test_guess_does_not_matter(drawn: strategies.Option) -> None:
    """The root is the same from a good guess, a bad one and none."""
    option = _priced(drawn)
    first = root(option)
    assume(first is not None)
    for guess in (drawn.volatility, 3.0 * drawn.volatility):
        again = root(option, guess)
        assert abs(again - first) <= mpf("1e-28") * first


@pytest.mark.parametrize(
    "changed",
    [
        {"premium": None},
        {"premium": math.nan},
        {"premium": 0.0},
        {"premium": 24_500.0, "rate": 0.0},
        {"premium": 4_500.0, "strike": 20_000.0, "rate": 0.0},
        {"forward": -1.0},
        {"strike": 0.0},
        {"years_to_expiry": 0.0},
        {"rate": math.inf},
    ],
    ids=str,
)
def test_no_root(changed: dict[str, float | None]) -> None:
    """At or outside the bounds, or with an input that is no number, there is no root."""
    assert root(replace(PLAIN, **changed)) is None


def test_one_ulp_above_intrinsic_has_a_root() -> None:
    """The smallest time value that a double can hold still has its exact volatility."""
    option = replace(PLAIN, strike=20_000.0, rate=0.0, premium=math.nextafter(4_500.0, math.inf))
    found = root(option)
    assert found is not None
    assert float(premium(option, found)) == option.premium


def test_errors_are_measured_below_a_double() -> None:
    """A root is kept in two doubles: the nearest double has an error, the next one a larger."""
    exact = roots(_frame(PLAIN, replace(PLAIN, premium=0.0)))
    nearest = exact.volatility[0]
    answers = np.array([[nearest, 1.0], [np.nextafter(nearest, 1.0), 1.0], [np.nan, np.nan]])
    first, second, missed = (exact.relative_errors(row)[0] for row in answers)
    assert 0.0 < first < 2.3e-16
    assert second > first
    assert missed == 1.0
    assert np.isnan(exact.relative_errors(answers[0])[1])


def test_greeks_are_derivatives() -> None:
    """Gamma and vega are differences of the exact price."""
    exact = roots(_frame(PLAIN))
    with mp.workdps(exact_roots.DIGITS):
        volatility, h = mpf(exact.volatility[0]) + mpf(exact.remainder[0]), mpf("1e-15")
        slope = (premium(PLAIN, volatility + h) - premium(PLAIN, volatility - h)) / (2 * h)
        up, down = (replace(PLAIN, forward=24_500.0 + move) for move in (0.5, -0.5))
        bend = premium(up, volatility) - 2 * premium(PLAIN, volatility) + premium(down, volatility)
    assert exact.vega[0] == pytest.approx(float(slope) / 100, rel=1e-14)
    assert exact.gamma[0] == pytest.approx(float(bend) / 0.25, rel=1e-6)


def test_sample() -> None:
    """A sample is seeded, in order and without repeats; a request for more gives all."""
    frame = pl.DataFrame({"row": range(100)})
    some = exact_roots.sample(frame, 10, seed=1)["row"]
    assert some.is_sorted()
    assert some.n_unique() == 10
    assert some.equals(exact_roots.sample(frame, 10, seed=1)["row"])
    assert exact_roots.sample(frame, 1_000, seed=1).equals(frame)
