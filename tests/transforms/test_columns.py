"""What conforming to a schema means, and what its errors name."""

from __future__ import annotations

import polars as pl
import pytest

from market.errors import SchemaMismatch
from transforms.schemas import TICK_BARS, VIOLATIONS


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
