"""How findings are written: their frame, places and words."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from transforms.quality.findings import cents, findings, is_price, leg, words
from transforms.schemas import VIOLATIONS

ROWS = pl.DataFrame(
    {"symbol": ["A", "B"], "expiry": [date(2026, 12, 1), None], "strike": [1.0, 2.0]},
)


def test_a_finding_for_each_row() -> None:
    """Each row's place, one severity or one for each."""
    one = findings(ROWS, "Q03", "E", pl.lit("bad"))
    assert one.rows() == [
        ("Q03", "E", "A", date(2026, 12, 1), 1.0, "bad"),
        ("Q03", "E", "B", None, 2.0, "bad"),
    ]
    each = findings(ROWS, "Q03", pl.col("symbol"), pl.lit("bad"), has_strike=False)
    assert each.select("severity", "strike").rows() == [("A", None), ("B", None)]


def test_no_rows_no_findings() -> None:
    """Of no rows not even the columns are looked at."""
    assert_frame_equal(findings(pl.DataFrame(), "Q03", "E", pl.col("x")), VIOLATIONS.empty())


def test_words_name_what_is_missing() -> None:
    """A null neither empties the sentence nor reads as a number."""
    frame = pl.DataFrame({"a": [1.239, None], "is_call": [True, False]})
    said = frame.select(words("{} at {} of {}", leg(), cents(pl.col("a")), "a")).to_series()
    assert said.to_list() == ["call at 1.24 of 1.239", "put at none of none"]


@pytest.mark.parametrize("value", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_price(value: float | None) -> None:
    """Zero is a broker's padding, and the rest is no number to compare with."""
    frame = pl.DataFrame({"p": [value, 0.05]}, schema={"p": pl.Float64})
    assert frame.select(is_price("p")).to_series().to_list() == [False, True]
