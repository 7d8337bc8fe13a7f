"""Reading calls: what is refused with which code, and how a good answer is written."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from datetime import UTC, date, datetime
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from market.rules import rules_for
from simulator.access.calls import (
    KeyRules,
    day,
    instrument_keys,
    read_day,
    required,
    rows_of,
    success,
    underlying,
    worked_out,
)
from simulator.exchange.market import Market

_MARKET = Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])
_RULES = KeyRules(3, "UDAPI100043")


def _request(query: str) -> web.Request:
    return make_mocked_request("GET", f"/?{query}")


def _code(caught: pytest.ExceptionInfo[web.HTTPError]) -> str:
    error = json.loads(caught.value.text or "")["errors"][0]
    assert error["errorCode"] == error["error_code"]
    return str(error["errorCode"])


@given(st.dates())
def test_dates_are_read_back(day_asked: date) -> None:
    """Every date in the broker's spelling."""
    assert day(day_asked.isoformat()) == day_asked


@pytest.mark.parametrize("text", ["", "x", "2026-1-1", "20260101", "2026-02-30", "2026-W01-1"])
def test_anything_else_is_no_date(text: str) -> None:
    """Also what Python would take for one."""
    assert read_day(text) is None
    with pytest.raises(web.HTTPError) as caught:
        day(text)
    assert _code(caught) == "UDAPI1088"


@pytest.mark.parametrize("query", ["", "interval="])
def test_a_parameter_that_must_be_there(query: str) -> None:
    """Missing or empty; the code is the path's."""
    assert required(_request("interval=I1"), "interval") == "I1"
    with pytest.raises(web.HTTPError) as caught:
        required(_request(query), "interval", "UDAPI1027")
    assert _code(caught) == "UDAPI1027"


@pytest.mark.parametrize("name", ["symbol", "instrument_key"])
def test_keys_are_separated_by_commas(name: str) -> None:
    """Each once, in order, under either of the parameter's names."""
    query = f"{name}=NSE_FO|2,NSE_INDEX|Nifty 50,NSE_FO|2"
    assert instrument_keys(_request(query), _RULES) == ["NSE_FO|2", "NSE_INDEX|Nifty 50"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "UDAPI1009"),
        ("instrument_key=", "UDAPI1009"),
        ("instrument_key=NSE_FO|1,NSE_FO|2,NSE_FO|3,NSE_FO|4", "UDAPI100043"),
        ("instrument_key=NSE_FO|1,", "UDAPI1011"),
        ("instrument_key=NSE_FO", "UDAPI1011"),
        ("instrument_key=NYSE|1", "UDAPI1011"),
        ("instrument_key=NSE_FO|1|17-04-2025", "UDAPI1011"),
        ("instrument_key=NSE_FO|a-b", "UDAPI1011"),
    ],
)
def test_lists_of_keys_that_are_refused(query: str, code: str) -> None:
    """None, too many, or one that is misspelt."""
    with pytest.raises(web.HTTPError) as caught:
        instrument_keys(_request(query), _RULES)
    assert _code(caught) == code


@given(st.text(max_size=60))
def test_any_bytes_are_read_or_refused(text: str) -> None:
    """What comes from outside is a good key, a date, or a refusal; never an error of ours."""
    request = _request(urlencode({"instrument_key": text}))
    with suppress(web.HTTPBadRequest):
        keys = instrument_keys(request, _RULES)
        assert ",".join(keys) == text or len(set(text.split(","))) < len(text.split(","))
    with suppress(web.HTTPBadRequest):
        underlying(_MARKET, text)
    with suppress(web.HTTPBadRequest):
        assert day(text).isoformat() == text


def test_rows_of_keys() -> None:
    """In the order asked for; one unknown key voids them all, with the path's code."""
    listing = _MARKET.listing(datetime(2026, 11, 25, 6, tzinfo=UTC))
    keys = ["NSE_EQ|INE002A01018", "NSE_INDEX|Nifty 50"]
    assert [listing.rows[row].key for row in rows_of(listing, keys, _RULES)] == keys
    with pytest.raises(web.HTTPError) as caught:
        rows_of(listing, [*keys, "NSE_FO|0"], KeyRules(3, "", unknown="UDAPI100011"))
    assert _code(caught) == "UDAPI100011"


@pytest.mark.parametrize(
    ("key", "code"), [("nonsense", "UDAPI1011"), ("NSE_EQ|INE000000000", "UDAPI100011")]
)
def test_an_underlying_is_a_symbol_of_the_market(key: str, code: str) -> None:
    """Misspelt and unknown keys differ."""
    assert underlying(_MARKET, "NSE_INDEX|Nifty 50").underlying.symbol == "NIFTY"
    with pytest.raises(web.HTTPError) as caught:
        underlying(_MARKET, key)
    assert _code(caught) == code


def test_answers_have_the_brokers_envelope() -> None:
    """The same whether made here or in a thread, and the thread is another one."""
    made_in: list[int] = []

    def make() -> list[int]:
        made_in.append(threading.get_ident())
        return [1]

    answers = [success([1]), asyncio.run(worked_out(make))]
    for answer in answers:
        assert answer.content_type == "application/json"
        assert isinstance(answer.body, bytes)
        assert json.loads(answer.body) == {"status": "success", "data": [1]}
    assert made_in != [threading.get_ident()]
