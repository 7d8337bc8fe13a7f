"""A prepared home: Dagster can open its instance on the database, and nobody else can read it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from market.errors import ConfigurationError
from orchestration.instance import dagster_yaml
from storage.layout import Layout

ROOT = Path(__file__).resolve().parent.parent.parent


def test_dagster_opens_the_prepared_home(database: str, tmp_path: Path, parsed_dbt: Path) -> None:
    """The launcher's call writes an instance that keeps its runs in PostgreSQL."""
    layout = Layout(tmp_path)
    shutil.copytree(parsed_dbt, layout.dbt)
    done = subprocess.run(
        [sys.executable, "-m", "orchestration.instance"],
        cwd=ROOT,
        env={**os.environ, "OPTIONLAKE_HOME": str(tmp_path), "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (layout.dagster / "dagster.yaml").stat().st_mode & 0o777 == 0o600
    with dg.DagsterInstance.from_config(str(layout.dagster)) as instance:
        assert instance.get_runs_count() == 0
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled


def test_the_address_names_its_driver() -> None:
    """A bare address would be given to a driver that Dagster cannot use."""
    instance = json.loads(dagster_yaml("postgresql://me:secret@host:5432/db"))
    url = instance["storage"]["postgres"]["postgres_url"]
    assert url == "postgresql+psycopg2://me:secret@host:5432/db"
    with pytest.raises(ConfigurationError, match="no URL") as caught:
        dagster_yaml("host=here password=secret")
    assert "secret" not in str(caught.value)


def test_wrong_settings_end_with_their_exit_code(tmp_path: Path) -> None:
    """The launcher shows the message instead of a traceback."""
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "orchestration.instance"],
        cwd=ROOT,
        env={**environment, "OPTIONLAKE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ConfigurationError.exit_code
    assert "set DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
