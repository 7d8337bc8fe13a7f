"""Black-76 prices and Greeks for the simulated exchange, as vectors.

Written apart from ``transforms`` on purpose: the exchange's numbers must not come from the code
that they are used to judge. Rounding to ticks and spreads stand in ``quotes``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.noise import Floats

_SQRT_2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class Priced:
    """Arrays of one length, ₹.

    Attributes:
        delta, gamma: per ₹ of forward.
        theta_per_day: per calendar day.
        vega_per_vol_point: per 0.01 of volatility.
        rho_per_percent: per 0.01 of rate, the forward held.
        profit_probability: that the option ends worth more than its price, risk-neutral.
    """

    price: Floats
    delta: Floats
    gamma: Floats
    theta_per_day: Floats
    vega_per_vol_point: Floats
    rho_per_percent: Floats
    profit_probability: Floats


def black76(
    forward: Floats,
    strike: Floats,
    years: Floats,
    volatility: Floats,
    *,
    rate: Floats,
    sign: Floats,
) -> Priced:
    """Price European options on a forward (Black 1976).

    Args:
        years: > 0.
        rate: continuous, per year.
        sign: +1 for a call, −1 for a put.
    """
    deviation = volatility * np.sqrt(years)
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    discount = np.exp(-rate * years)
    price = discount * sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * d2))
    density = np.exp(-0.5 * d1 * d1) / _SQRT_2PI
    decay = -discount * forward * density * volatility / (2.0 * np.sqrt(years)) + rate * price
    breakeven = np.maximum(strike + sign * price / discount, 1e-9)
    to_breakeven = np.log(forward / breakeven) / deviation - 0.5 * deviation
    return Priced(
        price=np.maximum(price, 0.0),
        delta=discount * sign * normal_cdf(sign * d1),
        gamma=discount * density / (forward * deviation),
        theta_per_day=decay / 365.0,
        vega_per_vol_point=discount * forward * density * np.sqrt(years) * 0.01,
        rho_per_percent=-years * price * 0.01,
        profit_probability=normal_cdf(sign * to_breakeven),
    )


def normal_cdf(x: Floats) -> Floats:
    """The standard normal distribution, exact in both tails."""
    return 0.5 * _each(math.erfc, -x / _SQRT_2)


def _each(function: Callable[[float], float], x: Floats) -> Floats:
    return np.fromiter(map(function, x.tolist()), np.float64, x.size)
