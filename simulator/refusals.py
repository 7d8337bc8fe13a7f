"""The broker's error answers as exceptions of the HTTP server.

Only how a refusal looks; when to refuse is decided in ``rest`` and ``socket``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from simulator.payloads import problem

_BY_STATUS: Mapping[int, type[web.HTTPError]] = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    429: web.HTTPTooManyRequests,
    500: web.HTTPInternalServerError,
}


def refusal(status: int, code: str, message: str, value: object = None) -> web.HTTPError:
    """An error answer in the broker's envelope; to be raised.

    Args:
        status: one of 400, 401, 403, 404, 429, 500.
        code: the broker's, e.g. ``UDAPI100050``.
        value: what was wrong, echoed back.
    """
    body = json.dumps(problem(code, message, value))
    return _BY_STATUS[status](text=body, content_type="application/json")
