"""What takes part in the pricing contest: a package behind one frame → frame door.

Here stand the door and the units. The packages' adapters belong in ``array_peers`` and
``scalar_peers``, their list in ``peers``, timing and judging in ``pricing``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.universe import TERMS

Door = Callable[[pl.DataFrame], pl.DataFrame]
Floats = NDArray[np.float64]
Units = Callable[[pl.DataFrame], tuple[Any, Any]]

IV = "implied_volatility"


def ours(_: pl.DataFrame) -> tuple[float, float]:
    """Ours already: a discounted gamma of the forward, vega in ₹ per 0.01."""
    return 1.0, 1.0


def per_unit_vega(_: pl.DataFrame) -> tuple[float, float]:
    """Ours but for vega, which is per 1.00 of volatility."""
    return 1.0, 0.01


def undiscounted_gamma(frame: pl.DataFrame) -> tuple[Floats, float]:
    """As ``per_unit_vega``, with a gamma that still has to be discounted."""
    _, _, _, years, rate, _ = columns(frame)
    return np.exp(-rate * years), 0.01


def of_spot(frame: pl.DataFrame) -> tuple[Floats, float]:
    """∂F/∂S = exp(rT), so a spot's gamma is taken back to the forward's by exp(−2rT)."""
    _, _, _, years, rate, _ = columns(frame)
    return np.exp(-2.0 * rate * years), 0.01


@dataclass(frozen=True, slots=True)
class Contender:
    """A package, ready to be called.

    Attributes:
        imply: adds ``implied_volatility``.
        price: adds the Greeks too, ``gamma`` and ``vega`` among them; None if it has none.
        greek_count: how many of the five Greeks ``price`` delivers for a whole frame.
        units: factors of its gamma and vega to ours (discounted, forward's; ₹ per 0.01).
        is_scalar: called once for each row, thus timed on a part of the rows.
    """

    imply: Door
    price: Door | None = None
    greek_count: int = 0
    units: Units = ours
    is_scalar: bool = False


def columns(frame: pl.DataFrame) -> tuple[Floats, Floats, Floats, Floats, Floats, Any]:
    """``TERMS`` as arrays; a null becomes NaN."""
    *floats, is_call = (frame[name].to_numpy() for name in TERMS)
    premium, forward, strike, years, rate = floats
    return premium, forward, strike, years, rate, is_call


def with_columns(frame: pl.DataFrame, names: Any, rows: Any) -> pl.DataFrame:
    """The frame with more columns, in the order of their names."""
    return frame.with_columns(pl.Series(n, row) for n, row in zip(names, rows, strict=True))
