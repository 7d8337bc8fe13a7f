"""Where a strike lies: its place from the money, and its bucket in standard deviations.

What is held in the money stands in ``held``, the strikes next to the money in ``itm``.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.aggregates import finite, known_sum
from transforms.kernel import compiled
from transforms.layout import beside, floats, spread, starts

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

BUCKETS = (
    "below_minus_2",
    "minus_2_to_minus_1",
    "minus_1_to_minus_0.25",
    "at_the_money",
    "0.25_to_1",
    "1_to_2",
    "above_2",
)
"""Of m = ln(K/F)/(σ√T), ascending; a bound belongs to the bucket that is nearer to the money."""

_LOWER_BOUNDS = (-2.0, -1.0, -0.25)
_UPPER_BOUNDS = (0.25, 1.0, 2.0)
_NAMES = pl.Series("bucket", BUCKETS)
_SUMMED = ("open_interest_units", "open_interest_change_units", "volume_units")


def at_the_money_rows(strikes: pl.DataFrame, expiries: pl.DataFrame) -> Positions:
    """The row in ``strikes`` of each expiry's listed strike nearest to the forward, else to spot.

    Of two equally near the lower counts; -1 where neither is known or nothing is listed.

    Args:
        strikes: ``expiry_id``, ``strike``; ascending within each expiry.
        expiries: ``forward``, ``spot``.
    """
    levels = [pl.when(pl.col(name) > 0).then(finite(pl.col(name))) for name in ("forward", "spot")]
    level = expiries.select(level=pl.coalesce(levels))
    return nearest_rows(
        floats(strikes, "strike"),
        starts(strikes, "expiry_id", len(expiries)),
        floats(level, "level"),
    )


def steps_from_the_money(strikes: pl.DataFrame, expiries: pl.DataFrame) -> pl.Series:
    """How many listed strikes above (+) or below (−) the money each strike is; null if unknown."""
    own = strikes["expiry_id"].to_numpy()
    nearest = at_the_money_rows(strikes, expiries)[own]
    steps = np.where(nearest < 0, np.nan, np.arange(len(strikes)) - nearest)
    return pl.Series("steps", steps, nan_to_null=True).cast(pl.Int32)


@compiled
def nearest_rows(strike: Floats, offsets: Positions, level: Floats) -> Positions:
    """The row of each owner's value nearest to its level, the lower of two; -1 without.

    Args:
        strike: ascending within each owner.
        offsets: where each owner's rows begin, shape (owners + 1).
        level: per owner, NaN if not known.
    """
    rows = np.full(len(level), -1, dtype=np.int64)
    for e in range(len(level)):
        distance = math.inf
        for i in range(offsets[e], offsets[e + 1]):
            away = abs(strike[i] - level[e])
            if away < distance:
                rows[e], distance = i, away
    return rows


def deviation(volatility: pl.Expr, years: pl.Expr) -> pl.Expr:
    """σ√T, the standard deviation of ln F to settlement; null unless positive."""
    value = volatility * pl.when(years > 0).then(years).sqrt()
    return pl.when(value > 0).then(finite(value))


def moneyness(strike: pl.Expr, forward: pl.Expr, one_deviation: pl.Expr) -> pl.Expr:
    """m = ln(K/F)/(σ√T), standard deviations from the forward; null where it has no meaning."""
    is_usable = (strike > 0) & (forward > 0)
    return finite(pl.when(is_usable).then((strike / forward).log() / one_deviation))


def buckets(contracts: pl.DataFrame, strikes: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """``schemas.MONEYNESS`` but for the formula's version: what is held in each bucket and side.

    A bucket and side without a listed contract has no row, nor has an expiry without a forward or
    a volatility at the money: there is nothing to measure the distance in.

    Args:
        contracts: with ``open_interest_units``, ``open_interest_change_units``, ``volume_units``.
        strikes: ``layout.Book.strikes``.
        expiries: ``symbol``, ``expiry``, ``as_of``, ``forward``, ``atm_implied_volatility``,
            ``years_to_expiry``.
    """
    placed = _placed(strikes, expiries)
    sides = [_side(contracts, placed, is_call=is_call) for is_call in (False, True)]
    both = pl.concat(sides).sort("expiry_id", "place", "is_call")
    named = beside(both, [_NAMES[both["place"]]])
    return spread(named, expiries, "expiry_id", ("symbol", "expiry", "as_of"))


def _placed(strikes: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """The strikes that have a bucket, with its number in ``BUCKETS``."""
    narrow = strikes[["expiry_id", "strike", "call_row", "put_row"]]
    widths = expiries.select(
        "forward",
        one_deviation=deviation(pl.col("atm_implied_volatility"), pl.col("years_to_expiry")),
    )
    measure, place = _measures()
    measured = spread(narrow, widths, "expiry_id", widths.columns).with_columns(measure)
    return measured.filter(pl.col("m").is_not_null()).with_columns(place)


@cache
def _measures() -> tuple[pl.Expr, pl.Expr]:
    """``m``, and after it ``place``."""
    terms = (pl.col(name) for name in ("strike", "forward", "one_deviation"))
    reached = [pl.col("m") >= bound for bound in _LOWER_BOUNDS]
    passed = [pl.col("m") > bound for bound in _UPPER_BOUNDS]
    place = pl.sum_horizontal(term.cast(pl.UInt32) for term in (*reached, *passed))
    return moneyness(*terms).alias("m"), place.alias("place")


def _side(contracts: pl.DataFrame, placed: pl.DataFrame, *, is_call: bool) -> pl.DataFrame:
    row = "call_row" if is_call else "put_row"
    listed = placed[["expiry_id", "place", row]].drop_nulls(row)
    legs = spread(listed, contracts, row, _SUMMED)
    # Places ascend with the strike, so that each bucket is one run of rows.
    runs = pl.struct("expiry_id", "place").rle_id()
    return legs.group_by(runs.alias("run"), maintain_order=True).agg(
        pl.col("expiry_id", "place").first(),
        pl.lit(is_call).alias("is_call"),
        pl.len().alias("contract_count"),
        *_sums(),
    )


@cache
def _sums() -> tuple[pl.Expr, ...]:
    return tuple(known_sum(pl.col(name)).alias(name) for name in _SUMMED)


def warm() -> None:
    """Compile every kernel once and leave it in the cache, so that no live path compiles."""
    nearest_rows(np.ones(1), np.array([0, 1]), np.ones(1))
