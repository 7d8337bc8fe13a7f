"""Which price a volatility is implied from, and one volatility for each strike.

The out-of-the-money leg speaks for its strike (call for K ≥ F, put below): its time value is all of
its price. Both legs then carry that volatility, so that call and put have the same gamma. Each
row's own price, for display, is chosen by the same rule. Fits over strikes do not belong here.
"""

from __future__ import annotations

import polars as pl

from transforms.greeks import greeks_at, imply

PREMIUM_SOURCES = ("mid", "last")

_WIDEST_SPREAD_RUPEES = 0.5
_WIDEST_SPREAD_SHARE = 0.2
# A volatility is not identified if ten points of it move the price by less than half a tick.
_POINTS_PER_HALF_TICK = 10

_STRIKE = ("symbol", "expiry", "strike")


def with_premium(contracts: pl.DataFrame) -> pl.DataFrame:
    """Add ``premium`` (₹) and ``premium_source``: the mid if two-sided and tight, else the last.

    Tight: spread at most ₹0.5 or 20 % of the mid. Null if neither is fit.
    """
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    mid = 0.5 * (bid + ask)
    widest = pl.max_horizontal(pl.lit(_WIDEST_SPREAD_RUPEES), _WIDEST_SPREAD_SHARE * mid)
    # The allowance is for a spread of exactly the widest, off by rounding.
    is_tight = (bid > 0) & (ask >= bid) & (ask - bid <= widest + 1e-9) & ask.is_finite()
    has_last = (pl.col("last_price") > 0) & pl.col("last_price").is_finite()
    return contracts.with_columns(
        premium=pl.when(is_tight).then(mid).when(has_last).then("last_price"),
        premium_source=pl.when(is_tight).then(pl.lit("mid")).when(has_last).then(pl.lit("last")),
    )


def with_volatility(contracts: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """Add the strike's volatility and status to both legs, and each leg's Greeks.

    Args:
        contracts: with ``premium`` and what ``greeks.price`` needs; one row per contract.
        tick_rupees: smallest price step, ₹; a premium within half a tick of intrinsic value, or
            one that hardly moves with volatility, identifies none.
    """
    strikes = strike_volatilities(contracts, tick_rupees)
    joined = contracts.join(strikes, on=_STRIKE, how="left", maintain_order="left")
    spoken = joined.with_columns(pl.col("iv_status").fill_null(_silent_status()))
    return greeks_at(spoken)


def strike_volatilities(contracts: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """One row per strike whose out-of-the-money leg is listed: its volatility and status."""
    is_out_of_the_money = pl.col("is_call") == (pl.col("strike") >= pl.col("forward"))
    legs = greeks_at(imply(contracts.filter(is_out_of_the_money)))
    is_ok = pl.col("iv_status") == "ok"
    half_tick = 0.5 * tick_rupees
    status = (
        pl.when(is_ok & (pl.col("premium") <= half_tick))
        .then(pl.lit("below_intrinsic"))
        .when(is_ok & (pl.col("vega_per_vol_point") * _POINTS_PER_HALF_TICK < half_tick))
        .then(pl.lit("no_vega"))
        .otherwise("iv_status")
    )
    return legs.select(
        *_STRIKE,
        implied_volatility=pl.when(status == "ok").then("implied_volatility"),
        iv_status=status,
    )


def _silent_status() -> pl.Expr:
    """Why a strike has no speaking leg: no forward to tell the sides by, or the leg is unlisted."""
    return (
        pl.when(pl.col("forward").is_null()).then(pl.lit("invalid")).otherwise(pl.lit("no_price"))
    )
