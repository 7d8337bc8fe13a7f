"""The documentation names what exists: settings, commands, lake columns, files."""

from __future__ import annotations

import ast
import re
from functools import cache, reduce
from pathlib import Path

import pytest
from typer.main import get_command

from optionlake.cli import app
from optionlake.settings import Settings
from optionlake.simulation import fault_rows
from simulator.faults import scenario
from simulator.faults.catalogue import CATALOGUE
from simulator.server import SimulatorConfig
from storage.lake import Lake
from transforms.columns import WHO
from transforms.schemas import (
    CONTRACTS,
    EXPIRIES,
    ITM,
    LAKE_TABLES,
    MONEYNESS,
    PROFILES,
    QUOTES,
    STRIKES,
    UNDERLYINGS,
)

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_setting_is_documented(name: str) -> None:
    """The page's row holds the name, default and meaning that the code has."""
    field = Settings.model_fields[name]
    variable = field.alias or f"OPTIONLAKE_{name}".upper()
    default = "–" if field.default is None else f"`{field.default}`"
    assert f"| `{variable}` | {default} | {field.description} |" in _text("docs/settings.md")


def test_no_setting_is_made_up() -> None:
    """The page lists nothing that the code does not read."""
    listed = re.findall(r"^\| `([A-Z_]+)` \|", _text("docs/settings.md"), re.MULTILINE)
    known = {f.alias or f"OPTIONLAKE_{n}".upper() for n, f in Settings.model_fields.items()}
    assert set(listed) == known


def test_commands_are_in_the_readme() -> None:
    """Whatever can be typed is named where people begin."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        assert f"optionlake {name}" in _text("README.md"), name


def test_faults_are_those_of_the_catalogue() -> None:
    """The manual's table has each fault once, in order, with its settings and their defaults."""
    listed = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \| (.+) \|$", _manual("Faults"), re.M)
    assert listed == [
        (name, place, CATALOGUE[name].shares, meaning, settings or "–")
        for name, place, meaning, settings in fault_rows()
    ]


def test_switches_for_the_unknown_exist() -> None:
    """Each named field is there, with the default that the manual says."""
    rows = re.findall(r"^\| .+ \| `([\w.]+)` \| `(.+)` \|$", _manual("What nobody knows"), re.M)
    assert rows
    for path, default in rows:
        assert str(reduce(getattr, path.split("."), SimulatorConfig())) == default, path


def test_flags_in_the_manual_exist() -> None:
    """Of the simulator's commands; and every flag of theirs is mentioned."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    flags = {
        flag
        for name in ("simulate", "record")
        for parameter in commands[name].params
        for flag in [*parameter.opts, *parameter.secondary_opts]
        if flag.startswith("--")
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", _text("docs/simulator.md")))
    assert named - {"--help"} <= flags
    assert flags - named <= {"--limits"}


def test_faults_in_the_manual_can_be_asked_for(tmp_path: Path) -> None:
    """The scenario, each flag and each request that is shown are understood."""
    page = _manual("Faults")
    path = tmp_path / "rehearsal.yaml"
    path.write_text(page.split("```yaml")[1].split("```")[0])
    assert len(scenario.load(path).faults) == 4
    flags = re.findall(r"--fault (\S+)", page)
    bodies = re.findall(r"/simulator/faults -d '(.+)'", page)
    assert len(flags) == 3
    assert len(bodies) == 1
    for flag in flags:
        scenario.parse_flag(flag)
    scenario.parse_fault(bodies[0], "the manual")


def _manual(section: str) -> str:
    """One section of the simulator's manual."""
    return _text("docs/simulator.md").split(f"\n## {section}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("table", LAKE_TABLES, ids=lambda t: t.name)
def test_lake_columns_are_documented(table: object) -> None:
    """An analyst finds each column with its unit and meaning."""
    page = _text("docs/analyst.md")
    for column in table.columns:
        assert f"| `{column.name}` | {column.unit or '–'} | {column.meaning} |" in page


PUBLISHED = (CONTRACTS, STRIKES, EXPIRIES, UNDERLYINGS, ITM, MONEYNESS, PROFILES)
# Who and when a row is about, and what was told from outside: not made by a formula.
_TOLD = {c.name for c in (*QUOTES.columns, *WHO)} | {"as_of", "formula_version", "nearest_expiry"}
_TOLD_TOO = {"depth", "bucket", "level", "contract_count"}
UNITS = {(c.name, c.unit) for s in PUBLISHED for c in s.columns if c.name not in _TOLD | _TOLD_TOO}
_METRIC = re.compile(
    r"^\| `(\w+)` \| (.+) \| (.*) \| (.+) \| `(tests/\S+)::(\w+)` \|$", re.MULTILINE
)


@cache
def _metrics() -> list[tuple[str, ...]]:
    return [match.groups() for match in _METRIC.finditer(_text("docs/formulas.md"))]


@cache
def _tests_in(path: str) -> set[str]:
    tree = ast.parse(_text(path))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("name", "unit"), sorted(UNITS), ids=lambda v: v)
def test_every_published_metric_has_a_formula(name: str, unit: str) -> None:
    """With the unit that the schema declares; one that two tables give in two units, twice."""
    listed = {(metric, stated) for metric, _, stated, _, _, _ in _metrics()}
    assert (name, unit or "–") in listed


def test_every_listed_formula_is_published_and_held_by_a_test() -> None:
    """No row for what does not exist, and the test named beside it does."""
    names = {name for name, _ in UNITS}
    for metric, _, _, _, path, test in _metrics():
        assert metric in names, metric
        assert test in _tests_in(path), f"{metric}: {path}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links and pictures exist."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_code_named_in_prose_exists(page: Path) -> None:
    """Files and folders named in backticks are there."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md|sql|yaml|ts))`", text):
        assert (ROOT / name).exists(), name


def test_queries_for_analysts_run(lake: Lake) -> None:
    """Each query that an analyst is given to begin with is accepted by the lake as it is made."""
    block = _text("docs/analyst.md").split("```sql")[1].split("```")[0]
    queries = [query for query in block.split(";") if query.strip()]
    assert len(queries) == 14
    for query in queries:
        lake.query(query)
