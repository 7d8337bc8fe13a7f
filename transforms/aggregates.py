"""Sums and ratios that keep "nothing known" apart from zero.

What is summed belongs in ``exposure``, ``sentiment`` and the other steps.
"""

from __future__ import annotations

import polars as pl


def finite(values: pl.Expr) -> pl.Expr:
    """The values; null in place of NaN and infinities, which would spoil every sum."""
    return pl.when(values.is_finite()).then(values)


def known_sum(values: pl.Expr) -> pl.Expr:
    """The sum of what is known and finite; null, not 0, if nothing is."""
    usable = finite(values)
    return pl.when(usable.count() > 0).then(usable.sum())


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """The quotient; null if either is null or the denominator is not positive."""
    return pl.when(denominator > 0).then(numerator / denominator)
