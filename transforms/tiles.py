"""Tiles: 256 options at a time in one scratch buffer, by loops that LLVM vectorises.

A tile holds its columns one after the other in a single array, so that the compiler sees that they
do not overlap; indices are unsigned, so that none can count from the end; nothing branches. A row
outside the fast domain is computed along and marked, and the caller gives it to the scalar code:
``black76`` and ``implied_vol``, whose loops over tiles these are. What a row gets never depends on
the rows beside it: where a tile does more because one of its rows needs it, the others keep theirs.

Notation as in ``black76``: x = ln(F/K), s = σ√T, z = |x|/s, t = s/2, b(x, s) = β the time value
over √(FK), Y = N/n. Fast domain: s from 1e-7 to 1.05, rT from −0.05 to 0.36, F and K from 1e-150 to
1e150, and z up to 9.2 to imply (β above 1e-290), z up to 36 and |x| up to 4 to price.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from transforms.elementary import (
    EXPM1_HIGHEST,
    EXPM1_LOWEST,
    LONG_DIFFERENCE_FARTHEST,
    SHORT_DIFFERENCE_TO,
    MillsDifference,
    bachelier_inverse,
    exp_within,
    expm1_near_zero,
    fast_log,
    log_ratio,
    long_mills_difference,
    mills_ratio,
    short_mills_difference,
)
from transforms.kernel import inlined, tiled
from transforms.tenor import SETTLING_YEARS

Tile = NDArray[np.float64]
Floats = NDArray[np.float64]
Rights = NDArray[np.int8] | NDArray[np.bool_]

ROWS = 256
_ROWS = np.uint64(ROWS)
_COLUMNS = 18

# Where each column of a tile begins.
FORWARD, STRIKE, YEARS, RATE, SIDE, PREMIUM, VOLATILITY = (np.uint64(i * ROWS) for i in range(7))
DELTA, GAMMA, THETA, VEGA, RHO = (np.uint64(i * ROWS) for i in range(7, 12))
VANNA, CHARM = DELTA, GAMMA
# ln(F/K); σ√T; D; β; 1 where the row lies in the fast domain; |b/β − 1| before the last step.
_LOG, _TOTAL, _DISCOUNT, _BETA, _FAST, _RESIDUAL = (np.uint64(i * ROWS) for i in range(12, 18))

_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
# Rounding in the interest, relative; below it the scalar code, which rounds less, decides.
_NOISE = 2.0 * float(np.finfo(np.float64).eps)
_SMALLEST, _LARGEST = 1e-150, 1e150
_NARROWEST, _WIDEST = 1e-7, 1.05
# η of z = 9.2, where the rational guess ends.
_DEEPEST_ETA = 0.0401
_DEEPEST = 36.0
# A step leaves the fourth power of the residual that it takes off: from here, below 2e-15.
_SMALL_RESIDUAL = 2e-4
_DAYS = 365.0


@tiled
def new_tile() -> Tile:
    """The scratch buffer; its contents mean nothing before ``load``."""
    return np.empty(_COLUMNS * ROWS)


@tiled
def load(
    tile: Tile, column: np.uint64, values: Floats, start: int, count: int, filler: float
) -> None:
    """Put ``values[start:start + count]`` into a column and the filler into the rows after them."""
    first, end = np.uint64(start), np.uint64(count)
    for j in range(end):
        tile[j + column] = values[j + first]
    for j in range(end, _ROWS):
        tile[j + column] = filler


@tiled
def load_terms(
    tile: Tile,
    forward: Floats,
    strike: Floats,
    years: Floats,
    rate: Floats,
    start: int,
    count: int,
) -> None:
    """Load what every kernel takes; the rows after ``count`` get an ordinary option."""
    load(tile, FORWARD, forward, start, count, 100.0)
    load(tile, STRIKE, strike, start, count, 101.0)
    load(tile, YEARS, years, start, count, 0.1)
    load(tile, RATE, rate, start, count, 0.0)


@tiled
def load_rights(tile: Tile, right: Rights, start: int, count: int) -> None:
    """Load the side: 1 for a call (1, true), −1 for a put (0, false), NaN for any other right."""
    first, end = np.uint64(start), np.uint64(count)
    for j in range(end):
        code = right[j + first]
        put = -1.0 if code == 0 else math.nan
        tile[j + SIDE] = 1.0 if code == 1 else put
    for j in range(end, _ROWS):
        tile[j + SIDE] = 1.0


@tiled
def store(tile: Tile, column: np.uint64, out: Floats, start: int, count: int) -> None:
    """Copy the first ``count`` rows of a column to ``out[start:start + count]``."""
    first = np.uint64(start)
    for j in range(np.uint64(count)):
        out[j + first] = tile[j + column]


@tiled
def store_greeks(tile: Tile, out: Floats, start: int, count: int) -> None:
    """Copy the first ``count`` rows of all Greeks to ``out[:, start:start + count]``."""
    store(tile, DELTA, out[0], start, count)
    store(tile, GAMMA, out[1], start, count)
    store(tile, THETA, out[2], start, count)
    store(tile, VEGA, out[3], start, count)
    store(tile, RHO, out[4], start, count)


@inlined
def is_fast(tile: Tile, row: int) -> bool:
    """Whether the tile's answer for a row holds; else the scalar code is to be asked."""
    return bool(tile[np.uint64(row) + _FAST] != 0.0)


@inlined
def _are_terms_fast(forward: float, strike: float, years: float, log_growth: float) -> bool:
    prices = (forward > _SMALLEST) & (forward < _LARGEST) & (strike > _SMALLEST)
    growth = (log_growth > EXPM1_LOWEST) & (log_growth < EXPM1_HIGHEST)
    return prices & growth & (strike < _LARGEST) & (years > 0.0)


@inlined
def _time_value(
    premium: float, forward: float, strike: float, side: float, interest: float
) -> float:
    """Premium·exp(rT) less intrinsic value, ₹, with the digits that their cancelling leaves.

    The intrinsic value, with the rounding error of F − K (D. Knuth, TAOCP vol. 2, 4.2.2), is taken
    off the premium first, the premium's interest added after.
    """
    gap = forward - strike
    back = gap - forward
    gap_error = (forward - (gap - back)) - (strike + back)
    intrinsic = side * gap
    excess = (premium - intrinsic) - side * gap_error
    return (excess if intrinsic > 0.0 else premium) + interest


@inlined
def _guess(distance: float, beta: float, y: float) -> tuple[float, float]:
    """A first s, off by 1e-6 at most for s < 0.05, 5e-5 for s < 0.2, 2 % for s < 1.05; and η.

    Bachelier's normal volatility for the distance y = |F − K|/√(FK), carried over to the lognormal
    by |x|/y and by the series of its at-the-money inverse, 2√2·erf⁻¹(s/√(2π)), in s²/24.
    """
    floor = 1e-7 * beta
    y_up = y if y > floor else floor
    width = y_up + 2.0 * beta
    eta = y_up / (width * (0.5 * fast_log(1.0 + y_up / beta)))
    normal = width * math.sqrt(eta) * bachelier_inverse(eta)
    s = normal * (distance / y if y > 1e-12 else 1.0)
    e = s * s * (1.0 / 24.0)
    return s * (1.0 + e * (1.0 + e * (2.1 + e * (381.0 / 70.0 + 4369.0 / 280.0 * e)))), eta


@tiled
def guess(tile: Tile) -> np.uint64:
    """Take a tile of premiums to a first s and its fast domain; how many rows need the long series.

    Reads the terms, ``SIDE`` and ``PREMIUM``.
    """
    wide = np.uint64(0)
    for j in range(_ROWS):
        forward, strike, years = tile[j + FORWARD], tile[j + STRIKE], tile[j + YEARS]
        log_growth = tile[j + RATE] * years
        growth_less_one = expm1_near_zero(log_growth)
        premium, side = tile[j + PREMIUM], tile[j + SIDE]
        interest = premium * growth_less_one
        value = _time_value(premium, forward, strike, side, interest)
        over_root = 1.0 / math.sqrt(forward * strike)
        beta = value * over_root
        x = log_ratio(forward, strike)
        s, eta = _guess(abs(x), beta, abs(forward - strike) * over_root)
        fast = _are_terms_fast(forward, strike, years, log_growth) & (years >= SETTLING_YEARS)
        fast &= (abs(side) == 1.0) & (beta > 1e-290) & (value > _NOISE * abs(interest))
        fast &= (eta >= _DEEPEST_ETA) & (s > _NARROWEST) & (s < _WIDEST)
        wide += np.uint64(fast & (s >= SHORT_DIFFERENCE_TO))
        tile[j + _LOG] = x
        tile[j + _BETA] = beta
        tile[j + _DISCOUNT] = 1.0 / (1.0 + growth_less_one)
        tile[j + _TOTAL] = s
        tile[j + _FAST] = 1.0 if fast else 0.0
        tile[j + _RESIDUAL] = math.inf
    return wide


@inlined
def _log1p_near_zero(x: float) -> float:
    """ln(1 + x) as six terms: to x⁷/7, that is 2e-27 for |x| below the small residual."""
    return x * (1.0 + x * (-0.5 + x * (1.0 / 3.0 + x * (-0.25 + x * (0.2 - x * (1.0 / 6.0))))))


@inlined
def _householder(
    s: float, beta: float, over_vega: float, over_s: float, z_squared: float
) -> tuple[float, float]:
    """Householder's third-order step on ln(b/β) in s; the new s and b/β − 1 at the old one.

    b' is the density, and b''/b' = z²/s − s/4. (A. Householder, The Numerical Treatment of a Single
    Nonlinear Equation, 1970, 4.4.)
    """
    density = _INVERSE_SQRT_2PI * exp_within(-0.5 * z_squared - 0.125 * s * s)
    residual = density * over_vega / beta - 1.0
    slope = 1.0 / over_vega
    newton = -_log1p_near_zero(residual) * over_vega
    second = z_squared * over_s - 0.25 * s
    third = second * second - 3.0 * (z_squared * over_s * over_s) - 0.25
    h2 = second - slope
    h3 = third - 3.0 * second * slope + 2.0 * slope * slope
    numerator = 1.0 + 0.5 * h2 * newton
    denominator = 1.0 + newton * (h2 + h3 * newton * (1.0 / 6.0))
    return s + newton * numerator / denominator, residual


def _step(difference: MillsDifference) -> Callable[[Tile], np.uint64]:
    """Refine s in rows whose last residual was not small; how many fast rows had a large one."""

    @tiled
    def step(tile: Tile) -> np.uint64:
        unsettled = np.uint64(0)
        for j in range(_ROWS):
            s, before = tile[j + _TOTAL], tile[j + _RESIDUAL]
            over_vega, over_s, z_squared = difference(abs(tile[j + _LOG]), s)
            better, residual = _householder(s, tile[j + _BETA], over_vega, over_s, z_squared)
            is_settled = before <= _SMALL_RESIDUAL
            s = s if is_settled else better
            residual = before if is_settled else abs(residual)
            is_fast_row = tile[j + _FAST] != 0.0
            unsettled += np.uint64(is_fast_row & (not residual <= _SMALL_RESIDUAL))
            tile[j + _TOTAL] = s
            tile[j + _RESIDUAL] = residual
            tile[j + VOLATILITY] = s / math.sqrt(tile[j + YEARS])
        return unsettled

    return step


_short_step = _step(short_mills_difference)
_long_step = _step(long_mills_difference)


@tiled
def _drop_unsettled(tile: Tile) -> None:
    for j in range(_ROWS):
        settled = tile[j + _RESIDUAL] <= _SMALL_RESIDUAL
        tile[j + _FAST] = tile[j + _FAST] if settled else 0.0


@tiled
def imply(tile: Tile) -> None:
    """From terms, ``SIDE`` and ``PREMIUM`` to ``VOLATILITY``: one step, and a second if need be."""
    wide = guess(tile)
    unsettled = _short_step(tile) if wide == 0 else _long_step(tile)
    if unsettled != 0:
        again = _short_step(tile) if wide == 0 else _long_step(tile)
        if again != 0:
            _drop_unsettled(tile)


@tiled
def value(tile: Tile) -> None:
    """From terms, ``SIDE`` and ``VOLATILITY`` to ``PREMIUM`` (₹, discounted)."""
    for j in range(_ROWS):
        forward, strike, years = tile[j + FORWARD], tile[j + STRIKE], tile[j + YEARS]
        log_growth = tile[j + RATE] * years
        x = log_ratio(forward, strike)
        s = tile[j + VOLATILITY] * math.sqrt(years)
        over_vega, _, z_squared = long_mills_difference(abs(x), s)
        fast = _are_terms_fast(forward, strike, years, log_growth)
        fast &= (s > _NARROWEST) & (s < _WIDEST) & (abs(x) < _DEEPEST * s)
        fast &= abs(x) < LONG_DIFFERENCE_FARTHEST
        exponent = -0.5 * z_squared - 0.125 * s * s
        density = _INVERSE_SQRT_2PI * exp_within(exponent)
        gap = tile[j + SIDE] * (forward - strike)
        intrinsic = gap if gap > 0.0 else 0.0
        discount = 1.0 / (1.0 + expm1_near_zero(log_growth))
        tile[j + PREMIUM] = discount * (
            intrinsic + math.sqrt(forward * strike) * density * over_vega
        )
        tile[j + _LOG] = x
        tile[j + _TOTAL] = s
        tile[j + _DISCOUNT] = discount
        tile[j + _FAST] = 1.0 if fast else 0.0


@inlined
def _density_and_tail(d1: float) -> tuple[float, float]:
    """n(d1) and N(−|d1|), |d1| ≤ 37."""
    density = _INVERSE_SQRT_2PI * exp_within(-0.5 * d1 * d1)
    return density, density * mills_ratio(abs(d1))


@inlined
def _signed_cdf(d1: float, tail: float, side: float) -> float:
    """side·N(side·d1) from the tail N(−|d1|)."""
    return side * (tail if side * d1 < 0.0 else 1.0 - tail)


@tiled
def fill_greeks(tile: Tile) -> None:
    """After ``imply`` or ``value``: ``black76.GREEKS`` in published units.

    Theta and rho take the premium for the value that it is at this volatility.
    """
    for j in range(_ROWS):
        forward, years, premium = tile[j + FORWARD], tile[j + YEARS], tile[j + PREMIUM]
        s, discount, side = tile[j + _TOTAL], tile[j + _DISCOUNT], tile[j + SIDE]
        over_s = 1.0 / s
        d1 = tile[j + _LOG] * over_s + 0.5 * s
        density, tail = _density_and_tail(d1)
        discounted = discount * density
        vega = discounted * forward * math.sqrt(years)
        decay = 0.5 * vega * tile[j + VOLATILITY] / years
        tile[j + DELTA] = discount * _signed_cdf(d1, tail, side)
        tile[j + GAMMA] = discounted * over_s / forward
        tile[j + THETA] = (tile[j + RATE] * premium - decay) * (1.0 / _DAYS)
        tile[j + VEGA] = 0.01 * vega
        tile[j + RHO] = -0.01 * years * premium


@tiled
def fill_cross_greeks(tile: Tile) -> None:
    """After ``value``: ``black76.CROSS_GREEKS`` in published units, into ``VANNA``, ``CHARM``."""
    for j in range(_ROWS):
        s, discount, side = tile[j + _TOTAL], tile[j + _DISCOUNT], tile[j + SIDE]
        d1 = tile[j + _LOG] / s + 0.5 * s
        density, tail = _density_and_tail(d1)
        slope = discount * density * (d1 - s)
        delta = discount * _signed_cdf(d1, tail, side)
        drift = tile[j + RATE] * delta + 0.5 * slope / tile[j + YEARS]
        tile[j + VANNA] = -0.01 * slope / tile[j + VOLATILITY]
        tile[j + CHARM] = drift * (1.0 / _DAYS)
