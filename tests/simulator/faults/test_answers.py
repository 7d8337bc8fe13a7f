"""What a fault answers to a call."""

from __future__ import annotations

import json

import pytest

from simulator.faults.answers import Answer, answer_of, both, with_null
from simulator.faults.catalogue import CATALOGUE, Place, kind_of


def _answer(name: str, *keys: str, **arguments: object) -> Answer:
    return answer_of(name, kind_of(name).checked(arguments), keys)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("rate_limited", 429, "UDAPI10005"),
        ("server_error", 500, "UDAPI100500"),
        ("bad_key", 400, "UDAPI1087"),
    ],
)
def test_errors_have_the_brokers_envelope(name: str, status: int, code: str) -> None:
    """Status, code in both casings, and no data."""
    answer = _answer(name, "NSE_FO|1")
    told = json.loads(answer.body)
    assert answer.status == status
    assert told["status"] == "error"
    assert "data" not in told
    assert {told["errors"][0][c] for c in ("errorCode", "error_code")} == {code}


def test_a_bad_key_is_named() -> None:
    """The broker echoes it."""
    assert (
        json.loads(_answer("bad_key", "NSE_FO|1").body)["errors"][0]["invalidValue"] == "NSE_FO|1"
    )


def test_server_errors_take_a_status() -> None:
    """Any of the 5xx, with the same body."""
    assert _answer("server_error", status=503).status == 503


@pytest.mark.parametrize("code", ["1010", "1015"])
def test_the_edge_answers_in_html(code: str) -> None:
    """A 403 that is no JSON."""
    answer = _answer("forbidden_page", code=code)
    assert (answer.status, answer.content_type) == (403, "text/html")
    assert f"Error {code}".encode() in answer.body
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(answer.body)


def test_good_answers_with_nothing_in_them() -> None:
    """200 without candles, and 200 with data: null."""
    for name in ("empty_candles", "throttled_empty"):
        assert json.loads(_answer(name).body) == {"status": "success", "data": {"candles": []}}
    assert json.loads(_answer("null_data").body) == {"status": "success", "data": None}


def test_every_call_fault_has_an_answer() -> None:
    """None of the catalogue's is forgotten."""
    for kind in CATALOGUE.values():
        if kind.place is Place.CALL:
            assert _answer(kind.name) != Answer()


def test_faults_add_up() -> None:
    """The first answer counts, delays add, the body is torn and edited by either."""
    slow, torn = _answer("slow", seconds=2.0), _answer("torn", keeps=0.25)
    limited, null = _answer("rate_limited"), _answer("prev_ohlc_null")
    found = both(both(both(slow, torn), limited), both(slow, _answer("server_error")))
    assert (found.status, found.delay_seconds, found.keeps) == (429, 4.0, 0.25)
    assert both(None, slow) == slow
    assert both(slow, null).null_field == both(null, slow).null_field == "prev_ohlc"


def test_fields_become_null_where_they_are() -> None:
    """In every entry that has them; anything else passes as it is."""
    body = json.dumps({"data": {"A": {"prev_ohlc": {"open": 1}, "b": 2}, "B": {"b": 3}}}).encode()
    assert json.loads(with_null(body, "prev_ohlc")) == {
        "data": {"A": {"prev_ohlc": None, "b": 2}, "B": {"b": 3}}
    }
    for other in (b"", b"no JSON", b"[]", b'{"data": []}', b'{"data": {"A": 1}}', b"\xff"):
        assert with_null(other, "prev_ohlc") == other
