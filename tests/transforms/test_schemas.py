"""Schemas: names, meanings and empty frames."""

from __future__ import annotations

import polars as pl
import pytest

from transforms import schemas
from transforms.columns import Schema

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
