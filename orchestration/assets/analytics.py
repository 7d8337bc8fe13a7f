"""A window's quotes analysed: contracts, strikes and expiries of every chain.

The formulas stand in ``transforms.chain``, which the live path uses too; here they are given a
window's payloads and their results a place in the lake.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import cast

import dagster as dg
import polars as pl

from brokers.interface import Broker
from market.errors import WindowUnavailable
from market.rules import Rules
from market.session import Window
from orchestration import window_tables
from orchestration.assets.snapshots import quotes_of
from orchestration.automation import RETRIES, typed_failures
from orchestration.metadata import told
from orchestration.resources import Database, Scope
from storage.instruments import known
from storage.lake import Lake
from transforms.chain import FORMULA_VERSION, Analysis, analyse
from transforms.columns import Schema
from transforms.schemas import CHAIN, EXPIRY_METRICS, QUOTES, RAW_CHAIN_PAYLOAD, STRIKE_EXPOSURE

_DESCRIPTIONS = {
    CHAIN: (
        "Every contract of the window's chains with its quote, implied volatility, Greeks and "
        "gamma exposure. What has no volatility says why in iv_status."
    ),
    STRIKE_EXPOSURE: "Open interest and gamma exposure of each strike, calls and puts apart.",
    EXPIRY_METRICS: "Forward, volatility at the money, put-call ratios and exposure of an expiry.",
}


def chain_analytics(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The assets that analyse a window; three tables, one transaction."""

    @dg.multi_asset(
        name="chain_analytics",
        partitions_def=partitions,
        specs=[_spec(schema) for schema in _DESCRIPTIONS],
        retry_policy=RETRIES,
    )
    def chain_analytics(
        context: dg.AssetExecutionContext,
        *,
        scope: dg.ResourceParam[Scope],
        broker: dg.ResourceParam[Broker],
        database: dg.ResourceParam[Database],
        lake: dg.ResourceParam[Lake],
    ) -> Iterator[dg.MaterializeResult[None]]:
        started = time.monotonic()
        with typed_failures():
            window = scope.partitions.window(context.partition_key)
            payloads = window_tables.read(lake, window, RAW_CHAIN_PAYLOAD)
            listed = known(database.dsn, scope.symbols, window.day)
            quotes, problems = quotes_of(broker, payloads, listed)
            frames = _frames(analyse_each(quotes, scope.rules))
            window_tables.write(lake, window, frames)
        seconds = time.monotonic() - started
        for schema, frame in frames.items():
            yield dg.MaterializeResult(
                asset_key=schema.name,
                metadata={**told(schema, frame, seconds), "unreadable_payloads": list(problems)},
            )

    return chain_analytics


def analyse_each(quotes: pl.DataFrame, rules: Rules) -> Analysis:
    """Each symbol analysed as of its newest quote, so that no row describes a later instant."""
    parts = [
        analyse(of_symbol, _newest(of_symbol), rules)
        for of_symbol in quotes.partition_by("symbol", maintain_order=True)
    ]
    return Analysis(
        pl.concat([part.contracts for part in parts]),
        pl.concat([part.strikes for part in parts]),
        pl.concat([part.expiries for part in parts]),
        pl.concat([part.underlyings for part in parts]),
    )


def stored_quotes(lake: Lake, window: Window) -> pl.DataFrame:
    """The window's rows of ``chain`` back as quotes, from which all else follows again.

    Raises:
        WindowUnavailable: nothing is stored.
    """
    chain = window_tables.read(lake, window, CHAIN)
    if chain.is_empty():
        raise WindowUnavailable("the window has no chain: materialise chain first")
    return QUOTES.conform(chain)


def _newest(quotes: pl.DataFrame) -> datetime:
    return cast(datetime, quotes["quoted_at"].max())


def _frames(analysis: Analysis) -> dict[Schema, pl.DataFrame]:
    return {
        CHAIN: analysis.contracts,
        STRIKE_EXPOSURE: analysis.strikes,
        EXPIRY_METRICS: analysis.expiries,
    }


def _spec(schema: Schema) -> dg.AssetSpec:
    return dg.AssetSpec(
        schema.name,
        deps=["raw_chain_payload"],
        group_name="analytics",
        kinds={"polars", "ducklake"},
        owners=["team:market-data"],
        code_version=FORMULA_VERSION,
        description=f"{_DESCRIPTIONS[schema]} {schema.grain[0].upper()}{schema.grain[1:]}.",
    )
