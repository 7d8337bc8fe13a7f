"""Volatility of an expiry as a whole: at the money, later skew and term.

The volatility of a single strike comes from ``smile``.
"""

from __future__ import annotations

import polars as pl

ATM_STATUSES = ("atm_ok", "no_bracket", "no_forward", "settling")

_KEY = ("symbol", "expiry")
_NAMES = {"moneyness": pl.Float64, "variance": pl.Float64}


def at_the_money(contracts: pl.DataFrame) -> pl.DataFrame:
    """At-the-money volatility of each (symbol, expiry): σ²T interpolated linearly in ln(K/F).

    Args:
        contracts: priced, with ``forward``, ``years_to_expiry``, ``implied_volatility``.

    Returns:
        ``atm_implied_volatility`` (fraction) and ``atm_status`` (``ATM_STATUSES``): it needs a
        volatility at the forward or on both sides of it, and is null otherwise.
    """
    points = contracts.filter(pl.col("implied_volatility").is_not_null()).select(
        *_KEY,
        moneyness=(pl.col("strike") / pl.col("forward")).log(),
        variance=pl.col("implied_volatility") ** 2 * pl.col("years_to_expiry"),
    )
    below = _nearest(points.filter(pl.col("moneyness") <= 0), "low", is_descending=True)
    above = _nearest(points.filter(pl.col("moneyness") >= 0), "high", is_descending=False)
    expiries = contracts.group_by(_KEY, maintain_order=True).agg(
        pl.col("forward", "years_to_expiry").first(),
        is_settling=(pl.col("iv_status") == "settling").any(),
    )
    wide = expiries.join(below, on=_KEY, how="left").join(above, on=_KEY, how="left")
    return wide.with_columns(atm_implied_volatility=_interpolated()).select(
        *_KEY, "atm_implied_volatility", atm_status=_status()
    )


def _nearest(points: pl.DataFrame, prefix: str, *, is_descending: bool) -> pl.DataFrame:
    """The point nearest to the money in each expiry, its columns prefixed."""
    ordered = points.sort(
        *_KEY, "moneyness", "variance", descending=[False, False, is_descending, False]
    )
    first = ordered.unique(subset=list(_KEY), keep="first", maintain_order=True)
    return first.rename({name: f"{prefix}_{name}" for name in _NAMES})


def _interpolated() -> pl.Expr:
    low, high = pl.col("low_moneyness"), pl.col("high_moneyness")
    share = pl.when(high > low).then(-low / (high - low)).otherwise(0.0)
    variance = (1.0 - share) * pl.col("low_variance") + share * pl.col("high_variance")
    return (variance / pl.col("years_to_expiry")).sqrt()


def _status() -> pl.Expr:
    return (
        pl.when(pl.col("atm_implied_volatility").is_not_null())
        .then(pl.lit("atm_ok"))
        .when(pl.col("is_settling"))
        .then(pl.lit("settling"))
        .when(pl.col("forward").is_null())
        .then(pl.lit("no_forward"))
        .otherwise(pl.lit("no_bracket"))
    )
