"""The broker's error answers: the catalogue of its codes, and their shape as HTTP exceptions.

When to refuse is decided where the call is understood. The codes and what they mean are the
broker's. It documents neither the HTTP status of each code nor, for most, its text: unseen
statuses are taken from the codes' neighbours and unseen texts are ours, so that a client must go
by the code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from aiohttp import web


class _MethodNotAllowed(web.HTTPClientError):
    status_code = 405  # aiohttp's own wants the allowed methods, which the broker does not tell


class _Locked(web.HTTPClientError):
    status_code = 423


_BY_STATUS: Mapping[int, type[web.HTTPError]] = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    405: _MethodNotAllowed,
    406: web.HTTPNotAcceptable,
    410: web.HTTPGone,
    422: web.HTTPUnprocessableEntity,
    423: _Locked,
    429: web.HTTPTooManyRequests,
    500: web.HTTPInternalServerError,
    502: web.HTTPBadGateway,
    503: web.HTTPServiceUnavailable,
    504: web.HTTPGatewayTimeout,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One entry of the catalogue.

    Attributes:
        status: the HTTP status.
        message: the text of the answer; ``{path}`` stands for the parameter's name.
        meaning: when the broker refuses so.
    """

    status: int
    message: str
    meaning: str


CATALOGUE: Mapping[str, Refusal] = MappingProxyType(
    {
        "UDAPI1009": Refusal(400, "{path} is required", "an instrument key is missing"),
        "UDAPI1011": Refusal(400, "{path} is of invalid format", "an instrument key's format"),
        "UDAPI1015": Refusal(400, "to_date is before from_date", "dates in the wrong order"),
        "UDAPI1020": Refusal(400, "Invalid interval", "an interval that candles do not have"),
        "UDAPI1021": Refusal(400, "{path} is of invalid format", "the format of a candles' key"),
        "UDAPI1022": Refusal(400, "to_date is required", "to_date is missing or no date"),
        "UDAPI1027": Refusal(400, "{path} is required", "the interval is missing"),
        "UDAPI1028": Refusal(400, "Invalid interval", "an interval that OHLC quotes do not have"),
        "UDAPI1087": Refusal(
            400, "One of the instrument keys is invalid", "an unknown key voids a batch of quotes"
        ),
        "UDAPI1088": Refusal(400, "Invalid date, expected YYYY-MM-DD", "no date"),
        "UDAPI1089": Refusal(400, "Invalid exchange", "an exchange that is not there"),
        "UDAPI1123": Refusal(
            400, "No notifier URL is configured", "an approval without a place to push the token"
        ),
        "UDAPI1146": Refusal(400, "Invalid unit", "a unit that candles do not have"),
        "UDAPI1147": Refusal(400, "Invalid interval", "an interval that the unit does not have"),
        "UDAPI1148": Refusal(400, "Invalid date range", "more time than one call may span"),
        "UDAPI1149": Refusal(401, "An Upstox Plus plan is required", "only for the paid plan"),
        "UDAPI1221": Refusal(
            401, "Not permitted from this IP", "account paths with a read-only token, no static IP"
        ),
        "UDAPI10000": Refusal(
            400, "This request is not supported by Upstox API", "a call that is not understood"
        ),
        "UDAPI10005": Refusal(429, "Too Many Request Sent", "over a rate limit, or suspended"),
        "UDAPI100011": Refusal(400, "Invalid Instrument key", "an unknown key"),
        "UDAPI100015": Refusal(400, "API Version does not exist", "an unknown Api-Version header"),
        "UDAPI100016": Refusal(400, "Invalid Credentials", "no such client, or the wrong secret"),
        "UDAPI100036": Refusal(400, "Invalid Input", "a parameter with a wrong value"),
        "UDAPI100038": Refusal(
            400, "Invalid input passed to the API", "a body or form that cannot be read"
        ),
        "UDAPI100042": Refusal(400, "At most 500 instrument keys", "too many keys: quotes"),
        "UDAPI100043": Refusal(400, "At most 500 instrument keys", "too many keys: LTP, OHLC"),
        "UDAPI100050": Refusal(
            401, "Invalid token used to access API", "the token is missing, expired, dead or forged"
        ),
        "UDAPI100057": Refusal(400, "Invalid Auth code", "a login code that is unknown or used"),
        "UDAPI100060": Refusal(404, "Resource not Found", "the gateway knows no such path"),
        "UDAPI100067": Refusal(
            401, "Not permitted with this kind of token", "an extended or read-only token"
        ),
        "UDAPI100068": Refusal(
            400, "client_id or redirect_uri is incorrect", "the login dialog's parameters"
        ),
        "UDAPI100069": Refusal(400, "client_id or client_secret is incorrect", "the app's login"),
        "UDAPI100070": Refusal(400, "redirect_uri is incorrect", "not the dialog's address"),
        "UDAPI100072": Refusal(423, "Outside the service's hours", "funds, by night"),
        "UDAPI100073": Refusal(400, "This client_id is inactive", "an app that is switched off"),
        "UDAPI100074": Refusal(423, "Outside the service's hours", "orders, by night"),
        "UDAPI100076": Refusal(400, "At most 50 instrument keys", "too many keys: Greeks"),
        "UDAPI100500": Refusal(
            500, "Something went wrong... please contact us", "a fault of the broker"
        ),
    }
)


def refuse(
    code: str, *, value: object = None, property_path: str | None = None, status: int | None = None
) -> web.HTTPError:
    """The error answer of a code in ``CATALOGUE``; to be raised.

    The one to use for everything in the catalogue: ``raise refuse("UDAPI1088", value=text)``.

    Args:
        value: what was wrong, echoed back.
        property_path: the parameter that was wrong.
        status: if it is not the catalogue's.
    """
    entry = CATALOGUE[code]
    message = entry.message.format(path=property_path or "instrument_key")
    return refusal(status or entry.status, code, message, value, property_path)


def refusal(
    status: int, code: str, message: str, value: object = None, property_path: str | None = None
) -> web.HTTPError:
    """An error answer in the broker's envelope; to be raised.

    For an answer that is not in the catalogue, or needs a text of its own; else take ``refuse``.

    Args:
        status: one of 400, 401, 403, 404, 405, 406, 410, 422, 423, 429, 500, 502, 503, 504.
        code: the broker's, e.g. ``UDAPI100050``.
        value: what was wrong, echoed back.
        property_path: the parameter that was wrong.
    """
    body = json.dumps(_envelope(code, message, value, property_path))
    return _BY_STATUS[status](text=body, content_type="application/json")


def _envelope(code: str, message: str, value: object, property_path: str | None) -> dict[str, Any]:
    """Every field in both casings, as both are read by some client; no ``data``."""
    error = {
        "errorCode": code,
        "message": message,
        "propertyPath": property_path,
        "invalidValue": value,
        "error_code": code,
        "property_path": property_path,
        "invalid_value": value,
    }
    return {"status": "error", "errors": [error]}
