"""Dealers' hedging in the simulated market: the gamma that damps or feeds the index's moves.

Hedgers of gamma Γ trade −Γ·dS, so that the spot diffuses with σ/(1 + λg), where g is the gamma
exposure of a 1 % move over what the nearest future has turned over in half an hour. Whoever
measures λ from outside is judged by this. The path itself stands in ``paths``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simulator.exchange import surface
from simulator.exchange.noise import Floats, Ints
from transforms.kernel import compiled

MOST, LEAST = 2.5, 1.0 / 2.5
TRAILING_MINUTES = 30
_CRORE = 1e7
_SQRT_2PI = math.sqrt(2.0 * math.pi)
_PERCENT = 0.01


class Held(NamedTuple):
    """Calls less puts that are open at a day's start, by expiry and strike.

    Attributes:
        feedback: λ.
        settles_ms: one per expiry, epoch ms.
        strike: ₹, shape (strikes,).
        net_units: shape (expiries, strikes).
        future_units: that the nearest future turns over in a day.
    """

    feedback: float
    settles_ms: Ints
    strike: Floats
    net_units: Floats
    future_units: float


NOTHING = Held(0.0, np.empty(0, np.int64), np.empty(0), np.empty((0, 0)), 0.0)


@compiled
def gamma_crore(
    spot: float,
    net_units: Floats,
    strikes: Floats,
    years: float,
    carry: float,
    rate: float,
    variance_now: float,
    variance_far: float,
    correlation: float,
    steepness: float,
) -> float:
    """₹ crore of delta that one expiry's hedgers gain when the spot rises by 1 %.

    Dealers are taken to be long the calls and short the puts.
    """
    forward = spot * math.exp(carry * years)
    discount = math.exp(-rate * years)
    theta = surface.at_the_money_variance(years, variance_now, variance_far)
    total = 0.0
    for i in range(strikes.size):
        k = math.log(strikes[i] / forward)
        deviation = math.sqrt(surface.total_variance(k, theta, correlation, steepness))
        d1 = -k / deviation + 0.5 * deviation
        density = math.exp(-0.5 * d1 * d1) / _SQRT_2PI
        total += net_units[i] * discount * density / (forward * deviation)
    return total * spot * spot * _PERCENT / _CRORE


@compiled
def multiple(feedback: float, ratio: float) -> float:
    """What hedging makes of the volatility: 1/(1 + λg), within its bounds."""
    held = 1.0 + feedback * ratio
    if held <= LEAST:
        return MOST
    return max(1.0 / held, LEAST)


@compiled
def crore(rupees: float) -> float:
    """₹ as ₹ crore."""
    return rupees / _CRORE
