"""The socket, judged by the broker's official SDK and by a plain WebSocket client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import requests
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official_schema
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from simulator.server import SimulatorConfig
from tests.fix_simulator import DEADLINE_SECONDS, SimulatedExchange, running_simulator
from tests.simulator import official

_NIFTY = "NSE_INDEX|Nifty 50"


def _keys(exchange: SimulatedExchange, count: int = 20) -> list[str]:
    """The spot and the contracts nearest the money of the first expiry."""
    listing = exchange.market.listing(exchange.clock())
    expiry = min(e for s, e in listing.chains if s == "NIFTY")
    rows = listing.chain("NIFTY", expiry)
    middle = len(rows) // 2
    chosen = rows[middle - count // 2 : middle + count // 2]
    return [_NIFTY, *(listing.rows[row].key for row in chosen)]


def _address(exchange: SimulatedExchange) -> str:
    url = f"{exchange.url}/v3/feed/market-data-feed/authorize"
    answer = requests.get(url, headers=exchange.headers, timeout=10).json()
    return str(answer["data"]["authorized_redirect_uri"])


def _subscribe(socket: ClientConnection, keys: list[str], mode: str = "full") -> None:
    data = {"mode": mode, "instrumentKeys": keys}
    socket.send(json.dumps({"guid": "g", "method": "sub", "data": data}).encode())


def _read(socket: ClientConnection) -> official_schema.FeedResponse:
    frame = socket.recv(timeout=DEADLINE_SECONDS)
    assert isinstance(frame, bytes)
    return official_schema.FeedResponse.FromString(frame)


def test_referee_streams(simulator: SimulatedExchange) -> None:
    """Unmodified, the official SDK follows the redirect and decodes state, snapshot and updates."""
    keys = _keys(simulator)
    with official.redirected_sockets(simulator):
        streamer = official.Streamer(simulator, keys, "full")
        streamer.sdk.connect()
        streamer.until("open")
        info, snapshot = streamer.message(), streamer.message()
        assert info["type"] == "market_info"
        assert info["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
        assert "type" not in snapshot  # initial_feed is 0, which proto3 leaves off the wire
        assert set(snapshot["feeds"]) == set(keys)
        assert "indexFF" in snapshot["feeds"][_NIFTY]["fullFeed"]
        live = streamer.message()
        assert live["type"] == "live_feed"
        assert set(live["feeds"]) <= set(keys)
        simulator.control.close_sockets(1000)
        assert streamer.until("close")[0] == 1000


def test_referee_changes_its_mind(simulator: SimulatedExchange) -> None:
    """sub, change_mode and unsub of the official SDK take effect."""
    key, other = _keys(simulator)[1:3]
    with official.redirected_sockets(simulator):
        streamer = official.Streamer(simulator, [key], "ltpc")
        streamer.sdk.connect()
        streamer.until("open")
        streamer.sdk.subscribe([other], "full")
        streamer.sdk.change_mode([key], "option_greeks")
        wanted = {(key, "ltpc"), (other, "fullFeed"), (key, "firstLevelWithGreeks")}
        while wanted:
            for name, feed in streamer.message().get("feeds", {}).items():
                wanted -= {(name, block) for block in feed}
        streamer.sdk.unsubscribe([key, other])
        simulator.control.close_sockets(1000)
        streamer.until("close")


def test_referee_comes_back_after_a_reset(simulator: SimulatedExchange) -> None:
    """A reset connection makes the SDK reconnect and subscribe again."""
    keys = _keys(simulator, 4)
    with official.redirected_sockets(simulator):
        streamer = official.Streamer(simulator, keys, "ltpc")
        streamer.sdk.connect()
        streamer.until("open")
        streamer.message()
        simulator.control.abort_sockets()
        streamer.until("reconnecting")
        streamer.until("open")
        while set(streamer.message().get("feeds", ())) != set(keys):
            pass
        simulator.control.close_sockets(1000)
        streamer.until("close")


def test_a_code_opens_one_socket(simulator: SimulatedExchange) -> None:
    """The second use and an invented code are refused with 403."""
    address = _address(simulator)
    with connect(address):
        pass
    for again in (address, address.replace("code=", "code=x")):
        with pytest.raises(InvalidStatus) as caught:
            connect(again)
        assert caught.value.response.status_code == 403


def test_the_direct_address_redirects(simulator: SimulatedExchange) -> None:
    """302 to a one-time address for a bearer, 401 for anyone else."""
    url = f"{simulator.url}/v3/feed/market-data-feed"
    there = requests.get(url, headers=simulator.headers, allow_redirects=False, timeout=10)
    assert there.status_code == 302
    assert there.headers["Location"].startswith(f"ws://127.0.0.1:{simulator.port}/")
    assert requests.get(url, timeout=10).status_code == 401


def test_state_comes_first_and_text_is_ignored(simulator: SimulatedExchange) -> None:
    """market_info before any answer; a text frame and unknown keys are passed over."""
    keys = _keys(simulator, 4)
    with connect(_address(simulator)) as socket:
        data = {"mode": "full", "instrumentKeys": keys}
        socket.send(json.dumps({"guid": "g", "method": "sub", "data": data}))
        _subscribe(socket, [_NIFTY, "NSE_FO|0"], "ltpc")
        assert _read(socket).type == official_schema.market_info
        snapshot = _read(socket)
        assert snapshot.type == official_schema.initial_feed
        assert list(snapshot.feeds) == [_NIFTY]


def test_frames_carry_the_markets_own_prices(simulator: SimulatedExchange) -> None:
    """An entry's last price is what the market says for the instant it names, in order of time."""
    keys, last = _keys(simulator), dict[str, int]()
    with connect(_address(simulator)) as socket:
        _subscribe(socket, keys)
        frames = [_read(socket) for _ in range(8)]
    stamps = [frame.currentTs for frame in frames]
    assert all(a <= b for a, b in pairwise(stamps))
    rows = simulator.market.listing(simulator.clock()).row_of_key
    for frame in frames:
        quotes = simulator.market.quotes(datetime.fromtimestamp(frame.currentTs / 1000, UTC))
        for key, feed in frame.feeds.items():
            full = feed.fullFeed
            ltpc = full.indexFF.ltpc if full.HasField("indexFF") else full.marketFF.ltpc
            assert ltpc.ltp == quotes.last_price[rows[key]]
            assert last.get(key, 0) <= ltpc.ltt <= frame.currentTs
            last[key] = ltpc.ltt


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_close_with_a_code(simulator: SimulatedExchange, code: int) -> None:
    """The client is told the code."""
    with connect(_address(simulator)) as socket:
        _read(socket)
        simulator.control.close_sockets(code)
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                socket.recv(timeout=DEADLINE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code


def test_reset_has_no_close_frame(simulator: SimulatedExchange) -> None:
    """TCP ends in the middle of everything."""
    with connect(_address(simulator)) as socket:
        _read(socket)
        simulator.control.abort_sockets()
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv(timeout=DEADLINE_SECONDS)
        assert caught.value.rcvd is None


def test_strange_frames_are_sent_as_told(simulator: SimulatedExchange) -> None:
    """Garbage, and a type that the schema does not know."""
    with connect(_address(simulator)) as socket:
        _read(socket)
        simulator.control.send_garbage()
        assert socket.recv(timeout=DEADLINE_SECONDS).endswith(b"not a frame")
        simulator.control.send_unknown()
        assert _read(socket).type == 7


def test_a_mute_socket_is_still_pinged(simulator: SimulatedExchange) -> None:
    """Muted: pings and nothing else; unmuted: frames again."""

    async def scene() -> None:
        simulator.control.mute()
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        path = _address(simulator).partition(str(simulator.port))[2]
        request = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(request.encode())
        await reader.readuntil(b"\r\n\r\n")
        opcodes = {(await reader.readexactly(2))[0] & 0x0F for _ in range(3)}
        assert opcodes == {0x9}  # three empty pings
        simulator.control.unmute()
        while (await reader.readexactly(2))[0] & 0x0F != 0x2:
            pass
        writer.close()

    asyncio.run(asyncio.wait_for(scene(), DEADLINE_SECONDS))


def test_connections_of_a_user_are_capped() -> None:
    """403 above the cap; a closed connection frees its slot."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",), max_sockets=1)) as exchange:
        with connect(_address(exchange)), pytest.raises(InvalidStatus):
            connect(_address(exchange))
        _eventually(lambda: not exchange.control.lines)
        with connect(_address(exchange)) as socket:
            _read(socket)


def test_a_closed_market_only_pings_and_reopens() -> None:
    """NORMAL_CLOSE with a snapshot of the last close, silence, then NORMAL_OPEN and updates."""
    now = [datetime(2026, 11, 25, 2, 0, tzinfo=UTC)]
    config = SimulatorConfig(session="nse", symbols=("NIFTY",), frame_seconds=0.02)
    with (
        running_simulator(config, lambda: now[0]) as exchange,
        connect(_address(exchange)) as socket,
    ):
        _subscribe(socket, [_NIFTY], "ltpc")
        info, snapshot = _read(socket), _read(socket)
        assert info.marketInfo.segmentStatus["NSE_FO"] == official_schema.NORMAL_CLOSE
        close = datetime(2026, 11, 23, 10, 10, tzinfo=UTC).timestamp() * 1000
        assert snapshot.feeds[_NIFTY].ltpc.ltt <= close
        now[0] += timedelta(minutes=30)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)
        now[0] = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
        info, update = _read(socket), _read(socket)
        assert info.marketInfo.segmentStatus["NSE_FO"] == official_schema.NORMAL_OPEN
        assert update.feeds[_NIFTY].ltpc.ltt == now[0].timestamp() * 1000


def _eventually(is_true: Callable[[], bool]) -> None:
    """Poll until true; fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
