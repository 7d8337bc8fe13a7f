"""What people read about a table: its size, its columns with units, its first rows."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from orchestration.metadata import PREVIEW_ROWS, column_schema, markdown, told
from transforms.schemas import EXPIRY_METRICS, UNDERLYING_ROLLUP


def test_every_column_is_described_with_its_unit() -> None:
    """The column list in the catalogue is the declared schema."""
    described = {c.name: c for c in column_schema(EXPIRY_METRICS).columns}
    assert list(described) == [c.name for c in EXPIRY_METRICS.columns]
    assert described["forward_mad_bp"].description.endswith("[basis points]")
    assert not described["symbol"].constraints.nullable


def test_the_preview_is_short_and_leaves_bodies_out() -> None:
    """Never a payload's bytes, never more than a few rows."""
    frame = pl.DataFrame({"symbol": ["NIFTY"] * 50, "body_zstd": [b"x"] * 50})
    lines = markdown(frame).splitlines()
    assert "body_zstd" not in lines[0]
    assert len(lines) == PREVIEW_ROWS + 2
    assert all(line.startswith("|") for line in lines)


def test_the_range_of_instants_is_told() -> None:
    """First and last ``as_of``; an empty table has none."""
    first, last = datetime(2026, 11, 23, 4, tzinfo=UTC), datetime(2026, 11, 23, 5, tzinfo=UTC)
    frame = pl.DataFrame({"as_of": [last, first]})
    metadata = told(UNDERLYING_ROLLUP, frame, 0.5)
    assert metadata["as_of_first"].value == first.timestamp()
    assert metadata["as_of_last"].value == last.timestamp()
    assert metadata["dagster/row_count"] == 2
    assert "as_of_first" not in told(UNDERLYING_ROLLUP, frame.clear(), 0.5)
