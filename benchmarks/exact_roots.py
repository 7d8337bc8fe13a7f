"""The exact volatility behind stored doubles: 60-digit roots that measure solvers, ours included.

The five numbers of a row are taken as exactly what their doubles say; whatever a generator meant
by them does not matter. Each root is certified: the last step that Newton would still take is below
1e-30 of it. Making the inputs belongs in ``universe`` and ``grids``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from mpmath import mp, mpf
from numpy.typing import NDArray

from benchmarks.universe import TERMS

DIGITS = 60
CERTIFIED = mpf("1e-30")
_STEPS = 200

Real = Any
"""An mpmath number; the package has no types."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row of ``universe.TERMS``: ₹, years, continuous rate per year."""

    premium: float | None
    forward: float | None
    strike: float | None
    years_to_expiry: float | None
    rate: float | None
    is_call: bool

    @property
    def is_usable(self) -> bool:
        """Whether all are finite and forward, strike and time are positive."""
        positive = (self.forward, self.strike, self.years_to_expiry)
        if any(v is None or not math.isfinite(v) for v in (*positive, self.premium, self.rate)):
            return False
        return all(v is not None and v > 0 for v in positive)

    @property
    def root_of_years(self) -> Real:
        """√T."""
        return mp.sqrt(mpf(self.years_to_expiry))

    @property
    def growth(self) -> Real:
        """exp(rT)."""
        return mp.exp(mpf(self.rate) * mpf(self.years_to_expiry))

    @property
    def scale(self) -> Real:
        """√(FK)."""
        return mp.sqrt(mpf(self.forward) * mpf(self.strike))

    @property
    def intrinsic(self) -> Real:
        """Undiscounted."""
        gap = mpf(self.forward) - mpf(self.strike)
        return max(gap if self.is_call else -gap, mpf(0))

    @property
    def distance(self) -> Real:
        """x = |ln(F/K)|."""
        return abs(mp.log(mpf(self.forward) / mpf(self.strike)))


@dataclass(frozen=True, slots=True)
class Roots:
    """Exact answers of n rows, each as the sum of two doubles; NaN where there is no root.

    Attributes:
        volatility, remainder: the root and what its rounding to a double left.
        half_ulp: relative move of the root if the premium moves by half its last place; what any
            solver in doubles has to allow for if it forms the time value from the premium.
        gamma, vega: discounted ∂²V/∂F² and ∂V/∂σ·0.01 at the root.
    """

    volatility: NDArray[np.float64]
    remainder: NDArray[np.float64]
    half_ulp: NDArray[np.float64]
    gamma: NDArray[np.float64]
    vega: NDArray[np.float64]

    def relative_errors(self, volatility: NDArray[np.float64]) -> NDArray[np.float64]:
        """|answer/root − 1|; 1 where a root exists and the answer is no number; NaN without one."""
        error = np.abs((volatility - self.volatility) - self.remainder) / self.volatility
        missed = np.isfinite(self.volatility) & ~np.isfinite(volatility)
        return np.where(missed, 1.0, error)


Rows = Iterable[tuple[Any, ...]]


def roots(
    frame: pl.DataFrame,
    starts: NDArray[np.float64] | None = None,
    told: Callable[[Rows], Rows] = iter,
) -> Roots:
    """The exact root of each row of ``universe.TERMS``.

    Args:
        starts: a guess of each volatility, which only saves time; NaN where there is none.
        told: wraps the loop, e.g. in a progress bar.
    """
    starts = np.full(len(frame), np.nan) if starts is None else starts
    rows = told(frame.select(TERMS).iter_rows())
    found = [_answer(Option(*row), start) for row, start in zip(rows, starts, strict=True)]
    columns = np.array(found, dtype=np.float64).reshape(-1, 5).T
    return Roots(*(np.ascontiguousarray(column) for column in columns))


def root(option: Option, start: float = math.nan) -> Real | None:
    """The volatility (fraction per √year) at which Black-76 gives exactly the premium.

    None if no volatility in (0, ∞) does, or if the option is not usable.
    """
    if not option.is_usable:
        return None
    with mp.workdps(DIGITS):
        beta, x = normalised(option), option.distance
        if not 0 < beta < mp.exp(-x / 2):
            return None
        has_guess = math.isfinite(start) and start > 0
        s = start * option.root_of_years if has_guess else _below(x, beta)
        return _solved(x, beta, s) / option.root_of_years


def premium(option: Option, volatility: Real) -> Real:
    """Discounted Black-76 value, ₹, to some 50 digits; the option's own premium is not read."""
    with mp.workdps(DIGITS):
        value = time_value(option.distance, volatility * option.root_of_years)
        return (option.intrinsic + option.scale * value) / option.growth


def normalised(option: Option) -> Real:
    """β = (premium·exp(rT) − intrinsic)/√(FK), at mpmath's current precision."""
    return (mpf(option.premium) * option.growth - option.intrinsic) / option.scale


def time_value(x: Real, s: Real) -> Real:
    """b(x, s) = exp(−x/2)·N(−x/s + s/2) − exp(x/2)·N(−x/s − s/2), x ≥ 0 (see ``black76``)."""
    z, t = x / s, s / 2
    near = mp.erfc((z - t) / mp.sqrt(2)) * mp.exp(-x / 2)
    return (near - mp.erfc((z + t) / mp.sqrt(2)) * mp.exp(x / 2)) / 2


def slope(x: Real, s: Real) -> Real:
    """∂b/∂s = exp(−(z² + s²/4)/2)/√(2π)."""
    return mp.exp(-((x / s) ** 2 + s * s / 4) / 2) / mp.sqrt(2 * mp.pi)


def step(x: Real, beta: Real, s: Real) -> Real:
    """Newton's step towards ln b(x, s) = ln β; its size over s certifies a root."""
    value = time_value(x, s)
    return value / slope(x, s) * mp.log(beta / value)


def sample(frame: pl.DataFrame, rows: int | None, seed: int) -> pl.DataFrame:
    """A seeded choice of rows, in their order; all of them if ``rows`` is None or too many."""
    if rows is None or rows >= len(frame):
        return frame
    chosen: Sequence[int] = sorted(np.random.default_rng(seed).choice(len(frame), rows, False))
    return frame[chosen]


def _solved(x: Real, beta: Real, s: Real) -> Real:
    """ln b rises and is concave in s: once below the root, Newton's steps climb to it."""
    for _ in range(_STEPS):
        move = step(x, beta, s)
        if abs(move) < CERTIFIED * s:
            return s + move
        s = s + move if s + move > 0 else s / 2
    raise ArithmeticError(f"no root found for x = {x}, beta = {beta}: is the guess far off?")


def _below(x: Real, beta: Real) -> Real:
    """A point a little below the root, by bisection."""
    low, high = mpf(0), 2 * mp.sqrt(2 * x) + 40
    while low == 0 or high - low > high / 50:
        middle = (low + high) / 2
        low, high = (middle, high) if time_value(x, middle) < beta else (low, middle)
    return low


def _answer(option: Option, start: float) -> tuple[float, float, float, float, float]:
    found = root(option, start)
    if found is None or option.premium is None:
        return (math.nan,) * 5
    with mp.workdps(DIGITS):
        s = found * option.root_of_years
        density = slope(option.distance, s) * option.scale / option.growth
        vega = density * option.root_of_years
        half_ulp = mpf(math.ulp(option.premium)) / 2 / vega / found
        gamma = density / (s * mpf(option.forward) ** 2)
        rounded = float(found)
        rest = found - rounded
        return rounded, float(rest), float(half_ulp), float(gamma), float(vega / 100)
