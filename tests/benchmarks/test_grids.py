"""The harder inputs lie where they say, and each has an exact root."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from benchmarks import exact_roots, grids


@pytest.mark.parametrize(
    ("make", "lowest", "highest", "is_in"),
    [
        (grids.out_of_the_money, 0.0, 8.0, False),
        (grids.in_the_money, 0.0, 8.0, True),
        (grids.far_tail, 8.0, 36.0, False),
    ],
)
def test_rows_lie_in_their_region(
    make: Callable[[int], grids.Grid], lowest: float, highest: float, is_in: bool
) -> None:
    """Distances in standard deviations, side of the money and smallest premium are as told."""
    grid = make(300)
    frame = grid.frame
    s = grid.made_from * np.sqrt(frame["years_to_expiry"].to_numpy())
    distance = (frame["strike"] / frame["forward"]).log().abs().to_numpy() / s
    assert distance.min() >= lowest * (1 - 1e-6)
    assert distance.max() <= highest * (1 + 1e-6)
    gap = pl.col("forward") - pl.col("strike")
    inside = frame.select(pl.when("is_call").then(gap > 0).otherwise(gap < 0)).to_series()
    assert (inside == is_in).all()
    assert frame["premium"].min() >= grids.SMALLEST_PREMIUM


def test_roots_are_near_what_rows_were_made_from() -> None:
    """Rounding the premium to a double moves an out-of-the-money root by a few ulps."""
    grid = grids.out_of_the_money(50)
    found = exact_roots.roots(grid.frame, grid.made_from)
    assert np.abs(found.volatility / grid.made_from - 1.0).max() < 1e-9


def test_seed_decides() -> None:
    """The same seed gives the same rows."""
    assert grids.far_tail(20).frame.equals(grids.far_tail(20).frame)
    assert not grids.far_tail(20).frame.equals(grids.far_tail(20, seed=9).frame)
