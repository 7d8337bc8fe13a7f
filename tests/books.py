"""Small books of quotes for tests of what is held: only the columns that a test names are told."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
from hypothesis import strategies as st

from transforms.build_up import open_interest_change
from transforms.layout import Book, lay_out
from transforms.schemas import QUOTES

AS_OF = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
EXPIRY, LATER = date(2026, 12, 1), date(2026, 12, 29)

_FILLED = {
    "symbol": pl.lit("A"),
    "expiry": pl.lit(EXPIRY),
    "exchange": pl.lit("NSE"),
    "lot_size_units": pl.lit(1),
    "broker_key": pl.lit("x"),
    "source": pl.lit("live"),
    "quoted_at": pl.lit(AS_OF),
}

# Open interest as it may come: often none, sometimes unknown or impossible.
units = st.one_of(
    st.integers(0, 5_000).map(float),
    st.sampled_from([0.0, 0.0, None, float("nan"), float("inf"), -75.0]),
)


def quotes_of(columns: dict[str, object]) -> pl.DataFrame:
    """``schemas.QUOTES`` from some of its columns, the others null or a constant."""
    frame = pl.DataFrame(columns)
    given = frame.with_columns(
        value.alias(name) for name, value in _FILLED.items() if name not in frame.columns
    )
    key = pl.format("{}|{}|{}|{}", "symbol", "expiry", "strike", "is_call")
    named = given.with_columns(contract_id=key)
    missing = (c.name for c in QUOTES.columns if c.name not in named.columns)
    return QUOTES.conform(named.with_columns(pl.lit(None).alias(name) for name in missing))


def book_of(columns: dict[str, object]) -> Book:
    """The same laid out, with each contract's change of open interest."""
    book = lay_out(quotes_of(columns))
    contracts = book.contracts.with_columns(open_interest_change())
    expiries = book.expiries.with_columns(as_of=pl.lit(AS_OF), forward=pl.col("spot"))
    return Book(contracts, book.strikes, expiries)


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Up to three expiries of up to eight strikes, any leg unlisted; one spot for each expiry.

    Strikes and spots are multiples of 2.5, which floats hold exactly, so that they may coincide.
    """
    rows = []
    for expiry in draw(st.lists(st.sampled_from([EXPIRY, LATER, date(2027, 1, 26)]), unique=True)):
        spot = draw(st.one_of(st.none(), st.integers(1, 40).map(lambda n: 2.5 * n)))
        for n in draw(st.lists(st.integers(1, 40), unique=True, max_size=8)):
            for is_call in draw(st.sampled_from([[True], [False], [True, False]])):
                held, before, volume = draw(units), draw(units), draw(st.integers(0, 9))
                rows.append((expiry, 2.5 * n, is_call, spot, held, before, volume))
    schema = {
        "expiry": pl.Date,
        "strike": pl.Float64,
        "is_call": pl.Boolean,
        "spot": pl.Float64,
        "open_interest_units": pl.Float64,
        "previous_open_interest_units": pl.Float64,
        "volume_units": pl.Int64,
    }
    return book_of(pl.DataFrame(rows, schema=schema, orient="row").to_dict())


def is_held(value: float | None) -> bool:
    """Whether an open interest can be counted."""
    return value is not None and np.isfinite(value) and value >= 0
