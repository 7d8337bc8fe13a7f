"""The strikes where most is held: walls of gamma and open interest, and how concentrated it is.

A call wall is the strike at or above the forward with the most call gamma exposure, a put wall its
mirror; traders take them for resistance and support, which is their reading and not a claim made
here. Exposures come from ``exposure``.

Of strikes with the same exposure the one nearer to the forward counts, then the lower one.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.exposure import CALL_GEX, GROSS_GEX, PUT_GEX
from transforms.kernel import compiled
from transforms.layout import Positions, beside, columns_of, floats, starts

Floats = NDArray[np.float64]

WALLS = (
    "call_wall",
    "call_wall_share",
    "put_wall",
    "put_wall_share",
    "call_wall_open_interest",
    "put_wall_open_interest",
    "absolute_gamma_strike",
    "gex_concentration",
)

_OPEN_INTEREST = ("call_open_interest_units", "put_open_interest_units")
_HELD = (CALL_GEX, PUT_GEX, *_OPEN_INTEREST)
_EVERY, _AT_OR_ABOVE, _AT_OR_BELOW = 0, 1, -1


@compiled
def largest(
    strike: Floats, held: Floats, forward: float, side: int, first: int, last: int
) -> tuple[float, float]:
    """The strike of the rows [first, last) with the most held, and its share of that side.

    ``side`` is 1 for strikes at or above the forward, −1 at or below, 0 for all. NaN if nothing
    positive is held there, or the side is not known.
    """
    wall, most, total = math.nan, 0.0, 0.0
    for k in range(first, last):
        if side != _EVERY and not (strike[k] - forward) * side >= 0.0:
            continue
        if not held[k] > 0.0:
            continue
        total += held[k]
        is_nearer = abs(strike[k] - forward) < abs(wall - forward)
        if held[k] > most or (held[k] == most and is_nearer):
            wall, most = strike[k], held[k]
    return wall, most / total if total > 0.0 else math.nan


@compiled
def concentration(gross: Floats, first: int, last: int) -> float:
    """Herfindahl index Σp² of the shares of the rows [first, last); NaN if nothing is held."""
    total = squares = 0.0
    for k in range(first, last):
        if gross[k] > 0.0:
            total += gross[k]
            squares += gross[k] * gross[k]
    return squares / (total * total) if total * total > 0.0 else math.nan


@compiled
def walls_of_books(
    strike: Floats, held: Floats, gross: Floats, forward: Floats, book_starts: Positions
) -> Floats:
    """``WALLS`` of each book of strikes [starts[i], starts[i + 1]), shape (8, books).

    ``held`` has four rows, all positive: gamma exposure and open interest of calls and puts.
    """
    out = np.empty((8, len(forward)))
    for i in range(len(forward)):
        first, last, at = book_starts[i], book_starts[i + 1], forward[i]
        out[0, i], out[1, i] = largest(strike, held[0], at, _AT_OR_ABOVE, first, last)
        out[2, i], out[3, i] = largest(strike, held[1], at, _AT_OR_BELOW, first, last)
        out[4, i], _ = largest(strike, held[2], at, _EVERY, first, last)
        out[5, i], _ = largest(strike, held[3], at, _EVERY, first, last)
        out[6, i], _ = largest(strike, gross, at, _EVERY, first, last)
        out[7, i] = concentration(gross, first, last)
    return out


def with_walls(owners: pl.DataFrame, strikes: pl.DataFrame, key: str) -> pl.DataFrame:
    """Add ``WALLS`` to expiries or symbols; null where nothing is known.

    Args:
        owners: ``forward`` (₹); for a symbol that of its nearest expiry.
        strikes: sorted by ``key``, the row number in ``owners``: ``strike``, both sides' GEX and
            open interest as from ``exposure.with_strike_exposure``, or from ``by_level``.
    """
    held = np.stack([floats(strikes, name) for name in _HELD])
    held[1] = -held[1]
    gross = floats(strikes, GROSS_GEX)
    book_starts = starts(strikes, key, len(owners))
    values = walls_of_books(
        floats(strikes, "strike"), held, gross, floats(owners, "forward"), book_starts
    )
    return beside(owners, columns_of(dict(zip(WALLS, values, strict=True))))


def by_level(strikes: pl.DataFrame, key: str) -> pl.DataFrame:
    """Strikes with all expiries of a symbol together, sorted by ``key`` (the symbol) and strike."""
    # Nothing known may become 0 here: neither makes a wall.
    levels = strikes.group_by(key, "strike").agg(pl.col(*_HELD, GROSS_GEX).sum())
    # One sort by two columns takes four times as long.
    return levels.sort("strike").sort(key, maintain_order=True)


def warm() -> None:
    """Compile the kernels once and leave them in the cache."""
    one = np.ones(1)
    walls_of_books(one, np.ones((4, 1)), one, one, np.array((0, 1), dtype=np.int64))
