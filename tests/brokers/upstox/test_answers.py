"""Small answers: what they say is taken strictly, and anything else is one of our errors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox.answers import (
    error_of,
    plain,
    read_feed_address,
    read_last_prices,
    read_market_status,
)
from market.errors import BrokerError, MalformedResponse


def _body(data: object) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()


@given(st.integers(100, 599), st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_any_answer_is_one_of_our_errors(status: int, body: bytes) -> None:
    """Whatever stands in the body, the status decides and nothing else is raised."""
    error = error_of(status, body, "GET somewhere")
    assert isinstance(error, BrokerError) and error.status == status


@given(st.text() | st.sampled_from(["a\nb", "\x1b[31mred", "\ud800", "x" * 10_000]))
def test_a_complaint_is_one_line_that_can_be_written(message: str) -> None:
    """A broker's text can forge no log line, paint no terminal and break no writer."""
    body = json.dumps({"errors": [{"errorCode": message, "message": message}]}).encode()
    text = str(error_of(500, body, "GET somewhere"))
    assert text.isprintable() and len(text) < 500
    assert text.encode()


def test_plain_text_stays() -> None:
    """Only what cannot be printed is replaced, and only the end is cut off."""
    assert plain("Ungültig: ₹5", 40) == "Ungültig: ₹5"
    assert plain("a\tb", 40) == "a\ufffdb"
    assert plain(12345, 3) == "123"


@pytest.mark.parametrize(
    "address",
    ["ws://", "wss:///x", "wss://a b/c", "wss://a/\r\nHost: b", "http://a", "wss://a:x/", 5, None],
)
def test_an_address_can_be_connected_to(address: object) -> None:
    """Neither without a host, nor with a line break that would write a header of its own."""
    with pytest.raises(MalformedResponse):
        read_feed_address(_body({"authorizedRedirectUri": address}))


@pytest.mark.parametrize("status", ["", "OPEN\n", "\ud800", "x" * 65, 5, None, ["NORMAL_OPEN"]])
def test_a_market_status_is_a_word(status: object) -> None:
    """It is shown and stored as it is."""
    with pytest.raises(MalformedResponse, match="NSE"):
        read_market_status(_body({"status": status}), "NSE")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "text",
        {},
        {"instrument_token": "NSE_FO|1"},
        {"instrument_token": 5, "last_price": 1.0},
        {"instrument_token": "", "last_price": 1.0},
        {"instrument_token": "\x1b[31m", "last_price": 1.0},
        {"instrument_token": "NSE_FO|1", "last_price": "1.0"},
        {"instrument_token": "NSE_FO|1", "last_price": True},
        {"instrument_token": "NSE_FO|1", "last_price": -1.0},
        {"instrument_token": "NSE_FO|1", "last_price": float("nan")},
        {"instrument_token": "NSE_FO|1", "last_price": float("inf")},
        {"instrument_token": "NSE_FO|1", "last_price": 10**400},
    ],
)
def test_a_last_price_has_a_key_and_a_price(entry: object) -> None:
    """A wrong one is refused with its answer, whatever type it has."""
    good = {"instrument_token": "NSE_FO|2", "last_price": 2.0}
    with pytest.raises(MalformedResponse, match="last_price"):
        read_last_prices(_body({"a": good, "b": entry}))


def test_last_prices_are_joined_by_their_own_keys() -> None:
    """The map's keys are trading symbols; zero means never traded."""
    data = {
        "NSE_FO:X": {"instrument_token": "NSE_FO|2", "last_price": 2},
        "NSE_FO:Y": {"instrument_token": "NSE_FO|3", "last_price": 0},
    }
    assert read_last_prices(_body(data)) == {"NSE_FO|2": 2.0}
