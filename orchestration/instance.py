"""Prepares a home for Dagster: its instance file and dbt's manifest.

``python -m orchestration.instance``, before Dagster starts; DAGSTER_HOME is then the folder
``dagster`` under optionlake's home. A program of its own, hence it reads the settings. What the
code location holds belongs in ``definitions``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from market.errors import ConfigurationError, OptionlakeError
from optionlake import settings
from orchestration.dbt_project import prepare_manifest
from storage.layout import Layout, write_private

_TICK_DAYS = {"skipped": 2, "failure": 30, "success": 7}


def dagster_yaml(dsn: str) -> str:
    """The instance file: run storage in PostgreSQL, a short queue, bounded history of ticks.

    Args:
        dsn: ``postgresql://…`` of the database; Dagster makes its tables in the schema ``public``.
    """
    instance: dict[str, Any] = {
        "storage": {"postgres": {"postgres_url": _psycopg2_url(dsn)}},
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        "concurrency": {"runs": {"max_concurrent_runs": 3}, "pools": {"default_limit": 1}},
        # A run that dies must not keep its place in a pool for ever.
        "run_monitoring": {"enabled": True, "free_slots_after_run_end_seconds": 300},
        "retention": {
            "schedule": {"purge_after_days": _TICK_DAYS},
            "sensor": {"purge_after_days": _TICK_DAYS},
        },
        "telemetry": {"enabled": False},
        # No invitation to a mailing list before one sees one's assets.
        "nux": {"enabled": False},
    }
    return json.dumps(instance, indent=2)  # JSON is YAML


def prepare(dsn: str, layout: Layout) -> None:
    """Write ``dagster.yaml`` (it holds the address: for the owner only) and parse dbt if needed.

    Raises:
        ConfigurationError: the address is no URL, or dbt refuses the project.
    """
    text = dagster_yaml(dsn)
    layout.create()
    write_private(layout.dagster / "dagster.yaml", text)
    prepare_manifest(layout.dbt)


def main() -> int:
    """Prepare the home that the settings name; the exit code is the error's own."""
    try:
        given = settings.load()
        prepare(given.dsn(), given.layout)
    except OptionlakeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _psycopg2_url(dsn: str) -> str:
    """SQLAlchemy 2.1 reads a bare ``postgresql://`` as psycopg 3, which Dagster cannot use."""
    scheme, separator, rest = dsn.partition("://")
    if scheme not in {"postgresql", "postgres"} or not separator:
        raise ConfigurationError("the database address is no URL, expected postgresql://…")
    return f"postgresql+psycopg2://{rest}"


if __name__ == "__main__":
    sys.exit(main())
