"""The broker's shape of candles, and answers that come in pieces."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from simulator.access.calls import Handler
from simulator.exchange.bulk import Candles
from simulator.rest import candle_stream
from simulator.rest.candle_stream import Work

_FIRST_MS = 1_763_955_900_000  # 2025-11-24 09:15 IST


def _candles(*minutes: int) -> Candles:
    count = len(minutes)
    return Candles(
        starts_ms=_FIRST_MS + 60_000 * np.array(minutes, np.int64),
        open=np.full(count, 100.1 + 0.2),
        high=np.full(count, 101.0),
        low=np.full(count, 99.95),
        close=np.full(count, 100.0),
        volume_units=np.full(count, 75, np.int64),
        open_interest_units=np.full(count, 7_500, np.int64),
    )


def _same(candles: Candles) -> Candles:
    return candles


async def _asked(handler: Handler) -> tuple[int, str, bytes]:
    async with _opened(handler) as answer:
        return answer.status, answer.content_type, await answer.read()


@asynccontextmanager
async def _opened(handler: Handler) -> AsyncIterator[aiohttp.ClientResponse]:
    app = web.Application()
    app.router.add_get("/", handler)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url("/")) as answer,
        asyncio.timeout(20),
    ):
        yield answer


def test_a_candle_has_seven_values() -> None:
    """Start in IST as text, prices on paise, volume and open interest whole numbers."""
    (candle,) = candle_stream.shape(_candles(0))
    assert candle == ("2025-11-24T09:15:00+05:30", 100.3, 101.0, 99.95, 100.0, 75, 7_500)
    assert [type(value) for value in candle] == [str, float, float, float, float, int, int]


def test_newest_first_whatever_the_pieces() -> None:
    """Pieces, empty ones among them, make one list, latest start first."""

    async def handler(request: web.Request) -> web.StreamResponse:
        parts = (_candles(), _candles(4, 5), _candles(), _candles(1, 2, 3), _candles())
        return await candle_stream.newest_first(request, (partial(_same, p) for p in parts))

    status, kind, body = asyncio.run(_asked(handler))
    answer = json.loads(body)
    assert (status, kind, answer["status"]) == (200, "application/json", "success")
    minutes = [candle[0][14:16] for candle in answer["data"]["candles"]]
    assert minutes == ["20", "19", "18", "17", "16"]


def test_nothing_is_an_empty_list() -> None:
    """No pieces, or only empty ones, are a good answer."""
    without: list[Work] = []
    for work in (without, [_candles]):

        async def handler(request: web.Request) -> web.StreamResponse:
            return await candle_stream.newest_first(request, iter(work))  # noqa: B023

        assert json.loads(asyncio.run(_asked(handler))[2])["data"] == {"candles": []}


def test_work_is_done_in_threads_and_failure_is_an_error_answer() -> None:
    """The loop's thread makes no candles; what fails before the first byte is a 500."""
    threads: list[int] = []

    def fails() -> Candles:
        threads.append(threading.get_ident())
        raise ZeroDivisionError

    async def handler(request: web.Request) -> web.StreamResponse:
        return await candle_stream.newest_first(request, iter([fails]))

    status, _, _ = asyncio.run(_asked(handler))
    assert status == 500
    assert threads
    assert threading.get_ident() not in threads


def test_a_client_that_leaves_ends_the_work() -> None:
    """Of an endless answer no more is made than was sent before the client had gone."""
    made = 0

    def endless() -> Iterator[Work]:
        nonlocal made
        while True:
            made += 1
            yield lambda: _candles(*range(385))

    async def scene() -> tuple[int, int]:
        ended = asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return await candle_stream.newest_first(request, endless())
            finally:
                ended.set()

        async with _opened(handler) as answer:
            await answer.content.readany()
            answer.close()
            await ended.wait()
        return made, answer.status

    pieces, status = asyncio.run(scene())
    assert status == 200
    # A few megabytes of socket buffers, 25 kB a piece.
    assert 0 < pieces < 2_000


def test_chunks_are_not_gathered() -> None:
    """A chunk arrives while the next one is not made yet."""

    async def scene() -> bytes:
        goes_on = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            await goes_on.wait()
            yield b"second"

        async def handler(request: web.Request) -> web.StreamResponse:
            return await candle_stream.streamed(request, "text/plain", chunks())

        async with _opened(handler) as answer:
            first = await answer.content.readany()
            goes_on.set()
            return first + b"|" + await answer.read()

    assert asyncio.run(scene()) == b"first|second"
