"""What the assets tell about what they wrote: counts, schema, preview; for people, not programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from transforms.columns import Schema

PREVIEW_ROWS, PREVIEW_COLUMNS = 8, 12
# Columns that are the same in each row of a window, or too long to read.
_NOT_PREVIEWED = {"trading_day", "slot", "window_start_at", "window_end_at", "body_zstd", "sha256"}


def told(schema: Schema, frame: pl.DataFrame, seconds: float) -> dict[str, Any]:
    """Metadata of one written table.

    Args:
        seconds: how long it took, wall clock.
    """
    return {
        "dagster/row_count": frame.height,
        "dagster/column_schema": column_schema(schema),
        "seconds": round(seconds, 3),
        "preview": dg.MetadataValue.md(markdown(frame)),
        **_as_of_range(frame),
    }


def column_schema(schema: Schema) -> dg.TableSchema:
    """The columns as declared, with unit and meaning as their description."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=str(column.dtype),
                description=f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
                constraints=dg.TableColumnConstraints(nullable=not column.is_required),
            )
            for column in schema.columns
        ]
    )


def markdown(frame: pl.DataFrame) -> str:
    """The first rows and columns as a Markdown table."""
    shown = [name for name in frame.columns if name not in _NOT_PREVIEWED][:PREVIEW_COLUMNS]
    config = pl.Config(
        tbl_formatting="MARKDOWN",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_cols=PREVIEW_COLUMNS,
        tbl_rows=PREVIEW_ROWS,
        tbl_width_chars=400,
        fmt_str_lengths=40,
    )
    with config:
        return str(frame.select(shown).head(PREVIEW_ROWS))


def _as_of_range(frame: pl.DataFrame) -> Mapping[str, dg.TimestampMetadataValue]:
    if "as_of" not in frame.columns or frame.is_empty():
        return {}
    first, last = frame["as_of"].min(), frame["as_of"].max()
    return {
        "as_of_first": dg.MetadataValue.timestamp(first),
        "as_of_last": dg.MetadataValue.timestamp(last),
    }
