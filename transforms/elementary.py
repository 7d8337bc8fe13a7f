"""Branch-free elementary functions for kernels that LLVM vectorises: exp, log and Mills' ratio.

The library's exp and log are calls, and one call in a loop keeps it from being vectorised; these
are a few products and sums. What is made of them belongs in ``black76`` and ``implied_vol``; the
coefficients are derived, and their errors measured, by ``tools/derive_coefficients.py``.

Every function takes and gives float64 and is inlined into the kernel that calls it. None raises:
NaN in gives NaN out, and what else happens outside a domain is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic

from transforms.coefficients import (
    BACHELIER_OVER,
    BACHELIER_UNDER,
    EXP,
    EXPM1,
    LOG,
    MILLS,
    MILLS_SLOPE,
)
from transforms.kernel import inlined, polynomial

_exp_polynomial = polynomial(EXP)
_expm1_polynomial = polynomial(EXPM1)
_log_polynomial = polynomial(LOG)
_mills_polynomial = polynomial(MILLS)
_mills_slope_polynomial = polynomial(MILLS_SLOPE)
_bachelier_over = polynomial(BACHELIER_OVER)
_bachelier_under = polynomial(BACHELIER_UNDER)

# ln 2 in two parts: 33 bits, so that a product with an exponent is exact, and the rest.
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_LOG2_E = 1.0 / math.log(2.0)
# 1.5·2⁵²: adding it to a small number rounds that to an integer, which then stands in the low bits.
_ROUNDER = 6755399441055744.0
_EXPONENT_BIAS = np.uint64(1023)
_MANTISSA_BITS = np.uint64(52)
_ONE_BITS = np.uint64(1023 << 52)
# From the bits of √½ to those of 1: added, it carries into the exponent for mantissas above √2.
_TO_NEXT_EXPONENT = np.uint64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
# The bits of 2⁵² and its value: an integer below 2⁵² put into its mantissa is added to it.
_INTEGER_BITS = np.uint64(0x4330000000000000)
_INTEGER_OFFSET = 4503599627370496.0 + 1023.0

EXP_LOWEST = -708.0
EXP_HIGHEST = 709.0
EXPM1_LOWEST = -0.05
EXPM1_HIGHEST = 0.36
SHORT_DIFFERENCE_TO, LONG_DIFFERENCE_TO = 0.2, 1.05
LONG_DIFFERENCE_FARTHEST = 4.0

MillsDifference = Callable[[float, float], tuple[float, float, float]]

_OVER_ODD_FACTORIAL = tuple(1.0 / math.factorial(2 * i + 1) for i in range(11))


def _bits(_typing_context: Any, x: Any) -> Any:
    """The 64 bits of a float64 as an unsigned integer."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint64))

    return types.uint64(types.float64), generate


def _float(_typing_context: Any, bits: Any) -> Any:
    """The float64 that 64 bits stand for."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.uint64), generate


_bits_of = cast(Callable[[float], Any], intrinsic(_bits))
_float_of = cast(Callable[[Any], float], intrinsic(_float))


@inlined
def exp_within(x: float) -> float:
    """exp(x) for −708 ≤ x ≤ 709 to 1 ulp; outside that the result means nothing.

    x = k·ln 2 + r with |r| ≤ ln 2/2; 1 + r + r²·P(r) has an error below 1e-18 before rounding; 2ᵏ
    is put together from its bits.
    """
    shifted = x * _LOG2_E + _ROUNDER
    exponent = shifted - _ROUNDER
    r = (x - exponent * _LN2_HIGH) - exponent * _LN2_LOW
    mantissa = 1.0 + (r + r * r * _exp_polynomial(r))
    return mantissa * _float_of((_bits_of(shifted) + _EXPONENT_BIAS) << _MANTISSA_BITS)


@inlined
def fast_exp(x: float) -> float:
    """exp(x) to 1 ulp for any x: exactly 0 below −708 (3e-308), infinite above 709."""
    y = exp_within(x)
    y = 0.0 if x < EXP_LOWEST else y
    return math.inf if x > EXP_HIGHEST else y


@inlined
def fast_log(x: float) -> float:
    """ln(x) for 2.3e-308 ≤ x ≤ 8e307 to 2 ulp; outside that the result means nothing."""
    return _log_of_ratio(x, x, 1.0)


@inlined
def log_ratio(numerator: float, denominator: float) -> float:
    """ln(a/b) to 2 ulp, also where a/b is so near 1 as to round; a, b and a/b as for ``fast_log``.

    With a/b = 2ᵏ·m, √½ ≤ m < √2, it is k·ln 2 + 2·atanh((a − 2ᵏb)/(a + 2ᵏb)), and that difference
    is exact. 2·atanh(f) = 2f + f³·P(f²) with |f| ≤ 3 − 2√2 has an error below 1e-18.
    """
    return _log_of_ratio(numerator / denominator, numerator, denominator)


@inlined
def _log_of_ratio(ratio: float, numerator: float, denominator: float) -> float:
    bits = _bits_of(ratio)
    exponent_bits = (bits + _TO_NEXT_EXPONENT) >> _MANTISSA_BITS
    exponent = _float_of(exponent_bits | _INTEGER_BITS) - _INTEGER_OFFSET
    scaled = denominator * _float_of(exponent_bits << _MANTISSA_BITS)
    f = (numerator - scaled) / (numerator + scaled)
    square = f * f
    small = f * square * _log_polynomial(square) + exponent * _LN2_LOW
    return exponent * _LN2_HIGH + (2.0 * f + small)


@inlined
def expm1_rest(x: float) -> float:
    """exp(x) − 1 − x for −0.05 ≤ x ≤ 0.36 to 2 ulp, as x²·P(x); outside that it drifts off."""
    return x * x * _expm1_polynomial(x)


@inlined
def expm1_near_zero(x: float) -> float:
    """exp(x) − 1 for −0.05 ≤ x ≤ 0.36 to 1 ulp; outside that it drifts off."""
    return x + expm1_rest(x)


@inlined
def mills_ratio(z: float) -> float:
    """M(z) = N(−z)/n(z) for z ≥ 0 to 4 ulp, to infinity; outside that the result means nothing.

    A polynomial in (z − 5)/(z + 5) over z + 5; its error is below 2e-16 before rounding.
    """
    inverse = 1.0 / (z + 5.0)
    return _mills_polynomial((z - 5.0) * inverse) * inverse


@inlined
def _mills_slope_scaled(u: float) -> float:
    """(1 + z)²·(1 − z·M(z)) for u = (z − 4)/(z + 4), z ≥ 0, to 4 ulp.

    A polynomial whose error is below 1e-16 before rounding.
    """
    return _mills_slope_polynomial(u)


@inlined
def mills_slope(z: float) -> float:
    """−M'(z) = 1 − z·M(z) for z ≥ 0 to 4 ulp, to infinity: about 1/z² far out."""
    return _mills_slope_scaled((z - 4.0) / (z + 4.0)) / ((1.0 + z) * (1.0 + z))


def _mills_difference(terms: int) -> MillsDifference:
    """M(z − t) − M(z + t) for z = distance/s, t = s/2, as a series of so many terms in t."""

    @inlined
    def difference(distance: float, s: float) -> tuple[float, float, float]:
        """The difference, 1/s and z².

        With Y(h) = M(−h) it is 2·Σ t²ⁱ⁺¹/(2i + 1)!·Y⁽²ⁱ⁺¹⁾(−z), from Y'(−z) = 1 − z·M(z) and the
        recurrence Y⁽ⁿ⁺¹⁾(h) = h·Y⁽ⁿ⁾(h) + n·Y⁽ⁿ⁻¹⁾(h); the even derivatives are kept times h, and
        all times their power of t. One division serves 1/s, (z − 4)/(z + 4) and 1/(1 + z).
        """
        four, one = distance + 4.0 * s, distance + s
        inverse = 1.0 / (s * four * one)
        over_s = inverse * four * one
        over_one = s * (inverse * s * four)
        slope = _mills_slope_scaled((distance - 4.0 * s) * (inverse * s * one))
        slope *= over_one * over_one
        z = distance * over_s
        z_squared, t_squared = z * z, 0.25 * s * s
        odd, even, total = slope, slope - 1.0, slope
        for i in range(1, terms):
            even = t_squared * (z_squared * odd + (2.0 * i - 1.0) * even)
            odd = even + (2.0 * i * t_squared) * odd
            total += _OVER_ODD_FACTORIAL[i] * odd
        return s * total, over_s, z_squared

    return difference


# The first term left out is below 2⁻⁵⁶ of the sum: for s < 0.2, and for s < 1.05. The recurrence
# loses digits as the distance grows; up to a distance of 4 the sum holds to 8 ulp.
short_mills_difference = _mills_difference(6)
long_mills_difference = _mills_difference(11)


@inlined
def bachelier_inverse(eta: float) -> float:
    """g(η) for 0.0401 ≤ η < 1: the rational part of Bachelier's implied volatility to 8e-7.

    With time value β and distance y, v = y/(y + 2β) and η = v/atanh(v), the volatility is
    (y + 2β)·√η·g(η). A rational function of degree 5 over 5; a guess to start from.
    """
    return _bachelier_over(eta) / _bachelier_under(eta)
