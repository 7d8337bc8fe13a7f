"""The live feed over a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from market.live_frame import LiveFrame, decode
from tests.dashboard.conftest import Dashboard
from tests.dashboard.fake_upstream import FakeUpstream
from tests.dashboard.until import until


def next_frame(socket: ClientConnection, is_acknowledged: bool = True) -> LiveFrame:
    """The next binary message."""
    while True:
        message = socket.recv(timeout=5)
        if isinstance(message, bytes):
            frame = decode(message)
            if is_acknowledged:
                socket.send(json.dumps({"type": "ack", "sequence": frame.sequence}))
            return frame


def next_text(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next text message of a type."""
    while True:
        message = socket.recv(timeout=5)
        if isinstance(message, str) and (told := json.loads(message))["type"] == kind:
            return dict(told)


def test_a_page_gets_hello_then_rows_then_changes(
    dashboard: Dashboard, upstream: FakeUpstream
) -> None:
    """First the catalogue, then everything that is watched, then only what changes."""
    with connect(dashboard.live_url, proxy=None) as socket:
        hello = next_text(socket, "hello")
        assert hello["catalogue"]["contracts"] == []
        assert [t.name for t in next_frame(socket).tables] == ["underlying"]
        expiry = hello["catalogue"]["expiries"][0]["expiry"]
        socket.send(json.dumps({"type": "watch", "symbol": "NIFTY", "expiry": expiry}))
        contracts = next_text(socket, "hello")["catalogue"]["contracts"]
        assert {c["symbol"] for c in contracts} == {"NIFTY"}
        frame = next_frame(socket)
        sizes = {t.name: len(t.ids) for t in frame.tables}
        assert sizes == {"underlying": 15, "expiry": 3, "strike": 45, "contract": 90}
        upstream.set(("TCS",), "underlying", spot=3500.5)
        changed = next_frame(socket)
        assert [(t.name, len(t.ids)) for t in changed.tables] == [("underlying", 1)]
        assert changed.tables[0].columns["spot"][0] == 3500.5


def test_health_comes_each_second_with_our_own_state(dashboard: Dashboard) -> None:
    """The feed's figures, and how we stand to it."""
    with connect(dashboard.live_url, proxy=None) as socket:
        until(lambda: next_text(socket, "health").get("database") == "up")
        assert next_text(socket, "health")["upstream"]["state"] == "connected"


def test_a_third_frame_waits_for_an_acknowledgement(
    dashboard: Dashboard, upstream: FakeUpstream
) -> None:
    """Two frames may be under way; what happens meanwhile arrives as one."""
    with connect(dashboard.live_url, proxy=None) as socket:
        next_frame(socket, is_acknowledged=False)
        upstream.set(("TCS",), "underlying", spot=1.0)
        second = next_frame(socket, is_acknowledged=False)
        for spot in (2.0, 3.0, 4.0):
            upstream.set(("TCS",), "underlying", spot=spot)
        path = "/api/v1/underlyings"
        until(lambda: '"spot":4.0' in dashboard.get(path).text)
        with pytest.raises(TimeoutError):
            while not isinstance(socket.recv(timeout=0.2), bytes):
                pass
        socket.send(json.dumps({"type": "ack", "sequence": second.sequence}))
        third = next_frame(socket)
        assert third.tables[0].columns["spot"][0] == 4.0


@pytest.mark.parametrize("message", ["nonsense", b"\x00", '{"type":"buy"}'])
def test_a_client_that_talks_nonsense_is_closed(dashboard: Dashboard, message: str | bytes) -> None:
    """With 1008 and what was expected; nobody else notices."""
    with connect(dashboard.live_url, proxy=None) as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosedError) as closed:
            while True:
                socket.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    until(lambda: dashboard.get("/api/v1/health").json()["clients"] == 0)
