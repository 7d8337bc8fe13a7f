"""A window's rows in the lake's tables: keyed, written whole, read back.

Which rows belong in a table is decided by the assets; how the lake replaces them, by ``storage``.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from market.session import Window
from storage.lake import Lake
from transforms.columns import Schema
from transforms.schemas import WINDOW


def keyed(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """The frame with the window's columns, which every table of the lake begins with."""
    return frame.with_columns(
        pl.lit(window.day).alias("trading_day"),
        pl.lit(window.slot).alias("slot"),
        pl.lit(window.start_at).alias("window_start_at"),
        pl.lit(window.end_at).alias("window_end_at"),
    )


def unkeyed(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without the window's columns."""
    return frame.drop(column.name for column in WINDOW)


def write(lake: Lake, window: Window, frames: Mapping[Schema, pl.DataFrame]) -> None:
    """Replace the window's rows in each table, all tables in one transaction.

    Raises:
        SchemaMismatch: if a frame does not conform to its table.
        LakeConflict: if other writers kept winning.
    """
    tables = {schema.name: schema.conform(keyed(frame, window)) for schema, frame in frames.items()}
    lake.replace_window(window.day, window.slot, tables)


def read(lake: Lake, window: Window, schema: Schema) -> pl.DataFrame:
    """The window's rows in one table."""
    return lake.window(schema.name, window.day, window.slot)
