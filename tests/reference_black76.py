"""Black-76 in 100-digit decimal arithmetic: the yardstick for the compiled kernels.

Written from the textbook formula and one series, so that it shares nothing with what it measures.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from tests.strategies import Option

PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
)


def precise_cdf(h: Decimal) -> Decimal:
    """N(h) = 1/2 + n(h)·Σ h^(2k+1)/(2k+1)!! (Marsaglia, J. Statistical Software 11(4), 2004)."""
    term = h
    total = h
    odd = 1
    while abs(term) > abs(total) * Decimal("1e-110"):
        odd += 2
        term *= h * h / odd
        total += term
        if total == 0:
            break
    return Decimal("0.5") + total * (-h * h / 2).exp() / (2 * PI).sqrt()


def precise_price(option: Option) -> Decimal:
    """Discounted Black-76 value of the stored floats, ₹, exact to some 60 digits."""
    *terms, is_call = option
    with localcontext() as context:
        context.prec = 130
        f, k, t, r, v = map(Decimal, terms)
        s = v * t.sqrt()
        d1 = (f / k).ln() / s + s / 2
        sign = 1 if is_call else -1
        undiscounted = f * precise_cdf(sign * d1) - k * precise_cdf(sign * (d1 - s))
        return sign * undiscounted * (-r * t).exp()
