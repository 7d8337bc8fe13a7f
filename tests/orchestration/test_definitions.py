"""The code location as a whole: it loads, and its graph is the one that was drawn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from market.errors import ConfigurationError
from optionlake.settings import Settings
from orchestration.definitions import build_definitions, config_of
from storage.layout import Layout

ROOT = Path(__file__).resolve().parent.parent.parent

GRAPH = {
    "instrument_master": set(),
    "tick": set(),
    "raw_chain_payload": {"instrument_master"},
    "chain": {"raw_chain_payload"},
    "strike_exposure": {"raw_chain_payload"},
    "expiry_metrics": {"raw_chain_payload"},
    "itm_analysis": {"raw_chain_payload"},
    "moneyness_buckets": {"raw_chain_payload"},
    "gamma_profile": {"raw_chain_payload"},
    "underlying_rollup": {"chain", "tick"},
    "stg_strike_exposure": {"strike_exposure"},
    "stg_expiry_metrics": {"expiry_metrics"},
    "gamma_exposure": {"stg_strike_exposure", "stg_expiry_metrics"},
    "put_call_ratio": {"stg_expiry_metrics"},
}
CHECKS = {
    "raw_chain_payload": {"raw_chain_payload_schema"},
    "chain": {
        "chain_schema",
        "coverage",
        "crossed_quotes",
        "expected_series",
        "fresh_answers",
        "implied_volatility",
        "listing",
        "no_arbitrage",
        "open_interest",
        "possible_changes",
        "price_bounds",
        "usable_quotes",
        "vendor_greeks",
    },
    "strike_exposure": {"strike_exposure_schema"},
    "expiry_metrics": {
        "corporate_actions",
        "expiry_metrics_schema",
        "open_interest_unit",
        "put_call_ratio_from_payload",
        "settlement_phase",
        "spot_and_forward",
    },
    "itm_analysis": {"itm_analysis_schema"},
    "moneyness_buckets": {"moneyness_buckets_schema"},
    "gamma_profile": {"gamma_profile_schema"},
    "underlying_rollup": {"underlying_rollup_schema"},
}


@pytest.fixture
def home(tmp_path: Path, parsed_dbt: Path) -> Path:
    """A home whose dbt manifest is there already."""
    shutil.copytree(parsed_dbt, Layout(tmp_path).dbt)
    return tmp_path


@pytest.fixture
def definitions(home: Path) -> dg.Definitions:
    """What the default settings give, without a database."""
    return build_definitions(config_of(Settings(home=home)))


def test_the_graph_is_the_one_that_was_drawn(definitions: dg.Definitions) -> None:
    """A snapshot: whoever changes the graph changes it here too, knowingly."""
    graph = definitions.resolve_asset_graph()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    parents = {name: {p.to_user_string() for p in n.parent_keys} for name, n in nodes.items()}
    assert parents == GRAPH
    checks = {name: {c.name for c in nodes[name].check_keys} for name in CHECKS}
    assert checks == CHECKS


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    """Description, owner, group and kind on each node of the catalogue."""
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name != "default", key
        assert node.kinds, key


def test_jobs_and_schedules_are_there_and_run(definitions: dg.Definitions) -> None:
    """Three jobs, each with its schedule, running from the first start on, in Indian time."""
    repository = definitions.get_repository_def()
    scheduled = {schedule.job_name for schedule in repository.schedule_defs}
    assert scheduled == {"window", "marts", "instruments"}
    for schedule in repository.schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == "Asia/Kolkata"
    job = definitions.resolve_job_def("window")
    assert job.executor_def is dg.in_process_executor


def test_a_wrong_first_day_is_told_by_its_setting() -> None:
    """The message names the variable and the form."""
    with pytest.raises(ConfigurationError, match=r"OPTIONLAKE_HISTORY_START.*YYYY-MM-DD"):
        config_of(Settings(history_start="last year"))


def test_the_workspace_loads(home: Path) -> None:
    """Dagster finds and validates the code location from the file at the root."""
    dagster_home = home / "dagster-home"
    dagster_home.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env={**os.environ, "OPTIONLAKE_HOME": str(home), "DAGSTER_HOME": str(dagster_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
