"""Following the feed through whatever happens to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import islice, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from dashboard.hub import Hub
from dashboard.upstream import Upstream, delays
from tests.dashboard.conftest import Dashboard
from tests.dashboard.fake_upstream import Background, FakeUpstream
from tests.dashboard.until import until


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
    """Each message has all that are shown, so the last one counts."""
    assert asyncio.run(follow_alerts([["a"], ["b", "a"]])) == ["b", "a"]


async def follow_alerts(told: list[list[str]]) -> list[object]:
    """What is known after these messages."""

    async def talk(connection: ServerConnection) -> None:
        for alerts in told:
            await connection.send(json.dumps({"type": "alerts", "v": 1, "alerts": alerts}))
        await connection.wait_closed()

    is_told = asyncio.Event()

    def look() -> None:
        if upstream.status.alerts == told[-1]:
            is_told.set()

    async with serve(talk, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/live"
        upstream = Upstream(url, Hub(), look, lambda: 0.0)
        following = asyncio.create_task(upstream.follow())
        await asyncio.wait_for(is_told.wait(), 10)
        following.cancel()
        return list(upstream.status.alerts)


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
