"""Error answers look like the broker's."""

from __future__ import annotations

import json

import pytest

from simulator.refusals import refusal


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_every_field_in_both_casings_and_no_data(status: int) -> None:
    """The official client reads camelCase, others the documented snake_case."""
    answer = refusal(status, "UDAPI1011", "wrong", "x")
    assert answer.status == status
    assert answer.content_type == "application/json"
    body = json.loads(answer.text or "")
    assert body["status"] == "error"
    assert "data" not in body
    (error,) = body["errors"]
    assert error["errorCode"] == error["error_code"] == "UDAPI1011"
    assert error["invalidValue"] == error["invalid_value"] == "x"
    assert "propertyPath" in error
    assert "property_path" in error
