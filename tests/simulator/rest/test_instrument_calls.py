"""The files of the assets host."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import requests

from market.rules import rules_for
from simulator.exchange.market import Market
from simulator.rest.instrument_calls import file_day, master
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator

_SYMBOLS = ("NIFTY", "SENSEX", "RELIANCE")
_MARKET = Market(7, rules_for("nse"), _SYMBOLS)
_DAY = date(2026, 11, 25)
_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange whose clock stands still."""
    config = SimulatorConfig(symbols=_SYMBOLS, session="nse", limits=())
    with running_simulator(config, lambda: _NOON) as running:
        yield running


def _read(body: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(gzip.decompress(body))
    return records


def _fetch(exchange: SimulatedExchange, file: str, **headers: str) -> requests.Response:
    url = f"{exchange.url}/market-quote/instruments/exchange/{file}.json.gz"
    return requests.get(url, headers=headers, timeout=10)


def test_the_complete_file_lists_everything(exchange: SimulatedExchange) -> None:
    """Every row of the day's listing, and the dummies of both exchanges; no token is asked for."""
    answer = _fetch(exchange, "complete")
    assert answer.headers["Content-Type"] == "application/gzip"
    keys = [record["instrument_key"] for record in _read(answer.content)]
    assert keys[:-2] == [row.key for row in exchange.market.listing(_NOON).rows]
    assert keys[-2:] == ["NSE_FO|999001", "BSE_FO|999002"]


def test_exchanges_have_files_of_their_own() -> None:
    """Together they are the complete one."""
    nse, bse = (_read(master(_MARKET, _DAY, name)) for name in ("NSE", "BSE"))
    assert len(nse) + len(bse) == len(_read(master(_MARKET, _DAY, "*")))
    assert {record["exchange"] for record in bse} == {"BSE"}
    assert {record["exchange"] for record in nse} == {"NSE"}


@pytest.mark.parametrize("file", ["MCX", "suspended-instrument", "MTF", "NSE_MIS", "global"])
def test_files_that_have_nothing_in_them(exchange: SimulatedExchange, file: str) -> None:
    """What is not simulated is an empty list, not missing."""
    assert _read(_fetch(exchange, file).content) == []


def test_a_file_that_the_broker_does_not_have(exchange: SimulatedExchange) -> None:
    """The assets host has no envelope for errors."""
    assert _fetch(exchange, "everything").status_code == 404


@pytest.mark.parametrize("agent", ["", "Python-urllib/3.11"])
def test_scripts_are_turned_away(exchange: SimulatedExchange, agent: str) -> None:
    """An HTML page, not the broker's envelope."""
    refused = _fetch(exchange, "complete", **{"User-Agent": agent})
    assert refused.status_code == 403
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "1010" in refused.text


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-25T05:59:59+05:30", "2026-11-24"),
        ("2026-11-25T06:00:00+05:30", "2026-11-25"),
        ("2026-11-25T00:29:00+00:00", "2026-11-24"),
        ("2026-11-25T20:00:00+00:00", "2026-11-25"),
    ],
)
def test_files_come_out_at_six(now: str, day: str) -> None:
    """Until then those of the day before are served."""
    assert file_day(datetime.fromisoformat(now)) == date.fromisoformat(day)


def test_the_night_sees_yesterdays_contracts() -> None:
    """What expired yesterday is still in the file before six, and not after."""
    night = datetime(2026, 12, 1, 20, tzinfo=UTC)
    morning = datetime(2026, 12, 2, 1, tzinfo=UTC)
    symbol = "NIFTY 26000 CE 01 DEC 26"
    found = [
        symbol in {r["trading_symbol"] for r in _read(master(_MARKET, file_day(at), "NSE"))}
        for at in (night, morning)
    ]
    assert found == [True, False]


def test_auctions_are_dated() -> None:
    """No share is eligible before there was a closing auction."""
    for day, eligible in ((date(2026, 7, 31), set()), (_DAY, {"RELIANCE"})):
        records = _read(master(_MARKET, day, "NSE"))
        assert {r["trading_symbol"] for r in records if "cas_eligible" in r} == eligible
