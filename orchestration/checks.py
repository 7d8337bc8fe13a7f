"""Asset checks: the data-quality rules asked of the window that was just written.

The rules stand in ``transforms.quality`` and ``transforms.schemas``; here each is given its rows
and its verdict a place in Dagster. A rule that found an error blocks what lies downstream.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
import polars as pl

from brokers.interface import Broker
from market.errors import SchemaMismatch
from market.session import Window
from orchestration import window_tables
from orchestration.assets.snapshots import quotes_of
from orchestration.earlier import previous_chain
from orchestration.metadata import markdown
from orchestration.resources import Database, Scope
from storage.instruments import known
from storage.lake import Lake
from transforms import quality
from transforms.columns import Schema
from transforms.schemas import CHAIN, EXPIRY_METRICS, LAKE_TABLES, RAW_CHAIN_PAYLOAD

_ANSWERS_KEPT = 3
_ANSWERS = """
    SELECT symbol, expiry, sha256, window_start_at FROM raw_chain_payload
    WHERE trading_day = $1 AND window_start_at >= $2 AND window_start_at <= $3
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An analysis as the lake holds it."""

    contracts: pl.DataFrame
    expiries: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a rule may look at: one window, its rows in the lake, and how payloads are read."""

    window: Window
    scope: Scope
    broker: Broker
    database: Database
    lake: Lake

    def rows(self, schema: Schema) -> pl.DataFrame:
        """The window's rows in one table."""
        return window_tables.read(self.lake, self.window, schema)

    def quotes(self) -> pl.DataFrame:
        """The window's quotes, read again from the raw payloads."""
        listed = known(self.database.dsn, self.scope.symbols, self.window.day)
        return quotes_of(self.broker, self.rows(RAW_CHAIN_PAYLOAD), listed)[0]

    def violations(self, *numbers: str) -> pl.DataFrame:
        """What some rules find in the window, given all that the lake knows beside it."""
        stored = Stored(self.rows(CHAIN), self.rows(EXPIRY_METRICS))
        tick = self.scope.rules.tick_rupees()
        return quality.check_analysis(stored, tick, (), self._beside(), numbers)

    def _beside(self) -> quality.Circumstances:
        window, step = self.window, timedelta(minutes=self.scope.partitions.minutes)
        since = (window.day, window.start_at - _ANSWERS_KEPT * step, window.start_at)
        answers = self.lake.query(_ANSWERS, since)
        is_now = pl.col("window_start_at") == window.start_at
        return quality.Circumstances(
            rules=self.scope.rules,
            interval_seconds=step.total_seconds(),
            previous=previous_chain(self.lake, window),
            requested=answers.filter(is_now),
            payloads=answers.filter(is_now),
            earlier_payloads=answers.filter(~is_now),
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One rule as a check of one asset.

    Attributes:
        find: gives a ``schemas.VIOLATIONS`` frame.
        tolerated_share: errors up to this share of the table's rows warn and do not block.
    """

    name: str
    table: Schema
    description: str
    find: Callable[[Evidence], pl.DataFrame]
    tolerated_share: float = 0.0


def _coverage(evidence: Evidence) -> pl.DataFrame:
    asked = evidence.rows(RAW_CHAIN_PAYLOAD)["symbol"].unique().to_list()
    return quality.coverage(evidence.rows(CHAIN)["symbol"].unique().to_list(), asked)


def _bounds(evidence: Evidence) -> pl.DataFrame:
    return quality.price_bounds(evidence.rows(CHAIN), evidence.scope.rules.tick_rupees())


def _sums(evidence: Evidence) -> pl.DataFrame:
    return quality.sums_agree(evidence.quotes(), evidence.rows(EXPIRY_METRICS))


def _asking(*numbers: str) -> Callable[[Evidence], pl.DataFrame]:
    return lambda evidence: evidence.violations(*numbers)


# A few stale quotes in the wings are a market's everyday; they must not withhold all symbols.
_FEW_CONTRACTS = 0.05
# As for coverage: one symbol's split or dividend marks its rows, a fifth of all blocks.
_FEW_EXPIRIES = 0.2

RULES = (
    Check("coverage", CHAIN, "Q27: most of the symbols asked for have a chain.", _coverage),
    Check(
        "crossed_quotes",
        CHAIN,
        "Q03: no bid above its ask.",
        lambda evidence: quality.crossed_quotes(evidence.rows(CHAIN)),
        _FEW_CONTRACTS,
    ),
    Check(
        "price_bounds",
        CHAIN,
        "Q07: quotes keep the bounds of European options.",
        _bounds,
        _FEW_CONTRACTS,
    ),
    Check(
        "open_interest",
        CHAIN,
        "Q15: open interest is in units, whole lots, never negative.",
        lambda evidence: quality.open_interest(evidence.rows(CHAIN)),
    ),
    Check(
        "expected_series",
        CHAIN,
        "Q20: no series that has settled, and none that was not asked for.",
        _asking("Q20"),
    ),
    Check(
        "fresh_answers",
        CHAIN,
        "Q01, Q02: no answer repeated from the windows before, no trade dated ahead.",
        _asking("Q01", "Q02"),
        _FEW_CONTRACTS,
    ),
    Check(
        "usable_quotes",
        CHAIN,
        "Q04, Q06, Q13, Q14: two-sided quotes on the tick, not wide, with a last price near them.",
        _asking("Q04", "Q06", "Q13", "Q14"),
    ),
    Check(
        "no_arbitrage",
        CHAIN,
        "Q08–Q12: no spread, butterfly, conversion or calendar that pays for nothing.",
        _asking("Q08", "Q09", "Q10", "Q11", "Q12"),
        _FEW_CONTRACTS,
    ),
    Check(
        "possible_changes",
        CHAIN,
        "Q05, Q16, Q17: no zero over what was known, no open interest that was not traded.",
        _asking("Q05", "Q16", "Q17"),
        _FEW_CONTRACTS,
    ),
    Check(
        "listing",
        CHAIN,
        "Q19, Q21: whole chains around the money, with the lots and steps of the dated tables.",
        _asking("Q19", "Q21"),
    ),
    Check(
        "vendor_greeks",
        CHAIN,
        "Q25: the broker's delta and volatility agree with ours near the money.",
        _asking("Q25"),
    ),
    Check(
        "open_interest_unit",
        EXPIRY_METRICS,
        "Q18: no chain whose open interest jumped by its lot size.",
        _asking("Q18"),
    ),
    Check(
        "corporate_actions",
        EXPIRY_METRICS,
        "Q22: no adjusted strikes, no spot that moved by the ratio of a split.",
        _asking("Q22"),
        _FEW_EXPIRIES,
    ),
    Check(
        "spot_and_forward",
        EXPIRY_METRICS,
        "Q23: the spot with carry is within 0.5 % of the nearest forward.",
        _asking("Q23"),
        _FEW_EXPIRIES,
    ),
    Check(
        "settlement_phase",
        EXPIRY_METRICS,
        "Q30: each settlement is as far as the dated tables say.",
        _asking("Q30"),
    ),
    Check(
        "implied_volatility",
        CHAIN,
        "Q24, Q33: volatility from 1 % to 300 %, without jumps; the broker's in our unit.",
        _asking("Q24", "Q33"),
    ),
    Check(
        "put_call_ratio_from_payload",
        EXPIRY_METRICS,
        "Q26: sums and ratios equal those of the raw payloads, read and summed again.",
        _sums,
    ),
)


def checks(partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """Every rule and the schema of every table, for the partition that was just materialised."""
    with warnings.catch_warnings():
        # Partitioned checks are in preview: without them a check tells nothing of its window.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            *(_rule_check(rule, partitions) for rule in RULES),
            *(_schema_check(schema, partitions) for schema in LAKE_TABLES),
        ]


def verdict(
    violations: pl.DataFrame, row_count: int, tolerated_share: float = 0.0
) -> dg.AssetCheckResult:
    """Passed if nothing was found; an error if more than the tolerated share are errors."""
    errors = violations.filter(pl.col("severity") == quality.ERROR).height
    is_error = errors > tolerated_share * row_count
    return dg.AssetCheckResult(
        passed=violations.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=_first(violations["detail"].to_list()),
        metadata={
            "violations": violations.height,
            "errors": errors,
            "rows": row_count,
            "examples": dg.MetadataValue.md(markdown(violations)),
        },
    )


def _rule_check(rule: Check, partitions: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=rule.table.name,
        name=rule.name,
        description=rule.description,
        blocking=True,
        partitions_def=partitions,
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        *,
        scope: dg.ResourceParam[Scope],
        broker: dg.ResourceParam[Broker],
        database: dg.ResourceParam[Database],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        window = scope.partitions.window(context.partition_key)
        evidence = Evidence(window, scope, broker, database, lake)
        row_count = evidence.rows(rule.table).height
        return verdict(rule.find(evidence), row_count, rule.tolerated_share)

    return check


def _schema_check(
    schema: Schema, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=schema.name,
        name=f"{schema.name}_schema",
        description="The stored rows have the declared columns, types and no missing keys.",
        blocking=True,
        partitions_def=partitions,
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        scope: dg.ResourceParam[Scope],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        rows = window_tables.read(lake, scope.partitions.window(context.partition_key), schema)
        return schema_verdict(schema, rows)

    return check


def schema_verdict(schema: Schema, rows: pl.DataFrame) -> dg.AssetCheckResult:
    """Passed if there are rows and they conform as they stand, without a cast."""
    problem = "no rows" if rows.is_empty() else None
    try:
        if schema.conform(rows).schema != rows.schema:
            problem = f"columns or types differ from the declared {dict(schema.polars)}"
    except SchemaMismatch as error:
        problem = str(error)
    return dg.AssetCheckResult(
        passed=problem is None, description=problem, metadata={"rows": rows.height}
    )


def _first(details: Sequence[str]) -> str | None:
    if not details:
        return None
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{details[0]}{more}"
