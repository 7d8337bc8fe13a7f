"""A window's payloads: fetched while they can be, kept for ever, never made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from dagster import ExecuteInProcessResult

from market.errors import MalformedResponse, WindowUnavailable
from market.rules import IST
from orchestration.assets.snapshots import quotes_of
from tests.fix_orchestration import KEY, SYMBOLS, Location
from transforms.schemas import RAW_CHAIN_PAYLOAD

TABLES = (
    "raw_chain_payload",
    "chain",
    "strike_exposure",
    "expiry_metrics",
    "underlying_rollup",
)


def failure_of(result: ExecuteInProcessResult) -> str:
    """What the first failed step said."""
    event = next(e for e in result.all_events if e.is_step_failure)
    return str(event.step_failure_data)


def test_a_window_is_materialised_whole(location: Location) -> None:
    """One run fills every table of the lake for the window, and every check passes."""
    result = location.run()
    assert result.success
    assert {t: location.rows(t).is_empty() for t in TABLES} == dict.fromkeys(TABLES, False)
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert [(e.check_name, e.description) for e in failed if e.severity.value == "ERROR"] == []
    assert set(location.rows("underlying_rollup")["symbol"]) == set(SYMBOLS)


def test_a_window_run_again_has_the_same_rows(location: Location) -> None:
    """Hours later the exchange shows other prices, and the window still shows its own."""
    assert location.run().success
    first = {table: location.rows(table) for table in TABLES}
    location.clock.at += timedelta(hours=3)
    location.exchange.control.refuse_chain("NIFTY")
    assert location.run().success
    for table in TABLES:
        assert location.rows(table).equals(first[table]), table


def test_one_failing_symbol_is_a_row_that_says_why(location: Location) -> None:
    """The others are analysed; while there is time, a second run fetches only what is missing."""
    location.exchange.control.refuse_chain("TCS", status=500)
    assert location.run().success
    rows = location.rows("raw_chain_payload")
    failed = rows.filter(pl.col("status") != "ok")
    assert failed.select("symbol", "status").rows() == [("TCS", "BrokerUnavailable")]
    assert set(location.rows("chain")["symbol"]) == set(SYMBOLS) - {"TCS"}

    location.exchange.control.allow_chain("TCS")
    location.exchange.control.refuse_chain("NIFTY")
    assert location.run().success
    completed = location.rows("raw_chain_payload")
    assert set(completed["status"]) == {"ok"}
    kept = rows.filter(pl.col("status") == "ok")
    assert completed.filter(pl.col("symbol") != "TCS").equals(kept)


def test_all_failing_is_a_failure_that_is_tried_again(location: Location) -> None:
    """An outage of the broker fails the run, and its type asks for another try."""
    for symbol in SYMBOLS:
        location.exchange.control.refuse_chain(symbol)
    result = location.run()
    assert not result.success
    assert any(event.is_step_up_for_retry for event in result.all_events)
    assert location.rows("raw_chain_payload").is_empty()


def test_a_past_window_without_payload_is_refused_once(location: Location) -> None:
    """The broker has no past: the run says so and is not tried again."""
    location.clock.at += timedelta(minutes=6)
    result = location.run()
    assert not result.success
    assert "nothing was stored" in failure_of(result)
    assert not any(event.is_step_up_for_retry for event in result.all_events)


def test_a_window_that_is_not_over_is_refused(location: Location) -> None:
    """Half a window would be published as a whole one."""
    location.clock.at -= timedelta(minutes=1)
    result = location.run()
    assert not result.success
    assert "is not over" in failure_of(result)


def test_quotes_need_a_payload_that_can_be_read(location: Location) -> None:
    """Nothing stored and nothing readable are two different problems, each with its remedy."""
    empty = RAW_CHAIN_PAYLOAD.empty()
    with pytest.raises(WindowUnavailable, match="raw_chain_payload first"):
        quotes_of(location.broker, empty, ())
    assert location.run().success
    rows = location.rows("raw_chain_payload", KEY)
    half = rows["symbol"] == "TCS"
    swapped = rows.with_columns(expiry=pl.when(half).then(date(2030, 1, 1)).otherwise("expiry"))
    quotes, problems = quotes_of(location.broker, swapped, ())
    assert "TCS" not in set(quotes["symbol"])
    assert len(problems) == 1
    with pytest.raises(MalformedResponse, match="no payload could be read"):
        quotes_of(location.broker, swapped.filter(half), ())


def test_a_settled_expiry_is_not_asked_for(location: Location) -> None:
    """After 15:30 of an expiry day the next expiry takes its place."""
    expiries = {}
    for at in (datetime(2026, 11, 23, 15, 25, 2), datetime(2026, 11, 23, 15, 35, 2)):
        location.clock.at = at.replace(tzinfo=IST)
        key = f"2026-11-23|{at - timedelta(minutes=5):%H:%M}"
        assert location.run(key=key).success
        nifty = location.rows("raw_chain_payload", key).filter(pl.col("symbol") == "NIFTY")
        expiries[key] = set(nifty["expiry"])
    assert expiries["2026-11-23|15:20"] == {date(2026, 11, 23)}
    assert min(expiries["2026-11-23|15:30"]) > date(2026, 11, 23)


def test_a_chain_that_is_not_due_breaks_nothing(location: Location) -> None:
    """Calls for a few chains only: each first expiry comes first, and no check holds it wrong."""
    few = replace(location.config, expiries=2, chain_calls_per_minute=(len(SYMBOLS) + 1) / 5)
    result = replace(location, config=few).run()
    assert result.success
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert [(e.check_name, e.description) for e in failed if e.severity.value == "ERROR"] == []
    rows = location.rows("raw_chain_payload")
    assert set(rows["status"]) == {"ok"}
    assert set(rows["symbol"]) == set(SYMBOLS)
    assert len(SYMBOLS) <= rows.height <= len(SYMBOLS) + 2
    [told] = result.asset_materializations_for_node("raw_chain_payload")
    assert told.metadata["chains_due"].value == rows.height
    assert told.metadata["chains_not_due"].value == 2 * len(SYMBOLS) - rows.height
    assert "every window: index, expiry 1" in str(told.metadata["cadences"].value)
