"""Put-call parity of whole chains, compiled: the forward on which the strikes of an expiry agree.

One kernel runs over all expiries of a snapshot. Frames, statuses and what stands in for parity
belong in ``forward``.

Source: parity C − P = D(F − K) of European options (H. Stoll, J. of Finance 24, 1969); weighted
median and one step of Huber's M-estimator (P. Huber, "Robust Statistics", 1981, with the usual
k = 1.345).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

VALUES = (
    "forward",
    "forward_mad_bp",
    "forward_count",
    "dropped_count",
    "forward_low",
    "forward_high",
    "synthetic_future",
)
"""Rows of the kernel's answer; ₹, and basis points for the median absolute deviation."""
_FORWARD, _MAD_BP, _COUNT, _DROPPED, _LOW, _HIGH, _SYNTHETIC = range(7)

OLDEST_QUOTE_SECONDS = 5.0
_WIDEST_SPREAD_RUPEES = 0.5
_WIDEST_SPREAD_SHARE = 0.05
_STEPS_EACH_SIDE = 5
# An at-the-money straddle is worth √(2/π) standard deviations of the forward.
_DEVIATIONS_PER_STRADDLE = math.sqrt(math.pi / 2)
_HUBER_K = 1.345
_DEVIATIONS_PER_MAD = 1.4826
_NOISE_SHARE = 0.01
# Weights are counted in these parts of the heaviest, so that sums of them are exact.
_PARTS = 2.0**20


class Legs(NamedTuple):
    """Both legs of every strike, each shape (n,): ₹ and epoch seconds, NaN for what is unknown."""

    strike: Floats
    call_bid: Floats
    call_ask: Floats
    call_last: Floats
    call_at: Floats
    put_bid: Floats
    put_ask: Floats
    put_last: Floats
    put_at: Floats


class Terms(NamedTuple):
    """What all strikes of an expiry share, each shape (n,): ₹, rT, epoch seconds."""

    spot: Floats
    log_growth: Floats
    newest_at: Floats


class Pairs(NamedTuple):
    """Candidates of one expiry, each shape (m,), ₹; spread and straddle are of both legs."""

    strike: Floats
    forward: Floats
    half_width: Floats
    spread: Floats
    straddle: Floats


@compiled
def parity_of_expiries(legs: Legs, terms: Terms, offsets: Positions, tick: float) -> Floats:
    """Parity of each expiry, whose strikes have rows [offsets[i], offsets[i + 1]).

    Returns:
        ``VALUES`` of each, shape (7, n); NaN for none, but the two counts are 0.
    """
    values = np.full((7, len(offsets) - 1), np.nan)
    values[_COUNT] = values[_DROPPED] = 0.0
    for i in range(len(offsets) - 1):
        start, stop = offsets[i], offsets[i + 1]
        values[_SYNTHETIC, i] = _synthetic_future(legs, start, stop, terms.spot[i])
        discount = math.exp(-terms.log_growth[i])
        if 0.0 < discount < math.inf:
            pairs = _candidates(legs, start, stop, discount, terms.newest_at[i])
            _parity(_near_the_money(pairs, terms.spot[i]), tick, values[:, i])
    return values


@compiled
def _parity(pairs: Pairs, tick: float, values: Floats) -> None:
    """Fill in one expiry's ``VALUES``; none if its strikes do not support any forward."""
    kept = _agreeing(pairs, tick)
    if not kept.any():
        return
    agreed = _take(pairs, kept)
    middle, mad = _robust_middle(agreed, tick)
    # They may cross by a tick.
    one, other = _interval(agreed.forward, agreed.half_width, kept[kept])
    low, high = min(one, other), max(one, other)
    price = min(max(middle, low), high)
    if not 0.0 < price < math.inf or not _is_supported(pairs, kept, price):
        return
    values[_FORWARD], values[_MAD_BP] = price, 1e4 * mad / price
    values[_COUNT], values[_DROPPED] = kept.sum(), len(kept) - kept.sum()
    values[_LOW], values[_HIGH] = low, high


@compiled
def _is_supported(pairs: Pairs, kept: NDArray[np.bool_], price: float) -> bool:
    """Whether half of the strikes agree, or contradict by no more than noise.

    Quotes taken over some seconds cross by a few basis points; quotes of no meaning, by anything.
    """
    is_near = np.abs(pairs.forward - price) <= _NOISE_SHARE * price
    return bool(2 * np.sum(kept | is_near) >= len(kept))


@compiled
def _candidates(legs: Legs, start: int, stop: int, discount: float, newest_at: float) -> Pairs:
    """Strikes whose both legs are tight and were quoted together with the expiry's newest."""
    fit = np.zeros(stop - start, dtype=np.bool_)
    for i in range(start, stop):
        is_call_fit = _is_fit(legs.call_bid[i], legs.call_ask[i], newest_at - legs.call_at[i])
        is_put_fit = _is_fit(legs.put_bid[i], legs.put_ask[i], newest_at - legs.put_at[i])
        fit[i - start] = is_call_fit and is_put_fit
    at = start + np.flatnonzero(fit)
    call_bid, call_ask, put_bid, put_ask = (
        legs.call_bid[at],
        legs.call_ask[at],
        legs.put_bid[at],
        legs.put_ask[at],
    )
    low = (call_bid - put_ask) / discount
    high = (call_ask - put_bid) / discount
    return Pairs(
        legs.strike[at],
        legs.strike[at] + 0.5 * (low + high),
        0.5 * (high - low),
        (call_ask - call_bid) + (put_ask - put_bid),
        0.5 * (call_bid + call_ask + put_bid + put_ask),
    )


@compiled
def _is_fit(bid: float, ask: float, age_seconds: float) -> bool:
    """Whether there is a bid, an ask not below it, a spread that is not silly, and all new."""
    widest = max(_WIDEST_SPREAD_RUPEES, _WIDEST_SPREAD_SHARE * 0.5 * (bid + ask))
    # The allowance is for a spread of exactly the widest, off by rounding.
    is_tight = 0.0 < bid <= ask < math.inf and ask - bid <= widest + 1e-9
    return is_tight and age_seconds <= OLDEST_QUOTE_SECONDS


@compiled
def _take(pairs: Pairs, chosen: NDArray[np.bool_] | Positions) -> Pairs:
    return Pairs(
        pairs.strike[chosen],
        pairs.forward[chosen],
        pairs.half_width[chosen],
        pairs.spread[chosen],
        pairs.straddle[chosen],
    )


@compiled
def _near_the_money(pairs: Pairs, spot: float) -> Pairs:
    """Strikes within five steps, or one standard deviation, of spot.

    Without a spot the money is where call and put cost the same.
    """
    if len(pairs.strike) == 0:
        return pairs
    centre = spot
    if not 0.0 < spot < math.inf:
        centre = pairs.strike[np.argmin(np.abs(pairs.forward - pairs.strike))]
    away = np.abs(pairs.strike - centre)
    step = np.median(np.diff(pairs.strike)) if len(away) > 1 else 0.0
    deviation = _DEVIATIONS_PER_STRADDLE * pairs.straddle[np.argmin(away)]
    return _take(pairs, away <= max(_STEPS_EACH_SIDE * step, deviation))


@compiled
def _agreeing(pairs: Pairs, tick: float) -> NDArray[np.bool_]:
    """Which strikes are left once all agree, within a tick, on one executable interval."""
    kept = np.ones(len(pairs.strike), dtype=np.bool_)
    low, high = _interval(pairs.forward, pairs.half_width, kept)
    while low > high + tick:
        at = np.flatnonzero(kept)
        kept[at[_most_contradicted(_take(pairs, at), tick)]] = False
        low, high = _interval(pairs.forward, pairs.half_width, kept)
    return kept


@compiled
def _most_contradicted(pairs: Pairs, tick: float) -> int:
    """The strike with the most weight against it; of equals the one farthest from the median."""
    votes = _votes(pairs.spread)
    away = np.abs(pairs.forward - np.median(pairs.forward))
    worst, most = 0, -1.0
    for i in range(len(away)):
        against = _votes_against(i, pairs.forward, pairs.half_width, votes, tick)
        if against > most or (against == most and away[i] >= away[worst]):
            worst, most = i, against
    return worst


@compiled
def _votes_against(
    i: int, forward: Floats, half_width: Floats, votes: Floats, tick: float
) -> float:
    total = 0.0
    for j in range(len(forward)):
        is_conflict = abs(forward[j] - forward[i]) > half_width[j] + (half_width[i] + tick)
        total += votes[j] if is_conflict else 0.0
    return total


@compiled
def _votes(spread: Floats) -> Floats:
    """Weight of each strike against others: whole numbers.

    Tight quotes weigh more, for they are alive; but none more than a tight half of all strikes, so
    that one stale strike cannot outvote the rest.
    """
    usual = max(np.median(spread), 1e-9)
    return np.maximum(np.floor(_PARTS * (usual / np.maximum(spread, usual)) ** 2), 1.0)


@compiled
def _interval(forward: Floats, half_width: Floats, kept: NDArray[np.bool_]) -> tuple[float, float]:
    """Highest low and lowest high of the strikes that are kept."""
    low, high = -math.inf, math.inf
    for i in range(len(kept)):
        if kept[i]:
            low = max(low, forward[i] - half_width[i])
            high = min(high, forward[i] + half_width[i])
    return low, high


@compiled
def _robust_middle(pairs: Pairs, tick: float) -> tuple[float, float]:
    """Weighted median of the strikes' forwards, one Huber step, and their MAD; ₹."""
    weights = np.maximum(pairs.spread, tick) ** -2.0
    middle = weighted_median(pairs.forward, weights)
    deviations = np.abs(pairs.forward - middle)
    mad = np.median(deviations)
    scale = _HUBER_K * _DEVIATIONS_PER_MAD * mad
    if scale > 0.0:
        damped = weights * np.minimum(1.0, scale / np.maximum(deviations, scale))
        middle += np.sum(damped * (pairs.forward - middle)) / np.sum(damped)
    return middle, mad


@compiled
def weighted_median(values: Floats, weights: Floats) -> float:
    """The value at which half of the weight lies on either side (the lower one of two)."""
    order = np.argsort(values, kind="mergesort")
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, 0.5 * reached[-1])]])


@compiled
def _synthetic_future(legs: Legs, start: int, stop: int, spot: float) -> float:
    """K + C − P of the listed strike nearest to spot, of two the lower; NaN if it lacks a price."""
    nearest, closest = -1, math.inf
    for i in range(start, stop):
        if abs(legs.strike[i] - spot) < closest:
            nearest, closest = i, abs(legs.strike[i] - spot)
    if nearest < 0:
        return math.nan
    call = _shown(legs.call_last[nearest], legs.call_bid[nearest], legs.call_ask[nearest])
    put = _shown(legs.put_last[nearest], legs.put_bid[nearest], legs.put_ask[nearest])
    return float(legs.strike[nearest] + call - put)


@compiled
def _shown(last: float, bid: float, ask: float) -> float:
    """The last price, else the mid, else NaN."""
    if 0.0 < last < math.inf:
        return last
    return 0.5 * (bid + ask) if 0.0 < bid <= ask < math.inf else math.nan


def warm() -> None:
    """Compile the kernel and leave it in the cache."""
    one = np.ones(1)
    parity_of_expiries(Legs(*[one] * 9), Terms(*[one] * 3), np.array([0, 1]), 0.05)
