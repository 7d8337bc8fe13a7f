"""Option chain payloads: units, nulls, identity, and refusal with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokers.interface import ChainPayload, Instrument
from brokers.upstox.chain import read_chain
from market.contract import Contract, Kind, Right, Underlying
from market.errors import MalformedResponse
from transforms.schemas import QUOTES

BODY = (Path(__file__).parents[2] / "data" / "upstox" / "chain.json").read_bytes()
EXPIRY = date(2025, 2, 13)
ASKED_AT = datetime(2025, 2, 10, 6, 0, tzinfo=UTC)
NIFTY = Underlying("NIFTY", Kind.INDEX, "NSE")

_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)


def _payload(body: bytes = BODY) -> ChainPayload:
    return ChainPayload("NIFTY", EXPIRY, body, ASKED_AT, ASKED_AT + timedelta(seconds=1))


def _option(key: str, strike: float, right: Right, lot: int = 75) -> Instrument:
    contract = Contract("NIFTY", Kind.OPTION, EXPIRY, strike, right)
    return Instrument(contract, NIFTY, key, lot, 0.05)


LISTED = (_option("NSE_FO|51059", 21100, Right.CALL), _option("NSE_FO|51060", 21100, Right.PUT))


def _changed(change: Callable[[dict[str, Any]], None]) -> ChainPayload:
    answer = json.loads(BODY)
    change(answer)
    return _payload(json.dumps(answer).encode())


def _contract(frame: pl.DataFrame, contract_id: str) -> dict[str, Any]:
    return frame.row(by_predicate=pl.col("contract_id") == contract_id, named=True)


def test_documented_sample() -> None:
    """Every figure of the documentation's put, in our names and units."""
    frame = read_chain(_payload(), LISTED)
    assert frame.schema == QUOTES.polars
    assert _contract(frame, "NIFTY-20250213-21100-PE") == {
        "symbol": "NIFTY",
        "expiry": EXPIRY,
        "strike": 21100.0,
        "is_call": False,
        "contract_id": "NIFTY-20250213-21100-PE",
        "broker_key": "NSE_FO|51060",
        "exchange": "NSE",
        "lot_size_units": 75,
        "bid_price": 0.3,
        "bid_quantity_units": 1979400,
        "ask_price": 0.35,
        "ask_quantity_units": 2152500,
        "last_traded_at": None,
        "last_price": 0.3,
        "previous_close_price": 0.35,
        "volume_units": 22315725,
        "open_interest_units": 5636475.0,
        "previous_open_interest_units": 5797500.0,
        "spot": 22976.2,
        "vendor_implied_volatility": pytest.approx(0.5078),
        "vendor_delta": -0.0013,
        "quoted_at": ASKED_AT + timedelta(seconds=1),
        "source": "live",
    }


def test_order_and_missing_side() -> None:
    """By strike, put before call as everywhere; a side that is not there has no row."""
    frame = read_chain(_payload(), LISTED)
    assert frame["contract_id"].to_list() == [
        "NIFTY-20250213-21100-PE",
        "NIFTY-20250213-21100-CE",
        "NIFTY-20250213-23000-CE",
        "NIFTY-20250213-23050-PE",
        "NIFTY-20250213-23050-CE",
    ]


def test_zeros() -> None:
    """No bid, no open interest, no volatility: null. Untraded today: 0. Placeholder: all null."""
    frame = read_chain(_payload(), LISTED)
    traded = _contract(frame, "NIFTY-20250213-23000-CE")
    names = ("bid_price", "bid_quantity_units", "open_interest_units", "previous_close_price")
    assert [traded[name] for name in names] == [None] * 4
    assert traded["vendor_implied_volatility"] is None
    assert traded["volume_units"] == 75
    assert _contract(frame, "NIFTY-20250213-21100-CE")["volume_units"] == 0
    placeholder = _contract(frame, "NIFTY-20250213-23050-PE")
    assert placeholder["volume_units"] is None and placeholder["last_price"] is None


def test_lot_comes_from_the_same_contract_only() -> None:
    """A key that the listing gives to another strike lends it nothing; the row says what it is."""
    frame = read_chain(_payload(), [_option("NSE_FO|51059", 21150, Right.CALL)])
    call = _contract(frame, "NIFTY-20250213-21100-CE")
    assert (call["lot_size_units"], call["strike"]) == (None, 21100.0)


def test_missing_figures_are_null() -> None:
    """A field that is absent or null is a null, not an error."""

    def strip(answer: dict[str, Any]) -> None:
        side = answer["data"][0]["call_options"]
        side["market_data"] = {"ltp": None}
        del side["option_greeks"], answer["data"][0]["underlying_spot_price"]

    call = _contract(read_chain(_changed(strip), LISTED), "NIFTY-20250213-21100-CE")
    told = {name for name, value in call.items() if value is not None}
    assert told.isdisjoint({"last_price", "volume_units", "vendor_delta", "spot"})


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(answer: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        target: Any = answer
        for name in parents:
            target = target[int(name) if name.isdigit() else name]
        target[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("status", "error", "status success"),
        ("data", None, "at least one strike"),
        ("data", [], "at least one strike"),
        ("data.0.expiry", "2025-02-20", "another was asked for"),
        ("data.0.strike_price", -1, "strike_price is -1"),
        ("data.0.strike_price", "21100", "strike_price is '21100'"),
        ("data.0.call_options.instrument_key", "NSE_EQ|1", "expected NSE_FO"),
        ("data.0.call_options.market_data", None, "expected an object"),
        ("data.0.call_options.market_data.ltp", float("nan"), "finite number"),
        ("data.0.call_options.market_data.oi", -5, "from 0 up"),
        ("data.0.call_options.market_data.volume", 0.5, "whole units"),
        ("data.1.strike_price", 21100, "twice"),
    ],
)
def test_refusal_names_symbol_expiry_and_expectation(
    path: str, value: object, expected: str
) -> None:
    """Whoever reads the error knows which chain, what was wrong and what should have been."""
    with pytest.raises(MalformedResponse, match="NIFTY for 2025-02-13") as caught:
        read_chain(_changed(_set(path, value)), LISTED)
    assert expected in str(caught.value)


def test_a_refusal_stays_short() -> None:
    """Whatever the size of the wrong value, its error fits into a line of the log."""
    with pytest.raises(MalformedResponse) as caught:
        read_chain(_changed(_set("data.0.strike_price", "x" * 100_000)), LISTED)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("body", [b"", b"<html>403</html>", b"[]", b"\xff\xfe", b"[" * 10**5])
def test_what_is_no_chain_is_refused(body: bytes) -> None:
    """HTML or another document is one clear error."""
    with pytest.raises(MalformedResponse, match="NIFTY"):
        read_chain(_payload(body), LISTED)


def _paths(node: Any, path: str = "") -> list[str]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for name, child in items:
        found.append(f"{path}{name}")
        if isinstance(child, dict | list):
            found += _paths(child, f"{path}{name}.")
    return found


def _value_at(answer: Any, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for name in parents:
        answer = answer[int(name)] if isinstance(answer, list) else answer[name]
    answer[int(last) if isinstance(answer, list) else last] = value


@settings(max_examples=200)
@given(st.sampled_from(_paths(json.loads(BODY))), _json)
@example("data.0.strike_price", 10**400)
@example("data.0.call_options.market_data.volume", 2**63)
def test_any_change_is_read_or_refused(path: str, value: object) -> None:
    """Whatever stands in a field, the result conforms to the schema or is a typed refusal."""
    try:
        frame = read_chain(_changed(lambda answer: _value_at(answer, path, value)), LISTED)
    except MalformedResponse:
        return
    assert frame.schema == QUOTES.polars
    prices = frame.select("bid_price", "ask_price", "last_price", "open_interest_units", "spot")
    assert all((column.drop_nulls() > 0).all() for column in prices)
    assert frame["contract_id"].is_unique().all()
