"""Skew of one expiry: volatilities of the strikes whose delta is 25 %, and what lies between them.

The smile is total variance σ²T, linear in ln(K/F) between the strikes that have a volatility; there
is none outside them. The volatility at the money itself belongs in ``volatility``.

Source: the strike of a forward delta as quoted in foreign exchange (U. Wystup, "FX Options and
Structured Products", 2006, 1.5), undiscounted, e = +1 for a call and −1 for a put::

    K = F·exp(−e·N⁻¹(e·Δ)·σ√T + σ²T/2)
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled

SKEW_STATUSES = (
    "skew_ok",
    "settling",
    "no_forward",
    "no_bracket",
    "no_call_wing",
    "no_put_wing",
    "no_wings",
)
"""``no_bracket``: nothing at the money; a wing is missing where no quoted strike reaches it."""

DELTA = 0.25

# The first four say why nothing is at the money, in the order of ``volatility.ATM_STATUSES``.
_OK, _NO_CALL, _NO_PUT, _NO_WINGS = 0, 4, 5, 6
_HALVINGS = 60

Floats = NDArray[np.float64]
_Point = tuple[float, float]


def strike_of_delta(forward: float, deviation: float, delta: float) -> float:
    """The strike (₹) of an undiscounted forward delta; its sign tells call from put.

    Args:
        forward: ₹.
        deviation: σ√T at that strike.
        delta: between −1 and 1, not 0: a call's is positive, a put's negative.
    """
    sign = math.copysign(1.0, delta)
    quantile = NormalDist().inv_cdf(abs(delta))
    return forward * math.exp(-sign * quantile * deviation + 0.5 * deviation * deviation)


@compiled
def wing_volatilities(
    starts: NDArray[np.int64],
    strike: Floats,
    volatility: Floats,
    forward: Floats,
    years: Floats,
    quantile: float,
) -> Floats:
    """Volatilities at the call and the put strike of one delta, shape (2, expiries); NaN without.

    Args:
        starts: expiry i has the strikes [starts[i], starts[i + 1]), strictly increasing.
        volatility: of each strike, NaN if there is none.
        quantile: N⁻¹ of the delta's magnitude.

    Where a smile reaches a delta more than once, the strike nearest to the forward counts.
    """
    wings = np.full((2, len(forward)), np.nan)
    for e in range(len(forward)):
        if forward[e] > 0.0 and years[e] > 0.0:
            a, b = starts[e], starts[e + 1]
            found = _wings(strike[a:b], volatility[a:b], forward[e], years[e], quantile)
            wings[0, e], wings[1, e] = found
    return wings


def quantile_of(delta: float) -> float:
    """N⁻¹(|Δ|), as ``wing_volatilities`` takes it."""
    return NormalDist().inv_cdf(abs(delta))


def shapes(
    middle: Floats, middle_status: NDArray[np.int8], wings: Floats
) -> tuple[Floats, Floats, NDArray[np.int8]]:
    """Risk reversal (call less put), butterfly (their mean less the middle) and status; fractions.

    Args:
        middle: volatility at the money.
        middle_status: index into ``volatility.ATM_STATUSES``; where it is not 0, it is the skew's.
        wings: of ``wing_volatilities``.

    Returns:
        NaN for both unless the status, an index into ``SKEW_STATUSES``, is 0.
    """
    call, put = wings
    no_call, no_put = ~np.isfinite(call), ~np.isfinite(put)
    conditions = [middle_status != _OK, no_call & no_put, no_call, no_put]
    status = np.select(conditions, [middle_status, _NO_WINGS, _NO_CALL, _NO_PUT], _OK)
    is_ok = status == _OK
    call, put = (np.where(is_ok, wing, np.nan) for wing in wings)
    return call - put, 0.5 * (call + put) - middle, status.astype(np.int8)


def warm() -> None:
    """Compile the kernels once, for the cache."""
    one = np.ones(1)
    wing_volatilities(np.arange(2, dtype=np.int64), one, one, one, one, quantile_of(DELTA))


@compiled
def _wings(
    strike: Floats, volatility: Floats, forward: float, years: float, quantile: float
) -> tuple[float, float]:
    """Call and put volatility of one expiry: every stretch between neighbours is asked for both."""
    call = put = math.nan
    nearest_call = nearest_put = math.inf
    x0 = w0 = d0 = math.nan
    for i in range(len(strike)):
        if not 0.0 < volatility[i] < math.inf:
            continue
        x1, w1 = math.log(strike[i] / forward), volatility[i] ** 2 * years
        d1 = _distance(x1, w1)
        if (d0 - quantile) * (d1 - quantile) <= 0.0:
            x, w = _crossing((x0, w0), (x1, w1), quantile)
            if abs(x) < nearest_call:
                call, nearest_call = math.sqrt(w / years), abs(x)
        if (d0 + quantile) * (d1 + quantile) <= 0.0:
            x, w = _crossing((x0, w0), (x1, w1), -quantile)
            if abs(x) < nearest_put:
                put, nearest_put = math.sqrt(w / years), abs(x)
        x0, w0, d0 = x1, w1, d1
    return call, put


@compiled
def _distance(x: float, variance: float) -> float:
    """d1 at x = ln(K/F): N⁻¹ of a call's delta there, and minus that of a put's."""
    deviation = math.sqrt(variance)
    return 0.5 * deviation - x / deviation


@compiled
def _crossing(start: _Point, end: _Point, distance: float) -> _Point:
    """Where d1 passes a value on the line between two points (ln(K/F), σ²T), by bisection."""
    dx, dw = end[0] - start[0], end[1] - start[1]
    is_falling = _distance(end[0], end[1]) <= distance
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = 0.5 * (low + high)
        if (_distance(start[0] + share * dx, start[1] + share * dw) > distance) == is_falling:
            low = share
        else:
            high = share
    return start[0] + high * dx, start[1] + high * dw
