"""Implied volatility of options from their discounted premiums, compiled.

Over rows, the tiles of ``tiles`` answer nearly all; what lies outside their domain is left to the
scalar solver here: a bracketed Halley iteration on the out-of-the-money time value, which cannot
leave the bracket, ends by step size, and answers with a status instead of a number when there is no
answer. Which premium is fit to be implied from is decided in ``smile``; frames belong in
``greeks``.

The equation b(x, s) = β (``black76.time_value``) is solved for s = σ√T in one of two forms, each
nearly straight over its half and thus good for a few steps:

* wing (z = x/s > 1):  (−ln(b/x))^(−1/2), since −ln b grows like x²/2s²;
* body:                −ln(1 − b·exp(x/2)), linear in s near the money, s²/8 at large s.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from transforms import tiles
from transforms.black76 import (
    cross_greeks_of_rows,
    greeks_of_rows,
    greeks_with_premium,
    moneyness,
    normal_density,
    time_value,
    value_over_vega,
)
from transforms.elementary import EXPM1_HIGHEST, EXPM1_LOWEST, expm1_rest
from transforms.kernel import compiled
from transforms.tenor import SETTLING_YEARS

IV_STATUSES = (
    "ok",
    "below_intrinsic",
    "above_bound",
    "no_vega",
    "settling",
    "no_price",
    "invalid",
    "stale",
)
# Stale is never the answer of a kernel, which knows no quote's age: the caller gives it.
OK, BELOW_INTRINSIC, ABOVE_BOUND, NO_VEGA, SETTLING, NO_PRICE, INVALID, STALE = range(8)

UNKNOWN_RIGHT = -1

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

_SQRT_2PI = math.sqrt(2.0 * math.pi)
_EPSILON = float(np.finfo(np.float64).eps)
_STEPS = 100
# Halley's steps cube the error: a step this small leaves none.
_SMALL_STEP = 1e-8
# At this many standard deviations above the inflexion the value rounds to its upper bound.
_WIDEST = 18.0


@compiled
def _wing_step(x: float, s: float, goal: float) -> tuple[float, float]:
    """Halley step towards −ln(b/x) = goal and the sign of the residual; needs s ≤ x."""
    z = x / s
    t = 0.5 * s
    over_vega = value_over_vega(z, t)
    height = 0.5 * (z * z + t * t) - math.log(over_vega / (x * _SQRT_2PI))
    slope = 1.0 / over_vega
    residual = height**-0.5 - goal**-0.5
    newton = -2.0 * residual * height * math.sqrt(height) / slope
    curvature = 1.5 * slope / height + z * z / s - 0.5 * t - slope
    return residual, newton / max(0.5, 1.0 + 0.5 * newton * curvature)


@compiled
def _body_step(x: float, s: float, goal: float) -> tuple[float, float]:
    """Halley step towards −ln(1 − b·exp(x/2)) = goal and the residual."""
    z = x / s
    t = 0.5 * s
    share = time_value(x, s) * math.exp(0.5 * x)
    slope = normal_density(z - t) / (1.0 - share)
    if share >= 1.0 or slope == 0.0:
        return 1.0, -math.inf
    residual = -math.log1p(-share) - goal
    newton = -residual / slope
    curvature = z * z / s - 0.5 * t + slope
    return residual, newton / max(0.5, 1.0 + 0.5 * newton * curvature)


@compiled
def _start(x: float, beta: float, is_wing: bool) -> float:
    """A first guess: the leading term in the wing; a straddle, or a tail, in the body."""
    if is_wing:
        return x / math.sqrt(-2.0 * math.log(beta))
    straddle = _SQRT_2PI * (beta + 0.5 * x)
    tail = math.sqrt(-2.0 * math.log1p(-beta * math.exp(0.5 * x)))
    return min(straddle, tail + math.sqrt(tail * tail + 2.0 * x))


@compiled
def total_volatility(x: float, beta: float) -> float:
    """Solve b(x, s) = β for s = σ√T, 0 < β < exp(−x/2), x = |ln(F/K)|; NaN if it cannot."""
    border = min(x, math.sqrt(2.0 * x))
    is_wing = x > 0.0 and beta < time_value(x, border)
    low, high = (0.0, border) if is_wing else (border, border + _WIDEST)
    goal = -math.log(beta / x) if is_wing else -math.log1p(-beta * math.exp(0.5 * x))
    s = min(max(_start(x, beta, is_wing), low), high)
    for _ in range(_STEPS):
        residual, step = _wing_step(x, s, goal) if is_wing else _body_step(x, s, goal)
        if abs(step) <= _SMALL_STEP * s:
            return s + step
        if residual > 0.0:
            high = s
        else:
            low = s
        s = s + step if low < s + step < high else 0.5 * (low + high)
    return math.nan


@compiled
def _undiscounted_time_value(
    premium: float, forward: float, strike: float, rate: float, years: float, is_call: bool
) -> tuple[float, float]:
    """Premium·exp(rT) less intrinsic value, and a bound of its rounding error; both ₹.

    In the money the two nearly cancel, so the intrinsic value is first taken off the premium, both
    with their rounding errors carried along, and the interest added after, with its own.
    """
    near, far = (forward, strike) if is_call else (strike, forward)
    if near <= far:
        return premium * math.exp(rate * years), 0.0
    gap, gap_error = _sum(near, -far)
    excess, excess_error = _sum(premium, -gap)
    interest, interest_error, noise = _interest(premium, rate, years)
    return (excess + interest) + (interest_error + excess_error - gap_error), noise


@compiled
def _interest(premium: float, rate: float, years: float) -> tuple[float, float, float]:
    """Premium·(exp(rT) − 1): rounded, what rounding took from it, and a bound of what is unknown.

    exp(x) − 1 = x + x²·P(x), whose second part alone is not exact: it is small when x is.
    """
    log_growth, log_growth_error = _product(rate, years)
    if not EXPM1_LOWEST < log_growth < EXPM1_HIGHEST:
        interest = premium * math.expm1(log_growth)
        return interest, 0.0, 2.0 * _EPSILON * abs(interest)
    rest = expm1_rest(log_growth)
    growth, growth_error = _sum(log_growth, rest)
    growth_error += log_growth_error * (1.0 + growth)
    interest, interest_error = _product(premium, growth)
    return interest, interest_error + premium * growth_error, 2.0 * _EPSILON * premium * rest


@compiled
def _sum(a: float, b: float) -> tuple[float, float]:
    """a + b and what rounding took from it (D. Knuth, TAOCP vol. 2, 4.2.2)."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


@compiled
def _product(a: float, b: float) -> tuple[float, float]:
    """a·b and what rounding took from it (T. J. Dekker, Numerische Mathematik 18, 1971)."""
    product = a * b
    a_high, b_high = _high_half(a), _high_half(b)
    a_low, b_low = a - a_high, b - b_high
    cross = (a_high * b_high - product) + a_high * b_low + a_low * b_high
    return product, cross + a_low * b_low


@compiled
def _high_half(a: float) -> float:
    """The upper 26 bits of a number below 1e300."""
    shifted = 134_217_729.0 * a
    return shifted - (shifted - a)


@compiled
def implied_volatility(
    premium: float, forward: float, strike: float, years: float, rate: float, right: int
) -> tuple[float, int]:
    """Volatility (fraction per √year) and its status, an index into ``IV_STATUSES``.

    Args:
        premium: discounted, ₹; NaN if there is none.
        forward, strike: ₹.
        years: to settlement; below one minute the contract is settling.
        rate: continuous, per year.
        right: 1 call, 0 put, ``UNKNOWN_RIGHT`` if not known.

    The volatility is NaN unless the status is ``ok``. No input raises. A premium
    by a last digit over intrinsic value is taken at its word: what is unknown of the interest is
    less than half a unit of that digit. Whether it tells anything is decided in ``smile``.
    """
    usable = 0.0 < forward < math.inf and 0.0 < strike < math.inf and math.isfinite(rate)
    if not usable or right not in (0, 1) or not math.isfinite(years):
        return math.nan, INVALID
    if years < SETTLING_YEARS:
        return math.nan, SETTLING
    if math.isnan(premium):
        return math.nan, NO_PRICE
    if premium < 0.0 or math.isinf(premium):
        return math.nan, INVALID
    value, noise = _undiscounted_time_value(premium, forward, strike, rate, years, right == 1)
    return _from_time_value(value, noise, forward, strike, years)


@compiled
def _from_time_value(
    value: float, noise: float, forward: float, strike: float, years: float
) -> tuple[float, int]:
    if value < -noise:
        return math.nan, BELOW_INTRINSIC
    beta = value / math.sqrt(forward) / math.sqrt(strike)
    if beta <= 0.0:
        return math.nan, NO_VEGA
    x = abs(moneyness(forward, strike))
    if not beta * math.exp(0.5 * x) < 1.0 - _EPSILON:
        return math.nan, ABOVE_BOUND
    s = total_volatility(x, beta)
    return s / math.sqrt(years), OK if s > 0.0 else NO_VEGA


@compiled
def _imply_tile(
    tile: Floats,
    premium: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    rate: Floats,
    right: Codes,
    start: int,
    count: int,
) -> None:
    tiles.load_terms(tile, forward, strike, years, rate, start, count)
    tiles.load(tile, tiles.PREMIUM, premium, start, count, 2.0)
    tiles.load_rights(tile, right, start, count)
    tiles.imply(tile)


@compiled
def implied_volatility_of_rows(
    premium: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    rate: Floats,
    right: Codes,
) -> tuple[Floats, Codes]:
    """``implied_volatility`` of each row; no row depends on another, and no input raises."""
    rows = len(premium)
    volatility = np.empty(rows)
    status = np.zeros(rows, dtype=np.int8)
    tile = tiles.new_tile()
    for start in range(0, rows, tiles.ROWS):
        count = min(tiles.ROWS, rows - start)
        _imply_tile(tile, premium, forward, strike, years, rate, right, start, count)
        tiles.store(tile, tiles.VOLATILITY, volatility, start, count)
        for row in range(count):
            if not tiles.is_fast(tile, row):
                i = start + row
                volatility[i], status[i] = implied_volatility(
                    premium[i], forward[i], strike[i], years[i], rate[i], right[i]
                )
    return volatility, status


@compiled
def implied_volatility_and_greeks_of_rows(
    premium: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    rate: Floats,
    right: Codes,
) -> tuple[Floats, Codes, Floats]:
    """Volatility, status and ``black76.GREEKS`` (5, n) of each row in one pass.

    The same as ``implied_volatility_of_rows`` and ``greeks_of_rows`` at its answer, where theta and
    rho take the premium for the value; NaN wherever the status is not ``ok``.
    """
    rows = len(premium)
    volatility = np.empty(rows)
    status = np.zeros(rows, dtype=np.int8)
    greeks = np.empty((5, rows))
    tile = tiles.new_tile()
    for start in range(0, rows, tiles.ROWS):
        count = min(tiles.ROWS, rows - start)
        _imply_tile(tile, premium, forward, strike, years, rate, right, start, count)
        tiles.fill_greeks(tile)
        tiles.store(tile, tiles.VOLATILITY, volatility, start, count)
        tiles.store_greeks(tile, greeks, start, count)
        for row in range(count):
            if not tiles.is_fast(tile, row):
                i = start + row
                p, f, k, t, r = premium[i], forward[i], strike[i], years[i], rate[i]
                volatility[i], status[i] = implied_volatility(p, f, k, t, r, right[i])
                greeks_with_premium(p, f, k, t, r, volatility[i], right[i] == 1, greeks[:, i])
    return volatility, status, greeks


def warm() -> None:
    """Compile every kernel of this module and ``black76`` once and leave it in the cache.

    So that no live path compiles: called when the environment is installed; takes seconds the first
    time, then nothing. Arrays may be writable or, as Polars lends them, read-only: all of one call.
    """
    for is_writable in (True, False):
        one, yes, right = np.ones(1), np.ones(1, dtype=np.bool_), np.ones(1, dtype=np.int8)
        for array in (one, yes, right):
            array.setflags(write=is_writable)
        terms = (one, one, one, one)
        implied_volatility_of_rows(one, *terms, right)
        implied_volatility_and_greeks_of_rows(one, *terms, right)
        greeks_of_rows(*terms, one, yes)
        cross_greeks_of_rows(*terms, one, yes)
