"""A trading day of the exchange as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import requests

from market.contract import Contract, Kind
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator.standing import StandingClock, ist

_CLOCK = StandingClock(ist("2026-11-23 09:17:30"))
_CONFIG = SimulatorConfig(session="nse", symbols=("TCS", "RELIANCE"), limits=())


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange, two minutes after the open."""
    with running_simulator(_CONFIG, _CLOCK) as running:
        yield running


def _get(exchange: SimulatedExchange, **query: str) -> requests.Response:
    return requests.get(f"{exchange.url}/simulator/candles", query, timeout=60, stream=True)


def _lines(answer: requests.Response) -> Iterator[dict[str, Any]]:
    assert answer.status_code == 200
    yield from map(json.loads, answer.iter_lines())


def test_today_so_far_is_every_contract(exchange: SimulatedExchange) -> None:
    """One line a contract of the day's listing, candles oldest first, in whole minutes."""
    found = list(_lines(_get(exchange, day="2026-11-23")))
    listing = exchange.market.listing_of(date(2026, 11, 23))
    assert [line["instrument_key"] for line in found] == [row.key for row in listing.rows]
    assert [line["contract_id"] for line in found] == [str(row.contract) for row in listing.rows]
    assert [candle[0][11:16] for candle in found[0]["candles"]] == ["09:15", "09:16"]


def test_symbols_can_be_chosen(exchange: SimulatedExchange) -> None:
    """Only their lines, as they are in the full day; what is read first is made first."""
    with _get(exchange, day="2026-11-20", symbol="RELIANCE") as answer:
        first = next(_lines(answer))
    assert first["contract_id"] == "RELIANCE"
    assert len(first["candles"]) == 385
    spot = Contract("RELIANCE", Kind.EQUITY)
    made = exchange.market.minute_candles(spot, date(2026, 11, 20))
    assert [candle[4] for candle in first["candles"]] == made.close.tolist()


@pytest.mark.parametrize("day", ["2026-11-24", "2026-11-22", "2026-11-25"])
def test_a_day_without_trading_has_no_lines(exchange: SimulatedExchange, day: str) -> None:
    """A holiday, a Sunday, tomorrow."""
    assert list(_lines(_get(exchange, day=day))) == []


@pytest.mark.parametrize(
    "query",
    [{}, {"day": "yesterday"}, {"day": "1999-01-04"}, {"day": "2026-11-20", "symbol": "NOPE"}],
)
def test_wrong_queries_are_told_what_is_expected(
    exchange: SimulatedExchange, query: dict[str, str]
) -> None:
    """400 with the mistake and the form of a right query."""
    answer = _get(exchange, **query)
    assert answer.status_code == 400
    assert "?day=YYYY-MM-DD" in answer.json()["error"]
