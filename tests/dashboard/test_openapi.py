"""The document tells the truth: every answer is valid against it, every address is in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dashboard import payloads
from dashboard.hub import Hub
from dashboard.openapi import document
from streaming.alerts import as_json
from tests.dashboard.conftest import Dashboard
from transforms.signals.record import Direction, Kind, Signal


def check(schema: str, answer: Any) -> None:
    """Validate an answer."""
    whole = {**document(), "$ref": f"#/components/schemas/{schema}"}
    Draft202012Validator(whole).validate(answer)


@pytest.mark.parametrize(
    ("path", "schema", "status"),
    [
        ("/api/v1/health", "Health", 200),
        ("/api/v1/alerts", "Alerts", 200),
        ("/api/v1/underlyings", "Underlyings", 200),
        ("/api/v1/chain/NIFTY", "Chain", 200),
        ("/api/v1/exposure/sensex", "Exposure", 200),
        ("/api/v1/chain/NOBODY", "Problem", 404),
        ("/api/v1/exposure/NIFTY?expiry=1999-01-01", "Problem", 404),
        ("/api/v1/nowhere", "Problem", 404),
    ],
)
def test_answers_are_as_documented(
    dashboard: Dashboard, path: str, schema: str, status: int
) -> None:
    """Status and body."""
    answer = dashboard.get(path)
    assert answer.status_code == status
    check(schema, answer.json())


def test_alerts_are_as_documented() -> None:
    """What the feed tells is handed on as it is, so its records must fit."""
    at, inputs = datetime(2026, 11, 25, 4, 0, tzinfo=UTC), (("close", 2.0), ("low", float("nan")))
    crossed = Signal(
        Kind.CALL_WALL, "NIFTY", "NIFTY", at, Direction.UP, 1.0, 2.0, 3.0, inputs, "words"
    )
    volume = replace(crossed, kind=Kind.VOLUME_SPIKE, level=None, score=None)
    told = [dict(as_json(signal)) for signal in (crossed, volume)]
    hub = Hub()
    hub.alerts.take(told)
    check("Alerts", payloads.alerts(hub, 5.0))


def test_the_document_is_served_and_its_addresses_answer(dashboard: Dashboard) -> None:
    """No address is documented that does not exist."""
    served = dashboard.get("/api/v1/openapi.json").json()
    assert served == document()
    for path in served["paths"]:
        assert dashboard.get(path.replace("{symbol}", "TCS")).status_code == 200
