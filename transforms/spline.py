"""Natural cubic splines, compiled: a smooth curve through quotes, to fill those that are missing.

Which quotes are fit to be knots is decided where the curve is used; fits that smooth over noise do
not belong here.

Source: C. de Boor, "A Practical Guide to Splines" (1978), ch. IV. On each interval of length h
between knots the curve is cubic, and its second derivatives M at the knots solve::

    h₋M₋ + 2(h₋ + h₊)M + h₊M₊ = 6·(slope₊ − slope₋),   M = 0 at both ends
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled

Floats = NDArray[np.float64]


@compiled
def natural_spline(knots: Floats, values: Floats) -> Floats:
    """Second derivatives at the knots, shape (n,); n ≥ 1 knots, strictly increasing.

    The tridiagonal system is dominated by its diagonal, so it is eliminated without pivoting.
    """
    count = len(knots)
    second = np.zeros(count)
    above = np.zeros(count)
    for i in range(1, count - 1):
        before, after = knots[i] - knots[i - 1], knots[i + 1] - knots[i]
        bend = (values[i + 1] - values[i]) / after - (values[i] - values[i - 1]) / before
        pivot = 2.0 * (before + after) - before * above[i - 1]
        above[i] = after / pivot
        second[i] = (6.0 * bend - before * second[i - 1]) / pivot
    for i in range(count - 2, 0, -1):
        second[i] -= above[i] * second[i + 1]
    return second


@compiled
def spline_at(knots: Floats, values: Floats, second: Floats, x: float) -> float:
    """The spline at x; NaN outside its knots, where it would be a guess."""
    count = len(knots)
    if count == 0 or not knots[0] <= x <= knots[count - 1]:
        return np.nan
    if count == 1:
        return float(values[0])
    i = min(int(np.searchsorted(knots, x, side="right")), count - 1)
    length = knots[i] - knots[i - 1]
    b = (x - knots[i - 1]) / length
    a = 1.0 - b
    bow = (a**3 - a) * second[i - 1] + (b**3 - b) * second[i]
    return float(a * values[i - 1] + b * values[i] + bow * length * length / 6.0)


@compiled
def fill(x: Floats, values: Floats) -> Floats:
    """The values with each NaN between known ones replaced by their spline; x strictly increasing.

    Values before the first known one and after the last stay NaN.
    """
    is_known = ~np.isnan(values)
    knots, known = x[is_known], values[is_known]
    second = natural_spline(knots, known)
    filled = values.copy()
    for i in range(len(x)):
        if not is_known[i]:
            filled[i] = spline_at(knots, known, second, x[i])
    return filled
