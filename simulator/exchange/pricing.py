"""Black-76 prices and Greeks for the simulated exchange, one option at a time, for kernels.

Written apart from ``transforms`` on purpose: the exchange's numbers must not come from the code
that they are used to judge. Rounding to ticks and spreads stand in ``book``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from simulator.exchange.noise import Floats
from transforms.kernel import compiled

_SQRT_2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)


class Greeks(NamedTuple):
    """Of one option, ₹; units as in ``Priced``."""

    gamma: float
    theta_per_day: float
    vega_per_vol_point: float
    rho_per_percent: float
    profit_probability: float


@dataclass(frozen=True, slots=True)
class Priced:
    """Arrays of one length, ₹.

    Attributes:
        delta, gamma: per ₹ of forward.
        theta_per_day: per calendar day.
        vega_per_vol_point: per 0.01 of volatility.
        rho_per_percent: per 0.01 of rate, the forward held.
        profit_probability: that the option ends worth more than its price with interest,
            risk-neutral.
    """

    price: Floats
    delta: Floats
    gamma: Floats
    theta_per_day: Floats
    vega_per_vol_point: Floats
    rho_per_percent: Floats
    profit_probability: Floats


@compiled
def price_and_delta(
    forward: float, strike: float, deviation: float, discount: float, sign: float
) -> tuple[float, float]:
    """A European option on a forward (Black 1976), ₹, and its delta per ₹ of forward.

    Args:
        deviation: σ√T, > 0.
        sign: +1 for a call, −1 for a put.
    """
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    inside = normal_cdf(sign * d1)
    price = sign * (forward * inside - strike * normal_cdf(sign * (d1 - deviation)))
    return discount * max(price, 0.0), discount * sign * inside


@compiled
def greeks(
    forward: float, strike: float, years: float, volatility: float, rate: float, sign: float
) -> Greeks:
    """What ``price_and_delta`` leaves out.

    Args:
        years: > 0.
        rate: continuous, per year.
    """
    deviation, discount = volatility * math.sqrt(years), math.exp(-rate * years)
    price, _ = price_and_delta(forward, strike, deviation, discount, sign)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    density = math.exp(-0.5 * d1 * d1) / _SQRT_2PI
    decay = -discount * forward * density * volatility / (2.0 * math.sqrt(years)) + rate * price
    breakeven = max(strike + sign * price / discount, 1e-9)
    to_breakeven = math.log(forward / breakeven) / deviation - 0.5 * deviation
    return Greeks(
        discount * density / (forward * deviation),
        decay / 365.0,
        discount * forward * density * math.sqrt(years) * 0.01,
        -years * price * 0.01,
        normal_cdf(sign * to_breakeven),
    )


@compiled
def normal_cdf(x: float) -> float:
    """The standard normal distribution, exact in both tails."""
    return 0.5 * math.erfc(-x / _SQRT_2)
