"""Put-call ratios and the sums behind them.

PCR = Σ put / Σ call, by open interest and by volume; null if the calls sum to nothing. How a ratio
is to be read is the page's choice and does not belong here.
"""

from __future__ import annotations

import polars as pl

from transforms.aggregates import known_sum, ratio


def open_interest_sums() -> list[pl.Expr]:
    """Per group: open interest of calls and puts, units."""
    return _sides("open_interest_units")


def volume_sums() -> list[pl.Expr]:
    """Per group: day's volume of calls and puts, units."""
    return _sides("volume_units")


def put_call_ratios() -> list[pl.Expr]:
    """Per row of sums: ``pcr_open_interest`` and ``pcr_volume``."""
    return [_ratio("open_interest"), _ratio("volume")]


def _sides(column: str) -> list[pl.Expr]:
    values, is_call = pl.col(column), pl.col("is_call")
    return [
        known_sum(values.filter(is_call)).alias(f"call_{column}"),
        known_sum(values.filter(~is_call)).alias(f"put_{column}"),
    ]


def _ratio(what: str) -> pl.Expr:
    return ratio(pl.col(f"put_{what}_units"), pl.col(f"call_{what}_units")).alias(f"pcr_{what}")
