"""Open connections: their cadence, and every fault that strikes them or their frames."""

from __future__ import annotations

import socket as sockets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import requests
from google.protobuf.message import DecodeError
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official_schema
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import connect

from simulator.clocks import FastClock, SteppedClock
from simulator.faults.fault import fault
from simulator.server import SimulatorConfig
from simulator.socket.connection import Surroundings
from tests.fix_simulator import DEADLINE_SECONDS, SimulatedExchange, running_simulator
from tests.simulator import official
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
    symbols=("NIFTY",), limits=(), max_sockets=50, frame_seconds=0.03, ping_seconds=0.1
)
_SILENCE_SECONDS = 0.3  # ten frames and three pings long
_TEXT, _BINARY, _PING = 1, 2, 9


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatedExchange]:
    """One exchange for the file; its clock is fast, so that there is news at every step."""
    with running_simulator(_CONFIG, FastClock(datetime.now(UTC), 10.0)) as exchange:
        yield exchange


@pytest.fixture
def exchange(shared: SimulatedExchange) -> Iterator[SimulatedExchange]:
    """The exchange without any fault or connection."""
    yield shared
    shared.control.clear()
    eventually(lambda: not shared.control.lines)


def _messages(exchange: SimulatedExchange, count: int) -> list[str | bytes]:
    """The first messages of a new connection that asks for the chain's middle."""
    with opened(exchange) as socket:
        subscribe(socket, keys_near_money(exchange, 4))
        return [message(socket) for _ in range(count)]


def _decoded(messages: list[str | bytes]) -> list[official_schema.FeedResponse]:
    return [official_schema.FeedResponse.FromString(m) for m in messages if isinstance(m, bytes)]


def _unreadable(messages: list[str | bytes]) -> bool:
    try:
        return not _decoded(messages)
    except DecodeError:
        return True


def _kinds(messages: list[str | bytes]) -> list[int]:
    return [frame.type for frame in _decoded(messages)]


def _ages_ms(messages: list[str | bytes]) -> list[int]:
    """By how much each frame is younger than the spot's last trade in it."""
    frames = [frame for frame in _decoded(messages) if NIFTY in frame.feeds]
    return [f.currentTs - f.feeds[NIFTY].fullFeed.indexFF.ltpc.ltt for f in frames]


def _is_off(messages: list[str | bytes]) -> bool:
    """Whether an hour lies between what frames say of now and of the last trade."""
    ages_ms = _ages_ms(messages)
    return bool(ages_ms) and min(ages_ms) > 3_000_000


def _lacks_blocks(messages: list[str | bytes]) -> bool:
    entries = [e for f in _decoded(messages) if f.type == 1 for e in f.feeds.values()]
    full = [e.fullFeed.marketFF for e in entries if e.fullFeed.HasField("marketFF")]
    return bool(full) and not any(f.HasField("marketLevel") for f in full)


@pytest.mark.parametrize(
    ("name", "arguments", "is_struck"),
    [
        ("partial", {}, _lacks_blocks),
        ("text_frame", {"text": "hello"}, lambda m: m[0] == m[2] == "hello"),
        ("truncated", {}, _unreadable),
        ("garbage", {"size_bytes": 99}, lambda m: {len(each) for each in m} == {99}),
        (
            "unknown_enum",
            {},
            lambda m: set(_decoded(m)[0].marketInfo.segmentStatus.values()) == {99},
        ),
        ("unknown_field", {}, lambda m: b"newer than the schema" in m[0]),
        ("unknown_type", {}, lambda m: _kinds(m)[:3] == [7, 2, 7]),
        ("duplicate", {}, lambda m: m[0] == m[1] and m[2] == m[3]),
        ("out_of_order", {}, lambda m: _kinds(m)[:2] == [0, 2]),
        ("clock_skew", {"shift_ms": 3_600_000}, _is_off),
        ("big_snapshot", {}, lambda m: len(m[0]) < 2_000 and len(m[1]) > 1 << 20),
        ("stale_ltt", {}, _is_off),
    ],
)
def test_faults_of_frames(
    exchange: SimulatedExchange,
    name: str,
    arguments: dict[str, object],
    is_struck: Callable[[list[str | bytes]], bool],
) -> None:
    """A client sees the effect, the count says so, and without the fault it is gone."""
    assert not is_struck(_messages(exchange, 15))
    number = exchange.control.add(fault(name, **arguments))  # type: ignore[arg-type]
    assert is_struck(_messages(exchange, 15))
    (state,) = exchange.control.injection.states(exchange.clock())
    assert (state.number, state.fault.name) == (number, name)
    assert state.fired > 0


def test_never_seen_keys(exchange: SimulatedExchange) -> None:
    """Neither in the snapshot nor later, while the others come."""
    hidden = keys_near_money(exchange, 4)[1]
    exchange.control.add(fault("never_seen", match=(hidden,)))
    seen = {key for frame in _decoded(_messages(exchange, 8)) for key in frame.feeds}
    assert hidden not in seen
    assert NIFTY in seen


def test_a_big_snapshot_is_too_big_for_a_default_client(exchange: SimulatedExchange) -> None:
    """The websockets library closes with 1009 at one MiB, as users of the broker find."""
    exchange.control.add(fault("big_snapshot"))
    with connect(address(exchange)) as socket:
        subscribe(socket, [NIFTY])
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                message(socket)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1009


def test_half_open_is_silent_both_ways(exchange: SimulatedExchange) -> None:
    """No frame, no answer to a ping, no end; the client has to find out by itself and leave."""
    with opened(exchange, close_timeout=0.05) as socket:
        subscribe(socket, [NIFTY])
        read(socket)
        exchange.control.add(fault("half_open"))
        with pytest.raises(TimeoutError):
            while True:
                socket.recv(timeout=_SILENCE_SECONDS)
        subscribe(socket, [NIFTY], "ltpc")
        assert not socket.ping().wait(_SILENCE_SECONDS)
        assert len(exchange.control.lines) == 1
    eventually(lambda: not exchange.control.lines)


def test_half_open_may_heal_after_the_client_gave_up(exchange: SimulatedExchange) -> None:
    """Its close is then answered late."""
    with _raw(exchange) as raw:
        raw.recv(1)
        number = exchange.control.add(fault("half_open"))
        eventually(lambda: exchange.control.injection.states(exchange.clock())[0].fired == 1)
        raw.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        exchange.control.remove(number)
        received = b""
        while chunk := raw.recv(65_536):
            received += chunk
        assert received.endswith(b"\x88\x02\x03\xe8")


def test_half_open_may_heal(exchange: SimulatedExchange) -> None:
    """When the fault ends, frames and pongs come again."""
    with opened(exchange) as socket:
        subscribe(socket, [NIFTY])
        read(socket)
        number = exchange.control.add(fault("half_open"))
        with pytest.raises(TimeoutError):
            while True:
                socket.recv(timeout=_SILENCE_SECONDS)
        exchange.control.remove(number)
        read(socket)
        assert socket.ping().wait(DEADLINE_SECONDS)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_close_with_a_code(exchange: SimulatedExchange, code: int) -> None:
    """The client is told the code."""
    with opened(exchange) as socket:
        read(socket)
        exchange.control.add(fault("close", code=code))
        with pytest.raises(ConnectionClosed) as caught:
            message(socket)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code


def test_a_close_waits_for_the_clients_half(exchange: SimulatedExchange) -> None:
    """TCP stays up until the client has answered, then ends in good order."""
    with _raw(exchange) as raw:
        raw.recv(1)
        exchange.control.close_sockets(1000)
        received = b""
        while not received.endswith(b"\x88\x02\x03\xe8"):
            received += _exactly(raw, 1)
        raw.settimeout(_SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            raw.recv(1)
        raw.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        raw.settimeout(DEADLINE_SECONDS)
        assert raw.recv(1) == b""


def test_1006_is_an_end_without_a_close_frame(exchange: SimulatedExchange) -> None:
    """TCP ends in good order, the WebSocket does not."""
    with opened(exchange) as socket:
        read(socket)
        exchange.control.add(fault("close", code=1006))
        with pytest.raises(ConnectionClosedError) as caught:
            message(socket)
        assert caught.value.rcvd is None


def test_reset_is_a_tcp_reset(exchange: SimulatedExchange) -> None:
    """Not a FIN: the client's kernel says so."""
    with _raw(exchange) as raw:
        assert raw.recv(1)
        exchange.control.add(fault("reset"))
        with pytest.raises(ConnectionResetError):
            while raw.recv(65_536):
                pass


def test_connections_are_closed_at_an_age(exchange: SimulatedExchange) -> None:
    """Each once, as where users report drops every minute."""
    exchange.control.add(fault("close", age_seconds=1.0))
    for _ in range(2):
        begun = time.monotonic()
        with opened(exchange) as socket, pytest.raises(ConnectionClosed):
            while True:
                message(socket)
        assert time.monotonic() - begun >= 0.1


def test_silent_unsubscribe_until_asked_again(exchange: SimulatedExchange) -> None:
    """The keys stop without a word; the client that asks again gets them."""
    with opened(exchange) as socket:
        subscribe(socket, [NIFTY])
        read(socket), read(socket)
        number = exchange.control.add(fault("silent_unsubscribe", match=("NIFTY",)))
        (line,) = exchange.control.lines
        eventually(lambda: not line.view.followed())
        exchange.control.remove(number)
        with pytest.raises(TimeoutError):
            while True:
                socket.recv(timeout=_SILENCE_SECONDS)
        subscribe(socket, [NIFTY])
        assert NIFTY in read(socket).feeds


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("mute", {_PING}, {_PING}), ("no_pings", {_BINARY}, {_BINARY}), (None, None, None)],
)
def test_pings_and_frames_alone(
    exchange: SimulatedExchange, name: str | None, before: set[int] | None, after: set[int] | None
) -> None:
    """Mute leaves pings only, from the first byte; no_pings leaves frames only."""
    if name is not None:
        exchange.control.add(fault(name))
    with _raw(exchange) as raw:
        _ask(raw)
        first = _opcodes(raw, 3)
        _ask(raw)
        rest = _opcodes(raw, 12 if before == {_BINARY} else 3)
    wanted = {_PING, _BINARY}
    assert first | rest == (before or wanted) | (after or wanted)


def test_quiet_answers_and_then_says_nothing(exchange: SimulatedExchange) -> None:
    """State and snapshot come, and pings; no update."""
    exchange.control.add(fault("quiet"))
    with opened(exchange) as socket:
        subscribe(socket, [NIFTY])
        assert [read(socket).type for _ in range(2)] == [2, 0]
        with pytest.raises(TimeoutError):
            socket.recv(timeout=_SILENCE_SECONDS)
        assert socket.ping().wait(DEADLINE_SECONDS)


def test_slow_frames_take_their_time(exchange: SimulatedExchange) -> None:
    """Each is followed by as long a rest as its bytes take; what piled up comes merged."""
    exchange.control.add(fault("slow_reader", bytes_per_second=2_000.0))
    begun = time.monotonic()
    sizes = [len(each) for each in _messages(exchange, 3)]
    assert time.monotonic() - begun >= sum(sizes[:2]) / 2_000


def test_token_death_may_cut_sockets(exchange: SimulatedExchange) -> None:
    """By default a socket outlives its token; told so, it is reset."""
    with opened(exchange) as socket:
        read(socket)
        number = exchange.control.add(fault("token_death", after_seconds=0))
        url = f"{exchange.url}/v3/feed/market-data-feed/authorize"
        answer = requests.get(url, headers=exchange.headers, timeout=10)
        assert (answer.status_code, answer.json()["errors"][0]["errorCode"]) == (401, "UDAPI100050")
        assert socket.ping().wait(DEADLINE_SECONDS)
        exchange.control.remove(number)
        exchange.control.add(fault("token_death", cuts_sockets=True))
        with pytest.raises(ConnectionClosedError):
            message(socket)


@pytest.mark.parametrize("expired_code", [None, 1008])
def test_a_socket_whose_token_dies(expired_code: int | None) -> None:
    """Left open unless the rules say otherwise: nobody knows what the broker does."""
    clock = SteppedClock(datetime(2026, 11, 25, 6, 0, tzinfo=UTC))
    config = SimulatorConfig(symbols=("NIFTY",), frame_seconds=0.02, expired_code=expired_code)
    with running_simulator(config, clock) as exchange, opened(exchange) as socket:
        read(socket)
        clock.advance(timedelta(days=2))
        if expired_code is None:
            assert socket.ping().wait(DEADLINE_SECONDS)
            return
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                message(socket)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == expired_code


def test_a_client_that_does_not_read_holds_up_itself_only(exchange: SimulatedExchange) -> None:
    """Others get their frames; its own wait, and stopping it is at once."""
    exchange.control.add(fault("big_snapshot", size_bytes=1 << 23))
    with _raw(exchange) as lazy:
        _ask(lazy)
        with opened(exchange) as socket:
            subscribe(socket, [NIFTY])
            assert len([read(socket) for _ in range(20)]) == 20


def test_the_source_is_never_asked_for_an_earlier_instant() -> None:
    """A step that waited while someone's request was answered goes on from that."""
    surroundings = Surroundings(*[None] * 4)  # type: ignore[arg-type]
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    later = noon + timedelta(seconds=1)
    assert [surroundings.forward(at) for at in (noon, later, noon)] == [noon, later, later]


def test_stopping_ends_every_connection() -> None:
    """1001 for those who listen; those who never read do not hold it up."""
    with ExitStack() as clients:
        with running_simulator(_CONFIG) as exchange:
            good = clients.enter_context(opened(exchange))
            read(good)
            exchange.control.add(fault("big_snapshot", size_bytes=1 << 23))
            _ask(clients.enter_context(_raw(exchange)))
            eventually(lambda: len(exchange.control.lines) == 2)
            begun = time.monotonic()
        assert time.monotonic() - begun < DEADLINE_SECONDS / 2
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                message(good)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1001


def test_stopping_resets_the_half_open() -> None:
    """Nothing can be said to them."""
    with ExitStack() as clients:
        with running_simulator(_CONFIG) as exchange:
            raw = clients.enter_context(_raw(exchange))
            exchange.control.add(fault("half_open"))
            eventually(lambda: exchange.control.injection.states(exchange.clock())[0].fired == 1)
        with pytest.raises(ConnectionResetError):
            while raw.recv(65_536):
                pass


@pytest.mark.parametrize("has_deflate", [True, False])
def test_compression_is_taken_when_offered(has_deflate: bool) -> None:
    """And only then; the frames read the same."""
    config = SimulatorConfig(symbols=("NIFTY",), has_deflate=has_deflate)
    with running_simulator(config) as exchange:
        for compression in ("deflate", None):
            with opened(exchange, compression=compression) as socket:
                assert socket.response is not None
                accepted = "permessage-deflate" in socket.response.headers.get(
                    "Sec-WebSocket-Extensions", ""
                )
                assert accepted is (has_deflate and compression is not None)
                assert read(socket).type == official_schema.market_info


def test_referee_reacts_as_is_documented(exchange: SimulatedExchange) -> None:
    """The official SDK tells of garbage and stays, comes back after 1011 and not after 1000."""
    with official.redirected_sockets(exchange):
        streamer = official.Streamer(exchange, [NIFTY], "ltpc")
        streamer.sdk.connect()
        streamer.until("open")
        exchange.control.add(fault("garbage", times=1))
        streamer.until("error")
        streamer.message()
        exchange.control.add(fault("close", code=1011, times=1))
        streamer.until("reconnecting")
        streamer.until("open")
        exchange.control.add(fault("close", code=1000))
        assert streamer.until("close")[0] == 1000
        eventually(lambda: not exchange.control.lines)
        assert "reconnecting" not in {name for name, _ in streamer.events.queue}


def test_tcp_lasts_until_the_client_has_answered_a_close(exchange: SimulatedExchange) -> None:
    """A client that still says other things, as one that is behind, breaks no pipe."""
    with _raw(exchange) as raw:
        exchange.control.close_sockets(1000)
        told = b""
        while b"\x88\x02\x03\xe8" not in told:
            told += raw.recv(65_536)
        for _ in range(10):
            raw.sendall(b"\x8a\x80\0\0\0\0")  # a pong
            time.sleep(0.01)  # for a reset to arrive, were there one
        raw.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        assert raw.recv(65_536) == b""


def _raw(exchange: SimulatedExchange) -> sockets.socket:
    """A connection as bare bytes, past the handshake."""
    raw = sockets.create_connection(("127.0.0.1", exchange.port), DEADLINE_SECONDS)
    path = address(exchange).partition(str(exchange.port))[2]
    raw.sendall(
        (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += raw.recv(1)
    return raw


def _ask(raw: sockets.socket) -> None:
    """Subscribe to the spot."""
    body = f'{{"method": "sub", "data": {{"mode": "full", "instrumentKeys": ["{NIFTY}"]}}}}'
    raw.sendall(struct.pack("!BB4x", 0x82, 0x80 | len(body)) + body.encode())


def _opcodes(raw: sockets.socket, count: int) -> set[int]:
    """Of the next messages; their payloads are passed over."""
    return {_opcode(raw) for _ in range(count)}


def _opcode(raw: sockets.socket) -> int:
    first, length = _exactly(raw, 2)
    if length == 126:
        (length,) = struct.unpack("!H", _exactly(raw, 2))
    elif length == 127:
        (length,) = struct.unpack("!Q", _exactly(raw, 8))
    _exactly(raw, length)
    return int(first & 0x0F)


def _exactly(raw: sockets.socket, count: int) -> bytes:
    read_bytes = b""
    while len(read_bytes) < count:
        read_bytes += raw.recv(count - len(read_bytes))
    return read_bytes
