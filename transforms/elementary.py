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

from transforms.coefficients import EXP, LOG
from transforms.kernel import inlined, polynomial

_exp_polynomial = polynomial(EXP)
_log_polynomial = polynomial(LOG)

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

    x = k·ln 2 + r with |r| ≤ ln 2/2; 1 + r + r²·P(r) has an error below 4e-18 before rounding; 2ᵏ
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
    is exact. f² below 0.0295 in 2·atanh(f) = 2f + f³·P(f²) leaves an error below 3e-20.
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
