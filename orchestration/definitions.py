"""The code location: every asset, check, job and schedule, put together in one place.

The one module that Dagster loads by itself and that may therefore read the settings. What the
parts do belongs in their own modules; nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import dagster as dg

from brokers.interface import Secret
from brokers.planner.chains import calls_for_chains
from market.errors import ConfigurationError
from market.rules import rules_for
from optionlake import settings
from orchestration.assets import analytics, contracts, history, marts, snapshots
from orchestration.automation import instruments_schedule, marts_schedule, window_schedule
from orchestration.checks import checks
from orchestration.dbt_project import prepare_manifest
from orchestration.resources import LocationConfig, resources_of

# Dagster keeps each event in its own storage; on the console a hundred lines a window hide the one
# that matters.
_QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def build_definitions(
    config: LocationConfig, overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """The code location for a configuration.

    Args:
        overrides: resources by key, in place of those made from ``config``.
    """
    partitions = config.partitions()
    keys = partitions.definition()
    windowed = [
        snapshots.raw_chain_payload(keys),
        analytics.chain_analytics(keys),
        history.underlying_rollup(keys),
    ]
    dbt_models = marts.marts(prepare_manifest(config.layout.dbt), config.layout.dbt / "runs")
    window_job = dg.define_asset_job(
        "window",
        dg.AssetSelection.assets(*windowed),
        description="One window from the broker's answers to the rollup.",
        config=_QUIET,
    )
    marts_job = dg.define_asset_job(
        "marts",
        dg.AssetSelection.assets(dbt_models),
        description="All dbt models and tests.",
        config=_QUIET,
    )
    instruments_job = dg.define_asset_job(
        "instruments",
        dg.AssetSelection.assets(contracts.instrument_master),
        description="The broker's listings.",
        config=_QUIET,
    )
    return dg.Definitions(
        assets=[contracts.instrument_master, history.TICKS, *windowed, dbt_models],
        asset_checks=checks(keys),
        jobs=[window_job, marts_job, instruments_job],
        schedules=[
            window_schedule(window_job.name, partitions),
            marts_schedule(marts_job.name, partitions),
            instruments_schedule(instruments_job.name, config.rules),
        ],
        resources={**resources_of(config), **(overrides or {})},
        # A window is a second of work: a process for each step would take twenty.
        executor=dg.in_process_executor,
    )


def config_of(given: settings.Settings) -> LocationConfig:
    """The part of the settings that the code location is made from.

    Raises:
        ConfigurationError: if ``history_start`` is not a date.
    """
    try:
        first_day = date.fromisoformat(given.history_start)
    except ValueError as error:
        raise ConfigurationError(
            f"OPTIONLAKE_HISTORY_START is {given.history_start!r}, expected YYYY-MM-DD"
        ) from error
    token = given.access_token
    return LocationConfig(
        layout=given.layout,
        dsn=given.dsn,
        api_url=given.api_url,
        assets_url=given.assets_url,
        access_token=Secret(token.get_secret_value()) if token else None,
        symbols=given.symbol_list,
        expiries=given.expiries,
        rules=rules_for(given.session),
        first_day=first_day,
        window_minutes=given.window_minutes,
        clock=lambda: datetime.now(UTC),
        chain_calls_per_minute=calls_for_chains(given.reserved_calls),
    )


defs = build_definitions(config_of(settings.load()))
