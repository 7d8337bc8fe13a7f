"""Put-call ratios."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from transforms.sentiment import open_interest_sums, put_call_ratios, volume_sums


def ratios(
    rows: list[tuple[bool, float | None, int | None]],
) -> tuple[float | None, float | None]:
    """PCR by open interest and by volume of rows (is_call, open interest, volume)."""
    schema = {
        "is_call": pl.Boolean,
        "open_interest_units": pl.Float64,
        "volume_units": pl.Int64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(symbol=pl.lit("A"))
    sums = frame.group_by("symbol").agg(*open_interest_sums(), *volume_sums())
    return sums.select(put_call_ratios()).row(0)


def test_published(oracle_path: Callable[[str], Path]) -> None:
    """The published ratios, to the digits that were printed."""
    cases = [c for c in json.loads(oracle_path("oracles.json").read_text()) if c["fn"] == "pcr"]
    assert cases
    for case in cases:
        found, _ = ratios([(True, case["call_oi"], None), (False, case["put_oi"], None)])
        assert found == pytest.approx(case["expect"], abs=case["tol"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(True, 10.0, 4), (False, 5.0, 8)], (0.5, 2.0)),
        ([(True, 0.0, 0), (False, 5.0, 8)], (None, None)),
        ([(True, None, None), (False, 5.0, 8)], (None, None)),
        ([(True, 10.0, 4), (False, None, None)], (None, None)),
        ([(False, 5.0, 8)], (None, None)),
        ([(True, 10.0, 4), (False, 0.0, 0)], (0.0, 0.0)),
        ([(True, 10.0, None), (True, None, 4), (False, 5.0, 8)], (0.5, 2.0)),
    ],
)
def test_null_is_not_zero(
    rows: list[tuple[bool, float | None, int | None]], expected: tuple[float | None, ...]
) -> None:
    """Null when the calls sum to nothing or a side is unknown; zero only when puts are zero."""
    assert ratios(rows) == expected
