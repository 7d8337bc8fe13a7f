"""A window's last step: analytics merged with its ticks, and the newest chain handed to the pages.

How the two halves are merged stands in ``transforms.snapshot``; ticks are landed by the streaming
program, which is no part of this graph.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import dagster as dg
import polars as pl

from market.session import Window
from orchestration import window_tables
from orchestration.assets.analytics import analysis_of, stored_quotes
from orchestration.automation import RETRIES, typed_failures
from orchestration.metadata import told
from orchestration.resources import Database, Scope
from storage.chains import publish
from storage.lake import Lake
from storage.ticks import window_bars
from transforms.chain import Analysis
from transforms.schemas import UNDERLYING_ROLLUP
from transforms.snapshot import merge_window

TICKS = dg.AssetSpec(
    "tick",
    group_name="real_time",
    kinds={"timescaledb"},
    owners=["team:market-data"],
    description="Ticks of the socket, landed exactly once by the streaming program.",
)


@dataclass(frozen=True, slots=True)
class Merged:
    """A window's rollup rows and the contracts that they were analysed from."""

    rollup: pl.DataFrame
    contracts: pl.DataFrame


def underlying_rollup(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The asset that merges a window and publishes the newest one."""

    @dg.asset(
        name="underlying_rollup",
        partitions_def=partitions,
        deps=["chain", TICKS],
        group_name="history",
        kinds={"polars", "ducklake"},
        owners=["team:market-data"],
        retry_policy=RETRIES,
        description=(
            "One row per window and symbol: analytics of all its chains, the window's spot ticks "
            "as a bar, feed gaps, and one price with its source."
        ),
    )
    def underlying_rollup(
        context: dg.AssetExecutionContext,
        *,
        scope: dg.ResourceParam[Scope],
        database: dg.ResourceParam[Database],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        with typed_failures():
            window = scope.partitions.window(context.partition_key)
            merged = merge(scope, database, lake, window)
            window_tables.write(lake, window, {UNDERLYING_ROLLUP: merged.rollup})
            is_newest = window == scope.partitions.latest_closed(scope.clock())
            if is_newest:
                publish(database.dsn, merged.contracts)
        sources = merged.rollup["price_source"].value_counts().drop_nulls().iter_rows()
        return dg.MaterializeResult(
            metadata={
                **told(UNDERLYING_ROLLUP, merged.rollup, time.monotonic() - started),
                "price_sources": {str(source): count for source, count in sources},
                "is_published": is_newest,
            }
        )

    return underlying_rollup


def merge(scope: Scope, database: Database, lake: Lake, window: Window) -> Merged:
    """The window's stored chains, analysed again and merged with its ticks.

    Raises:
        WindowUnavailable: no chain is stored.
    """
    analysis = analysis_of(stored_quotes(lake, window), scope, lake, window)
    bars = window_bars(database.dsn, window.start_at, window.end_at, as_of=_known_at(analysis))
    return Merged(merge_window(analysis.underlyings, bars, window), analysis.contracts)


def _known_at(analysis: Analysis) -> datetime:
    """Ticks received after the chains are left out, so that a later run merges the same ones."""
    return cast(datetime, analysis.contracts["as_of"].max())
