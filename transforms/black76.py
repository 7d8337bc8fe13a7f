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

from transforms.kernel import compiled

GREEKS = (
    "delta_forward",
    "gamma_forward",
    "theta_per_day",
    "vega_per_vol_point",
    "rho_per_percent",
)

_SQRT_HALF = math.sqrt(0.5)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_ASYMPTOTIC_FROM = 12.0
_SERIES_BELOW = 0.05
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
def tail_slope(z: float) -> float:
    """Y'(−z) = 1 − z·Y(−z) for z ≥ 0, Y = N/n: about 1/z² far out, where it is summed as such."""
    if z < _ASYMPTOTIC_FROM:
        return 1.0 - z * cdf_over_density(-z)
    inverse_square = 1.0 / (z * z)
    term = inverse_square
    total = 0.0
    # 1/z² − 3/z⁴ + 15/z⁶ − …: 18 terms are below rounding at z = 12.
    for odd in range(3, 39, 2):
        total += term
        term *= -odd * inverse_square
    return total


@compiled
def cdf_over_density(h: float) -> float:
    """Y(h) = N(h)/n(h), the reflected Mills ratio; h ≤ 37."""
    if h <= -_ASYMPTOTIC_FROM:
        inverse_square = 1.0 / (h * h)
        term = 1.0
        total = 0.0
        for odd in range(1, 37, 2):
            total += term
            term *= -odd * inverse_square
        return -total / h
    return _SQRT_HALF_PI * math.exp(0.5 * h * h) * math.erfc(-h * _SQRT_HALF)


@compiled
def value_over_vega(z: float, t: float) -> float:
    """Y(t − z) − Y(−t − z) for z ≥ 0, t > 0: the time value over its slope in s.

    For small t the difference is summed as its odd Taylor series about −z, from the recurrence
    Y⁽ⁿ⁺¹⁾(h) = h·Y⁽ⁿ⁾(h) + n·Y⁽ⁿ⁻¹⁾(h); six terms are below rounding for t < 0.05.
    """
    if t >= _SERIES_BELOW:
        return cdf_over_density(t - z) - cdf_over_density(-t - z)
    even = cdf_over_density(-z)
    odd = tail_slope(z)
    factor = 2.0 * t
    total = factor * odd
    for n in range(1, 11, 2):
        even = n * even - z * odd
        odd = (n + 1) * odd - z * even
        factor *= t * t / ((n + 1) * (n + 2))
        total += factor * odd
    return total


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
    if t >= _SERIES_BELOW and t > z + 1.0:
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
def greeks_of_rows(
    forward: NDArray[np.float64],
    strike: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: NDArray[np.float64],
    volatility: NDArray[np.float64],
    is_call: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """All of ``GREEKS`` in published units, shape (5, n); NaN wherever the volatility is NaN.

    Theta is per calendar day, vega per volatility point, rho per 1 % of rate.
    """
    out = np.full((5, len(volatility)), np.nan)
    for i in range(len(volatility)):
        f, k, t, r, v = forward[i], strike[i], years[i], rate[i], volatility[i]
        if not (f > 0.0 and k > 0.0 and t > 0.0 and v > 0.0 and math.isfinite(r)):
            continue
        out[0, i] = delta(f, k, t, r, v, is_call[i])
        out[1, i] = gamma(f, k, t, r, v)
        out[2, i] = theta(f, k, t, r, v, is_call[i]) / 365.0
        out[3, i] = vega(f, k, t, r, v) * 0.01
        out[4, i] = rho(f, k, t, r, v, is_call[i]) * 0.01
    return out
