"""How a rule says what it found: places, severities and words, as one ``VIOLATIONS`` frame.

What is worth finding belongs in the rules' own modules.
"""

from __future__ import annotations

import polars as pl

from transforms.schemas import VIOLATIONS

ERROR, WARNING = "E", "W"

EVERY_SYMBOL = "*"
"""Stands for the symbol where a whole feed is meant."""

EXPIRY = ("symbol", "expiry")

Value = str | pl.Expr


def findings(
    rows: pl.DataFrame, rule: str, severity: Value, detail: pl.Expr, *, has_strike: bool = True
) -> pl.DataFrame:
    """One violation for each of ``rows``, which have ``symbol``, ``expiry`` and maybe ``strike``.

    Args:
        severity: one for all, or an expression over the rows.
        detail: what was found and its cheapest explanation, made by ``words``.
        has_strike: false if the whole expiry is meant.
    """
    if rows.is_empty():
        return VIOLATIONS.empty()
    strike = pl.col("strike") if has_strike else pl.lit(None, pl.Float64)
    found = rows.select(
        pl.lit(rule).alias("rule"),
        (pl.lit(severity) if isinstance(severity, str) else severity).alias("severity"),
        *EXPIRY,
        strike.alias("strike"),
        detail.alias("detail"),
    )
    return VIOLATIONS.conform(found)


def words(template: str, *values: Value) -> pl.Expr:
    """The template with a column or expression at each ``{}``; what is null reads ``none``."""
    shown = [pl.col(v) if isinstance(v, str) else v for v in values]
    return pl.format(template, *(v.cast(pl.String).fill_null("none") for v in shown))


def leg() -> pl.Expr:
    """``call`` or ``put``."""
    return pl.when("is_call").then(pl.lit("call")).otherwise(pl.lit("put"))


def cents(value: pl.Expr) -> pl.Expr:
    """Rupees with two decimals."""
    return value.round(2)


def is_price(name: str) -> pl.Expr:
    """Whether a column holds a price; zero is a broker's padding for none."""
    value = pl.col(name)
    return ((value > 0) & value.is_finite()).fill_null(False)
