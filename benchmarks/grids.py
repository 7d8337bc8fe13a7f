"""Inputs that are harder than a market's: far out of, deep in, and in the far tail of the money.

Random points whose premiums are computed exactly and then rounded to a double, so that each stored
row has an exact root near its point, which ``exact_roots`` finds. Rows as a market has them belong
in ``universe``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import exact_roots
from benchmarks.universe import TERMS

MINUTE_YEARS = 1.0 / 525_600
SMALLEST_PREMIUM = 1e-300


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of ``TERMS`` and the volatility that each was made from, a good guess of its root."""

    frame: pl.DataFrame
    made_from: NDArray[np.float64]


def out_of_the_money(rows: int, seed: int = 1) -> Grid:
    """|ln(F/K)|/σ√T from 0 to 8, σ from 1 % to 300 %, one minute to three years."""
    return _grid(np.random.default_rng(seed), rows, (0.0, 8.0), is_in=False)


def in_the_money(rows: int, seed: int = 2) -> Grid:
    """The mirror image: half an ulp of the premium may move the root by anything."""
    return _grid(np.random.default_rng(seed), rows, (0.0, 8.0), is_in=True)


def far_tail(rows: int, seed: int = 3) -> Grid:
    """|ln(F/K)|/σ√T from 8 to 36, with premiums down to 1e-300."""
    return _grid(np.random.default_rng(seed), rows, (8.0, 36.0), is_in=False)


def _grid(
    random: np.random.Generator, rows: int, distances: tuple[float, float], *, is_in: bool
) -> Grid:
    volatility = _spread(random, rows, 0.01, 3.0)
    years = _spread(random, rows, MINUTE_YEARS, 3.0)
    forward = _spread(random, rows, 50.0, 100_000.0)
    x = random.uniform(*distances, rows) * volatility * np.sqrt(years)
    is_call = random.random(rows) < 0.5
    strike = forward * np.exp(np.where(is_call != is_in, x, -x))
    frame = pl.DataFrame(
        {
            "forward": forward,
            "strike": strike,
            "years_to_expiry": years,
            "rate": random.uniform(0.0, 0.1, rows),
            "is_call": is_call,
        }
    )
    premium = pl.Series("premium", _premiums(frame, volatility))
    kept = np.asarray(premium >= SMALLEST_PREMIUM)
    return Grid(frame.with_columns(premium).select(TERMS).filter(kept), volatility[kept])


def _premiums(frame: pl.DataFrame, volatility: NDArray[np.float64]) -> list[float]:
    return [
        float(exact_roots.premium(exact_roots.Option(0.0, *row), float(v)))
        for row, v in zip(frame.iter_rows(), volatility, strict=True)
    ]


def _spread(random: np.random.Generator, rows: int, low: float, high: float) -> NDArray[np.float64]:
    """Evenly over the logarithm."""
    return np.exp(random.uniform(np.log(low), np.log(high), rows))
