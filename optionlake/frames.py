"""Answers of the lake for a terminal or another program; what is asked stands in ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import polars as pl
from rich.console import Console

from market.errors import ConfigurationError


def show(frame: pl.DataFrame, output: str, rows: int, console: Console) -> None:
    """Write a frame as ``csv`` or ``json`` to standard output, or as a ``table`` to the console.

    Args:
        rows: as many as a table shows at most.

    Raises:
        ConfigurationError: another output is asked for.
    """
    writers: dict[str, Callable[[], Any]] = {
        "csv": lambda: sys.stdout.write(frame.write_csv()),
        "json": lambda: sys.stdout.write(frame.write_json() + "\n"),
        "table": lambda: _show_table(frame, rows, console),
    }
    if output not in writers:
        raise ConfigurationError(f"format {output!r} is not known, expected table, csv or json")
    writers[output]()


def _show_table(frame: pl.DataFrame, rows: int, console: Console) -> None:
    width = console.width if console.is_terminal else -1
    with pl.Config(
        tbl_rows=rows, tbl_cols=-1, tbl_width_chars=width, tbl_hide_dataframe_shape=True
    ):
        console.print(str(frame), markup=False, highlight=False, soft_wrap=True)
    console.print(f"{frame.height} rows", style="dim")
