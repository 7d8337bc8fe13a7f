"""Schemas: what conforms, and what the errors name."""

from __future__ import annotations

import polars as pl
import pytest

from market.errors import SchemaMismatch
from transforms import schemas
from transforms.schemas import TICK_BARS, VIOLATIONS, Schema

ALL = [value for value in vars(schemas).values() if isinstance(value, Schema)]


@pytest.mark.parametrize("schema", ALL, ids=lambda s: s.name)
def test_names_are_unique_and_meanings_given(schema: Schema) -> None:
    """A schema names each column once and says what it means."""
    names = [column.name for column in schema.columns]
    assert len(names) == len(set(names))
    assert all(column.meaning for column in schema.columns)
    assert schema.grain.startswith("one row per")


@pytest.mark.parametrize("schema", ALL, ids=lambda s: s.name)
def test_empty_conforms(schema: Schema) -> None:
    """An empty frame conforms, whatever else it carries."""
    wide = schema.empty().with_columns(extra=pl.lit(1))
    assert schema.conform(wide).schema == schema.polars


def test_conform_orders_and_casts() -> None:
    """Columns come out in the declared order and type."""
    row = {
        "detail": "d",
        "strike": 100,
        "expiry": None,
        "symbol": "S",
        "severity": "W",
        "rule": "Q",
    }
    found = VIOLATIONS.conform(pl.DataFrame([row]))
    assert found.columns == [column.name for column in VIOLATIONS.columns]
    assert found["strike"].dtype == pl.Float64


def test_errors_name_the_column() -> None:
    """Missing, null where required, and of an impossible type: each error names its column."""
    good = VIOLATIONS.empty()
    with pytest.raises(SchemaMismatch, match="detail"):
        VIOLATIONS.conform(good.drop("detail"))
    with pytest.raises(SchemaMismatch, match="tick_count"):
        TICK_BARS.conform(TICK_BARS.empty().clear(1))
    with pytest.raises(SchemaMismatch, match="violations"):
        VIOLATIONS.conform(good.clear(1).with_columns(strike=pl.lit("not a price")))
