"""Slope and percentile are what their definitions say."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.endurance.figures import percentile, slope


@given(st.floats(-100, 100), st.floats(-1e4, 1e4), st.integers(2, 50))
def test_slope_of_a_line_is_its_own(rise: float, start: float, count: int) -> None:
    """Least squares find a line again."""
    x = [float(n) for n in range(count)]
    assert slope(x, [start + rise * at for at in x]) == pytest.approx(rise, abs=1e-6)


def test_no_slope_without_a_stretch_of_time() -> None:
    """One reading tells nothing."""
    assert isnan(slope([], []))
    assert isnan(slope([1.0, 1.0], [1.0, 2.0]))


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=40),
    st.integers(1, 100),
)
def test_percentile_counts_each_value_by_its_weight(
    pairs: list[tuple[int, int]], hundredths: int
) -> None:
    """The same as in the list in which each value stands as often as its weight says."""
    plain = sorted(value for value, weight in pairs for _ in range(weight))
    wanted = plain[-(-hundredths * len(plain) // 100) - 1]
    values, weights = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    assert percentile(values, weights, hundredths / 100) == wanted


def test_no_percentile_of_nothing() -> None:
    """Without ticks there is no latency."""
    assert isnan(percentile(np.empty(0), np.empty(0), 0.5))
