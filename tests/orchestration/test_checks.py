"""Checks: whole windows pass, broken ones are caught, and only what is broken blocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

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


def put_before(location: Location, change: Change) -> None:
    """Store the window's chain, changed, as that of the window before."""
    earlier = location.config.partitions().window(KEY.replace("10:00", "09:55"))
    chain = location.rows("chain").with_columns(pl.col("as_of") - timedelta(minutes=5))
    write(location.lake, earlier, {CHAIN: change(chain)})


BROKEN: dict[str, tuple[str, Schema, Change]] = {
    "coverage": ("ERROR", CHAIN, lambda c: c.filter(pl.col("symbol") == "NIFTY")),
    "crossed_quotes": (
        "ERROR",
        CHAIN,
        lambda c: c.with_columns(bid_price=pl.col("ask_price") + 1),
    ),
    "price_bounds": ("ERROR", CHAIN, lambda c: c.with_columns(bid_price=pl.lit(1e6))),
    "open_interest": ("ERROR", CHAIN, lambda c: c.with_columns(open_interest_units=pl.lit(-1.0))),
    "expected_series": ("ERROR", CHAIN, lambda c: c.with_columns(settlement_at="as_of")),
    "fresh_answers": (
        "ERROR",
        CHAIN,
        lambda c: c.with_columns(last_traded_at=pl.col("quoted_at") + timedelta(hours=5)),
    ),
    "usable_quotes": ("WARN", CHAIN, lambda c: c.with_columns(bid_price=pl.lit(0.01))),
    "no_arbitrage": ("ERROR", CHAIN, lambda c: c.with_columns(pl.col("forward") * 1.02)),
    "listing": ("WARN", CHAIN, lambda c: c.with_columns(lot_size_units=pl.lit(7))),
    "vendor_greeks": ("WARN", CHAIN, lambda c: c.with_columns(vendor_delta=pl.lit(0.9))),
    "implied_volatility": (
        "ERROR",
        CHAIN,
        lambda c: c.with_columns(pl.col("vendor_implied_volatility") * 100),
    ),
    "spot_and_forward": ("ERROR", CHAIN, lambda c: c.with_columns(pl.col("spot") * 1.02)),
    "settlement_phase": (
        "ERROR",
        EXPIRY_METRICS,
        lambda e: e.with_columns(settlement_phase=pl.lit("averaging")),
    ),
    "put_call_ratio_from_payload": (
        "ERROR",
        EXPIRY_METRICS,
        lambda e: e.with_columns(pl.col("pcr_open_interest") * 1.01),
    ),
}
SINCE: dict[str, Change] = {
    "possible_changes": lambda c: c.with_columns(pl.col("volume_units") + 1),
    "open_interest_unit": lambda c: c.with_columns(
        pl.col("open_interest_units") / pl.col("lot_size_units")
    ),
    "corporate_actions": lambda c: c.with_columns(pl.col("spot") * 2),
}


def test_rules_catch_what_they_are_for(location: Location) -> None:
    """Each rule passes on the window as written and fails, as it should, once it is broken."""
    assert location.run().success
    put_before(location, lambda chain: chain)
    assert set(BROKEN) | set(SINCE) == {rule.name for rule in RULES}
    assert all(judged(location, rule.name).severity.value == "WARN" for rule in RULES)
    for name, (severity, schema, change) in BROKEN.items():
        whole = location.rows(schema.name)
        spoil(location, schema, change)
        result = judged(location, name)
        assert (result.passed, result.severity.value) == (False, severity), name
        spoil(location, schema, lambda _, whole=whole: whole)
    for name, change in SINCE.items():
        assert judged(location, name).passed, name
        put_before(location, change)
        result = judged(location, name)
        assert (result.passed, result.severity.value) == (False, "ERROR"), name
        put_before(location, lambda chain: chain)


def test_an_answer_repeated_in_four_windows_is_an_error(location: Location) -> None:
    """Twice the same answer marks the window; what three windows before had already, blocks it."""
    assert location.run().success
    windows = location.config.partitions()
    answers = location.rows("raw_chain_payload")
    found = []
    for slot in ("09:55", "09:50", "09:45"):
        write(location.lake, windows.window(f"{KEY[:10]}|{slot}"), {RAW_CHAIN_PAYLOAD: answers})
        result = judged(location, "fresh_answers")
        found.append((result.passed, result.metadata["errors"].value))
    assert found == [(False, 0), (False, 0), (False, len(answers))]


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
