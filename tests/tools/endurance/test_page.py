"""The manual's tables: where the runs put them, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.endurance.books import Account
from tools.endurance.page import load_rows, outage_rows, rewritten
from tools.endurance.runs import Latency, LoadResult, OutageResult

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reliability.md").read_text(encoding="utf-8")
_SUMS = Account(1_000, 990, 980, 0, 15, 5, 0.5, 0, 2)
_TOOK = Latency(1.0, 2.0, 3.0, 4.0)
LOAD = LoadResult(10, 50_000, 1_500, _SUMS, _TOOK, _TOOK, _TOOK, _TOOK, (300, 310), 0.5, {})
OUTAGE = OutageResult(10, 10_000, 1_500, True, _SUMS, 9, 1.0, 2.0, 6.0, (300, 450), {})


@pytest.mark.parametrize("name", ["load", "outage", "outage-kill"])
def test_a_table_stands_between_its_markers_alone(name: str) -> None:
    """Everything around it is left as it was, and a second run replaces the first."""
    rows = load_rows(LOAD) if name == "load" else outage_rows(OUTAGE)
    once = rewritten(PAGE, name, rows)
    begin, end = f"<!-- endurance {name}: begin -->", f"<!-- endurance {name}: end -->"
    assert once.split(begin)[0] == PAGE.split(begin)[0]
    assert once.split(end)[1] == PAGE.split(end)[1]
    assert "1,000" in once.split(begin)[1].split(end)[0]
    assert rewritten(once, name, rows) == once


def test_rows_say_what_was_measured() -> None:
    """Numbers with units, and the goal beside them."""
    rows = {what: (measured, goal) for what, measured, goal in outage_rows(OUTAGE)}
    assert rows["unaccounted"] == ("5 ticks (0.5 ms)", "≤ 100 ms")
    assert rows["memory before, most until drained"] == ("300 MB, 450 MB (+150 MB)", "≤ +200 MB")
    assert rows["drained, the feed going on"] == ("2.0 s, 6.0 × the live rate", "≥ 5 ×")


def test_a_loss_is_not_well() -> None:
    """Without a kill not a tick may be missing; with one, what was on its way."""
    assert not LOAD.is_well
    assert OUTAGE.is_well
