"""The doors to the socket and what comes through, judged by a plain client.

What the official SDK makes of them stands in ``tests/integration/test_referee_sockets.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import requests
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official_schema
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from simulator.access.tokens import TokenKind, mint
from simulator.faults.fault import fault
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator.sockets import (
    NIFTY,
    address,
    eventually,
    keys_near_money,
    message,
    opened,
    read,
    subscribe,
)

_CONFIG = SimulatorConfig(
    symbols=("NIFTY",), limits=(), max_sockets=50, frame_seconds=0.03, ping_seconds=0.2
)


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatedExchange]:
    """One exchange for the file."""
    with running_simulator(_CONFIG) as exchange:
        yield exchange


@pytest.fixture
def exchange(shared: SimulatedExchange) -> Iterator[SimulatedExchange]:
    """The exchange without any fault or connection."""
    yield shared
    shared.control.clear()
    eventually(lambda: not shared.control.lines)


def _refusal(where: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as caught:
        connect(where, additional_headers=headers)
    return caught.value.response.status_code


def test_a_code_opens_one_socket(exchange: SimulatedExchange) -> None:
    """The second use and an invented code are refused with 403."""
    where = address(exchange)
    with connect(where):
        pass
    assert _refusal(where) == _refusal(where.replace("code=", "code=x")) == 403


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("feed_forbidden", {}, 403),
        ("code_reused", {}, 403),
        ("unauthorized", {}, 401),
        ("too_many_sockets", {}, 403),
        ("too_many_sockets", {"status": 503}, 503),
        ("handshake_rate_limited", {}, 429),
    ],
)
def test_faults_of_the_handshake(
    exchange: SimulatedExchange, name: str, arguments: dict[str, object], status: int
) -> None:
    """Authorize is good, the socket is refused; the next one opens."""
    exchange.control.add(fault(name, times=1, **arguments))  # type: ignore[arg-type]
    assert _refusal(address(exchange)) == status
    with opened(exchange) as socket:
        read(socket)


@pytest.mark.parametrize(("name", "status"), [("unauthorized", 401), ("feed_forbidden", None)])
def test_faults_at_the_direct_address(
    exchange: SimulatedExchange, name: str, status: int | None
) -> None:
    """What is refused after a good authorize is not refused before."""
    exchange.control.add(fault(name))
    url = f"{exchange.url}/v3/feed/market-data-feed"
    answer = requests.get(url, headers=exchange.headers, allow_redirects=False, timeout=10)
    assert answer.status_code == (status or 302)


def test_the_direct_address_redirects(exchange: SimulatedExchange) -> None:
    """302 to a one-time address for a bearer, 401 for anyone else and for tokens of other use."""
    url = f"{exchange.url}/v3/feed/market-data-feed"
    there = requests.get(url, headers=exchange.headers, allow_redirects=False, timeout=10)
    assert there.status_code == 302
    assert there.headers["Location"].startswith(f"ws://127.0.0.1:{exchange.port}/")
    assert requests.get(url, timeout=10).status_code == 401
    sandbox = mint(exchange.clock(), kind=TokenKind.SANDBOX)
    refused = requests.get(url, headers={"Authorization": f"Bearer {sandbox}"}, timeout=10)
    assert refused.json()["errors"][0]["errorCode"] == "UDAPI100067"


def test_state_comes_first_and_text_is_ignored(exchange: SimulatedExchange) -> None:
    """market_info before any answer; a text frame and unknown keys are passed over."""
    keys = keys_near_money(exchange, 4)
    with opened(exchange) as socket:
        data = {"mode": "full", "instrumentKeys": keys}
        socket.send(json.dumps({"guid": "g", "method": "sub", "data": data}))
        subscribe(socket, [NIFTY, "NSE_FO|0"], "ltpc")
        assert read(socket).type == official_schema.market_info
        snapshot = read(socket)
        assert snapshot.type == official_schema.initial_feed
        assert list(snapshot.feeds) == [NIFTY]


def test_frames_carry_the_markets_own_prices(exchange: SimulatedExchange) -> None:
    """An entry's last price is what the market says for the instant it names, in order of time."""
    keys, last = keys_near_money(exchange), dict[str, int]()
    with opened(exchange) as socket:
        subscribe(socket, keys)
        frames = [read(socket) for _ in range(8)]
    stamps = [frame.currentTs for frame in frames if frame.feeds]
    assert all(a <= b for a, b in pairwise(stamps))
    rows = exchange.market.listing(exchange.clock()).row_of_key
    for frame in frames:
        quotes = exchange.market.quotes(datetime.fromtimestamp(frame.currentTs / 1000, UTC))
        for key, feed in frame.feeds.items():
            full = feed.fullFeed
            ltpc = full.indexFF.ltpc if full.HasField("indexFF") else full.marketFF.ltpc
            assert ltpc.ltp == quotes.last_price[rows[key]]
            assert last.get(key, 0) <= ltpc.ltt <= frame.currentTs
            last[key] = ltpc.ltt


def test_strange_frames_are_sent_as_told(exchange: SimulatedExchange) -> None:
    """Garbage, and a type that the schema does not know."""
    with opened(exchange) as socket:
        read(socket)
        exchange.control.send_garbage()
        garbage = message(socket)
        assert isinstance(garbage, bytes)
        assert garbage.endswith(b"not a frame")
        exchange.control.send_unknown()
        assert read(socket).type == 7


def test_connections_of_a_user_are_capped() -> None:
    """403 above the cap; a closed connection frees its slot."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",), max_sockets=1)) as exchange:
        with connect(address(exchange)):
            assert _refusal(address(exchange)) == 403
        eventually(lambda: not exchange.control.lines)
        with opened(exchange) as socket:
            read(socket)


def test_a_closed_market_only_pings_and_reopens() -> None:
    """Its state with a snapshot of the last close, silence, then NORMAL_OPEN and updates."""
    now = [datetime(2026, 11, 25, 2, 0, tzinfo=UTC)]
    config = SimulatorConfig(session="nse", symbols=("NIFTY",), frame_seconds=0.02)
    with running_simulator(config, lambda: now[0]) as exchange, opened(exchange) as socket:
        subscribe(socket, [NIFTY], "ltpc")
        info, snapshot = read(socket), read(socket)
        assert official_schema.NORMAL_OPEN not in info.marketInfo.segmentStatus.values()
        close = datetime(2026, 11, 23, 10, 10, tzinfo=UTC).timestamp() * 1000
        assert snapshot.feeds[NIFTY].ltpc.ltt <= close
        now[0] += timedelta(minutes=10)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)
        now[0] = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
        frames = [read(socket)]
        while not frames[-1].feeds:
            frames.append(read(socket))
        assert frames[0].marketInfo.segmentStatus["NSE_FO"] == official_schema.NORMAL_OPEN
        assert frames[-1].feeds[NIFTY].ltpc.ltt <= now[0].timestamp() * 1000
