"""The one bridge between frames and the compiled kernels: volatility and Greeks of each row.

``price`` implies the volatility from the row's own premium; ``greeks_at`` takes it as given, for
legs that share their strike's volatility. Which premium is fit belongs in ``smile``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.errors import SchemaMismatch
from transforms.black76 import GREEKS, greeks_of_rows
from transforms.implied_vol import IV_STATUSES, UNKNOWN_RIGHT, implied_volatility_of_rows

_TERMS = ("forward", "strike", "years_to_expiry", "rate")
_STATUS_NAMES = pl.Series("iv_status", IV_STATUSES)


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
    return greeks_at(imply(frame))


def imply(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``implied_volatility`` and ``iv_status`` only; arguments and errors as ``price``."""
    premium, forward, strike, years, rate = _floats(frame, ("premium", *_TERMS))
    volatility, codes = implied_volatility_of_rows(
        premium, forward, strike, years, rate, _rights(frame)
    )
    return frame.with_columns(
        pl.Series("implied_volatility", volatility, nan_to_null=True),
        _STATUS_NAMES.gather(codes),
    )


def greeks_at(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the Greeks at a given ``implied_volatility``; null where it, or another input, is null.

    Args:
        frame: as for ``price``, with ``implied_volatility`` in place of ``premium``.

    Raises:
        SchemaMismatch: naming each column that is missing or not numeric.
    """
    names = (*_TERMS, "implied_volatility")
    forward, strike, years, rate, volatility = _floats(frame, names)
    rights = _rights(frame)
    volatility = np.where(rights == UNKNOWN_RIGHT, np.nan, volatility)
    values = greeks_of_rows(forward, strike, years, rate, volatility, rights == 1)
    return frame.with_columns(
        pl.Series(name, row, nan_to_null=True) for name, row in zip(GREEKS, values, strict=True)
    )


def _floats(frame: pl.DataFrame, names: Sequence[str]) -> list[NDArray[np.float64]]:
    _require(frame, (*names, "is_call"))
    try:
        # A null becomes NaN, which the kernels answer with a status. Always writable memory: for
        # read-only arrays, which Polars lends where it can, they would compile once more.
        return [frame[name].cast(pl.Float64).to_numpy(writable=True) for name in names]
    except pl.exceptions.PolarsError as error:
        raise SchemaMismatch(f"columns {list(names)} must be numeric: {error}") from error


def _rights(frame: pl.DataFrame) -> NDArray[np.int8]:
    try:
        codes = frame["is_call"].cast(pl.Boolean).cast(pl.Int8).fill_null(UNKNOWN_RIGHT)
    except pl.exceptions.PolarsError as error:
        raise SchemaMismatch(f"column is_call must be boolean: {error}") from error
    return codes.to_numpy(writable=True)


def _require(frame: pl.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"pricing needs columns {missing}; the frame has {frame.columns}")
