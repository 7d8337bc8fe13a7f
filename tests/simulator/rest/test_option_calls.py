"""Chains and contracts, judged by the broker's official SDK against the market itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import requests
import upstox_client

from market.rules import rules_for
from simulator.exchange.market import Market
from simulator.rest.option_calls import chain, contracts, expiry_of
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official

_NIFTY, _RELIANCE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"
_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_MARKET = Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])
_INDEX, _STOCK = _MARKET.symbols


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange whose clock stands still, so that what is served can be compared exactly."""
    config = SimulatorConfig(symbols=("NIFTY", "RELIANCE"), session="nse", limits=())
    with running_simulator(config, lambda: _NOON) as running:
        yield running


def _get(exchange: SimulatedExchange, path: str, **query: str) -> requests.Response:
    return requests.get(exchange.url + path, query, headers=exchange.headers, timeout=10)


def _weekly() -> date:
    return min(expiry for symbol, expiry in _MARKET.listing(_NOON).chains if symbol == "NIFTY")


def test_referee_reads_the_chain(exchange: SimulatedExchange) -> None:
    """Both sides of every strike, each figure as the market has it, in the broker's units."""
    api = upstox_client.OptionsApi(official.client(exchange))
    expiry = _weekly()
    read = api.get_put_call_option_chain(_NIFTY, expiry.isoformat())
    assert read.status == "success"
    listing = exchange.market.listing(_NOON)
    rows = listing.chain("NIFTY", expiry)
    quotes = exchange.market.quotes(_NOON, rows)
    sides = [side for row in read.data for side in (row.call_options, row.put_options)]
    assert [side.instrument_key for side in sides] == [listing.rows[row].key for row in rows]
    for i, side in enumerate(sides):
        told, greeks = side.market_data, side.option_greeks
        assert told.ltp == quotes.last_price[i]
        assert (told.bid_price, told.ask_price) == (quotes.bid_price[i], quotes.ask_price[i])
        assert (told.bid_qty, told.ask_qty) == (
            quotes.bid_quantity_units[i],
            quotes.ask_quantity_units[i],
        )
        assert told.close_price == quotes.previous_close_price[i]
        assert (told.volume, told.oi) == (quotes.volume_units[i], quotes.open_interest_units[i])
        assert told.prev_oi == quotes.previous_open_interest_units[i]
        assert greeks.iv == pytest.approx(100 * quotes.implied_volatility[i], abs=0.006)
        assert greeks.delta == pytest.approx(quotes.model.delta[i], abs=1e-4)
        assert greeks.pop == pytest.approx(100 * quotes.model.profit_probability[i], abs=0.006)


def test_rows_of_the_chain(exchange: SimulatedExchange) -> None:
    """Strikes ascend; the ratio is the strike's own; the spot is one; nothing tells the time."""
    rows = chain(exchange.market, _NOON, _INDEX, _weekly().isoformat())
    strikes = [row["strike_price"] for row in rows]
    assert strikes == sorted(set(strikes))
    listing = exchange.market.listing(_NOON)
    spot = exchange.market.quotes(_NOON, np.array([listing.row_of_key[_NIFTY]])).last_price
    assert {row["underlying_spot_price"] for row in rows} == set(spot.tolist())
    for row in rows:
        assert set(row) == {
            "expiry",
            "pcr",
            "strike_price",
            "underlying_key",
            "underlying_spot_price",
            "call_options",
            "put_options",
        }
        call, put = (row[side]["market_data"]["oi"] for side in ("call_options", "put_options"))
        assert row["pcr"] == (pytest.approx(put / call, abs=0.006) if call else 0.0)


def test_referee_reads_the_contracts(exchange: SimulatedExchange) -> None:
    """Every option of the listing and nothing else, or those of one expiry."""
    api = upstox_client.OptionsApi(official.client(exchange))
    listing = exchange.market.listing(_NOON)
    every = api.get_option_contracts(_NIFTY).data
    chains = {e: rows for (s, e), rows in listing.chains.items() if s == "NIFTY"}
    listed = {listing.rows[row].key for rows in chains.values() for row in rows}
    assert {contract.instrument_key for contract in every} == listed
    one = api.get_option_contracts(_NIFTY, expiry_date=_weekly().isoformat()).data
    assert len(one) == len(chains[_weekly()])
    for contract in one:
        assert contract.expiry.date() == _weekly()
        assert contract.underlying_key == _NIFTY
        assert contract.tick_size == 5.0
        assert contract.lot_size == 65
        assert contract.instrument_type in ("CE", "PE")
        assert contract.weekly is True


@pytest.mark.parametrize(
    ("word", "place"), [("current_week", 0), ("next_week", 1), ("far_week", 2)]
)
def test_weeks_count_expiries(word: str, place: int) -> None:
    """As they come, the last one of a month as well; a stock, which has no weeks, has none."""
    listing = _MARKET.listing(_NOON)
    expiries = sorted(expiry for symbol, expiry in listing.chains if symbol == "NIFTY")
    expected = expiries[place] if place < len(expiries) else None
    assert expiry_of(listing, _INDEX, word) == expected
    assert expiry_of(listing, _STOCK, word) is None
    assert chain(_MARKET, _NOON, _STOCK, word) == []


@pytest.mark.parametrize("symbol", [_INDEX, _STOCK])
@pytest.mark.parametrize(("word", "month"), [("current_month", 12), ("next_month", 1)])
def test_months_end_a_series(symbol: Any, word: str, month: int) -> None:
    """Only expiries that end a month's series; after November's that is December's."""
    listing = _MARKET.listing(_NOON)
    name, found = symbol.underlying.symbol, expiry_of(listing, symbol, word)
    monthly = _MARKET.rules.expiries("RELIANCE", "NSE", _NOON.date(), 4)
    expected = next(expiry for expiry in monthly if expiry.month == month)
    assert found == (expected if (name, expected) in listing.chains else None)


def test_words_roll_over_after_the_expiry() -> None:
    """On its last day an expiry is still the current one, the next day it is not."""
    expiry = _weekly()
    found = [
        expiry_of(_MARKET.listing(datetime(2026, 12, day, 6, tzinfo=UTC)), _INDEX, "current_week")
        for day in (1, 2)
    ]
    assert found[0] == expiry == date(2026, 12, 1)
    assert found[1] == date(2026, 12, 8)


def test_words_are_served(exchange: SimulatedExchange) -> None:
    """The chain of a word is the chain of its date."""
    by_word, by_date = (
        _get(exchange, "/v2/option/chain", instrument_key=_NIFTY, expiry_date=expiry).json()
        for expiry in ("current_week", _weekly().isoformat())
    )
    assert by_word == by_date
    query = {"instrument_key": _NIFTY, "expiry_date": "current_week"}
    assert len(_get(exchange, "/v2/option/contract", **query).json()["data"]) == 2 * len(
        by_word["data"]
    )


def test_an_expiry_that_is_not_listed_has_no_rows() -> None:
    """An empty answer, not an error."""
    assert chain(_MARKET, _NOON, _INDEX, "2026-12-02") == []
    assert contracts(_MARKET.listing(_NOON), _INDEX, "2026-12-02") == []


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("chain", {}, "UDAPI1009"),
        ("chain", {"instrument_key": _NIFTY}, "UDAPI1009"),
        ("chain", {"instrument_key": _NIFTY, "expiry_date": "x"}, "UDAPI1088"),
        ("chain", {"instrument_key": "x", "expiry_date": "2026-12-01"}, "UDAPI1011"),
        ("chain", {"instrument_key": "NSE_FO|1", "expiry_date": "2026-12-01"}, "UDAPI100011"),
        ("contract", {}, "UDAPI1009"),
        ("contract", {"instrument_key": _NIFTY, "expiry_date": "this_week"}, "UDAPI1088"),
        ("contract", {"instrument_key": "NSE_EQ|INE000000000"}, "UDAPI100011"),
    ],
)
def test_wrong_calls(
    exchange: SimulatedExchange, path: str, query: dict[str, str], code: str
) -> None:
    """Each mistake has its own code, every field in both casings, and no data."""
    answer = _get(exchange, f"/v2/option/{path}", **query)
    body = answer.json()
    (error,) = body["errors"]
    assert (answer.status_code, set(body)) == (400, {"status", "errors"})
    assert (error["errorCode"], error["error_code"]) == (code, code)
    assert error["propertyPath"] == error["property_path"]
    assert error["invalidValue"] == error["invalid_value"]


def test_both_sides_are_always_there() -> None:
    """Calls and puts in pairs of one strike, for each expiry."""
    listing = _MARKET.listing(_NOON)
    for rows in listing.chains.values():
        assert np.array_equal(listing.strike[rows[::2]], listing.strike[rows[1::2]])
        assert (listing.sign[rows].reshape(-1, 2) == [1, -1]).all()
