"""The strikes next to the money on their in-the-money side: what is held, traded and implied there.

For n = 1 … 5: calls at the n listed strikes below the one at the money, puts at the n above it.
Which strike that is stands in ``moneyness``; all that is in the money, however deep, in ``held``.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.layout import beside, columns_of, starts
from transforms.moneyness import at_the_money_rows

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

DEPTHS = (1, 2, 3, 4, 5)

_SUMMED = ("open_interest_units", "open_interest_change_units", "volume_units")
_WEIGHTED = ("implied_volatility", "delta_forward")


def next_to_the_money(
    contracts: pl.DataFrame, strikes: pl.DataFrame, expiries: pl.DataFrame
) -> pl.DataFrame:
    """``schemas.ITM`` but for the formula's version: ten rows per expiry, put before call.

    Where fewer strikes are listed a depth counts those that are; sums and means are null where
    nothing is known, as in every row of an expiry without forward and spot. Means are weighted by
    the open interest of the contracts that have the figure.

    Args:
        contracts: ``open_interest_units``, ``open_interest_change_units``, ``volume_units``,
            ``implied_volatility``, ``delta_forward``.
        strikes: ``layout.Book.strikes``.
        expiries: ``symbol``, ``expiry``, ``as_of``, ``forward``, ``spot``.
    """
    nearest = at_the_money_rows(strikes, expiries)
    offsets = starts(strikes, "expiry_id", len(expiries))
    put, call = (
        _side(contracts, _legs(strikes, nearest, offsets, is_call=is_call))
        for is_call in (False, True)
    )
    both = {name: np.stack((put[name], call[name]), axis=-1).ravel() for name in put}
    count, sides = len(expiries), (False, True)
    keys = [
        pl.Series("depth", np.tile(np.repeat(DEPTHS, len(sides)), count)),
        pl.Series("is_call", np.tile(sides, count * len(DEPTHS))),
    ]
    owner = np.repeat(np.arange(count), len(sides) * len(DEPTHS))
    owners = expiries[["symbol", "expiry", "as_of"]][owner]
    return beside(owners, [*keys, *columns_of(both)])


def _legs(
    strikes: pl.DataFrame, nearest: Positions, offsets: Positions, *, is_call: bool
) -> pl.Series:
    """The contract at each expiry's n-th strike on that side, n = 1 … 5 in turn; null without."""
    steps = np.array(DEPTHS)
    rows = nearest[:, None] + (-steps if is_call else steps)
    is_listed = (rows >= offsets[:-1, None]) & (rows < offsets[1:, None]) & (nearest >= 0)[:, None]
    places = pl.Series(np.where(is_listed, rows, np.nan).ravel(), nan_to_null=True)
    return strikes["call_row" if is_call else "put_row"][places.cast(pl.UInt32)]


def _side(contracts: pl.DataFrame, legs: pl.Series) -> dict[str, Floats]:
    """Each figure by name, shape (expiries, depths)."""
    rows = contracts[[*_SUMMED, *_WEIGHTED]][legs]
    values = {name: _by_depth(rows[name]) for name in rows.columns}
    sums = {name: known_running_sum(values[name]) for name in _SUMMED}
    means = {
        f"weighted_{name}": weighted_running_mean(values[name], values["open_interest_units"])
        for name in _WEIGHTED
    }
    return sums | means


def _by_depth(values: pl.Series) -> Floats:
    """Shape (expiries, depths); NaN for what is not known."""
    table = values.cast(pl.Float64).to_numpy(writable=True).reshape(-1, len(DEPTHS))
    table[~np.isfinite(table)] = np.nan
    return table


def known_running_sum(values: Floats) -> Floats:
    """Sums over the first 1 … n columns of what is known; NaN while nothing is."""
    is_known = ~np.isnan(values)
    total = np.cumsum(np.where(is_known, values, 0.0), axis=1)
    return np.where(np.cumsum(is_known, axis=1) > 0, total, np.nan)


def weighted_running_mean(values: Floats, weights: Floats) -> Floats:
    """Σ w·x / Σ w over the first 1 … n columns where both are known and w > 0; NaN without."""
    is_counted = ~np.isnan(values) & (weights > 0)
    weight = np.cumsum(np.where(is_counted, weights, 0.0), axis=1)
    total = np.cumsum(np.where(is_counted, weights * values, 0.0), axis=1)
    mean: Floats = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
    return mean
