"""A contender's process: it answers in lines of JSON, and survives a question that fails."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import alone, universe, worker
from benchmarks.peers import CONTENDERS, OURS


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A small chain on disk."""
    path = tmp_path / "chain"
    universe.chain(20).select(universe.TERMS).write_parquet(path)
    return path


def test_ours_in_its_process(chain: Path, tmp_path: Path) -> None:
    """It says hello, solves, times and survives a bad question."""
    into = tmp_path / "answers"
    with alone.Alone("benchmarks.worker", OURS) as program:
        assert program.hello == {"doors": ["imply", "price"], "greeks": 5, "is_scalar": False}
        assert "error" in program.ask(act="solve", path="nowhere", into=str(into))
        assert program.ask(act="solve", path=str(chain), into=str(into)) == {}
        timed = program.ask(act="time", path=str(chain), door="price", calls=2)
        assert timed["seconds"] > 0
        assert program.ask(act="nasty") == {"wrong": []}
    solved = pl.read_parquet(into)
    assert solved.columns == ["implied_volatility", "gamma", "vega"]
    assert solved["implied_volatility"].is_finite().sum() > 10


def test_solved_is_in_our_units() -> None:
    """Ours come out as they are; a null becomes NaN."""
    frame = universe.chain(20).select(universe.TERMS).with_columns(strike=pl.lit(None, pl.Float64))
    assert worker.solved(CONTENDERS[OURS](), frame)["vega"].is_nan().all()


def test_missing_package() -> None:
    """One that cannot be imported says so at once and asks for nothing."""
    said = io.StringIO()
    worker.main("volfi", io.StringIO('{"act": "nasty"}\n'), said)
    (only,) = said.getvalue().splitlines()
    assert "No module named 'volfi'" in json.loads(only)["missing"]


def test_errors_are_answers() -> None:
    """A wrong question is answered with its error, the next one still is."""
    said = io.StringIO()
    worker.main(OURS, io.StringIO('{"act": "time", "path": "x"}\n{"act": "nasty"}\n'), said)
    _, first, second = map(json.loads, said.getvalue().splitlines())
    assert "error" in first
    assert second == {"wrong": []}


def test_seconds_are_a_median() -> None:
    """The door is called so many times."""
    called: list[int] = []

    class Door:
        def imply(self, frame: pl.DataFrame) -> pl.DataFrame:
            called.append(len(frame))
            return frame

    taken = worker.seconds(Door(), "imply", pl.DataFrame({"a": np.zeros(3)}), 5)  # type: ignore[arg-type]
    assert called == [3] * 5
    assert taken >= 0
