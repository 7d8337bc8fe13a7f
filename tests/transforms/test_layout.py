"""Snapshots sorted and numbered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from transforms.layout import LEG_COLUMNS, both_legs, floats, lay_out, spread, starts
from transforms.schemas import QUOTES

AT = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


def quotes(*rows: tuple[str, date, float, bool]) -> pl.DataFrame:
    """Contracts whose bid is their number, in the order given."""
    frame = pl.DataFrame(
        [(*row, float(i), 100.0 + i, AT + timedelta(seconds=i)) for i, row in enumerate(rows)],
        schema=["symbol", "expiry", "strike", "is_call", "bid_price", "spot", "quoted_at"],
        orient="row",
    )
    missing = {
        c.name: pl.lit("x" if c.is_required else None).alias(c.name)
        for c in QUOTES.columns
        if c.name not in frame.columns
    }
    return QUOTES.conform(frame.with_columns(missing.values()))


NEAR, FAR = date(2026, 12, 1), date(2026, 12, 29)
SHUFFLED = quotes(
    ("B", NEAR, 200.0, True),
    ("A", FAR, 150.0, False),
    ("A", NEAR, 100.0, True),
    ("A", NEAR, 100.0, False),
    ("A", NEAR, 110.0, True),
)


def test_rows_are_sorted_and_numbered() -> None:
    """Strikes and expiries are numbered without a gap, puts before calls."""
    book = lay_out(SHUFFLED)
    assert book.contracts["bid_price"].to_list() == [3.0, 2.0, 4.0, 1.0, 0.0]
    assert book.contracts["strike_id"].to_list() == [0, 0, 1, 2, 3]
    assert book.contracts["expiry_id"].to_list() == [0, 0, 0, 1, 2]
    assert book.expiries.select("symbol", "expiry").rows() == [("A", NEAR), ("A", FAR), ("B", NEAR)]


def test_a_strike_finds_its_legs() -> None:
    """By row; an unlisted leg is null everywhere."""
    strikes = lay_out(SHUFFLED).strikes
    assert strikes["call_row"].to_list() == [1, 2, None, 4]
    assert strikes["put_row"].to_list() == [0, None, 3, None]
    assert strikes["call_bid_price"].to_list() == [2.0, 4.0, None, 0.0]
    assert strikes["put_bid_price"].to_list() == [3.0, None, 1.0, None]
    assert {f"put_{name}" for name in LEG_COLUMNS} < set(strikes.columns)


def test_the_later_row_of_a_contract_counts() -> None:
    """Whatever order they come in."""
    both = quotes(("A", NEAR, 100.0, True), ("A", NEAR, 100.0, True))
    for frame in (both, both.reverse()):
        book = lay_out(frame)
        assert book.contracts["bid_price"].to_list() == [1.0]


def test_an_expiry_takes_the_newest_known_spot() -> None:
    """A later row without a spot does not take it away."""
    frame = SHUFFLED.with_columns(spot=pl.when(pl.col("bid_price") != 4.0).then("spot"))
    assert lay_out(frame).expiries["spot"].to_list() == [103.0, 101.0, 100.0]


def test_columns_travel_by_position() -> None:
    """From contracts to strikes, and from an owner to its rows."""
    book = lay_out(SHUFFLED)
    wide = both_legs(book.contracts, book.strikes, ["spot"])
    assert wide["put_spot"].to_list() == [103.0, None, 101.0, None]
    named = spread(book.strikes, book.expiries, "expiry_id", ["symbol"])
    assert named["symbol"].to_list() == ["A", "A", "A", "B"]
    assert starts(book.strikes, "expiry_id", 3).tolist() == [0, 2, 3, 4]


def test_kernels_get_nan_for_null() -> None:
    """In memory that they may write to."""
    values = floats(lay_out(SHUFFLED).strikes, "put_bid_price")
    assert np.isnan(values[1]) and values[0] == 3.0 and values.flags.writeable


@pytest.mark.parametrize("rows", [SHUFFLED.head(0), SHUFFLED.head(1)])
def test_small_snapshots_lie_the_same(rows: pl.DataFrame) -> None:
    """None and one row too."""
    book = lay_out(rows)
    assert len(book.contracts) == len(book.strikes) == len(book.expiries) == len(rows)
    assert book.strikes.columns == lay_out(SHUFFLED).strikes.columns
