"""Checks: whole windows pass, broken ones are caught, and only what is broken blocks."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import polars as pl
import pytest
import zstandard

from orchestration.checks import RULES, Evidence, schema_verdict, verdict
from orchestration.resources import Database, Scope
from orchestration.window_tables import write
from tests.fix_orchestration import KEY, Location
from transforms.columns import Schema
from transforms.schemas import CHAIN, EXPIRY_METRICS, RAW_CHAIN_PAYLOAD, VIOLATIONS

Change = Callable[[pl.DataFrame], pl.DataFrame]
GARBAGE = pl.lit(zstandard.compress(b"{}"))


def judged(location: Location, name: str) -> dg.AssetCheckResult:
    """The verdict of one rule on what the lake holds now."""
    config = location.config
    scope = Scope(config.symbols, config.expiries, config.partitions(), location.clock)
    rule = next(rule for rule in RULES if rule.name == name)
    evidence = Evidence(
        scope.partitions.window(KEY), scope, location.broker, Database(config.dsn()), location.lake
    )
    return verdict(rule.find(evidence), evidence.rows(rule.table).height, rule.tolerated_share)


def spoil(
    location: Location, schema: Schema, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Change a table's stored rows."""
    window = location.config.partitions().window(KEY)
    write(location.lake, window, {schema: change(location.rows(schema.name))})


def test_rules_catch_what_they_are_for(location: Location) -> None:
    """Each rule passes on the window as written and fails as an error once it is broken."""
    assert location.run().success
    assert all(judged(location, rule.name).severity.value == "WARN" for rule in RULES)
    broken: dict[str, tuple[Schema, Change]] = {
        "crossed_quotes": (CHAIN, lambda c: c.with_columns(bid_price=pl.col("ask_price") + 1)),
        "price_bounds": (CHAIN, lambda c: c.with_columns(bid_price=pl.lit(1e6))),
        "open_interest": (CHAIN, lambda c: c.with_columns(open_interest_units=pl.lit(-1.0))),
        "expired_series": (CHAIN, lambda c: c.with_columns(settlement_at="as_of")),
        "implied_volatility": (
            CHAIN,
            lambda c: c.with_columns(pl.col("vendor_implied_volatility") * 100),
        ),
        "coverage": (CHAIN, lambda c: c.filter(pl.col("symbol") == "NIFTY")),
        "put_call_ratio_from_payload": (
            EXPIRY_METRICS,
            lambda e: e.with_columns(pl.col("pcr_open_interest") * 1.01),
        ),
    }
    assert set(broken) == {rule.name for rule in RULES}
    for name, (schema, change) in broken.items():
        whole = location.rows(schema.name)
        spoil(location, schema, change)
        result = judged(location, name)
        assert (result.passed, result.severity.value) == (False, "ERROR"), name
        spoil(location, schema, lambda _, whole=whole: whole)


def test_a_broken_table_blocks_the_rollup(location: Location) -> None:
    """A chain that lost most of its symbols is not merged and not published."""
    assert location.run().success
    before = location.rows("underlying_rollup")
    is_kept = pl.col("symbol") == "NIFTY"
    spoil(
        location,
        RAW_CHAIN_PAYLOAD,
        lambda raw: raw.with_columns(
            body_zstd=pl.when(is_kept).then("body_zstd").otherwise(GARBAGE)
        ),
    )
    result = location.run()
    assert not result.success
    failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
    assert "coverage" in failed
    assert location.rows("underlying_rollup").equals(before)


def test_checks_speak_of_the_partition(location: Location) -> None:
    """Dagster shows a check beside the window that it judged."""
    result = location.run()
    assert {e.partition for e in result.get_asset_check_evaluations()} == {KEY}


def test_a_schema_check_wants_rows_as_declared() -> None:
    """No rows, another type and a missing key each fail; the declared frame passes."""
    row = {c.name: None for c in EXPIRY_METRICS.columns}
    assert not schema_verdict(EXPIRY_METRICS, EXPIRY_METRICS.empty()).passed
    nulls = pl.DataFrame([row], schema=EXPIRY_METRICS.polars)
    assert "nulls in required" in str(schema_verdict(EXPIRY_METRICS, nulls).description)


@pytest.mark.parametrize(
    ("errors", "warnings", "expected"),
    [
        (0, 0, (True, "WARN")),
        (0, 3, (False, "WARN")),
        (5, 0, (False, "WARN")),
        (6, 0, (False, "ERROR")),
    ],
)
def test_a_few_errors_warn_and_many_block(
    errors: int, warnings: int, expected: tuple[bool, str]
) -> None:
    """Up to the tolerated share of the rows, errors do not withhold the window."""
    rows = [("Q07", "E", "NIFTY", None, None, "bad")] * errors
    rows += [("Q07", "W", "NIFTY", None, None, "odd")] * warnings
    found = pl.DataFrame(rows, schema=VIOLATIONS.polars, orient="row")
    result = verdict(found, row_count=100, tolerated_share=0.05)
    assert (result.passed, result.severity.value) == expected
