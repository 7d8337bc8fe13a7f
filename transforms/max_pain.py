"""Max pain: the listed strike at which an expiry's writers would pay least, and that payout.

Writers pay Σ_j max(K − K_j, 0)·C_j + max(K_j − K, 0)·P_j if the expiry settles at K; C and P are
open interest of calls and puts in units (the lot cancels in the strike, and is counted once in the
payout). Whether prices are drawn to that strike is a question for whoever reads it, not for here.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.exposure import RUPEES_PER_CRORE
from transforms.kernel import compiled
from transforms.layout import beside, columns_of, floats, starts

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


def with_max_pain(strikes: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """Add ``max_pain`` (₹) and ``max_pain_payout_crore`` (₹ crore) to each expiry.

    Of strikes with the same payout the one nearest to the forward counts, then the lower. Null
    where no open interest is known or all of it is zero.

    Args:
        strikes: ``layout.Book.strikes`` with both legs' ``open_interest_units``.
        expiries: with ``forward``; the same rows as the strikes' ``expiry_id``.
    """
    found, payout = max_pain_of_expiries(
        floats(strikes, "strike"),
        floats(strikes, "call_open_interest_units"),
        floats(strikes, "put_open_interest_units"),
        starts(strikes, "expiry_id", len(expiries)),
        floats(expiries, "forward"),
    )
    columns = {"max_pain": found, "max_pain_payout_crore": payout}
    return beside(expiries, columns_of(columns))


def payout_curve(strike: Floats, call_open_interest: Floats, put_open_interest: Floats) -> Floats:
    """What writers would pay at each strike, ₹ crore, shape (n,).

    Args:
        strike: ₹, ascending, shape (n,).
        call_open_interest, put_open_interest: units, shape (n,); NaN counts as none.
    """
    return _payouts(
        *(np.array(a, np.float64) for a in (strike, call_open_interest, put_open_interest))
    )


@compiled
def _units(open_interest: float) -> float:
    """Open interest that a kernel can count: an impossible one is none."""
    return open_interest if 0.0 < open_interest < math.inf else 0.0


@compiled
def _payouts(strike: Floats, call: Floats, put: Floats) -> Floats:
    """The curve from prefix sums: all calls below and all puts above, each with its strike."""
    payout = np.zeros(len(strike))
    units, rupees = 0.0, 0.0
    for i in range(len(strike)):
        payout[i] += strike[i] * units - rupees
        units += _units(call[i])
        rupees += _units(call[i]) * strike[i]
    units, rupees = 0.0, 0.0
    for i in range(len(strike) - 1, -1, -1):
        payout[i] = (payout[i] + rupees - strike[i] * units) / RUPEES_PER_CRORE
        units += _units(put[i])
        rupees += _units(put[i]) * strike[i]
    return payout


@compiled
def max_pain_of_expiries(
    strike: Floats, call: Floats, put: Floats, offsets: Positions, forward: Floats
) -> tuple[Floats, Floats]:
    """Max pain (₹) and payout (₹ crore) of each expiry, NaN without; O(n) in the strikes.

    Args:
        strike: ₹, ascending within each expiry.
        call, put: open interest, units, per strike; NaN, infinite or negative counts as none.
        offsets: where each expiry's strikes begin, shape (expiries + 1).
        forward: ₹ per expiry, NaN if not known.
    """
    count = len(offsets) - 1
    found, payout = np.full(count, np.nan), np.full(count, np.nan)
    for e in range(count):
        first, stop = offsets[e], offsets[e + 1]
        best = _least(strike, call, put, first, stop, forward[e])
        if best >= 0:
            found[e] = strike[best]
            payout[e] = _payout_at(strike, call, put, first, stop, strike[best])
    return found, payout


@compiled
def _least(strike: Floats, call: Floats, put: Floats, first: int, stop: int, forward: float) -> int:
    """The strike's row; -1 without open interest.

    The payout is convex with slope C(K ≤ K_i) − P(K > K_i) after strike i. Slopes are sums of whole
    units, hence exact: ties are found without comparing payouts that rounding has touched.
    """
    calls, puts = 0.0, 0.0
    for i in range(first, stop):
        calls += _units(call[i])
        puts += _units(put[i])
    if calls + puts <= 0.0:
        return -1
    best, distance = -1, math.inf
    slope = -puts
    for i in range(first, stop):
        slope += _units(call[i]) + _units(put[i])
        if slope < 0.0 and i < stop - 1:
            continue
        away = abs(strike[i] - forward)
        if best < 0 or away < distance:
            best, distance = i, away
        if slope > 0.0:
            break
    return best


@compiled
def _payout_at(
    strike: Floats, call: Floats, put: Floats, first: int, stop: int, level: float
) -> float:
    rupees = 0.0
    for i in range(first, stop):
        if strike[i] < level:
            rupees += (level - strike[i]) * _units(call[i])
        elif strike[i] > level:
            rupees += (strike[i] - level) * _units(put[i])
    return rupees / RUPEES_PER_CRORE


def warm() -> None:
    """Compile every kernel once and leave it in the cache, so that no live path compiles."""
    one = np.ones(1)
    max_pain_of_expiries(one, one, one, np.array([0, 1]), one)
    payout_curve(one, one, one)
