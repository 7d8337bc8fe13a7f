"""The forward of one expiry from put-call parity over all strikes near the money.

Every strike with two-sided quotes on both legs gives a forward and an executable interval; a
robust middle of them is published with its spread and its count, or a stand-in with its status.
Carrying a forward between snapshots belongs in ``marking``.

Source: parity C − P = D(F − K) of European options; weighted median and one step of Huber's
M-estimator (P. Huber, "Robust Statistics", 1981, with the usual k = 1.345).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

FORWARD_STATUSES = ("parity", "crossed_parity", "spot_carry", "no_forward")

Floats = NDArray[np.float64]

_WIDEST_SPREAD_RUPEES = 0.5
_WIDEST_SPREAD_SHARE = 0.05
_STEPS_EACH_SIDE = 5
# An at-the-money straddle is worth √(2/π) standard deviations of the forward.
_DEVIATIONS_PER_STRADDLE = math.sqrt(math.pi / 2)
_HUBER_K = 1.345
_DEVIATIONS_PER_MAD = 1.4826

_KEY = ("symbol", "expiry")
_SCHEMA = {
    "symbol": pl.String,
    "expiry": pl.Date,
    "forward": pl.Float64,
    "forward_status": pl.String,
    "forward_mad_bp": pl.Float64,
    "forward_count": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward and how far it can be trusted.

    Attributes:
        price: ₹; None if there is none.
        status: one of ``FORWARD_STATUSES``; ``crossed_parity`` if strikes that contradict the
            others had to be dropped.
        mad_bp: median absolute deviation of the strikes' forwards, basis points; None without.
        count: strikes that gave it.
    """

    price: float | None
    status: str
    mad_bp: float | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Call and put quotes of the strikes of one expiry, each shape (n,), ₹, NaN if not quoted."""

    strike: Floats
    call_bid: Floats
    call_ask: Floats
    put_bid: Floats
    put_ask: Floats

    def __len__(self) -> int:
        return len(self.strike)

    def take(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The chosen strikes only."""
        return Pairs(
            self.strike[chosen],
            self.call_bid[chosen],
            self.call_ask[chosen],
            self.put_bid[chosen],
            self.put_ask[chosen],
        )

    @property
    def call_mid(self) -> Floats:
        """Middle of the call's quote."""
        return 0.5 * (self.call_bid + self.call_ask)

    @property
    def put_mid(self) -> Floats:
        """Middle of the put's quote."""
        return 0.5 * (self.put_bid + self.put_ask)

    @property
    def spread(self) -> Floats:
        """Both legs' bid-ask spreads together."""
        return (self.call_ask - self.call_bid) + (self.put_ask - self.put_bid)


def with_forward(quotes: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """The forward of each (symbol, expiry): columns ``forward``, ``forward_status``, … .

    Args:
        quotes: one row per contract with ``bid_price``, ``ask_price``, ``spot``,
            ``years_to_expiry``, ``rate``; spot, years and rate are the same within an expiry.
        tick_rupees: smallest price step, ₹.
    """
    rows = [
        (*key, forward.price, forward.status, forward.mad_bp, forward.count)
        for key, group in quotes.group_by(_KEY, maintain_order=True)
        for forward in (_of_expiry(group, tick_rupees),)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def estimate(
    pairs: Pairs, spot: float | None, years: float, rate: float, tick_rupees: float
) -> Forward:
    """The forward from parity, else spot with carry, else none.

    Args:
        spot: ₹; None if not known.
        years: to settlement; a time that has passed counts as none left.
        rate: continuous, per year.
    """
    log_growth = rate * max(years, 0.0)
    discount = math.exp(-log_growth)
    near = _near_the_money(_quoted(pairs), spot)
    kept, low, high = _consistent(near, discount, tick_rupees)
    if len(kept):
        middle, mad = _robust_middle(kept, discount, tick_rupees)
        price = min(max(middle, min(low, high)), max(low, high))
        status = "parity" if len(kept) == len(near) else "crossed_parity"
        return Forward(price, status, 1e4 * mad / price, len(kept))
    if spot is not None and spot > 0.0:
        return Forward(spot * math.exp(log_growth), "spot_carry")
    return Forward(None, "no_forward")


def _of_expiry(group: pl.DataFrame, tick_rupees: float) -> Forward:
    quoted = group.select("strike", bid="bid_price", ask="ask_price", is_call="is_call")
    calls = quoted.filter(pl.col("is_call"))
    puts = quoted.filter(~pl.col("is_call"))
    both = calls.join(puts, on="strike", suffix="_put").sort("strike")
    names = ("strike", "bid", "ask", "bid_put", "ask_put")
    pairs = Pairs(*(both[name].cast(pl.Float64).to_numpy() for name in names))
    spot, years, rate = group.select("spot", "years_to_expiry", "rate").row(0)
    return estimate(pairs, spot, years, rate, tick_rupees)


def _quoted(pairs: Pairs) -> Pairs:
    """Strikes whose both legs have a bid, an ask above it and a spread that is not silly."""
    sides = (
        (pairs.call_bid, pairs.call_ask, pairs.call_mid),
        (pairs.put_bid, pairs.put_ask, pairs.put_mid),
    )
    fit = np.ones(len(pairs), dtype=bool)
    for bid, ask, mid in sides:
        widest = np.maximum(_WIDEST_SPREAD_RUPEES, _WIDEST_SPREAD_SHARE * mid)
        # The allowance is for a spread of exactly the widest, off by rounding.
        fit &= (bid > 0.0) & (ask >= bid) & (ask - bid <= widest + 1e-9) & np.isfinite(ask)
    return pairs.take(fit)


def _near_the_money(pairs: Pairs, spot: float | None) -> Pairs:
    """Strikes within five steps, or one standard deviation, of the money."""
    if len(pairs) == 0:
        return pairs
    nearest = int(np.argmin(np.abs(pairs.call_mid - pairs.put_mid)))
    centre = spot if spot is not None and spot > 0.0 else float(pairs.strike[nearest])
    closest = int(np.argmin(np.abs(pairs.strike - centre)))
    straddle = float(pairs.call_mid[closest] + pairs.put_mid[closest])
    step = float(np.median(np.diff(pairs.strike))) if len(pairs) > 1 else 0.0
    reach = max(_STEPS_EACH_SIDE * step, _DEVIATIONS_PER_STRADDLE * straddle)
    return pairs.take(np.abs(pairs.strike - centre) <= reach)


def _consistent(pairs: Pairs, discount: float, tick_rupees: float) -> tuple[Pairs, float, float]:
    """Drop strikes until all agree on one executable interval; returns it as (low, high)."""
    while len(pairs):
        lows = pairs.strike + (pairs.call_bid - pairs.put_ask) / discount
        highs = pairs.strike + (pairs.call_ask - pairs.put_bid) / discount
        conflicts = lows[:, None] > highs[None, :] + tick_rupees
        if not conflicts.any():
            return pairs, float(lows.max()), float(highs.min())
        worst = _most_contradicted(pairs, conflicts | conflicts.T, 0.5 * (lows + highs))
        pairs = pairs.take(np.arange(len(pairs)) != worst)
    return pairs, math.nan, math.nan


def _most_contradicted(pairs: Pairs, conflicts: NDArray[np.bool_], middles: Floats) -> int:
    """The strike with the most weight against it; of equals the one farthest from the median.

    Tight quotes weigh more, for they are alive; but none more than a tight half of all strikes, so
    that one stale strike cannot outvote the rest.
    """
    weights = np.maximum(pairs.spread, max(float(np.median(pairs.spread)), 1e-9)) ** -2.0
    against = conflicts @ weights
    return int(np.lexsort((np.abs(middles - np.median(middles)), against))[-1])


def _robust_middle(pairs: Pairs, discount: float, tick_rupees: float) -> tuple[float, float]:
    """Weighted median of the strikes' forwards, one Huber step, and their MAD; ₹."""
    forwards = pairs.strike + (pairs.call_mid - pairs.put_mid) / discount
    weights = np.maximum(pairs.spread, tick_rupees) ** -2.0
    middle = weighted_median(forwards, weights)
    deviations = np.abs(forwards - middle)
    mad = float(np.median(deviations))
    scale = _HUBER_K * _DEVIATIONS_PER_MAD * mad
    if scale > 0.0:
        damped = weights * np.minimum(1.0, scale / np.maximum(deviations, scale))
        middle = float(np.average(forwards, weights=damped))
    return middle, mad


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value at which half of the weight lies on either side (the lower one of two)."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])
