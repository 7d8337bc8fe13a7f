"""Who is let through to a path, and what the others are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulator.access.gate import AccessRules, Gate, Limit
from simulator.access.guard import Guard, account_of
from simulator.access.tokens import TokenKind, mint

_NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
_Client = TestClient[web.Request, web.Application]


async def _who(request: web.Request) -> web.StreamResponse:
    return web.json_response({"data": account_of(request).user})


async def _anyone(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"data": "anyone"})


def _application(gate: Gate) -> web.Application:
    guard, every = Guard(gate), tuple(TokenKind)
    app = web.Application()
    app.add_routes(
        [
            web.get("/data", guard.bearer(_who)),
            web.get("/plus", guard.bearer(_who, needs_plus=True)),
            web.get("/every", guard.bearer(_who, opens_to=every)),
            web.get("/open/{name}", guard.open(_anyone)),
        ]
    )
    return app


def _ask(questions: Callable[[_Client], Awaitable[None]], rules: AccessRules | None = None) -> None:
    """Put questions to a server with one path of each sort."""

    async def run() -> None:
        gate = Gate(lambda: _NOW, lambda: 0.0, rules)
        async with TestClient(TestServer(_application(gate))) as client:
            await questions(client)

    asyncio.run(run())


async def _answer(client: _Client, path: str, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with client.get(path, headers=headers) as response:
        body = await response.json()
        return response.status, body["data"] if "data" in body else body["errors"][0]["errorCode"]


def test_market_data_opens_to_the_two_kinds_that_may_read_it() -> None:
    """The year-long trade token and the sandbox's are told that they are of the wrong kind."""

    async def questions(client: _Client) -> None:
        for kind in TokenKind:
            token = mint(_NOW, kind=kind, user="SIM002")
            is_reader = kind in (TokenKind.LOGIN, TokenKind.ANALYTICS)
            expected = (200, "SIM002") if is_reader else (401, "UDAPI100067")
            assert await _answer(client, "/data", token) == expected
            assert await _answer(client, "/every", token) == (200, "SIM002")

    _ask(questions)


def test_without_a_living_token_nobody_is_let_in() -> None:
    """Missing, expired and torn tokens are all told the same."""
    stale = mint(_NOW - timedelta(days=2), timedelta(days=1))

    async def questions(client: _Client) -> None:
        for token in (None, stale, "", "a.b.c", mint(_NOW)[:-4]):
            assert await _answer(client, "/data", token) == (401, "UDAPI100050")

    _ask(questions)


def test_the_paid_plan_is_asked_for_where_it_is_needed() -> None:
    """By the plan that the token names."""

    async def questions(client: _Client) -> None:
        assert await _answer(client, "/plus", mint(_NOW)) == (200, "SIM001")
        assert await _answer(client, "/plus", mint(_NOW, is_plus=False)) == (401, "UDAPI1149")
        assert await _answer(client, "/data", mint(_NOW, is_plus=False)) == (200, "SIM001")

    _ask(questions)


def test_refused_calls_count() -> None:
    """A wrong token of the right user uses up the user's budget."""
    wrong = mint(_NOW, kind=TokenKind.EXTENDED)

    async def questions(client: _Client) -> None:
        assert await _answer(client, "/data", wrong) == (401, "UDAPI100067")
        assert await _answer(client, "/data", wrong) == (401, "UDAPI100067")
        assert await _answer(client, "/data", mint(_NOW)) == (429, "UDAPI10005")
        assert await _answer(client, "/data", mint(_NOW, user="SIM002")) == (200, "SIM002")

    _ask(questions, AccessRules(limits=(Limit(2, 1.0),)))


def test_open_paths_count_too() -> None:
    """By the user if there is a living token, by the address if not; a dead one is no matter."""
    token = mint(_NOW)

    async def questions(client: _Client) -> None:
        assert await _answer(client, "/open/a", "dead") == (200, "anyone")
        assert await _answer(client, "/open/a") == (429, "UDAPI10005")
        assert await _answer(client, "/open/a", token) == (200, "anyone")
        assert await _answer(client, "/data", token) == (429, "UDAPI10005")

    _ask(questions, AccessRules(limits=(Limit(1, 1.0),)))


def test_one_path_is_one_api_whatever_it_is_asked_for() -> None:
    """Where each path has a budget of its own, two instruments share that of candles."""

    async def questions(client: _Client) -> None:
        assert await _answer(client, "/open/a") == (200, "anyone")
        assert await _answer(client, "/open/b") == (429, "UDAPI10005")
        assert await _answer(client, "/data", mint(_NOW)) == (200, "SIM001")
        assert await _answer(client, "/every", mint(_NOW)) == (200, "SIM001")

    _ask(questions, AccessRules(limits=(Limit(1, 1.0),), limit_scope="api"))


@pytest.mark.parametrize(
    "header",
    [
        b"\xff\xfe",
        b"Bearer \xff.\xfe.\x80",
        b"Bearer " + b"[" * 4_000,
        b"Bearer a.b.c.d",
        b"Bearer ",
    ],
)
def test_raw_bytes_are_refused_in_good_order(header: bytes) -> None:
    """Whatever stands in the header, the answer is the broker's refusal."""

    async def questions(client: _Client) -> None:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        head = b"GET /data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: "
        writer.write(head + header + b"\r\n\r\n")
        status, _, rest = (await reader.read()).partition(b"\r\n")
        writer.close()
        assert b" 401 " in status
        assert json.loads(rest.partition(b"\r\n\r\n")[2])["errors"][0]["errorCode"] == "UDAPI100050"

    _ask(questions)
