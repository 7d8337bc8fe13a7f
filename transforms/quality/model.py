"""Rules of spot, forward, volatility and Greeks, our own and the vendor's: Q23–Q25, Q33."""

from __future__ import annotations

import polars as pl

from transforms.columns import FLOAT, TEXT, Column, Schema
from transforms.quality.findings import ERROR, EXPIRY, WARNING, findings, leg, words

SPOTS = Schema(
    "spots",
    "one row per symbol: how fresh its spot is, and whether its parts moved alike",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("tick_age_seconds", FLOAT, "s", "since the spot's last tick"),
        Column("move", FLOAT, "ratio", "return of the spot since some instant"),
        Column("lowest_part_move", FLOAT, "ratio", "lowest return of a constituent since then"),
        Column("highest_part_move", FLOAT, "ratio", "highest return of a constituent since then"),
    ),
)

_OLDEST_TICK_SECONDS = 3
_WIDEST_CARRY = 0.005
_LOWEST_VOLATILITY, _HIGHEST_VOLATILITY = 0.01, 3.0
_VOLATILITY_JUMP = 0.10
_JUMP_DELTA = 0.2
# The forward moved by less than a quarter per cent: nothing that volatility would answer to.
_STILL_MOVE = 0.0025
_DELTA_DIFFERENCE, _VOLATILITY_DIFFERENCE = 0.05, 0.01
_NEAR_DELTAS = (0.35, 0.65)
# Vendors quote volatility as a fraction or in per cent; a ratio of medians near 100 is a flip.
_FLIP_AT_LEAST, _FLIP_AT_MOST = 30.0, 300.0
# Differences of decimal numbers are off by less.
_ROUNDING = 1e-12


def stale_spots(spots: pl.DataFrame) -> pl.DataFrame:
    """Q23: an index whose last tick is over 3 s old, or that moved as none of its parts did.

    Args:
        spots: ``SPOTS`` of a moment inside the session.
    """
    is_old = pl.col("tick_age_seconds") > _OLDEST_TICK_SECONDS
    low, high = pl.col("lowest_part_move"), pl.col("highest_part_move")
    is_apart = (pl.col("move") < low) | (pl.col("move") > high)
    detail = words(
        "last tick {} s ago, moved by {} and its parts by {} to {}: stale feed, or a wrong key?",
        "tick_age_seconds",
        "move",
        low,
        high,
    )
    broken = spots.filter(is_old.fill_null(False) | is_apart.fill_null(False))
    return findings(_whole_symbols(broken), "Q23", ERROR, detail, has_strike=False)


def spot_against_forward(series: pl.DataFrame) -> pl.DataFrame:
    """Q23: the spot with carry differs from the nearest expiry's forward by over 0.5 %.

    S·e^{rT} against F; later expiries differ by dividends and rates, not by a stale spot. Not to be
    asked while the underlying is in its auction and the spot stands still.

    Args:
        series: ``series.series_of``.
    """
    ahead = series.filter(pl.col("years_to_expiry") > 0)
    nearest = ahead.sort(EXPIRY).unique("symbol", keep="first", maintain_order=True)
    carried = pl.col("spot") * (pl.col("rate") * pl.col("years_to_expiry")).exp()
    off = carried / pl.col("forward") - 1.0
    is_known = (pl.col("spot") > 0) & (pl.col("forward") > 0)
    detail = words(
        "spot {} carried is {} % off the forward {}: stale spot, unpriced dividend or wrong "
        "expiry?",
        "spot",
        (100 * off).round(2),
        pl.col("forward").round(2),
    )
    far = nearest.filter(is_known & (off.abs() > _WIDEST_CARRY + _ROUNDING))
    return findings(far, "Q23", ERROR, detail, has_strike=False)


def volatility_range(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q24: implied volatility outside 1 % to 300 %."""
    value = pl.col("implied_volatility")
    outside = contracts.filter((value < _LOWEST_VOLATILITY) | (value > _HIGHEST_VOLATILITY))
    detail = words("{} implied volatility {}: stale price?", leg(), value)
    return findings(outside, "Q24", WARNING, detail)


def volatility_jumps(paired: pl.DataFrame) -> pl.DataFrame:
    """Q24: a strike's volatility moved by over ten points while its forward stood still.

    Within a day, and only where delta is 0.2 at least; told once for both legs.
    """
    now, then = pl.col("implied_volatility"), pl.col("earlier_implied_volatility")
    moved = pl.col("forward") / pl.col("earlier_forward") - 1.0
    is_speaking = pl.col("is_call") == (pl.col("strike") >= pl.col("forward"))
    jumped = paired.filter(
        pl.col("is_same_day")
        & ((now - then).abs() > _VOLATILITY_JUMP + _ROUNDING)
        & (moved.abs() < _STILL_MOVE)
        & (pl.col("delta_forward").abs() >= _JUMP_DELTA)
        & is_speaking
    )
    detail = words(
        "implied volatility {} after {}, forward moved by {}: stale price?",
        now.round(4),
        then.round(4),
        moved.round(5),
    )
    return findings(jumped, "Q24", WARNING, detail)


def vendor_greeks(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q25: near the money, the vendor's delta is 0.05 or its volatility a point from our own.

    Tells the worst strike of each expiry and how many there are: what counts is the trend. A
    flipped unit is Q33's finding.
    """
    delta, vendor_delta = pl.col("delta_forward"), pl.col("vendor_delta")
    own, vendor = pl.col("implied_volatility"), pl.col("vendor_implied_volatility")
    delta_off = (vendor_delta - delta).abs().fill_null(0.0)
    unit = _size(vendor / own)
    volatility_off = pl.when(unit < _FLIP_AT_LEAST).then((vendor - own).abs()).fill_null(0.0)
    off = pl.max_horizontal(delta_off / _DELTA_DIFFERENCE, volatility_off / _VOLATILITY_DIFFERENCE)
    near = contracts.filter(delta.abs().is_between(*_NEAR_DELTAS)).with_columns(off=off)
    differing = near.filter(pl.col("off") > 1.0 + 1e-9)
    counted = differing.with_columns(count=pl.len().over(EXPIRY))
    worst = counted.sort("off", descending=True, maintain_order=True).unique(
        EXPIRY, keep="first", maintain_order=True
    )
    detail = words(
        "{} vendor delta {} and volatility {} against {} and {}, worst of {}: spot for forward, "
        "or another clock?",
        leg(),
        vendor_delta,
        vendor,
        delta.round(4),
        own.round(4),
        "count",
    )
    return findings(worst, "Q25", WARNING, detail)


def vendor_unit(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q33: the vendor's volatilities are about 100 times, or a hundredth of, our own."""
    vendor, own = pl.col("vendor_implied_volatility"), pl.col("implied_volatility")
    both = contracts.filter((vendor > 0) & own.is_not_null())
    medians = both.group_by(EXPIRY, maintain_order=True).agg(
        ratio=vendor.median() / own.median(), count=pl.len()
    )
    flipped = medians.filter(_size(pl.col("ratio")).is_between(_FLIP_AT_LEAST, _FLIP_AT_MOST))
    detail = words(
        "median vendor volatility is {} times our own over {} contracts: per cent for fraction?",
        pl.col("ratio").round(3),
        "count",
    )
    return findings(flipped, "Q33", ERROR, detail, has_strike=False)


def _size(ratio: pl.Expr) -> pl.Expr:
    """The ratio, or its inverse if that is greater."""
    return pl.max_horizontal(ratio, 1.0 / ratio)


def _whole_symbols(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(expiry=pl.lit(None, pl.Date))
