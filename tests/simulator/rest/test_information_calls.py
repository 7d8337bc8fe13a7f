"""Market information, judged by the official SDK and by plain sums over the chain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import requests
import upstox_client
from hypothesis import given
from hypothesis import strategies as st

from simulator.rest.information_calls import Interest, max_pain, put_call_ratio
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official

_NIFTY = "NSE_INDEX|Nifty 50"
_NOON = datetime(2026, 11, 25, 6, 45, tzinfo=UTC)
_TODAY = {"instrument_key": _NIFTY, "expiry": "2026-12-01", "date": "2026-11-25"}
_STEPS: dict[str, dict[str, str]] = {
    "oi": {},
    "change-oi": {"interval": "1"},
    "pcr": {"bucket_interval": "60"},
    "max-pain": {"bucket_interval": "60"},
}


def _config(*, has_market_information: bool) -> SimulatorConfig:
    return SimulatorConfig(
        symbols=("NIFTY",),
        session="nse",
        limits=(),
        has_market_information=has_market_information,
    )


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange that works the numbers out, at noon of a trading day."""
    config = _config(has_market_information=True)
    with running_simulator(config, lambda: _NOON) as running:
        yield running


def _get(exchange: SimulatedExchange, path: str, query: dict[str, str]) -> requests.Response:
    url = f"{exchange.url}/v2/market/{path}"
    return requests.get(url, query, headers=exchange.headers, timeout=20)


def _data(exchange: SimulatedExchange, path: str, **more: str) -> Any:
    return _get(exchange, path, _TODAY | _STEPS[path] | more).json()["data"]


def _chain(exchange: SimulatedExchange) -> list[dict[str, Any]]:
    query = {"instrument_key": _NIFTY, "expiry_date": "2026-12-01"}
    url = f"{exchange.url}/v2/option/chain"
    answer = requests.get(url, query, headers=exchange.headers, timeout=20)
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def test_null_unless_it_is_asked_for() -> None:
    """Good answers without data, as users report, also to the official client."""
    with running_simulator(_config(has_market_information=False), lambda: _NOON) as running:
        for path, step in _STEPS.items():
            answer = _get(running, path, _TODAY | step)
            assert answer.status_code == 200
            assert answer.json() == {"status": "success", "data": None}
        api = upstox_client.MarketApi(official.client(running))
        read = api.get_oi_data(_NIFTY, "2026-12-01", "2026-11-25")
        assert read.status == "success"


def test_referee_calls_them_all(exchange: SimulatedExchange) -> None:
    """With its own names of the parameters; what it makes of the answers is untyped."""
    api = upstox_client.MarketApi(official.client(exchange))
    key, expiry, day = _NIFTY, "current_week", "2026-11-25"
    for read in (
        api.get_oi_data(key, expiry, day),
        api.get_change_oi_data(key, expiry, day, 1),
        api.get_pcr_data(key, expiry, day, 60),
        api.get_max_pain_data(key, expiry, day, 60),
    ):
        assert read.status == "success"
        assert read.data is not None


def test_open_interest_is_the_chains(exchange: SimulatedExchange) -> None:
    """Strike by strike, and in total."""
    data, chain = _data(exchange, "oi"), _chain(exchange)
    assert data["expiry"] == "2026-12-01"
    assert data["spot_closing_price"] == chain[0]["underlying_spot_price"]
    for told, row in zip(data["call_put_oi_data_list"], chain, strict=True):
        assert told == {
            "strike_price": row["strike_price"],
            "call_oi": row["call_options"]["market_data"]["oi"],
            "put_oi": row["put_options"]["market_data"]["oi"],
        }
    assert data["total_calls"] == sum(row["call_oi"] for row in data["call_put_oi_data_list"])
    assert data["total_puts"] == sum(row["put_oi"] for row in data["call_put_oi_data_list"])


def test_change_is_since_the_close_before(exchange: SimulatedExchange) -> None:
    """Over one trading day it is what the chain tells as open interest less the previous one."""
    data = _data(exchange, "change-oi")
    before = _data(exchange, "oi", date="2026-11-23")
    old = {row["strike_price"]: row for row in before["call_put_oi_data_list"]}
    now = {row["strike_price"]: row for row in _data(exchange, "oi")["call_put_oi_data_list"]}
    for told in data["call_put_oi_data_list"]:
        strike = told["strike_price"]
        for side in ("call", "put"):
            was = old.get(strike, {}).get(f"{side}_oi", 0)
            assert told[f"{side}_change_oi"] == now[strike][f"{side}_oi"] - was
    for side in ("call", "put"):
        changes = [row[f"{side}_change_oi"] for row in data["call_put_oi_data_list"]]
        assert data[f"total_{side}_change_oi"] == sum(changes)


def test_ratio_and_pain_through_the_day(exchange: SimulatedExchange) -> None:
    """One figure for now and one for each bucket from the open on, none of the future."""
    totals = _data(exchange, "oi")
    for path, name in (("pcr", "pcr"), ("max-pain", "max_pain")):
        data = _data(exchange, path)
        assert data["instrument_key"] == _NIFTY
        assert data["expiry_date"] == "01-12-2026"
        assert [row["time"] for row in data["insights"]] == ["09:15", "10:15", "11:15", "12:15"]
        assert all(set(row) == {name, "spot_price", "time"} for row in data["insights"])
        assert data["insights"][-1][name] == data[name]
    ratio = totals["total_puts"] / totals["total_calls"]
    assert _data(exchange, "pcr")["pcr"] == pytest.approx(ratio)


@pytest.mark.parametrize(
    "more",
    [
        {"date": "2026-11-24"},
        {"date": "2026-11-26"},
        {"date": "0001-01-01"},
        {"date": "2009-06-01"},
        {"date": "9999-12-31"},
        {"expiry": "2026-12-02"},
    ],
)
@pytest.mark.parametrize("path", _STEPS)
def test_what_is_not_there_is_null(
    exchange: SimulatedExchange, path: str, more: dict[str, str]
) -> None:
    """A holiday, a day to come or out of reach, an expiry that is not listed."""
    assert _data(exchange, path, **more) is None


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("oi", {}, "UDAPI1009"),
        ("oi", {"instrument_key": "NSE_FO|1"}, "UDAPI100011"),
        ("oi", {"instrument_key": _NIFTY}, "UDAPI1202"),
        ("pcr", _TODAY | {"expiry": "01-12-2026"}, "UDAPI1202"),
        ("max-pain", _TODAY | {"date": "today"}, "UDAPI1203"),
        ("change-oi", _TODAY, "UDAPI1204"),
        ("change-oi", _TODAY | {"interval": "-1"}, "UDAPI1204"),
        ("pcr", _TODAY | {"bucket_interval": "0"}, "UDAPI1205"),
        ("max-pain", _TODAY | {"bucket_interval": "1e3"}, "UDAPI1205"),
        ("max-pain", _TODAY | {"bucket_interval": "9" * 4_000}, "UDAPI1205"),
    ],
)
def test_wrong_calls(
    exchange: SimulatedExchange, path: str, query: dict[str, str], code: str
) -> None:
    """Each parameter has its own code, in both casings."""
    answer = _get(exchange, path, query)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["errorCode"], error["error_code"]) == (400, code, code)


_INTERESTS = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 10**7), min_size=n, max_size=n)] * 2)
)


@given(units=_INTERESTS)
def test_max_pain_pays_least(units: tuple[list[int], list[int]]) -> None:
    """Of all strikes, by the plain sum over every holder."""
    calls, puts = units
    strikes = [100.0 + 5.0 * i for i in range(len(calls))]
    interest = Interest(
        date(2026, 12, 1), 100.0, np.array(strikes), np.array(calls), np.array(puts)
    )

    def paid(at: float) -> float:
        return sum(
            call * max(at - strike, 0.0) + put * max(strike - at, 0.0)
            for strike, call, put in zip(strikes, calls, puts, strict=True)
        )

    assert paid(max_pain(interest)) == pytest.approx(min(map(paid, strikes)))
    expected = sum(puts) / sum(calls) if sum(calls) else 0.0
    assert put_call_ratio(interest) == pytest.approx(expected)
