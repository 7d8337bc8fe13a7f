"""The one bridge between frames and the compiled kernels: volatility and Greeks of each row.

``price`` implies the volatility from the row's own premium; ``greeks_at`` takes it as given, for
legs that share their strike's volatility. Which premium is fit belongs in ``smile``. ``priced`` is
``price`` as an expression, for lazy frames; on frames at hand ``price`` is the faster door.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.errors import SchemaMismatch
from transforms.black76 import CROSS_GREEKS, GREEKS, cross_greeks_of_rows, greeks_of_rows
from transforms.implied_vol import (
    IV_STATUSES,
    UNKNOWN_RIGHT,
    implied_volatility_and_greeks_of_rows,
    implied_volatility_of_rows,
)
from transforms.layout import beside

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)

_TERMS = ("forward", "strike", "years_to_expiry", "rate")
_INPUTS = ("premium", *_TERMS)
_VOLATILITY = "implied_volatility"
_STATUS_NAMES = pl.Series("iv_status", IV_STATUSES)
_PRICED = pl.Struct(
    {_VOLATILITY: pl.Float64, "iv_status": pl.String, **dict.fromkeys(GREEKS, pl.Float64)}
)


def price(frame: pl.DataFrame) -> pl.DataFrame:
    """Add implied volatility, its status and the Greeks to each row.

    Args:
        frame: needs ``premium`` (discounted ₹), ``forward``, ``strike`` (₹), ``years_to_expiry``
            (525 600 min), ``rate`` (continuous, per year) and ``is_call``; any numeric type. Other
            columns and the row order are kept; columns of the added names are replaced.

    Returns:
        The frame with ``implied_volatility`` (fraction), ``iv_status`` (``IV_STATUSES``) and
        ``black76.GREEKS`` in published units; all null but the status unless it is ``ok``.

    Raises:
        SchemaMismatch: naming each column that is missing or not numeric.
    """
    return _with(frame, _priced_columns(frame))


def imply(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``implied_volatility`` and ``iv_status`` only; arguments and errors as ``price``."""
    volatility, codes = implied_volatility_of_rows(*_quotes(frame))
    return _with(frame, [_column(_VOLATILITY, volatility), _statuses(codes)])


def greeks_at(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the Greeks at a given ``implied_volatility``; null where it, or another input, is null.

    Args:
        frame: as for ``price``, with ``implied_volatility`` in place of ``premium``.

    Raises:
        SchemaMismatch: naming each column that is missing or not numeric.
    """
    values = greeks_of_rows(*_terms_at(frame))
    return _with(frame, map(_column, GREEKS, values))


def cross_greeks_at(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``black76.CROSS_GREEKS`` at a given ``implied_volatility``, as ``greeks_at`` does."""
    values = cross_greeks_of_rows(*_terms_at(frame))
    return _with(frame, map(_column, CROSS_GREEKS, values))


def priced() -> pl.Expr:
    """``price`` as an expression: a struct of what it adds, for lazy and streaming queries.

    ``frame.with_columns(priced().struct.unnest())`` on a lazy frame with the columns that ``price``
    needs. A column that is missing or not numeric raises Polars' own error when collected. The
    detour costs a query half a millisecond.
    """
    inputs = [pl.col(name).cast(pl.Float64) for name in _INPUTS]
    return (
        pl.struct(*inputs, pl.col("is_call").cast(pl.Boolean))
        .map_batches(_priced_struct, return_dtype=_PRICED, is_elementwise=True)
        .alias("priced")
    )


def _priced_struct(inputs: pl.Series) -> pl.Series:
    return pl.DataFrame(_priced_columns(inputs.struct.unnest())).to_struct()


def _priced_columns(frame: pl.DataFrame) -> list[pl.Series]:
    volatility, codes, greeks = implied_volatility_and_greeks_of_rows(*_quotes(frame))
    first = [_column(_VOLATILITY, volatility), _statuses(codes)]
    return [*first, *map(_column, GREEKS, greeks)]


def _quotes(frame: pl.DataFrame) -> tuple[Floats, Floats, Floats, Floats, Floats, Codes]:
    """The kernels' arguments where the volatility is wanted."""
    premium, forward, strike, years, rate = _floats(frame, _INPUTS)
    return premium, forward, strike, years, rate, _rights(frame)


def _terms_at(frame: pl.DataFrame) -> tuple[Floats, Floats, Floats, Floats, Floats, Flags]:
    """The kernels' arguments where the volatility is given: NaN where the right is unknown."""
    forward, strike, years, rate, volatility = _floats(frame, (*_TERMS, _VOLATILITY))
    rights = _rights(frame)
    known = _lent(np.where(rights == UNKNOWN_RIGHT, np.nan, volatility))
    return forward, strike, years, rate, known, _lent(rights == 1)


# What follows takes a chain of 200 rows through Polars in some 50 µs: single series and ``hstack``
# cost about a microsecond where an expression costs thirty.


def _floats(frame: pl.DataFrame, names: Sequence[str]) -> list[Floats]:
    _require(frame, (*names, "is_call"))
    try:
        return [_float_array(frame.get_column(name)) for name in names]
    except pl.exceptions.PolarsError as error:
        raise SchemaMismatch(f"columns {list(names)} must be numeric: {error}") from error


def _float_array(column: pl.Series) -> Floats:
    """The column's own memory where it can be lent, with NaN for null.

    Always marked read-only, lent or copied: numba compiles a kernel for each mixture of the two
    that it meets, and ``warm`` meets this one.
    """
    if column.dtype != pl.Float64:
        column = column.cast(pl.Float64)
    return _lent(column.to_numpy())


def _lent(array: NDArray[Number]) -> NDArray[Number]:
    array.setflags(write=False)
    return array


def _rights(frame: pl.DataFrame) -> NDArray[np.int8]:
    column = frame.get_column("is_call")
    try:
        flags = column if column.dtype == pl.Boolean else column.cast(pl.Boolean)
    except pl.exceptions.PolarsError as error:
        raise SchemaMismatch(f"column is_call must be boolean: {error}") from error
    if flags.null_count():
        return _lent(flags.cast(pl.Int8).fill_null(UNKNOWN_RIGHT).to_numpy())
    return _lent(flags.to_numpy().view(np.int8))


def _require(frame: pl.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"pricing needs columns {missing}; the frame has {frame.columns}")


def _column(name: str, values: Floats) -> pl.Series:
    return pl.Series(name, values, nan_to_null=True)


def _statuses(codes: NDArray[np.int8]) -> pl.Series:
    if codes.any():
        return _STATUS_NAMES[codes]
    return _STATUS_NAMES.new_from_index(0, len(codes))


def _with(frame: pl.DataFrame, columns: Iterable[pl.Series]) -> pl.DataFrame:
    return beside(frame, list(columns))
