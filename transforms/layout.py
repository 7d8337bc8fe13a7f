"""How a snapshot lies in memory: contracts, strikes and expiries, sorted and numbered.

All steps of the analysis work on three frames in one order, so that a strike finds its two legs,
and an expiry its strikes, by position instead of by a search. What is computed from them belongs
in the steps; how they are composed, in ``chain``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_EXPIRY = ("symbol", "expiry")
_STRIKE = ("symbol", "expiry", "strike")
_CONTRACT = (*_STRIKE, "is_call")

LEG_COLUMNS = (
    "bid_price",
    "ask_price",
    "last_price",
    "last_traded_at",
    "quoted_at",
    "volume_units",
    "open_interest_units",
    "previous_open_interest_units",
)
"""What a strike is told of each of its legs: columns ``call_…`` and ``put_…``."""


@dataclass(frozen=True, slots=True)
class Book:
    """A snapshot, sorted.

    Attributes:
        contracts: one row per contract, sorted by symbol, expiry, strike, put before call; with
            ``expiry_id`` and ``strike_id`` (UInt32), the row numbers in the other two frames.
        strikes: one row per strike, sorted: ``expiry_id``, ``strike``, ``call_row`` and ``put_row``
            (row numbers in ``contracts``, null if not listed) and both legs' ``LEG_COLUMNS``.
        expiries: one row per expiry, sorted: ``symbol``, ``expiry``, ``spot`` and ``quoted_at``,
            the newest of the expiry.
    """

    contracts: pl.DataFrame
    strikes: pl.DataFrame
    expiries: pl.DataFrame


def lay_out(quotes: pl.DataFrame) -> Book:
    """Sort and number a conforming ``schemas.QUOTES`` frame.

    Of two rows for one contract the later ``quoted_at`` counts; an expiry's spot is the latest one
    that is known.
    """
    contracts = _numbered(_newest(quotes))
    strikes = _strikes(contracts)
    spots = _spots(quotes)
    expiries = contracts[list(_EXPIRY)].unique(maintain_order=True)
    return Book(contracts, strikes, expiries.join(spots, on=_EXPIRY, maintain_order="left"))


def both_legs(contracts: pl.DataFrame, strikes: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The strikes with each leg's ``names`` added as ``call_…`` and ``put_…``; null if unlisted."""
    legs = contracts[list(names)]
    columns = [
        leg.alias(f"{side}_{leg.name}")
        for side in ("call", "put")
        for leg in legs[strikes[f"{side}_row"]].get_columns()
    ]
    return beside(strikes, columns)


def spread(
    frame: pl.DataFrame, owners: pl.DataFrame, key: str, names: Sequence[str]
) -> pl.DataFrame:
    """Add the owner's ``names`` to each row: ``key`` is the row number in ``owners``."""
    return beside(frame, owners[list(names)][frame[key]].get_columns())


def beside(frame: pl.DataFrame, columns: Sequence[pl.Series]) -> pl.DataFrame:
    """The frame with columns added, or replaced where it has one of that name.

    A plain addition costs a microsecond, where ``with_columns`` makes a plan of the whole frame.
    """
    known = set(frame.columns)
    if any(column.name in known for column in columns):
        return frame.with_columns(columns)
    return frame.hstack(list(columns))


def columns_of(values: Mapping[str, NDArray[np.float64]]) -> list[pl.Series]:
    """A kernel's answers as columns: null for NaN."""
    return [pl.Series(name, found, nan_to_null=True) for name, found in values.items()]


def starts(frame: pl.DataFrame, key: str, count: int) -> Positions:
    """Where each owner's rows begin, shape (count + 1): owner i has rows [s[i], s[i + 1])."""
    owners = frame[key].to_numpy()
    return np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)


def floats(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A column for a compiled kernel: contiguous, writable, NaN for null.

    Polars lends read-only memory where it can, for which kernels would be compiled once more.
    """
    column = frame.get_column(name)
    known = column if column.dtype == pl.Float64 else column.cast(pl.Float64)
    return known.to_numpy(writable=True)


def _newest(quotes: pl.DataFrame) -> pl.DataFrame:
    """One row per contract, sorted; mostly they come so, which is cheaper to see than to make."""
    if quotes.select(_is_ascending()).item():
        return quotes
    ordered = quotes.sort(*_CONTRACT, "quoted_at", "spot", "last_price", nulls_last=False)
    return ordered.unique(subset=list(_CONTRACT), keep="last", maintain_order=True)


@cache
def _is_ascending() -> pl.Expr:
    """Whether each row's key is above that of the row before."""
    is_above = pl.lit(value=False)
    for name in reversed(_CONTRACT):
        now, before = pl.col(name), pl.col(name).shift()
        is_above = (now > before) | ((now == before) & is_above)
    return is_above.slice(1).all()


def _spots(quotes: pl.DataFrame) -> pl.DataFrame:
    at, spot = pl.col("quoted_at"), pl.col("spot")
    told_at = at.filter(spot.is_not_null()).max()
    return quotes.group_by(_EXPIRY).agg(spot.filter(at == told_at).max(), at.max())


def _numbered(contracts: pl.DataFrame) -> pl.DataFrame:
    return contracts.with_columns(
        expiry_id=pl.struct(_EXPIRY).rle_id(), strike_id=pl.struct(_STRIKE).rle_id()
    )


def _strikes(contracts: pl.DataFrame) -> pl.DataFrame:
    number, is_call = contracts["strike_id"].to_numpy(), contracts["is_call"].to_numpy()
    is_first = np.diff(number, prepend=np.uint32(len(number))) != 0
    first = contracts[["expiry_id", "strike"]][np.flatnonzero(is_first)]
    # Told that it is sorted, Polars groups by runs instead of by hashes.
    strikes = pl.DataFrame([first["expiry_id"].set_sorted(), first["strike"]])
    legs = (("call_row", is_call), ("put_row", ~is_call))
    rows = [_rows_of(name, number, is_own, len(strikes)) for name, is_own in legs]
    return both_legs(contracts, beside(strikes, rows), LEG_COLUMNS)


def _rows_of(
    name: str, number: NDArray[np.uint32], is_own: NDArray[np.bool_], count: int
) -> pl.Series:
    """The row of each strike's call (or put), null where it is not listed."""
    rows, found = np.flatnonzero(is_own), np.full(count, np.nan)
    found[number[rows]] = rows
    return pl.Series(name, found, nan_to_null=True).cast(pl.UInt32)
