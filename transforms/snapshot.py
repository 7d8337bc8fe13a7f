"""Merge a window's analytics with the ticks that the socket delivered in it.

The two halves keep their own instants. A window's chains are asked for at its end and answered a
few seconds after it, and say so in ``as_of``; its ticks lie inside it. Analytics themselves belong
in ``chain``.
"""

from __future__ import annotations

from datetime import UTC

import polars as pl

from market.session import Window
from transforms.schemas import TICK_BARS, UNDERLYING_ROLLUP, UNDERLYINGS

PRICE_SOURCES = ("socket", "chain")


def merge_window(underlyings: pl.DataFrame, bars: pl.DataFrame, window: Window) -> pl.DataFrame:
    """One row per analysed symbol: its analytics, the window's bar and one price with its source.

    Args:
        underlyings: ``schemas.UNDERLYINGS``, the window's own; of several rows of a symbol the
            newest counts. Whoever trains or tests on the result must not use a row before its
            ``as_of``, which is when its chain was answered.
        bars: ``schemas.TICK_BARS``; a bar whose last tick is not inside the window is not used.
        window: half-open, as ticks are.

    Returns:
        ``schemas.UNDERLYING_ROLLUP``, sorted by symbol. ``price`` is the socket's last tick in the
        window, or the chain's spot where there was none; null if neither is known.

    Raises:
        SchemaMismatch: if an input does not conform.
    """
    ordered = UNDERLYINGS.conform(underlyings).sort("symbol", "as_of", "nearest_expiry")
    analysed = ordered.unique("symbol", keep="last", maintain_order=True)
    merged = analysed.join(_inside(TICK_BARS.conform(bars), window), on="symbol", how="left")
    filled = merged.with_columns(pl.col("tick_count").fill_null(0))
    priced = filled.with_columns(*_price(), *_partition(window))
    return UNDERLYING_ROLLUP.conform(priced.sort("symbol"))


def _inside(bars: pl.DataFrame, window: Window) -> pl.DataFrame:
    start_at, end_at = window.start_at.astimezone(UTC), window.end_at.astimezone(UTC)
    at = pl.col("last_tick_at")
    # A bar without a tick still tells how long the feed was away.
    inside = bars.filter(at.is_null() | ((at >= start_at) & (at < end_at)))
    ordered = inside.sort("symbol", "last_tick_at", "tick_count", nulls_last=False)
    return ordered.unique("symbol", keep="last", maintain_order=True)


def _price() -> list[pl.Expr]:
    has_tick = pl.col("close_price").is_not_null() & pl.col("last_tick_at").is_not_null()
    has_spot = pl.col("spot").is_not_null()
    return [
        pl.when(has_tick).then("close_price").when(has_spot).then("spot").alias("price"),
        pl.when(has_tick).then("last_tick_at").when(has_spot).then("as_of").alias("price_at"),
        pl.when(has_tick)
        .then(pl.lit("socket"))
        .when(has_spot)
        .then(pl.lit("chain"))
        .alias("price_source"),
    ]


def _partition(window: Window) -> list[pl.Expr]:
    return [
        pl.lit(window.day).alias("trading_day"),
        pl.lit(window.slot).alias("slot"),
        pl.lit(window.start_at.astimezone(UTC)).alias("window_start_at"),
        pl.lit(window.end_at.astimezone(UTC)).alias("window_end_at"),
    ]
