"""Black-76: value and Greeks of one European option on its forward, compiled.

Scalar kernels and the loop that runs them over arrays. Finding the volatility belongs in
``implied_vol``, frames in ``greeks``, the choice of forward in ``forward``.

Source: F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976)::

    D = exp(−rT),  s = σ√T,  d1 = ln(F/K)/s + s/2,  d2 = d1 − s
    C = D[F·N(d1) − K·N(d2)],   P = D[K·N(−d2) − F·N(−d1)]

The textbook difference loses all digits in the wings and for short dates. So the time value is
taken from the ratio Y(h) = N(h)/n(h): with x = |ln(F/K)|, z = x/s, t = s/2 and by completing the
square, the out-of-the-money value over √(FK) is::

    b(x, s) = n(z)·exp(−t²/2)·[Y(t − z) − Y(−t − z)],   ∂b/∂s = n(z)·exp(−t²/2)

All arguments are floats: forward and strike in ₹, years, rate continuous per year, volatility a
fraction per √year; prices are discounted ₹.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from transforms import tiles
from transforms.elementary import (
    LONG_DIFFERENCE_FARTHEST,
    LONG_DIFFERENCE_TO,
    long_mills_difference,
    mills_ratio,
    mills_slope,
)
from transforms.kernel import compiled

GREEKS = (
    "delta_forward",
    "gamma_forward",
    "theta_per_day",
    "vega_per_vol_point",
    "rho_per_percent",
)
CROSS_GREEKS = ("vanna_per_vol_point", "charm_per_day")

_SQRT_HALF = math.sqrt(0.5)
_SQRT_2PI = math.sqrt(2.0 * math.pi)
_INVERSE_SQRT_2PI = 1.0 / _SQRT_2PI
_VANISHES_FROM = 40.0


@compiled
def normal_cdf(h: float) -> float:
    """N(h) through erfc, so that the lower tail keeps its relative accuracy."""
    return 0.5 * math.erfc(-h * _SQRT_HALF)


@compiled
def normal_density(h: float) -> float:
    """n(h), the standard normal density."""
    return _INVERSE_SQRT_2PI * math.exp(-0.5 * h * h)


@compiled
def cdf_over_density(h: float) -> float:
    """Y(h) = N(h)/n(h), the reflected Mills ratio; h ≤ 37."""
    if h <= 0.0:
        return mills_ratio(-h)
    return _SQRT_2PI * math.exp(0.5 * h * h) - mills_ratio(h)


@compiled
def tail_slope(z: float) -> float:
    """Y'(−z) = 1 − z·Y(−z) for z ≥ 0, Y = N/n: about 1/z² far out."""
    return mills_slope(z)


@compiled
def value_over_vega(z: float, t: float) -> float:
    """Y(t − z) − Y(−t − z) for z ≥ 0, t > 0: the time value over its slope in s.

    Summed as a series where little of the difference is left, or where that is the more exact.
    """
    s = 2.0 * t
    if s < LONG_DIFFERENCE_TO and z * s < LONG_DIFFERENCE_FARTHEST:
        return long_mills_difference(z * s, s)[0]
    return cdf_over_density(t - z) - cdf_over_density(-t - z)


@compiled
def moneyness(forward: float, strike: float) -> float:
    """ln(F/K) to full relative accuracy near the money, where F/K itself would round it away."""
    gap = forward - strike
    if abs(gap) < 0.5 * strike:
        return math.log1p(gap / strike)
    return math.log(forward / strike)


@compiled
def time_value(x: float, s: float) -> float:
    """b(x, s): undiscounted out-of-the-money value over √(FK); x = |ln(F/K)|, s = σ√T > 0."""
    z = x / s
    t = 0.5 * s
    if t > z + 1.0:
        near = math.exp(-0.5 * x) * math.erfc((z - t) * _SQRT_HALF)
        return 0.5 * (near - math.exp(0.5 * x) * math.erfc((z + t) * _SQRT_HALF))
    if z > _VANISHES_FROM:
        return 0.0
    return normal_density(z) * math.exp(-0.5 * t * t) * value_over_vega(z, t)


@compiled
def price(
    forward: float, strike: float, years: float, rate: float, volatility: float, is_call: bool
) -> float:
    """Discounted value, ₹; the discounted intrinsic value when σ√T is zero."""
    gap = forward - strike if is_call else strike - forward
    value = max(gap, 0.0)
    s = volatility * math.sqrt(years)
    if s > 0.0:
        scale = math.sqrt(forward) * math.sqrt(strike)
        value += scale * time_value(abs(moneyness(forward, strike)), s)
    return math.exp(-rate * years) * value


@compiled
def first_distance(forward: float, strike: float, years: float, volatility: float) -> float:
    """d1 = ln(F/K)/(σ√T) + σ√T/2; its limit ±∞ (0 at the money) when σ√T is zero."""
    s = volatility * math.sqrt(years)
    x = moneyness(forward, strike)
    if s > 0.0:
        return x / s + 0.5 * s
    return math.copysign(math.inf, x) if x != 0.0 else 0.0


@compiled
def delta(
    forward: float, strike: float, years: float, rate: float, volatility: float, is_call: bool
) -> float:
    """∂V/∂F = ±D·N(±d1), per ₹1 of forward."""
    sign = 1.0 if is_call else -1.0
    d1 = first_distance(forward, strike, years, volatility)
    return sign * math.exp(-rate * years) * normal_cdf(sign * d1)


@compiled
def gamma(forward: float, strike: float, years: float, rate: float, volatility: float) -> float:
    """∂²V/∂F² = D·n(d1)/(Fσ√T), per ₹1 of forward; the same for call and put."""
    d1 = first_distance(forward, strike, years, volatility)
    if math.isinf(d1):
        return 0.0
    spread = forward * volatility * math.sqrt(years)
    return math.exp(-rate * years) * normal_density(d1) / spread


@compiled
def vega(forward: float, strike: float, years: float, rate: float, volatility: float) -> float:
    """∂V/∂σ = D·F·n(d1)·√T, ₹ per 1.00 of volatility; the same for call and put."""
    d1 = first_distance(forward, strike, years, volatility)
    return math.exp(-rate * years) * forward * normal_density(d1) * math.sqrt(years)


@compiled
def theta(
    forward: float, strike: float, years: float, rate: float, volatility: float, is_call: bool
) -> float:
    """−∂V/∂T = −½σ·vega/T + rV, ₹ per year, the forward unchanged; years > 0."""
    decay = 0.5 * volatility * vega(forward, strike, years, rate, volatility) / years
    return rate * price(forward, strike, years, rate, volatility, is_call) - decay


@compiled
def rho(
    forward: float, strike: float, years: float, rate: float, volatility: float, is_call: bool
) -> float:
    """∂V/∂r = −T·V, ₹ per 1.00 of rate, the forward unchanged."""
    return -years * price(forward, strike, years, rate, volatility, is_call)


@compiled
def vanna(forward: float, strike: float, years: float, rate: float, volatility: float) -> float:
    """∂Δ_F/∂σ = −D·n(d1)·d2/σ, per 1.00 of volatility; the same for call and put."""
    d1 = first_distance(forward, strike, years, volatility)
    if math.isinf(d1):
        return 0.0
    d2 = d1 - volatility * math.sqrt(years)
    return -math.exp(-rate * years) * normal_density(d1) * d2 / volatility


@compiled
def gamma_bell(
    log_strike_over_forward: float, deviation: float, discount: float
) -> tuple[float, float, float]:
    """Γ over a move u of the forward, as one exponential: its height, 1/w and offset.

    With w = σ√T: Γ(F·e^u)·F·e^u = height·exp(−½(u/w + offset)²), the same for call and put. For
    loops over many levels, which can afford no more than that exponential.
    """
    inverse = 1.0 / deviation
    offset = 0.5 * deviation - log_strike_over_forward * inverse
    return discount * _INVERSE_SQRT_2PI * inverse, inverse, offset


@compiled
def charm(
    forward: float, strike: float, years: float, rate: float, volatility: float, is_call: bool
) -> float:
    """−∂Δ_F/∂T = r·Δ_F + D·n(d1)·d2/(2T), per year passed, the forward unchanged; years > 0.

    From ∂d1/∂T = −d2/(2T), and from the discounting in Δ_F; the second term is the same for call
    and put.
    """
    drift = -0.5 * volatility / years * vanna(forward, strike, years, rate, volatility)
    return rate * delta(forward, strike, years, rate, volatility, is_call) + drift


@compiled
def _is_usable(forward: float, strike: float, years: float, rate: float, volatility: float) -> bool:
    prices = 0.0 < forward < math.inf and 0.0 < strike < math.inf
    rest = 0.0 < years < math.inf and 0.0 < volatility < math.inf and math.isfinite(rate)
    return prices and rest


@compiled
def greeks_with_premium(
    premium: float,
    forward: float,
    strike: float,
    years: float,
    rate: float,
    volatility: float,
    is_call: bool,
    out: NDArray[np.float64],
) -> None:
    """``GREEKS`` of one option in published units at a volatility whose value is the premium.

    NaN where an input is no use, the volatility being NaN included.
    """
    if not _is_usable(forward, strike, years, rate, volatility):
        out[:] = math.nan
        return
    slope = vega(forward, strike, years, rate, volatility)
    out[0] = delta(forward, strike, years, rate, volatility, is_call)
    out[1] = gamma(forward, strike, years, rate, volatility)
    out[2] = (rate * premium - 0.5 * volatility * slope / years) / 365.0
    out[3] = 0.01 * slope
    out[4] = -0.01 * years * premium


@compiled
def _cross_greeks_of_row(
    forward: float,
    strike: float,
    years: float,
    rate: float,
    volatility: float,
    is_call: bool,
    out: NDArray[np.float64],
) -> None:
    if not _is_usable(forward, strike, years, rate, volatility):
        out[:] = math.nan
        return
    out[0] = 0.01 * vanna(forward, strike, years, rate, volatility)
    out[1] = charm(forward, strike, years, rate, volatility, is_call) / 365.0


@compiled
def _value_tile(
    tile: NDArray[np.float64],
    forward: NDArray[np.float64],
    strike: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: NDArray[np.float64],
    volatility: NDArray[np.float64],
    is_call: NDArray[np.bool_],
    start: int,
    count: int,
) -> None:
    tiles.load_terms(tile, forward, strike, years, rate, start, count)
    tiles.load(tile, tiles.VOLATILITY, volatility, start, count, 0.2)
    tiles.load_rights(tile, is_call, start, count)
    tiles.value(tile)


@compiled
def greeks_of_rows(
    forward: NDArray[np.float64],
    strike: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: NDArray[np.float64],
    volatility: NDArray[np.float64],
    is_call: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """All of ``GREEKS`` in published units, shape (5, n); NaN where an input is no use.

    Theta is per calendar day, vega per volatility point, rho per 1 % of rate. No input raises, and
    no row depends on another.
    """
    rows = len(volatility)
    out = np.empty((5, rows))
    tile = tiles.new_tile()
    for start in range(0, rows, tiles.ROWS):
        count = min(tiles.ROWS, rows - start)
        _value_tile(tile, forward, strike, years, rate, volatility, is_call, start, count)
        tiles.fill_greeks(tile)
        tiles.store_greeks(tile, out, start, count)
        for row in range(count):
            if not tiles.is_fast(tile, row):
                i = start + row
                f, k, t, r, v = forward[i], strike[i], years[i], rate[i], volatility[i]
                p = price(f, k, t, r, v, is_call[i])
                greeks_with_premium(p, f, k, t, r, v, is_call[i], out[:, i])
    return out


@compiled
def cross_greeks_of_rows(
    forward: NDArray[np.float64],
    strike: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: NDArray[np.float64],
    volatility: NDArray[np.float64],
    is_call: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """All of ``CROSS_GREEKS`` in published units, shape (2, n); NaN where an input is no use.

    Vanna is the change of ``delta_forward`` per volatility point, charm that per calendar day
    passed, the forward unchanged. No input raises, and no row depends on another.
    """
    rows = len(volatility)
    out = np.empty((2, rows))
    tile = tiles.new_tile()
    for start in range(0, rows, tiles.ROWS):
        count = min(tiles.ROWS, rows - start)
        _value_tile(tile, forward, strike, years, rate, volatility, is_call, start, count)
        tiles.fill_cross_greeks(tile)
        tiles.store(tile, tiles.VANNA, out[0], start, count)
        tiles.store(tile, tiles.CHARM, out[1], start, count)
        for row in range(count):
            if not tiles.is_fast(tile, row):
                i = start + row
                f, k, t, r, v = forward[i], strike[i], years[i], rate[i], volatility[i]
                _cross_greeks_of_row(f, k, t, r, v, is_call[i], out[:, i])
    return out
