"""What stands before every REST call: the pause, and the faults of calls and tokens.

The console and the sockets' own addresses are let through; a socket's faults are ``socket``'s part.
What a fault answers stands in ``answers``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
from aiohttp import web

from simulator.access.calls import Handler
from simulator.access.refusals import refuse
from simulator.faults.answers import Answer, with_null
from simulator.faults.control import Control

CONSOLE_PATH = "/simulator/"
_KEY_PARAMETERS = ("instrument_key", "instrument_keys", "symbol")


def faulty(control: Control, clock: Callable[[], datetime], socket_paths: tuple[str, ...]) -> Any:
    """The middleware of an exchange.

    Args:
        socket_paths: where sockets are opened.
    """

    @web.middleware
    async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONSOLE_PATH):
            return await handler(request)
        await control.until_running()
        now = clock()
        issued_at = token_issued_at(request)
        if issued_at is not None and control.injection.refuses_token(issued_at, now):
            raise refuse("UDAPI100050")
        if request.path in socket_paths:
            return await handler(request)
        answer = control.injection.on_call(request.path, _keys(request), now)
        return await (handler(request) if answer is None else _answered(request, handler, answer))

    return strike


def token_issued_at(request: web.Request) -> datetime | None:
    """When the call's token says it was made; None without a token that says so."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        return None
    try:
        claims = jwt.decode(token.strip(), options={"verify_signature": False})
        return datetime.fromtimestamp(claims["iat"], UTC)
    # A token that cannot be read is refused by the guard, in the broker's own words.
    except (jwt.PyJWTError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return None


def _keys(request: web.Request) -> list[str]:
    """The instrument keys that a call names, in its query or in its path."""
    listed = [key for name in _KEY_PARAMETERS for key in request.query.get(name, "").split(",")]
    return [key for key in [*listed, *request.path.split("/")] if "|" in key]


async def _answered(request: web.Request, handler: Handler, answer: Answer) -> web.StreamResponse:
    await asyncio.sleep(answer.delay_seconds)
    if answer.status is not None:
        response: web.StreamResponse = web.Response(
            status=answer.status, body=answer.body, content_type=answer.content_type
        )
    else:
        response = await handler(request)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if answer.null_field is not None:
        response.body = with_null(response.body, answer.null_field)
    if answer.keeps is not None:
        return await _torn(request, response, response.body, answer.keeps)
    return response


async def _torn(
    request: web.Request, response: web.Response, body: bytes, keeps: float
) -> web.StreamResponse:
    """Promise the whole body, send a part of it and cut the connection."""
    torn = web.StreamResponse(status=response.status)
    torn.content_type = response.content_type
    torn.content_length = len(body)
    await torn.prepare(request)
    await torn.write(body[: min(int(len(body) * keeps), len(body) - 1)])
    if request.transport is not None:
        request.transport.close()
    return torn
