"""The live feed over a real socket: order of messages, conflation, who is let in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from brokers.upstox.codec import decode as decode_feed
from market.errors import ConfigurationError
from market.live_frame import LiveFrame, decode
from streaming import api
from streaming.api import ALERTS_PATH, HEALTH_PATH, LIVE_PATH, PLAN_PATH, LiveFeed
from streaming.live import LiveState
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told
from tests.streaming.listed import SPOT, SPOT_KEY, numbers, options
from tests.streaming.waiting import run, until

DEADLINE = 10.0


def tick(state: LiveState, price: float, at_ms: int = 1_790_000_000_000) -> None:
    """One tick of the spot."""
    frame = decode_feed(feed_frames.data({SPOT_KEY: Told(last_price=price)}, at_ms))
    state.take_frame(frame, at_ms)


class Alerts:
    """As many alerts as the version says, named by their number."""

    version = 0

    def as_json(self, limit: int) -> dict[str, object]:
        """The newest of them."""
        newest = list(range(self.version, 0, -1))[:limit]
        return {"type": "alerts", "v": 1, "version": self.version, "alerts": newest}


@asynccontextmanager
async def feed(alerts: Alerts | None = None) -> AsyncIterator[tuple[LiveState, LiveFeed, int]]:
    """A served state that knows NIFTY at 24 000."""
    state = LiveState()
    state.follow([SPOT, *options()], numbers())
    tick(state, 24_000.0)
    served = LiveFeed(
        state, lambda: {"type": "health", "state": "live"}, lambda: 5.0, 0.01, 0.05, alerts=alerts
    )
    async with served.serving("127.0.0.1", 0) as server:
        yield state, served, server.sockets[0].getsockname()[1]


@asynccontextmanager
async def viewing(port: int, query: str = "", **options_: Any) -> AsyncIterator[ClientConnection]:
    """A viewer."""
    url = f"ws://127.0.0.1:{port}{LIVE_PATH}{query}"
    async with connect(url, proxy=None, **options_) as socket:
        yield socket


async def next_frame(socket: ClientConnection, acknowledge: bool = True) -> LiveFrame:
    """The next binary frame."""
    while True:
        message = await asyncio.wait_for(socket.recv(), DEADLINE)
        if isinstance(message, bytes):
            frame = decode(message)
            if acknowledge:
                await socket.send(json.dumps({"type": "ack", "sequence": frame.sequence}))
            return frame


async def next_text(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next text message of a type."""
    while True:
        message = await asyncio.wait_for(socket.recv(), DEADLINE)
        if isinstance(message, str) and (told := json.loads(message))["type"] == kind:
            return dict(told)


def spot(frame: LiveFrame) -> float:
    """The spot in a frame of one underlying."""
    return next(t for t in frame.tables if t.name == "underlying").columns["spot"][0]


def test_hello_then_everything_then_changes() -> None:
    """A viewer knows what ids mean before it sees one, and then gets only what changed."""

    async def test() -> None:
        async with feed() as (state, _, port), viewing(port) as socket:
            hello = json.loads(await socket.recv())
            assert (hello["type"], hello["v"]) == ("hello", 1)
            assert hello["catalogue"]["underlyings"][0]["symbol"] == "NIFTY"
            first = await next_frame(socket)
            assert (first.sequence, spot(first)) == (1, 24_000.0)
            tick(state, 24_010.0)
            second = await next_frame(socket)
            assert (second.sequence, spot(second)) == (2, 24_010.0)
            assert (await next_text(socket, "health"))["state"] == "live"

    run(test())


def test_catalogue_is_told_again_before_new_ids() -> None:
    """A contract that appears later is named before its first value."""

    async def test() -> None:
        async with feed() as (state, _, port), viewing(port) as socket:
            first = await next_text(socket, "hello")
            await next_frame(socket)
            late = options()[0]
            fresh = {str(late.contract): 9_999}
            state.follow([late], fresh)
            again = await next_text(socket, "hello")
            assert again["catalogue"]["version"] > first["catalogue"]["version"]
            frame = await next_frame(socket)
            assert 9_999.0 in next(t for t in frame.tables if t.name == "contract").ids

    run(test())


def test_slow_viewer_gets_the_newest_value_only() -> None:
    """Two frames in flight at most; what happens meanwhile is conflated, and counted."""

    async def test() -> None:
        async with feed() as (state, served, port), viewing(port) as socket:
            await next_frame(socket, acknowledge=False)
            tick(state, 24_001.0)
            held = await next_frame(socket, acknowledge=False)
            for step in range(2, 40):
                tick(state, 24_000.0 + step)
                await next_text(socket, "health")
            assert served.dropped_updates > 0
            await socket.send(json.dumps({"type": "ack", "sequence": held.sequence}))
            newest = await next_frame(socket)
            assert (newest.sequence, spot(newest)) == (3, 24_039.0)

    run(test())


def test_viewer_that_never_acknowledges_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1013, so that it may come back; others are not held up by it."""
    monkeypatch.setattr("streaming.viewers.ACK_SECONDS", 0.2)
    monkeypatch.setattr(api, "ACK_SECONDS", 0.2)

    async def test() -> None:
        async with feed() as (_, served, port), viewing(port) as socket:
            with pytest.raises(ConnectionClosedError) as caught:
                while True:
                    await asyncio.wait_for(socket.recv(), DEADLINE)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1013
            await until(lambda: served.viewer_count == 0)

    run(test())


def test_message_that_makes_no_sense_ends_the_viewer() -> None:
    """With 1008 and what was expected."""

    async def test() -> None:
        async with feed() as (_, _, port), viewing(port) as socket:
            await socket.send("hello?")
            with pytest.raises(ConnectionClosedError) as caught:
                while True:
                    await asyncio.wait_for(socket.recv(), DEADLINE)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1008

    run(test())


def test_foreign_pages_are_refused() -> None:
    """A page from elsewhere cannot read the feed through a visitor's browser."""

    async def test() -> None:
        async with feed() as (_, _, port):
            with pytest.raises(InvalidStatus):
                async with viewing(port, origin="https://example.com"):
                    pass
            async with viewing(port, origin="http://localhost:8050") as socket:
                assert await socket.recv()

    run(test())


def test_health_and_nothing_else_over_http() -> None:
    """JSON both times; a wrong path names the right ones."""

    async def test() -> None:
        base = "http://127.0.0.1"
        async with feed() as (_, _, port), aiohttp.ClientSession() as http:
            async with http.get(f"{base}:{port}{HEALTH_PATH}") as answer:
                assert answer.status == 200
                assert answer.content_type == "application/json"
                assert (await answer.json())["state"] == "live"
            async with http.get(f"{base}:{port}/nothing") as answer:
                assert answer.status == 404
                assert LIVE_PATH in (await answer.json())["paths"]

    run(test())


def test_alerts_are_pushed_when_there_are_new_ones() -> None:
    """All there are when it comes, then the new ones and some before; anyone may ask as well."""

    async def test() -> None:
        alerts = Alerts()
        async with feed(alerts) as (_, _, port), viewing(port) as socket:
            await next_text(socket, "health")
            alerts.version = 60
            assert (await next_text(socket, "alerts"))["alerts"] == list(range(60, 0, -1))
            alerts.version = 61
            assert (await next_text(socket, "alerts"))["alerts"] == list(range(61, 11, -1))
            async with viewing(port) as late:
                assert len((await next_text(late, "alerts"))["alerts"]) == 61
            url = f"http://127.0.0.1:{port}{ALERTS_PATH}"
            async with aiohttp.ClientSession() as http, http.get(url) as answer:
                assert len((await answer.json())["alerts"]) == 61

    run(test())


def test_a_burst_of_alerts_is_pushed_whole() -> None:
    """However many came since the last push, as far as they are kept."""

    async def test() -> None:
        alerts = Alerts()
        alerts.version = 1
        async with feed(alerts) as (_, _, port), viewing(port) as socket:
            await next_text(socket, "alerts")
            alerts.version = 201
            assert (await next_text(socket, "alerts"))["alerts"][-1] == 2
            alerts.version = 1201
            assert len((await next_text(socket, "alerts"))["alerts"]) == api.ALERTS_ANSWERED

    run(test())


Rows = dict[tuple[str, float], tuple[float, ...]]


class Copy:
    """What a client that does what the document says holds."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.told: list[LiveFrame] = []
        self.run, self.version, self.catalogue = "", 0, -1
        self.start = ""

    @property
    def claim(self) -> str:
        """The address's query that brings back what was missed."""
        return f"?run={self.run}&version={self.version}&catalogue={self.catalogue}"

    def take(self, message: str | bytes) -> None:
        """One message."""
        if isinstance(message, bytes):
            self._apply(decode(message))
            return
        told = json.loads(message)
        if told["type"] == "hello":
            self.run, self.start = told["run"], told.get("start", self.start)
            if told.get("start", "resumed") != "resumed":
                self.rows, self.version = {}, 0
            self.catalogue = told.get("catalogue", {"version": self.catalogue})["version"]

    def _apply(self, frame: LiveFrame) -> None:
        assert frame.since <= self.version < frame.version
        self.version = frame.version
        self.told.append(frame)
        for table in frame.tables:
            for at, number in enumerate(table.ids):
                row = tuple(column[at] for column in table.columns.values())
                self.rows[table.name, number] = row


async def follow(copy: Copy, socket: ClientConnection, version: int) -> None:
    """Take what comes until the copy is as new as that."""
    async with asyncio.timeout(DEADLINE):
        while copy.version < version or not copy.run:
            message = await socket.recv()
            copy.take(message)
            if isinstance(message, bytes):
                sequence = decode(message).sequence
                await socket.send(json.dumps({"type": "ack", "sequence": sequence}))


def same(one: Rows, other: Rows) -> bool:
    """Whether both hold the same, NaN being equal to itself."""
    return repr(sorted(one.items())) == repr(sorted(other.items()))


def option_tick(state: LiveState, number: int, price: float) -> None:
    """One tick of an option."""
    key = options()[number].broker_key
    told = {key: Told(last_price=price)}
    state.take_frame(decode_feed(feed_frames.data(told, 1_790_000_001_000)), 1_790_000_001_000)


def test_who_was_cut_off_gets_what_it_missed_and_no_more() -> None:
    """Afterwards it holds the very rows of one that was never cut off."""

    async def test() -> None:
        async with feed() as (state, _, port), viewing(port) as steady_socket:
            steady, cut = Copy(), Copy()
            for number in range(4):
                option_tick(state, number, 100.0 + number)
            async with viewing(port) as socket:
                await follow(cut, socket, state.version)
                socket.transport.abort()
            before = len(cut.told)
            tick(state, 24_050.0)
            option_tick(state, 2, 222.0)
            late = options()[5]
            state.follow([late], {str(late.contract): 9_999})
            option_tick(state, 5, 99.0)
            async with viewing(port, cut.claim) as socket:
                await follow(cut, socket, state.version)
                await follow(steady, steady_socket, state.version)
                assert cut.start == "resumed"
                first = cut.told[before]
                resent = sum(len(table.ids) for table in first.tables)
                assert (first.sequence, resent) == (1, 3)
                assert same(cut.rows, steady.rows)
                assert cut.catalogue == steady.catalogue == state.catalogue_version
                option_tick(state, 1, 111.0)
                await follow(cut, socket, state.version)
                await follow(steady, steady_socket, state.version)
                assert same(cut.rows, steady.rows)

    run(test())


def test_a_catalogue_that_is_known_is_not_sent_again() -> None:
    """It is the larger part of a greeting."""

    async def test() -> None:
        async with feed() as (state, _, port):
            copy = Copy()
            async with viewing(port) as socket:
                await follow(copy, socket, state.version)
            async with viewing(port, copy.claim) as socket:
                hello = json.loads(await socket.recv())
                assert (hello["start"], "catalogue" in hello) == ("resumed", False)

    run(test())


def test_a_restarted_feed_starts_afresh_and_says_so() -> None:
    """Versions and ids of another process mean nothing in this one."""

    async def test() -> None:
        copy = Copy()
        async with feed() as (state, _, port), viewing(port) as socket:
            await follow(copy, socket, state.version)
        async with feed() as (state, served, port), viewing(port, copy.claim) as socket:
            for price in range(23_000, 23_005):
                tick(state, float(price))
            await follow(copy, socket, state.version)
            assert (copy.start, copy.run) == ("other_run", served.run)
            whole = Copy()
            async with viewing(port) as second:
                await follow(whole, second, state.version)
            assert same(copy.rows, whole.rows)

    run(test())


def test_half_a_claim_is_answered_with_what_was_expected() -> None:
    """Over HTTP, before there is a connection."""

    async def test() -> None:
        async with feed() as (_, _, port):
            with pytest.raises(InvalidStatus) as caught:
                async with viewing(port, "?run=a&version=x&catalogue=1"):
                    pass
            assert caught.value.response.status_code == 400
            assert b"integers" in caught.value.response.body

    run(test())


def test_the_plan_is_told() -> None:
    """An empty record where there is none."""

    async def test() -> None:
        state = LiveState()
        without = LiveFeed(state, dict, lambda: 0.0)
        planned = LiveFeed(state, dict, lambda: 0.0, plan=lambda: {"sockets": 2})
        for served, expected in ((without, {}), (planned, {"sockets": 2})):
            async with served.serving("127.0.0.1", 0) as server, aiohttp.ClientSession() as http:
                port = server.sockets[0].getsockname()[1]
                async with http.get(f"http://127.0.0.1:{port}{PLAN_PATH}") as answer:
                    assert await answer.json() == expected

    run(test())


def test_taken_port_is_a_setting_to_change() -> None:
    """The message names the port and the setting."""

    async def test() -> None:
        async with feed() as (state, _, port):
            second = LiveFeed(state, dict, lambda: 0.0)
            with pytest.raises(ConfigurationError, match="OPTIONLAKE_LIVE_PORT"):
                async with second.serving("127.0.0.1", port):
                    pass

    run(test())
