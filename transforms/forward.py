"""The forward of each expiry: from put-call parity, or a stand-in with its status.

Every strike near the money with two-sided, fresh quotes on both legs gives a forward and an
executable interval; a robust middle of them is published with its spread and its count (the kernel
is in ``parity``). Carrying a forward between snapshots belongs in ``marking``.

Where parity gives nothing, in this order:

* ``future``: mid of the same expiry's future, two-sided, spread at most 0.1 % of it or two ticks
  (half of that is the 5 basis points up to which parity counts as good), quoted within five
  seconds of the expiry's newest option quote;
* ``neighbour_carry``: spot grown at the symbol's carry ln(F/S)/T, linear in T between its other
  expiries that have parity or a future, the nearest one's outside them. Expiries with less than a
  day left say nothing of it: over hours, a basis point of noise is a carry of several per cent;
* ``last_ratio``: spot times the newest good F/S of the same expiry, at most ten minutes old;
* ``spot_carry``: S·exp(rT); ``no_forward``: none, as there is no spot.
"""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms import parity
from transforms.context import Context
from transforms.kernel import compiled
from transforms.layout import beside, columns_of, floats, starts
from transforms.parity import OLDEST_QUOTE_SECONDS, VALUES, Legs, Terms, parity_of_expiries

FORWARD_STATUSES = (
    "parity",
    "crossed_parity",
    "spot_carry",
    "no_forward",
    "future",
    "neighbour_carry",
    "last_ratio",
)
"""Codes travel on the live feed: append only. ``crossed_parity``: contradicting strikes dropped."""

(PARITY, CROSSED_PARITY, SPOT_CARRY, NO_FORWARD, FUTURE, NEIGHBOUR_CARRY, LAST_RATIO) = range(7)
_GOOD = (PARITY, CROSSED_PARITY, FUTURE)

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

_WIDEST_FUTURE_SHARE = 0.001
_WIDEST_FUTURE_TICKS = 2.0
_SHORTEST_CARRY_YEARS = 1.0 / 365.0
_OLDEST_RATIO = timedelta(minutes=10)

_KEY = ["symbol", "expiry"]
_NAMES = pl.Series("forward_status", FORWARD_STATUSES)


def with_forward(
    strikes: pl.DataFrame, expiries: pl.DataFrame, context: Context, tick_rupees: float
) -> pl.DataFrame:
    """Add ``columns.FORWARD`` to each expiry.

    Args:
        strikes: of ``layout.lay_out``.
        expiries: of the same layout, with ``tenor.with_tenor``'s columns.
        context: ``futures`` and ``forwards`` stand in where parity gives nothing.
        tick_rupees: smallest price step, ₹.

    Returns:
        The expiries with a forward in ₹ and its status, one of ``FORWARD_STATUSES``. Spread, count
        and the interval are of the strikes that agree, thus null (count 0) for a stand-in.
        ``synthetic_future`` is what Indian tools show: K + C − P of the strike nearest to spot,
        from last prices, or mids where there is no last; not discounted.
    """
    terms = _terms(expiries)
    offsets = starts(strikes, "expiry_id", len(expiries))
    values = parity_of_expiries(_legs(strikes), terms, offsets, tick_rupees)
    found = dict(zip(VALUES, values, strict=True))
    codes = _parity_codes(found["forward_count"], found.pop("dropped_count"))
    if (codes == NO_FORWARD).any():
        _stand_in(found["forward"], codes, expiries, context, tick_rupees)
    count = pl.Series("forward_count", found.pop("forward_count")).cast(pl.Int64)
    return beside(expiries, [*columns_of(found), count, _NAMES[codes]])


def warm() -> None:
    """Compile the kernels of forwards and leave them in the cache."""
    parity.warm()
    neighbour_carries(np.ones(1), np.ones(1), np.zeros(1, dtype=np.uint32))


def _parity_codes(kept: Floats, dropped: Floats) -> Codes:
    found = np.where(dropped > 0, CROSSED_PARITY, PARITY)
    return np.where(kept > 0, found, NO_FORWARD).astype(np.int8)


def _legs(strikes: pl.DataFrame) -> Legs:
    sides = [
        column
        for side in ("call", "put")
        for column in (
            *(floats(strikes, f"{side}_{name}_price") for name in ("bid", "ask", "last")),
            _seconds(strikes[f"{side}_quoted_at"]),
        )
    ]
    return Legs(floats(strikes, "strike"), *sides)


def _terms(expiries: pl.DataFrame) -> Terms:
    rate, years = floats(expiries, "rate"), floats(expiries, "years_to_expiry")
    with np.errstate(invalid="ignore", over="ignore"):
        log_growth = rate * np.maximum(years, 0.0)
    return Terms(floats(expiries, "spot"), log_growth, _seconds(expiries["quoted_at"]))


def _seconds(instants: pl.Series) -> Floats:
    micros: Floats = instants.cast(pl.Int64).cast(pl.Float64).to_numpy(writable=True)
    micros *= 1e-6
    return micros


def _stand_in(
    forward: Floats, codes: Codes, expiries: pl.DataFrame, context: Context, tick_rupees: float
) -> None:
    """Fill forwards that parity has not given, and their codes, in place."""
    spot, log_growth, _ = _terms(expiries)
    years = floats(expiries, "years_to_expiry")
    with np.errstate(all="ignore"):
        _fill(forward, codes, FUTURE, _future_mids(expiries, context.futures, tick_rupees))
        is_told = np.isin(codes, _GOOD) & (spot > 0.0) & (years >= _SHORTEST_CARRY_YEARS)
        carry = np.where(is_told, np.log(forward / spot) / years, np.nan)
        symbols = expiries["symbol"].rle_id().to_numpy(writable=True)
        grown = spot * np.exp(neighbour_carries(carry, years, symbols) * np.maximum(years, 0.0))
        _fill(forward, codes, NEIGHBOUR_CARRY, grown)
        _fill(forward, codes, LAST_RATIO, spot * _last_ratios(expiries, context.forwards))
        _fill(forward, codes, SPOT_CARRY, spot * np.exp(log_growth))


def _fill(forward: Floats, codes: Codes, code: int, prices: Floats) -> None:
    filled = (codes == NO_FORWARD) & (prices > 0.0) & np.isfinite(prices)
    forward[filled] = prices[filled]
    codes[filled] = code


def _future_mids(expiries: pl.DataFrame, futures: pl.DataFrame, tick_rupees: float) -> Floats:
    """Mid of each expiry's newest future quote, NaN if it is not fit."""
    newest = futures.sort("quoted_at", "bid_price", "ask_price").unique(_KEY, keep="last")
    told = expiries.select(*_KEY, newest_at="quoted_at").join(
        newest, on=_KEY, how="left", maintain_order="left"
    )
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    mid = 0.5 * (bid + ask)
    widest = pl.max_horizontal(_WIDEST_FUTURE_TICKS * tick_rupees, _WIDEST_FUTURE_SHARE * mid)
    is_tight = (bid > 0) & (ask >= bid) & ask.is_finite() & (ask - bid <= widest + 1e-9)
    apart = (pl.col("newest_at") - pl.col("quoted_at")).abs()
    is_fresh = apart <= timedelta(seconds=OLDEST_QUOTE_SECONDS)
    return floats(told.select(mid=pl.when(is_tight & is_fresh).then(mid)), "mid")


def _last_ratios(expiries: pl.DataFrame, forwards: pl.DataFrame) -> Floats:
    """F/S of the newest earlier snapshot with a good forward; NaN if none within ten minutes."""
    good = [FORWARD_STATUSES[code] for code in _GOOD]
    ratio = pl.col("forward") / pl.col("spot")
    usable = forwards.filter(pl.col("forward_status").is_in(good), pl.col("spot") > 0)
    newest = usable.sort("as_of", ratio).unique(_KEY, keep="last")
    told = expiries.select(*_KEY, now="as_of").join(
        newest.select(*_KEY, "as_of", ratio=ratio), on=_KEY, how="left", maintain_order="left"
    )
    is_recent = pl.col("now") - pl.col("as_of") <= _OLDEST_RATIO
    return floats(told.select(ratio=pl.when(is_recent).then("ratio")), "ratio")


@compiled
def neighbour_carries(carry: Floats, years: Floats, symbols: NDArray[np.uint32]) -> Floats:
    """Carry per year at each expiry from the symbol's other ones, linear in time, flat outside.

    Args:
        carry: ln(F/S)/T of each expiry, NaN where it is not told.
        years: T, ascending within a symbol.
        symbols: number of each row's symbol; rows of one symbol stand together.
    """
    found = np.full(len(carry), np.nan)
    for i in range(len(carry)):
        before = _nearest_told(carry, symbols, i, -1)
        after = _nearest_told(carry, symbols, i, 1)
        if before >= 0 and after >= 0:
            share = (years[i] - years[before]) / (years[after] - years[before])
            found[i] = carry[before] + share * (carry[after] - carry[before])
        elif before >= 0 or after >= 0:
            found[i] = carry[max(before, after)]
    return found


@compiled
def _nearest_told(carry: Floats, symbols: NDArray[np.uint32], i: int, step: int) -> int:
    """The next row of the symbol, in one direction, whose carry is told; −1 if none is."""
    j = i + step
    while 0 <= j < len(carry) and symbols[j] == symbols[i]:
        if math.isfinite(carry[j]):
            return j
        j += step
    return -1
