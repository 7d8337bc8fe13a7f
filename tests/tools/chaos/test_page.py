"""The manual's table names every scenario, and its rows are those of the run."""

from __future__ import annotations

import re
from pathlib import Path

from tools.chaos.books import Account
from tools.chaos.page import rewritten
from tools.chaos.scenarios import BY_NAME, SCENARIOS, SHORT
from tools.chaos.trial import Outcome, Skipped

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reliability.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \|(.+)\|$", re.MULTILINE)


def test_every_scenario_is_in_the_table() -> None:
    """Once, in order, and none that does not exist."""
    assert [name for name, _ in _ROW.findall(PAGE)] == [s.name for s in SCENARIOS]


def test_every_book_in_the_table_balances() -> None:
    """A scenario that was played has no duplicate and nothing unaccounted."""
    for name, cells in _ROW.findall(PAGE):
        if "not played" not in cells:
            *_, duplicates, unaccounted = (cell.strip() for cell in cells.split("|"))
            assert (duplicates, unaccounted) == ("0", "0"), name


def test_short_form_is_part_of_the_whole() -> None:
    """The suite plays nothing that the table does not have."""
    assert set(SHORT) <= {s.name for s in SCENARIOS}


def test_rows_are_replaced_one_by_one() -> None:
    """A run of one scenario leaves the others' rows alone; a reason stands where none was run."""
    sums = Account(111, 222, 222, 0, 0, 0, 33, 0, ())
    first, second = SCENARIOS[0].name, SCENARIOS[1].name
    page = rewritten(
        PAGE, {first: Outcome(first, None, 1.0, sums, 9, 9), second: Skipped("no such luck")}
    )
    rows, before = dict(_ROW.findall(page)), dict(_ROW.findall(PAGE))
    assert list(rows) == list(before)
    assert "| 111 | 222 | 222 | 33 |" in rows[first]
    assert "not played: no such luck" in rows[second]
    assert all(rows[name] == before[name] for name in before if name not in (first, second))
    assert page.split("<!-- chaos")[0] == PAGE.split("<!-- chaos")[0]


def test_promised_times_are_kept_or_not() -> None:
    """Late is wrong, and so is never having noticed what had to be noticed."""
    cut, stall = BY_NAME["network_cut"], BY_NAME["half_open"]
    sums = Account(1, 1, 1, 0, 0, 0, 0, 0, ())
    told = [
        Outcome("x", noticed_s, recovery_s, sums, 9, 9)
        for noticed_s, recovery_s in ((4.9, 1.9), (None, 1.9), (5.1, 2.1))
    ]
    assert [cut.is_kept_by(outcome) for outcome in told] == [True, True, False]
    assert [stall.is_kept_by(outcome) for outcome in told] == [True, False, False]
