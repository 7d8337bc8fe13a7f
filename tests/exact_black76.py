"""Black-76 in 60-digit arithmetic: values, derivatives and roots of stored doubles.

Written from the textbook formula with mpmath's erfc; shares nothing with what it measures.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath
from mpmath import mp, mpf

from tests.strategies import Option

DIGITS = 60
TERMS = ("forward", "strike", "years", "rate", "volatility")


def _undiscounted(f: mpf, k: mpf, s: mpf, sign: int) -> mpf:
    d1 = mp.log(f / k) / s + s / 2
    return sign * (f * mp.ncdf(sign * d1) - k * mp.ncdf(sign * (d1 - s)))


def _value(sign: int) -> Callable[..., mpf]:
    def value(f: mpf, k: mpf, t: mpf, r: mpf, v: mpf) -> mpf:
        return mp.exp(-r * t) * _undiscounted(f, k, v * mp.sqrt(t), sign)

    return value


def exact_value(option: Option) -> mpf:
    """Discounted value, ₹."""
    with mpmath.workdps(DIGITS):
        return _value(1 if option.is_call else -1)(*map(mpf, option[:5]))


def exact_derivative(option: Option, **orders: int) -> mpf:
    """Partial derivative of the value, such as ``forward=1, volatility=1``, by differences."""
    with mpmath.workdps(DIGITS):
        value = _value(1 if option.is_call else -1)
        counts = tuple(orders.get(term, 0) for term in TERMS)
        return mp.diff(value, tuple(map(mpf, option[:5])), counts)


def exact_volatility(premium: float, option: Option) -> mpf | None:
    """The root of the stored doubles, by Newton's method on the logarithm of the time value.

    ``option.volatility`` is where to start; None where the premium has no time value.
    """
    with mpmath.workdps(DIGITS):
        f, k, t, r, v = map(mpf, option[:5])
        intrinsic = max(f - k if option.is_call else k - f, 0)
        target = mpf(premium) * mp.exp(r * t) - intrinsic
        if target <= 0:
            return None
        sign = 1 if f <= k else -1
        for _ in range(200):
            s = v * mp.sqrt(t)
            value = _undiscounted(f, k, s, sign)
            vega = f * mp.npdf(mp.log(f / k) / s + s / 2) * mp.sqrt(t)
            step = min(max(-mp.log(value / target) * value / vega, -v / 2), v)
            v += step
            if abs(step) < mpf("1e-40") * v:
                return v
        raise AssertionError("the reference did not converge")


def relative_error(found: float, truth: mpf) -> float:
    """|found/truth − 1| in full precision."""
    with mpmath.workdps(DIGITS):
        return float(abs(mpf(found) / truth - 1))
