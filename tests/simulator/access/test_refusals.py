"""Error answers look like the broker's, and every code of it has one."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import upstox_client

from simulator.access.refusals import CATALOGUE, refusal, refuse

_STATUSES = [400, 401, 403, 404, 405, 406, 410, 422, 423, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("status", _STATUSES)
def test_every_field_in_both_casings_and_no_data(status: int) -> None:
    """The official client reads camelCase, others the documented snake_case."""
    answer = refusal(status, "UDAPI1011", "wrong", "x", "instrument_key")
    assert answer.status == status
    assert answer.content_type == "application/json"
    body = json.loads(answer.text or "")
    assert body == {
        "status": "error",
        "errors": [
            {
                "errorCode": "UDAPI1011",
                "error_code": "UDAPI1011",
                "message": "wrong",
                "propertyPath": "instrument_key",
                "property_path": "instrument_key",
                "invalidValue": "x",
                "invalid_value": "x",
            }
        ],
    }


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_official_client_reads_every_refusal(code: str) -> None:
    """Its model of a problem has the code, a whole text, and what was wrong."""
    answer = refuse(code, value="x", property_path="to_date")
    assert answer.status == CATALOGUE[code].status
    read = upstox_client.ApiClient().deserialize(
        SimpleNamespace(data=answer.text), "ApiGatewayErrorResponse"
    )
    (problem,) = read.errors
    assert (read.status, problem.error_code) == ("error", code)
    assert (problem.property_path, problem.invalid_value) == ("to_date", "x")
    assert problem.message
    assert "{" not in problem.message


def test_the_catalogue_is_the_brokers() -> None:
    """The codes of which it is known how they are answered."""
    statuses = {
        "UDAPI1009": 400,
        "UDAPI1148": 400,
        "UDAPI1149": 401,
        "UDAPI100016": 400,
        "UDAPI100050": 401,
        "UDAPI100060": 404,
        "UDAPI100072": 423,
        "UDAPI10005": 429,
        "UDAPI100500": 500,
    }
    assert {code: CATALOGUE[code].status for code in statuses} == statuses


def test_a_missing_parameter_is_named() -> None:
    """In the text too; an instrument key is meant where nothing is said."""
    assert "expiry_date is required" in (
        refuse("UDAPI1009", property_path="expiry_date").text or ""
    )
    assert "instrument_key is required" in (refuse("UDAPI1009").text or "")


def test_an_unsettled_status_can_be_chosen() -> None:
    """As the broker answers some codes with one status and with another."""
    assert refuse("UDAPI100067", status=403).status == 403
