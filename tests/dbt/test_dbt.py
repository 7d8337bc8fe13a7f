"""The dbt project on its own: conventions of its files, and its tests that can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from market.rules import Rules
from market.session import windows
from orchestration.dbt_project import DBT, PROJECT, prepare_profile
from orchestration.window_tables import keyed, write
from storage.lake import Lake, LakeConfig
from transforms.columns import INSTANT, Schema
from transforms.schemas import EXPIRY_METRICS, STRIKE_EXPOSURE, WINDOW

WINDOWS = windows(Rules(), date(2026, 11, 20), 5)[:2]
MODELS = sorted((PROJECT / "models").rglob("*.sql"))


@dataclass(frozen=True, slots=True)
class Dbt:
    """dbt on a test's own lake."""

    folder: Path

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        folders = ("--project-dir", str(PROJECT), "--profiles-dir", str(self.folder))
        outputs = {"DBT_TARGET_PATH": str(self.folder), "DBT_LOG_PATH": str(self.folder)}
        return subprocess.run(
            [sys.executable, str(DBT), "--no-use-colors", *arguments, *folders],
            env={**os.environ, **outputs},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def dbt(tmp_path: Path, parsed_dbt: Path, lake_config: LakeConfig, lake: Lake) -> Dbt:
    """dbt with a filled profile, beside an open lake that has its tables."""
    folder = tmp_path / "dbt"
    prepare_profile(folder, lake_config)
    return Dbt(folder)


def row(schema: Schema, **known: object) -> dict[str, object]:
    """A row of a table, with anything in the columns that a test does not care for."""
    filler: dict[object, object] = {
        pl.String: "x",
        pl.Float64: 1.0,
        pl.Int64: 1,
        pl.List(pl.Float64): [1.0],
        pl.Date: date(2026, 11, 23),
        INSTANT: WINDOWS[0].end_at,
    }
    own = [c for c in schema.columns if c not in WINDOW]
    return {c.name: known.get(c.name, filler[c.dtype]) for c in own}


def fill(lake: Lake, net_of_expiry: float) -> None:
    """Two windows of one expiry with two strikes of 5 and −3 ₹ crore."""
    for window in WINDOWS:
        strikes = [
            row(
                STRIKE_EXPOSURE,
                symbol="NIFTY",
                strike=strike,
                call_gex_crore_per_percent=net,
                put_gex_crore_per_percent=None,
                net_gex_crore_per_percent=net,
            )
            for strike, net in ((25000.0, 5.0), (25100.0, -3.0))
        ]
        expiries = [
            row(
                EXPIRY_METRICS,
                symbol="NIFTY",
                net_gex_crore_per_percent=net_of_expiry,
                gross_gex_crore_per_percent=8.0,
                put_open_interest_units=3.0,
                call_open_interest_units=2.0,
                pcr_open_interest=1.5,
            )
        ]
        tables = {STRIKE_EXPOSURE: strikes, EXPIRY_METRICS: expiries}
        frames = {
            schema: keyed(pl.DataFrame(rows, infer_schema_length=None), window)
            for schema, rows in tables.items()
        }
        write(lake, window, frames)


def test_marts_are_built_and_their_identities_hold(dbt: Dbt, lake: Lake) -> None:
    """All models, data tests and the unit test pass; a broken identity then fails its test."""
    fill(lake, net_of_expiry=2.0)
    built = dbt("build")
    assert built.returncode == 0, built.stdout[-4000:]
    marts = lake.query("SELECT * FROM marts.gamma_exposure ORDER BY slot")
    assert marts["net_gex_crore_per_percent"].to_list() == [2.0, 2.0]
    assert marts["net_gex_change_crore_per_percent"].to_list() == [None, 0.0]
    assert marts["largest_call_strike"].to_list() == [25000.0, 25000.0]

    fill(lake, net_of_expiry=2.1)
    failed = dbt("test", "--select", "strikes_sum_to_expiry_exposure")
    assert failed.returncode == 1
    assert "Got 2 results" in failed.stdout


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_each_model_has_its_own_description(model: Path) -> None:
    """One .yml beside each .sql, which says the grain and describes every column."""
    text = model.with_suffix(".yml").read_text(encoding="utf-8")
    assert f"- name: {model.stem}" in text
    assert re.search(r"one row per", text, re.IGNORECASE)
    assert text.count("- name: ") <= text.count("description:") + 1


def test_folder_holds_no_python() -> None:
    """A module there would shadow the installed package of the same name."""
    assert list(PROJECT.rglob("*.py")) == []


def test_tables_are_read_in_staging_only() -> None:
    """Marts refer to staging, so that a selected column is selected once."""
    readers = {m.parent.name for m in MODELS if "source(" in m.read_text(encoding="utf-8")}
    assert readers == {"staging"}
