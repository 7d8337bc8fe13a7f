"""The OpenAPI 3.1 document of the HTTP API, made from the same column lists as the payloads.

A test holds every answer valid against these schemas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard import payloads
from market.live_frame import (
    CONTRACT_COLUMNS,
    EXPIRY_COLUMNS,
    STRIKE_COLUMNS,
    UNDERLYING_COLUMNS,
)

_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_DATE = {"type": "string", "format": "date"}
_VERSION = {"const": payloads.VERSION}
_TEXTS = {"iv_status", "forward_status"}


def document() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "optionlake",
            "version": str(payloads.VERSION),
            "description": (
                "Last values of the live feed. Prices in ₹, open interest and volume in units, "
                "implied volatility as a fraction, instants as epoch milliseconds, gamma exposure "
                "in ₹ crore per 1 % (calls +, puts −). Null means not known, never zero. Changes "
                "are pushed on the WebSocket /api/v1/live, described in docs/live-feed.md."
            ),
        },
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }


def _paths() -> dict[str, Any]:
    symbol = {"name": "symbol", "in": "path", "required": True, "schema": _TEXT}
    expiry = {
        "name": "expiry",
        "in": "query",
        "required": False,
        "schema": _DATE,
        "description": "ISO date; the nearest expiry if left out",
    }
    choice = [symbol, expiry]
    return {
        "/api/v1/health": _get("State of the feed and of this server", "Health"),
        "/api/v1/alerts": _get("The newest alerts, newest first", "Alerts"),
        "/api/v1/underlyings": _get("Every underlying with its last values", "Underlyings", (503,)),
        "/api/v1/chain/{symbol}": _get("One option chain", "Chain", (404, 503), choice),
        "/api/v1/exposure/{symbol}": _get(
            "Gamma exposure by strike", "Exposure", (404, 503), choice
        ),
        "/api/v1/openapi.json": {
            "get": {"summary": "This document", "responses": {"200": {"description": "OpenAPI"}}}
        },
    }


def _get(
    summary: str, schema: str, problems: Sequence[int] = (), parameters: Sequence[Any] = ()
) -> dict[str, Any]:
    answers = {"200": _answer(summary, schema)}
    answers |= {str(status): _answer("What was expected, remedy", "Problem") for status in problems}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": answers}}


def _answer(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


def _schemas() -> dict[str, Any]:
    head = {
        "v": _VERSION,
        "now_ms": {"type": "number"},
        "symbol": _TEXT,
        "expiry": _DATE,
        "spot": _NUMBER,
        "spot_at_ms": _NUMBER,
        "totals": _columns(EXPIRY_COLUMNS),
    }
    leg = {"oneOf": [_contract(), {"type": "null"}]}
    strike = {"strike": {"type": "number"}}
    return {
        "Health": _health(),
        "Alerts": _object(v=_VERSION, now_ms={"type": "number"}, alerts=_list(_alert())),
        "Underlyings": _object(
            v=_VERSION, now_ms={"type": "number"}, underlyings=_list(_underlying())
        ),
        "Chain": _object(**head, strikes=_list(_object(**strike, call=leg, put=leg))),
        "Exposure": _object(
            **head,
            convention=_object(**dict.fromkeys(payloads.CONVENTION, _TEXT)),
            strikes=_list(_columns(STRIKE_COLUMNS, **strike)),
        ),
        "Problem": _object(
            v=_VERSION,
            error=_object(code=_TEXT, message=_TEXT, expected=_list(_TEXT), remedy=_TEXT),
        ),
    }


def _health() -> dict[str, Any]:
    upstream = _object(
        state={"enum": ["connecting", "connected", "lost"]},
        since_ms=_NUMBER,
        last_message_at_ms=_NUMBER,
        reconnects={"type": "integer"},
        resumes={"type": "integer"},
        frames={"type": "integer"},
        last_error=_MAYBE_TEXT,
    )
    return _object(
        v=_VERSION,
        status={"enum": ["ok", "stale", "lost"]},
        now_ms={"type": "number"},
        clients={"type": "integer"},
        unknown_rows={"type": "integer"},
        upstream=upstream,
        feed={"type": ["object", "null"]},
    )


def _alert() -> dict[str, Any]:
    return _object(
        key=_TEXT,
        kind=_TEXT,
        symbol=_TEXT,
        contract_id=_TEXT,
        at_ms={"type": "number"},
        direction={"enum": ["up", "down"]},
        level=_NUMBER,
        value={"type": "number"},
        score=_NUMBER,
        inputs={"type": "object", "additionalProperties": {"type": "number"}},
        reason=_TEXT,
    )


def _underlying() -> dict[str, Any]:
    who = {"symbol": _TEXT, "kind": _TEXT, "exchange": _TEXT, "expiries": _list(_DATE)}
    return _columns(UNDERLYING_COLUMNS, **who)


def _contract() -> dict[str, Any]:
    return _columns(
        tuple(name for name in CONTRACT_COLUMNS if name != "last_price_is_live"),
        instrument_id={"type": "integer"},
        lot_size_units=_NUMBER,
        last_price_source={"enum": ["socket", "chain", None]},
    )


def _columns(names: Sequence[str], **more: Any) -> dict[str, Any]:
    return _object(**more, **{n: _MAYBE_TEXT if n in _TEXTS else _NUMBER for n in names})


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}
