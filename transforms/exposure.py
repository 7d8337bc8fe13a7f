"""Gamma exposure: how much of the underlying hedgers would trade on a 1 % move.

GEX = Γ·OI·S²·0.01/10⁷, ₹ crore per 1 %, with open interest in units (never times the lot) and calls
counted plus, puts minus: the naive convention (dealers long calls, short puts), an assumption and
not a measurement. Greeks come from ``greeks``; other exposures will stand here too.
"""

from __future__ import annotations

import polars as pl

from transforms.aggregates import known_sum

RUPEES_PER_CRORE = 1e7
ONE_PERCENT = 0.01

GEX = "gex_crore_per_percent"


def gex_crore_per_percent() -> pl.Expr:
    """GEX of each contract from ``gamma_forward``, ``open_interest_units``, ``spot``, ``is_call``.

    Null if any of them is.
    """
    sign = pl.when("is_call").then(1.0).otherwise(-1.0)
    rupees_per_percent = (
        pl.col("gamma_forward") * pl.col("open_interest_units") * pl.col("spot") ** 2 * ONE_PERCENT
    )
    return (sign * rupees_per_percent / RUPEES_PER_CRORE).alias(GEX)


def side_sums() -> list[pl.Expr]:
    """Per group: call, put and net GEX in ₹ crore per 1 %; a side is null if nothing is known."""
    gex = pl.col(GEX)
    return [
        known_sum(gex.filter(pl.col("is_call"))).alias("call_gex_crore_per_percent"),
        known_sum(gex.filter(~pl.col("is_call"))).alias("put_gex_crore_per_percent"),
        known_sum(gex).alias("net_gex_crore_per_percent"),
    ]


def total_sums() -> list[pl.Expr]:
    """Per group: net GEX and the sum of magnitudes, ₹ crore per 1 %."""
    gex = pl.col(GEX)
    return [
        known_sum(gex).alias("net_gex_crore_per_percent"),
        known_sum(gex.abs()).alias("gross_gex_crore_per_percent"),
    ]
