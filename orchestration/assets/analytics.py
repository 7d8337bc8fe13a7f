"""A window's quotes analysed: contracts, strikes, expiries and what is drawn from every chain.

The formulas stand in ``transforms.chain``, which the live path uses too; here they are given a
window's payloads and their results a place in the lake.
"""

import time
from collections.abc import Iterator

import dagster as dg
import polars as pl

from brokers.interface import Broker
from market.errors import WindowUnavailable
from market.session import Window
from orchestration import window_tables
from orchestration.assets.snapshots import quotes_of
from orchestration.automation import RETRIES, typed_failures
from orchestration.earlier import context_before
from orchestration.metadata import told
from orchestration.resources import Database, Scope
from storage.instruments import known
from storage.lake import Lake
from transforms.chain import FORMULA_VERSION, Analysis, analyse
from transforms.columns import Schema
from transforms.schemas import (
    CHAIN,
    EXPIRY_METRICS,
    GAMMA_PROFILE,
    ITM_ANALYSIS,
    MONEYNESS_BUCKETS,
    QUOTES,
    RAW_CHAIN_PAYLOAD,
    STRIKE_EXPOSURE,
)

_DESCRIPTIONS = {
    CHAIN: (
        "Every contract of the window's chains with its quote, implied volatility, Greeks and "
        "gamma exposure. What has no volatility says why in iv_status."
    ),
    STRIKE_EXPOSURE: (
        "Open interest, volume, volatility and all exposures of each strike, calls and puts apart."
    ),
    EXPIRY_METRICS: (
        "Forward, volatility at the money with skew, put-call ratios, max pain, walls, flips and "
        "exposures of an expiry."
    ),
    ITM_ANALYSIS: "The one to five strikes next to the money on their in-the-money side.",
    MONEYNESS_BUCKETS: "Open interest and volume by distance from the money.",
    GAMMA_PROFILE: "Gamma exposure if the spot were elsewhere, from 6 % below to 6 % above.",
}


def chain_analytics(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The assets that analyse a window; all their tables in one transaction."""

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
            frames = _frames(analysis_of(quotes, scope, lake, window))
            window_tables.write(lake, window, frames)
        seconds = time.monotonic() - started
        for schema, frame in frames.items():
            yield dg.MaterializeResult(
                asset_key=schema.name,
                metadata={**told(schema, frame, seconds), "unreadable_payloads": list(problems)},
            )

    return chain_analytics


def analysis_of(quotes: pl.DataFrame, scope: Scope, lake: Lake, window: Window) -> Analysis:
    """The window's analysis, each symbol as of its newest quote, so that no row looks ahead."""
    context = context_before(lake, window)
    return analyse(quotes, None, scope.rules, context, has_profiles=True)


def stored_quotes(lake: Lake, window: Window) -> pl.DataFrame:
    """The window's rows of ``chain`` back as quotes, from which all else follows again.

    Raises:
        WindowUnavailable: nothing is stored.
    """
    chain = window_tables.read(lake, window, CHAIN)
    if chain.is_empty():
        raise WindowUnavailable("the window has no chain: materialise chain first")
    return QUOTES.conform(chain)


def _frames(analysis: Analysis) -> dict[Schema, pl.DataFrame]:
    return {
        CHAIN: analysis.contracts,
        STRIKE_EXPOSURE: analysis.strikes,
        EXPIRY_METRICS: analysis.expiries,
        ITM_ANALYSIS: analysis.itm,
        MONEYNESS_BUCKETS: analysis.moneyness,
        GAMMA_PROFILE: analysis.profiles,
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
