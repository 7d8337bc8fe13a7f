"""Sums that keep unknown apart from zero."""

from __future__ import annotations

import polars as pl

from transforms.aggregates import finite, known_sum, ratio


def test_known_sum() -> None:
    """Nothing known is null, something known is the sum of it, zeros sum to zero."""
    frame = pl.DataFrame({"k": [1, 1, 2, 2, 3], "v": [None, None, 1.0, None, 0.0]})
    sums = frame.group_by("k", maintain_order=True).agg(known_sum(pl.col("v")))
    assert sums["v"].to_list() == [None, 1.0, 0.0]


def test_known_sum_of_an_empty_side() -> None:
    """A side without rows is unknown, not zero."""
    frame = pl.DataFrame({"k": [1], "v": [5.0], "is_call": [True]})
    puts = known_sum(pl.col("v").filter(~pl.col("is_call")))
    assert frame.group_by("k").agg(puts)["v"].to_list() == [None]


def test_ratio() -> None:
    """Null without a positive denominator."""
    frame = pl.DataFrame({"a": [1.0, 1.0, None, 0.0], "b": [2.0, 0.0, 1.0, 4.0]})
    quotients = frame.select(ratio(pl.col("a"), pl.col("b"))).to_series()
    assert quotients.to_list() == [0.5, None, None, 0.0]


def test_finite() -> None:
    """NaN and infinities are not known; sums go on without them, integers are left alone."""
    frame = pl.DataFrame({"v": [1.0, float("nan"), float("inf"), None, -2.0], "n": [1, 2, 3, 4, 5]})
    assert frame.select(finite(pl.col("v")))["v"].to_list() == [1.0, None, None, None, -2.0]
    assert frame.select(finite(pl.col("n")))["n"].to_list() == [1, 2, 3, 4, 5]
    assert frame.select(known_sum(pl.col("v"))).item() == -1.0
