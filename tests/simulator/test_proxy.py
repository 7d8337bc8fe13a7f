"""The proxy: whom it lets in, whom it refuses, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from simulator import proxy
from simulator.faults.control import Control
from simulator.proxy import HOSTS, Answer, Proxy, lead_here, refused
from simulator.server import SimulatorConfig
from tests.fix_simulator import DEADLINE_SECONDS, running_simulator

_CONNECT = b"CONNECT api.upstox.com:443 HTTP/1.1\r\nHost: api.upstox.com:443\r\n\r\n"


class _Echo(asyncio.Protocol):
    """An application that says everything back, as fast as it is taken."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


def _run(scene: Callable[[Proxy], Awaitable[None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), lead_here(_Echo, "127.0.0.1", 0) as listening:
            await scene(listening)

    asyncio.run(play())


def _port(listening: Proxy) -> int:
    return int(listening.url.rpartition(":")[2])


@asynccontextmanager
async def _visit(
    listening: Proxy, said: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(listening))
    writer.write(said)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _tunnel(
    listening: Proxy, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client inside, or the error that kept it out."""
    trusting = context or ssl.create_default_context(cafile=str(listening.authority_path))
    async with _visit(listening, _CONNECT) as (reader, writer):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await writer.start_tls(trusting, server_hostname=HOSTS[0])
        yield reader, writer


@pytest.mark.parametrize("host", [*HOSTS, "API.Upstox.com"])
def test_the_brokers_hosts_are_led_here(host: str) -> None:
    """All three names, in any case."""
    assert refused(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) is None


@pytest.mark.parametrize(
    ("head", "status", "told"),
    [
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", 403, "example.com:443 is not simulated"),
        (b"CONNECT api-hft.upstox.com:443 HTTP/1.1\r\n\r\n", 403, "assets.upstox.com"),
        (b"CONNECT api.upstox.com.example.com:443 HTTP/1.1\r\n\r\n", 403, "relayed"),
        (b"CONNECT api.upstox.com:22 HTTP/1.1\r\n\r\n", 403, "port 443"),
        (b"CONNECT api.upstox.com HTTP/1.1\r\n\r\n", 403, "port 443"),
        (b"CONNECT \r\n\r\n", 403, "port 443"),
        (b"GET http://api.upstox.com/v2 HTTP/1.1\r\n\r\n", 405, "simulator's own port"),
        (b"\x16\x03\x01\x02\x00\x01\xff\r\n\r\n", 405, "CONNECT"),
        (_CONNECT + b"\x16\x03", 400, "answer"),
        (b"CONNECT api.upstox.com:443 HTTP/1.1\r\n" + b"x" * 9_000, 400, "answer"),
    ],
)
def test_all_else_is_refused(head: bytes, status: int, told: str) -> None:
    """With the reason: never a way to the internet, never a guess."""
    answer = refused(head)
    assert answer is not None
    assert (answer.status.value, told in answer.text) == (status, True)


def test_a_refusal_is_a_whole_response() -> None:
    """Status, length, text, and the connection ends."""

    async def scene(listening: Proxy) -> None:
        async with _visit(listening, b"CONNECT example.com:443 HTTP/1.1\r\n\r\n") as (reader, _):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
            assert f"Content-Length: {len(body)}".encode() in head
            assert b"example.com:443 is not simulated" in body

    _run(scene)


def test_an_answer_counts_bytes_not_letters() -> None:
    """The length is that of the encoded text."""
    assert b"Content-Length: 3\r\n" in Answer(proxy.HTTPStatus.OK, "₹").encoded()


def test_a_tunnel_carries_bytes_both_ways() -> None:
    """More than any buffer holds, unchanged, by a client that checks the certificate."""
    said = bytes(range(256)) * 8_000

    async def scene(listening: Proxy) -> None:
        async with _tunnel(listening) as (reader, writer):
            writer.write(said)
            assert await reader.readexactly(len(said)) == said

    _run(scene)


def test_a_request_that_arrives_piecemeal_is_understood() -> None:
    """TCP may cut anywhere."""

    async def scene(listening: Proxy) -> None:
        async with _visit(listening, b"") as (reader, writer):
            for byte in _CONNECT:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")

    _run(scene)


def test_what_came_with_the_handshake_is_not_lost() -> None:
    """The client's first words may share a packet with the last ones of its handshake."""

    async def scene(listening: Proxy) -> None:
        trusting = ssl.create_default_context(cafile=str(listening.authority_path))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting.wrap_bio(incoming, outgoing, server_hostname=HOSTS[0])
        async with _visit(listening, _CONNECT) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            while True:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                break
            tls.write(b"hello")
            writer.write(outgoing.read())  # the handshake's end and the word in one piece
            echoed = b""
            while not echoed:
                incoming.write(await reader.read(65_536))
                try:
                    echoed = tls.read()
                except ssl.SSLWantReadError:
                    continue
            assert echoed == b"hello"

    _run(scene)


def test_the_authority_can_be_fetched() -> None:
    """For clients in another container: the same certificate as the file's."""

    async def scene(listening: Proxy) -> None:
        url = f"{listening.url}/ca.pem"
        answer = await asyncio.to_thread(requests.get, url, timeout=DEADLINE_SECONDS)
        assert answer.status_code == 200
        assert answer.text == listening.authority_path.read_text()

    _run(scene)


def test_a_client_without_trust_harms_nobody() -> None:
    """Its handshake fails; the next client gets in."""

    async def scene(listening: Proxy) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with _tunnel(listening, ssl.create_default_context()):
                pass
        async with _visit(listening, _CONNECT + b"\n"):
            pass
        async with _tunnel(listening) as (reader, writer):
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"

    _run(scene)


@pytest.mark.parametrize("said", [b"", b"CONNECT api", _CONNECT])
def test_a_silent_client_is_cut(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it never asks or never starts its handshake."""
    monkeypatch.setattr(proxy, "_PATIENCE_SECONDS", 0.05)

    async def scene(listening: Proxy) -> None:
        async with _visit(listening, said) as (reader, _):
            with contextlib.suppress(ConnectionResetError):
                answer = await reader.read()
                assert answer in (b"", b"HTTP/1.1 200 Connection established\r\n\r\n")

    _run(scene)


@pytest.mark.parametrize("said", [b"", _CONNECT])
def test_the_end_cuts_who_is_not_inside_and_frees_the_port(said: bytes) -> None:
    """Nobody is left waiting, nobody listens, and the file is gone."""

    async def scene() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            async with lead_here(_Echo, "127.0.0.1", 0) as listening:
                async with _tunnel(listening):
                    pass  # the server is known to accept by now
                reader, writer = await asyncio.open_connection("127.0.0.1", _port(listening))
                writer.write(said or b"G")
                await asyncio.sleep(0.02)
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", _port(listening))
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
            assert not listening.authority_path.exists()

    asyncio.run(scene())


def test_the_simulator_is_found_at_the_brokers_own_addresses() -> None:
    """REST, master and socket by their real addresses, checked certificates and all."""
    config = SimulatorConfig(symbols=("NIFTY",), proxy_port=0)
    with running_simulator(config) as exchange:
        assert exchange.proxy is not None
        session = requests.Session()
        session.trust_env = False  # a machine's own proxy and authorities have no say
        session.proxies = {"https": exchange.proxy.url}
        session.verify = str(exchange.proxy.authority_path)
        master = "https://assets.upstox.com/market-quote/instruments/exchange/NSE.json.gz"
        assert session.get(master, timeout=DEADLINE_SECONDS).status_code == 200
        url = "https://api.upstox.com/v3/feed/market-data-feed/authorize"
        answer = session.get(url, headers=exchange.headers, timeout=DEADLINE_SECONDS).json()
        address = answer["data"]["authorizedRedirectUri"]
        assert address.startswith("wss://wsfeeder-api.upstox.com/market-data-feeder/v3/")
        asyncio.run(_first_frame_and_reset(address, exchange.proxy, exchange.control))
        session.close()


async def _first_frame_and_reset(address: str, listening: Proxy, control: Control) -> None:
    context = ssl.create_default_context(cafile=str(listening.authority_path))
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        connect(address, proxy=listening.url, ssl=context) as socket,
    ):
        assert isinstance(await socket.recv(), bytes)
        control.abort_sockets()
        with pytest.raises(ConnectionClosedError) as caught:
            while True:
                await socket.recv()
        # Nothing stands between the client and the application: a reset arrives as one.
        assert isinstance(caught.value.__cause__, ConnectionResetError)


def test_without_a_port_there_is_no_proxy() -> None:
    """The default listens nowhere else."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",))) as exchange:
        assert exchange.proxy is None
