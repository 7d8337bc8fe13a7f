"""Sums and ratios that keep "nothing known" apart from zero.

What is summed belongs in ``exposure`` and ``sentiment``.
"""

from __future__ import annotations

import polars as pl


def known_sum(values: pl.Expr) -> pl.Expr:
    """The sum of what is known; null, not 0, if nothing is."""
    return pl.when(values.count() > 0).then(values.sum())


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """The quotient; null if either is null or the denominator is not positive."""
    return pl.when(denominator > 0).then(numerator / denominator)
