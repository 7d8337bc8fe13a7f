"""Frames for people and programs."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest
from rich.console import Console

from market.errors import ConfigurationError
from optionlake.frames import show

FRAME = pl.DataFrame({"symbol": ["NIFTY", "TCS"], "spot": [24_000.5, 3_100.0]})


def _shown(output: str, rows: int = 40) -> str:
    text = io.StringIO()
    show(FRAME, output, rows, Console(file=text, width=100))
    return text.getvalue()


def test_a_table_is_for_people() -> None:
    """Columns, values, and how many rows there are beyond those shown."""
    assert all(word in _shown("table") for word in ("symbol", "24000.5", "2 rows"))


def test_csv_and_json_are_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole, on standard output, and nothing else there."""
    _shown("csv")
    assert capsys.readouterr().out == "symbol,spot\nNIFTY,24000.5\nTCS,3100.0\n"
    _shown("json")
    assert json.loads(capsys.readouterr().out) == FRAME.to_dicts()


def test_another_output_is_refused() -> None:
    """The error names what is expected."""
    with pytest.raises(ConfigurationError, match="table, csv or json"):
        _shown("xml")
