"""Natural cubic splines against NSE's worked example, and what defines them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transforms.spline import fill, natural_spline, spline_at

Floats = NDArray[np.float64]

# NSE, "White Paper on India VIX", 4.2.4 and 4.2.6: middles of fit put quotes, and the second
# derivatives that NSE finds, to six decimals.
KNOTS = np.array([3800.0, 4000, 4200, *range(4400, 5800, 100)])
MIDDLES = np.array(
    [
        *(0.45, 0.775, 1.1, 1.95, 3.375, 4.475, 7.85, 13.3, 22.575),
        *(40.45, 74.45, 129.475, 203.275, 296.5, 368.0, 494.175, 592.0),
    ]
)
NSE_SECOND_DERIVATIVES = [
    *(0.0, 0.000004, -0.000014, 0.000133, -0.000169, 0.000349, 0.000140, 0.000337, 0.000807),
    *(0.001595, 0.002486, 0.001075, 0.004480, -0.007338, 0.011839, -0.007212, 0.0),
]


@st.composite
def curves(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Knots some distance apart, and values at them."""
    gaps = draw(st.lists(st.floats(0.5, 20.0), min_size=2, max_size=12))
    values = draw(
        st.lists(st.floats(-100.0, 100.0), min_size=len(gaps) + 1, max_size=len(gaps) + 1)
    )
    return np.cumsum([100.0, *gaps]), np.array(values)


def test_second_derivatives_of_the_white_paper() -> None:
    """NSE's matrix, solved."""
    assert natural_spline(KNOTS, MIDDLES) == pytest.approx(NSE_SECOND_DERIVATIVES, abs=6e-7)


@pytest.mark.parametrize(("strike", "fitted"), [(3900.0, 0.60), (4100.0, 0.96), (4300.0, 1.23)])
def test_fitted_values_of_the_white_paper(strike: float, fitted: float) -> None:
    """NSE, "White Paper on India VIX", 4.2.8."""
    found = spline_at(KNOTS, MIDDLES, natural_spline(KNOTS, MIDDLES), strike)
    assert found == pytest.approx(fitted, abs=0.005)


@given(curves())
def test_goes_through_its_knots(curve: tuple[Floats, Floats]) -> None:
    """An interpolation, not a fit."""
    knots, values = curve
    second = natural_spline(knots, values)
    found = [spline_at(knots, values, second, x) for x in knots]
    assert found == pytest.approx(values, abs=1e-9)


@given(curves())
def test_is_smooth_and_ends_straight(curve: tuple[Floats, Floats]) -> None:
    """Slopes agree on both sides of each inner knot, and there is no curvature at the ends."""
    knots, values = curve
    second = natural_spline(knots, values)
    gaps, slopes = np.diff(knots), np.diff(values) / np.diff(knots)
    at_start = slopes - gaps * (2 * second[:-1] + second[1:]) / 6
    at_end = slopes + gaps * (second[:-1] + 2 * second[1:]) / 6
    assert at_end[:-1] == pytest.approx(at_start[1:], abs=1e-7)
    assert second[0] == second[-1] == 0.0


@given(curves(), st.floats(-3.0, 3.0), st.floats(-50.0, 50.0), st.floats(0.0, 1.0))
def test_a_line_is_kept(
    curve: tuple[Floats, Floats], slope: float, level: float, share: float
) -> None:
    """Straight data give the straight line, exactly up to rounding."""
    knots, _ = curve
    values = level + slope * knots
    x = float(knots[0] + share * (knots[-1] - knots[0]))
    found = spline_at(knots, values, natural_spline(knots, values), min(x, float(knots[-1])))
    assert found == pytest.approx(level + slope * x, abs=1e-8)


@given(curves(), st.floats(0.0, 1.0))
def test_solves_the_dense_system(curve: tuple[Floats, Floats], share: float) -> None:
    """The elimination gives what a general solver gives for de Boor's equations."""
    knots, values = curve
    gaps, slopes = np.diff(knots), np.diff(values) / np.diff(knots)
    matrix = np.eye(len(knots))
    right = np.zeros(len(knots))
    for i in range(1, len(knots) - 1):
        matrix[i, i - 1 : i + 2] = gaps[i - 1], 2 * (gaps[i - 1] + gaps[i]), gaps[i]
        right[i] = 6 * (slopes[i] - slopes[i - 1])
    assert natural_spline(knots, values) == pytest.approx(np.linalg.solve(matrix, right), abs=1e-7)


def test_fills_between_known_values_only() -> None:
    """What lies outside the knots stays unknown, what is known stays as it is."""
    nan = math.nan
    x = np.arange(7.0)
    found = fill(x, np.array([nan, 1.0, nan, 3.0, 4.0, nan, nan]))
    assert found == pytest.approx([nan, 1.0, 2.0, 3.0, 4.0, nan, nan], nan_ok=True)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_few_knots(known: int) -> None:
    """None, one and two knots raise nothing; two give the line between them."""
    values = np.full(5, math.nan)
    values[: 2 * known : 2] = 1.0
    found = fill(np.arange(5.0), values)
    assert int(np.isfinite(found).sum()) == (0, 1, 3)[known]
