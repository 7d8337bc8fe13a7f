"""Following the feed through whatever happens to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import islice, repeat
from math import nan
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from brokers.upstox.codec import decode
from dashboard.hub import Hub
from dashboard.upstream import Upstream, delays
from market.live_frame import LiveFrame, encode
from streaming.api import LiveFeed
from streaming.live import LiveState
from tests.dashboard.conftest import Dashboard
from tests.dashboard.fake_upstream import Background, FakeUpstream
from tests.dashboard.strategies import hello, table
from tests.dashboard.until import until
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told
from tests.streaming.listed import SPOT, numbers, options


@given(st.floats(0, 1, exclude_max=True))
def test_delays_double_up_to_a_cap_and_are_drawn(draw: float) -> None:
    """Never above the cap and never near zero, so that a dead feed is not hammered."""
    waits = list(islice(delays(0.2, 5.0, lambda: draw), 10))
    assert all(0.1 <= wait <= 5.0 for wait in waits)
    assert waits == sorted(waits)
    assert waits[-1] >= 2.5


def test_every_frame_is_acknowledged(dashboard: Dashboard, upstream: FakeUpstream) -> None:
    """The first one too, else the feed would stop after two."""
    until(lambda: upstream.acks == [1])
    upstream.move("NIFTY", 24_000.0)
    until(lambda: upstream.acks == [1, 2])


def test_a_feed_that_comes_back_is_followed_again(
    dashboard: Dashboard, upstream: FakeUpstream
) -> None:
    """Values stay while it is gone, and health tells that they are old."""
    upstream.stop()
    health = until(lambda: lost(dashboard))
    assert health["status"] == "lost"
    assert health["upstream"]["last_error"]
    assert dashboard.get("/api/v1/chain/NIFTY").ok
    upstream.start()
    upstream.move("NIFTY", 25_000.0)
    until(lambda: dashboard.get("/api/v1/chain/NIFTY").json()["spot"] == 25_000.0)
    assert dashboard.get("/api/v1/health").json()["upstream"]["reconnects"] == 1


def test_a_dashboard_may_start_before_the_feed(
    background: Background, start_dashboard: Callable[..., Dashboard]
) -> None:
    """It says so until then, and needs no restart."""
    upstream = FakeUpstream(background).start()
    upstream.stop()
    dashboard = start_dashboard(upstream.url)
    until(lambda: lost(dashboard))
    assert dashboard.get("/api/v1/underlyings").status_code == 503
    upstream.start()
    until(lambda: dashboard.get("/api/v1/underlyings").ok)
    upstream.stop()


@pytest.mark.parametrize(
    "message", ["{", '{"type":"hello"}', '{"type":"alerts","alerts":3}', "7", b"\x00\x01"]
)
def test_a_feed_that_talks_nonsense_is_tried_again(message: str | bytes) -> None:
    """It is a broken peer, not a broken page: reported, and connected anew."""
    asyncio.run(follow_nonsense(message))


async def follow_nonsense(message: str | bytes) -> None:
    """Follow a feed that sends one message only."""
    connections = 0
    is_second = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            is_second.set()
        await connection.send(message)
        await connection.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/api/v1/live"
        upstream = Upstream(url, Hub(), lambda: None, lambda: 0.0, lambda: repeat(0.01))
        following = asyncio.create_task(upstream.follow())
        await asyncio.wait_for(is_second.wait(), 10)
        assert upstream.status.reconnects >= 1
        following.cancel()


def test_the_newest_alerts_are_kept() -> None:
    """Each once, from however many messages; what is no number is null for the browsers."""
    assert asyncio.run(follow_alerts([["a"], ["b", "a"], ["c"]])) == ["c", "b", "a"]


async def follow_alerts(told: list[list[str]]) -> list[object]:
    """The keys that are known after these messages."""

    async def talk(connection: ServerConnection) -> None:
        for keys in told:
            alerts = [{"key": key, "at_ms": 0, "score": nan} for key in keys]
            await connection.send(json.dumps({"type": "alerts", "v": 1, "alerts": alerts}))
        await connection.wait_closed()

    is_told, hub = asyncio.Event(), Hub()

    def look() -> None:
        if hub.alerts.newest == 3:
            is_told.set()

    async with serve(talk, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/live"
        upstream = Upstream(url, hub, look, lambda: 0.0)
        following = asyncio.create_task(upstream.follow())
        await asyncio.wait_for(is_told.wait(), 10)
        following.cancel()
        told_on = hub.alerts.newest_first()
        assert all(alert["score"] is None for alert in told_on)
        return [alert["key"] for alert in told_on]


def test_after_a_cut_only_what_was_missed_is_fetched() -> None:
    """The hub then holds what one that was never cut off holds."""
    asyncio.run(follow_through_a_cut())


async def follow_through_a_cut() -> None:
    """Against the streaming process's own server."""
    state = LiveState()
    state.follow([SPOT, *options()], numbers())
    live_feed = LiveFeed(state, lambda: {"type": "health"}, lambda: 0.0, 0.01, 0.5)
    price_all(state, 100.0)
    async with live_feed.serving("127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/live"
        hub, sent = Counting(), asyncio.Event()
        upstream = Upstream(url, hub, sent.set, lambda: 0.0, lambda: repeat(0.01))
        following = asyncio.create_task(upstream.follow())
        await followed(hub, len(options()))
        whole = hub.received
        for connection in list(server.connections):
            connection.transport.abort()
        tick(state, options()[3].broker_key, 333.0)
        await followed(hub, whole + 1)
        assert (upstream.status.reconnects, upstream.status.resumes) == (1, 1)
        assert hub.received == whole + 1
        other = Counting()
        second = Upstream(url, other, lambda: None, lambda: 0.0)
        steady = asyncio.create_task(second.follow())
        await followed(other, len(options()))
        for table in ("contract", "strike", "expiry", "underlying"):
            for number in other.catalogue.meanings[table]:
                assert hub.row(table, number) == other.row(table, number)
        following.cancel()
        steady.cancel()
        await asyncio.wait([following, steady])


class Counting(Hub):
    """A hub that counts the rows that it is told."""

    received = 0

    def apply(self, frame: LiveFrame) -> None:
        """Count, and do what hubs do."""
        super().apply(frame)
        self.received += sum(len(t.ids) for t in frame.tables if t.name == "contract")


async def followed(hub: Counting, rows: int) -> None:
    """Until so many contracts have been told."""
    async with asyncio.timeout(10):
        while hub.received < rows:  # noqa: ASYNC110 - the hub has no event
            await asyncio.sleep(0.01)


def price_all(state: LiveState, price: float) -> None:
    """One tick of each option."""
    for option in options():
        tick(state, option.broker_key, price)


def tick(state: LiveState, key: str, price: float) -> None:
    """One tick."""
    at_ms = 1_790_000_000_000
    state.take_frame(decode(feed_frames.data({key: Told(last_price=price)}, at_ms)), at_ms)


def test_a_hole_is_noticed_and_filled() -> None:
    """A frame that does not follow on what is held is not taken, and asked for again."""
    queries = asyncio.run(follow_a_hole())
    assert queries[0] == ""
    assert queries[1] == "run=r&version=5&catalogue=1"


async def follow_a_hole() -> list[str]:
    """What is asked for by a reader that was sent 5 and then 8 on 7."""
    queries: list[str] = []
    is_second = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        queries.append(urlsplit(connection.request.path).query)
        if len(queries) == 2:
            is_second.set()
        await connection.send(json.dumps({**hello(), "run": "r", "start": "first"}))
        for sequence, since, version in ((1, 0, 5), (2, 7, 8)):
            part = table("underlying", {1: {"x": float(version)}})
            await connection.send(encode(LiveFrame(sequence, 0.0, [part], since, version)))
        await connection.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as server:
        hub = Hub()
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/live"
        upstream = Upstream(url, hub, lambda: None, lambda: 0.0, lambda: repeat(0.01))
        following = asyncio.create_task(upstream.follow())
        async with asyncio.timeout(10):
            await is_second.wait()
        assert hub.row("underlying", 1) == {"x": 5.0}
        following.cancel()
        return queries


@pytest.mark.parametrize("steps", range(6))
def test_an_end_that_comes_with_a_message_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """However many turns of the loop lie between the two, or the page would never close."""
    assert asyncio.run(cancel_with_a_message(monkeypatch, steps))


class OneMessage:
    """A connection on which one message comes, when the test wishes."""

    def __init__(self) -> None:
        self.messages = [asyncio.get_running_loop().create_future()]

    async def __aenter__(self) -> OneMessage:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, _message: str) -> None:
        return None

    async def recv(self) -> str:
        """The message, then nothing more."""
        if self.messages:
            return await self.messages.pop()
        return await asyncio.get_running_loop().create_future()


async def cancel_with_a_message(monkeypatch: pytest.MonkeyPatch, steps: int) -> bool:
    """Whether following ended."""
    connection = OneMessage()
    (arriving,) = connection.messages
    monkeypatch.setattr("dashboard.upstream.connect", lambda *_, **__: connection)
    upstream = Upstream("ws://feed", Hub(), lambda: None, lambda: 0.0, lambda: repeat(0.01))
    following = asyncio.create_task(upstream.follow())
    for _ in range(10):
        await asyncio.sleep(0)
    arriving.set_result('{"type":"health"}')
    for _ in range(steps):
        await asyncio.sleep(0)
    following.cancel()
    done, _ = await asyncio.wait([following], timeout=1)
    return following in done


def lost(dashboard: Dashboard) -> dict[str, Any] | None:
    """Health, once the connection is lost."""
    health = dashboard.get("/api/v1/health").json()
    return health if health["upstream"]["state"] == "lost" else None
