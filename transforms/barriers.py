"""Probability that a price leaves a level or a corridor before a horizon, as scalar kernels.

The logarithm of the price is a Brownian motion with drift. What the levels and the deviation are,
and what is concluded from the probability, belongs to whoever calls; nothing here is calibrated.

All lengths are in ln(price) over the whole horizon: distances of levels from the price now, drift
ν·T (of a forward, ν = −σ²/2), deviation σ√T. With a = up/deviation, b = down/deviation, w = a + b
and m = drift/deviation the horizon is 1 and the motion X(t) = m·t + W(t).

Passage of one level c with a drift v ≥ 0 towards it (reflection and Girsanov's theorem)::

    T(c, v) = N(v − c) + exp(2vc)·N(−v − c) = N(v − c) + n(v − c)·M(v + c),   M(z) = N(−z)/n(z)

and exp(−2vc) times that with the drift away from it. Leaving (−b, a) at the top is the sum over all
images c = a + 2kw of the top, k an integer, each with the sign of c::

    P_up = Σ sign(c)·exp(m·a − |m|·|c|)·T(|c|, |m|)

and at the bottom the same with a and b changed over and −m. As sines, from the eigenfunctions of
the corridor with two absorbing ends, k = 1, 2, … and q = kπ/w::

    1 − P = (2/w)·Σ sin(q·b)·q·[exp(−m·b) − (−1)ᵏ·exp(m·a)]/(m² + q²)·exp(−(m² + q²)/2)
    P_up  = b/w − (2/π)·Σ (−1)ᵏ⁺¹/k·sin(q·b)·exp(−q²/2)        without drift

Images from w = 2 on, the five nearest: one at c adds at most exp(−(c² − a²)/2), which from the
sixth on is below 2e-21. Eigenfunctions below that width, the first five: the k-th adds at most
(2/kπ)·(1 + exp(w²/2))·exp(−k²π²/2w²), which from the sixth on is below 5e-20. What is left is
rounding: the error is below 1e-14 throughout, and of one level's tail below 1e-11 of it.

Standardised use: where the two sides have variances of their own, a = ln(U/S)/√w_up and
b = ln(S/L)/√w_dn with drift 0 and deviation 1. A level that is looked at n times only, not at
every instant, is farther off by 0.5826·deviation/√n (Broadie, Glasserman & Kou, "A continuity
correction for discrete barrier options", Mathematical Finance 7, 1997).

Sources: E. G. Haug, "The Complete Guide to Option Pricing Formulas", 2nd ed. 2007, p. 181, and 1st
ed. 1998, p. 95 (tables); N. Kunitomo & M. Ikeda, "Pricing options with curved boundaries",
Mathematical Finance 2, 1992 (images); A. N. Borodin & P. Salminen, "Handbook of Brownian Motion",
2nd ed. 2002, part II, 1.3 and 2.3 (both series).

Every function gives NaN for what makes no sense (NaN; a drift or deviation beyond 1e6 in ln(price);
a deviation below zero) and never raises. A deviation of none (below 1e-100) leaves the drift alone
to reach a level; a level at infinity is one that is not there.
"""

from __future__ import annotations

import math

from transforms.black76 import normal_cdf, normal_density
from transforms.elementary import mills_ratio
from transforms.kernel import compiled

IMAGES_FROM_WIDTH = 2.0
"""The corridor's width in deviations from which the sum over images is taken."""

_EIGENFUNCTIONS = 5
# Below this width the first eigenfunction is less than the smallest number.
_LEAST_WIDTH = 0.08
# So that no quotient of two lengths overflows.
_LEAST_DEVIATION, _MOST, _FARTHEST = 1e-100, 1e6, 1e100


@compiled
def touch_probability(distance: float, drift: float, deviation: float) -> float:
    """Probability that one level is touched before the horizon; 1 at the level.

    Args:
        distance: ln(H/S), positive for a level above the price.
        drift: ν·T.
        deviation: σ√T.
    """
    if not _is_usable(drift, deviation) or math.isnan(distance):
        return math.nan
    reach = abs(distance)
    if reach == 0.0:
        return 1.0
    towards = math.copysign(1.0, distance) * drift
    if deviation < _LEAST_DEVIATION:
        return 1.0 if towards >= reach else 0.0
    return min(_passage(_scaled(reach, deviation), 0.0, towards / deviation), 1.0)


@compiled
def exit_probability(up: float, down: float, drift: float, deviation: float) -> float:
    """Probability that ln(price) leaves (−down, up) before the horizon; 1 at or through an end.

    Args:
        up: ln(U/S), of the upper end.
        down: ln(S/L), of the lower end; positive as well.
        drift: ν·T.
        deviation: σ√T.
    """
    if not _is_usable(drift, deviation) or math.isnan(up) or math.isnan(down):
        return math.nan
    if up <= 0.0 or down <= 0.0:
        return 1.0
    if deviation < _LEAST_DEVIATION:
        return 1.0 if drift >= up or -drift >= down else 0.0
    a, b, m = _scaled(up, deviation), _scaled(down, deviation), drift / deviation
    if a + b < IMAGES_FROM_WIDTH:
        return 1.0 - _stay_by_eigenfunctions(a, b, m)
    return min(_top_by_images(a, b, m) + _top_by_images(b, a, -m), 1.0)


@compiled
def up_first_probability(up: float, down: float, deviation: float) -> float:
    """Probability that (−down, up) is left before the horizon and at the top, without drift.

    1 at or through the top, 0 at or through the bottom, NaN at both; arguments as for
    ``exit_probability``. Leaving at the bottom is the same with up and down changed over.
    """
    if not _is_usable(0.0, deviation) or math.isnan(up) or math.isnan(down):
        return math.nan
    if up <= 0.0 or down <= 0.0:
        return _already_out(up, down)
    if deviation < _LEAST_DEVIATION:
        return 0.0
    a, b = _scaled(up, deviation), _scaled(down, deviation)
    if a + b < IMAGES_FROM_WIDTH:
        return down / (up + down) - _not_yet_at_the_top(a, b)
    return _top_by_images(a, b, 0.0)


def warm() -> None:
    """Compile the kernels once, for the cache."""
    touch_probability(0.1, 0.0, 0.1)
    exit_probability(0.1, 0.1, 0.0, 0.1)
    up_first_probability(0.1, 0.1, 0.1)


@compiled
def _is_usable(drift: float, deviation: float) -> bool:
    return abs(drift) <= _MOST and 0.0 <= deviation <= _MOST


@compiled
def _already_out(up: float, down: float) -> float:
    if up <= 0.0 and down <= 0.0:
        return math.nan
    return 1.0 if up <= 0.0 else 0.0


@compiled
def _scaled(distance: float, deviation: float) -> float:
    return min(distance, _FARTHEST) / deviation


@compiled
def _passage(level: float, beyond: float, drift: float) -> float:
    """exp(m·a − |m|·c)·T(c, |m|) of the image c = a + beyond of a level a > 0, drift m to it."""
    speed, c = abs(drift), level + beyond
    excess = beyond if drift >= 0.0 else level + c
    gap = speed - c
    direct = normal_cdf(gap)
    reflected = normal_density(gap) * mills_ratio(speed + c)
    return math.exp(-speed * excess) * (direct + reflected)


@compiled
def _top_by_images(a: float, b: float, m: float) -> float:
    """P_up from the five nearest images of the top."""
    w = a + b
    total = _passage(a, 0.0, m) - _passage(a, 2.0 * b, m)
    total += _passage(a, 2.0 * w, m) - _passage(a, 2.0 * (b + w), m)
    return max(total + _passage(a, 4.0 * w, m), 0.0)


@compiled
def _stay_by_eigenfunctions(a: float, b: float, m: float) -> float:
    """Probability to be in the corridor still."""
    w = a + b
    if w < _LEAST_WIDTH:
        return 0.0
    top, bottom = math.exp(m * (a - 0.5 * m)), math.exp(-m * (b + 0.5 * m))
    total, sign = 0.0, 1.0
    for k in range(1, _EIGENFUNCTIONS + 1):
        q = k * math.pi / w
        share = q / (m * m + q * q) * math.exp(-0.5 * q * q)
        total += math.sin(q * b) * share * (bottom + sign * top)
        sign = -sign
    return min(max(2.0 / w * total, 0.0), 1.0)


@compiled
def _not_yet_at_the_top(a: float, b: float) -> float:
    """Probability to leave at the top, but after the horizon; without drift."""
    w = a + b
    if w < _LEAST_WIDTH:
        return 0.0
    total, sign = 0.0, 2.0 / math.pi
    for k in range(1, _EIGENFUNCTIONS + 1):
        q = k * math.pi / w
        total += sign / k * math.sin(q * b) * math.exp(-0.5 * q * q)
        sign = -sign
    return total
