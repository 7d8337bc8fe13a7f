"""The broker's own addresses, led to this simulator: a CONNECT proxy that speaks TLS in its name.

A program that honours ``HTTPS_PROXY`` and trusts the authority's file (or checks no certificate, as
the official SDK's socket) needs no other change. Nothing is ever relayed: the tunnel's other end is
the application itself, in this process, and hosts that are not the broker's are refused.
Certificates are made in ``certificates``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import cast

import structlog

from simulator.certificates import presented

HOSTS = ("api.upstox.com", "wsfeeder-api.upstox.com", "assets.upstox.com")
_PORT = 443
_MOST_BYTES = 8_192  # of a request to the proxy; a CONNECT has a few hundred
_PATIENCE_SECONDS = 10.0
_AUTHORITY_PATH = "/ca.pem"
_END = b"\r\n\r\n"
_HINT = "does the client trust the authority's file, or check no certificates?"
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that listens.

    Attributes:
        url: the value for a client's ``HTTPS_PROXY``; ``/ca.pem`` there is the authority.
        authority_path: the file for a client to trust; gone when the proxy stops.
    """

    url: str
    authority_path: Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What the proxy itself says to a request that opens no tunnel."""

    status: HTTPStatus
    text: str

    def encoded(self) -> bytes:
        """The whole HTTP response; the connection ends with it."""
        body = self.text.encode()
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def refused(head: bytes) -> Answer | None:
    """Why a request opens no tunnel; None for a CONNECT to one of the broker's hosts.

    Args:
        head: the request up to its empty line, or as much as the proxy is willing to read.
    """
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target = rest.partition(" ")[0]
    if method != "CONNECT":
        return Answer(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"This proxy takes CONNECT, for https and wss addresses, and GET {_AUTHORITY_PATH} for "
            "the certificate to trust. Plain http goes to the simulator's own port.\n",
        )
    if not head.endswith(_END):
        return Answer(HTTPStatus.BAD_REQUEST, "Wait for the answer to CONNECT.\n")
    host, _, port = target.rpartition(":")
    if host.lower() not in HOSTS or port != str(_PORT):
        return Answer(
            HTTPStatus.FORBIDDEN,
            f"{target} is not simulated, and nothing is relayed to the internet: this proxy leads "
            f"to {', '.join(HOSTS)} at port {_PORT} only.\n",
        )
    return None


@asynccontextmanager
async def lead_here(
    application: Callable[[], asyncio.Protocol], host: str, port: int
) -> AsyncIterator[Proxy]:
    """Listen until the block ends; each tunnel ends in a new ``application``.

    Tunnels that stand belong to the application and outlive the block.

    Args:
        port: 0 for any free one.

    Raises:
        OSError: if the port is taken.
    """
    entering: set[_Entrance] = set()
    with presented(HOSTS) as (context, authority):
        inside = _Inside(application, context, authority.read_text(), entering)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Entrance(inside), host, port)
        url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        _LOG.info("simulator_proxy_listening", url=url, trust=str(authority), hosts=HOSTS)
        try:
            yield Proxy(url, authority)
        finally:
            server.close()
            for entrance in tuple(entering):
                entrance.give_up()


@dataclass(frozen=True, slots=True)
class _Inside:
    """What every entrance shares; ``entering`` are those whose clients are not inside yet."""

    application: Callable[[], asyncio.Protocol]
    context: ssl.SSLContext
    authority: str
    entering: set[_Entrance]


class _Entrance(asyncio.Protocol):
    """A client from its first byte to the end of its TLS handshake."""

    def __init__(self, inside: _Inside) -> None:
        self._inside = inside
        self._head = bytearray()
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here and has a while to say what it wants."""
        self._transport = cast(asyncio.Transport, transport)
        self._inside.entering.add(self)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(_PATIENCE_SECONDS, self.give_up)

    def data_received(self, data: bytes) -> None:
        """Collect the request; answer it when it is whole."""
        self._head += data
        if _END in self._head or len(self._head) > _MOST_BYTES:
            self._decide(bytes(self._head))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it was inside."""
        self._leave()

    def give_up(self) -> None:
        """Cut a client that is not inside yet."""
        if self._handshake is not None:
            self._handshake.cancel()
        self._transport.abort()
        self._leave()

    def _decide(self, head: bytes) -> None:
        if head.startswith(f"GET {_AUTHORITY_PATH} ".encode()):
            self._close_with(Answer(HTTPStatus.OK, self._inside.authority))
        elif (answer := refused(head)) is not None:
            _LOG.warning(
                "simulator_proxy_refused", status=answer.status.value, why=answer.text.strip()
            )
            self._close_with(answer)
        else:
            # Nothing is read before TLS is in place: the first byte already belongs to it.
            self._transport.pause_reading()
            self._transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._handshake = asyncio.create_task(self._enter())

    def _close_with(self, answer: Answer) -> None:
        self._transport.write(answer.encoded())
        self._transport.close()

    async def _enter(self) -> None:
        vestibule = _Vestibule()
        try:
            tunnel = await asyncio.get_running_loop().start_tls(
                self._transport, vestibule, self._inside.context, server_side=True
            )
        except OSError as error:
            _LOG.warning("simulator_proxy_handshake_failed", why=str(error), hint=_HINT)
        else:
            if tunnel is not None and not tunnel.is_closing():  # it may have left at once
                vestibule.lead_in(tunnel, self._inside.application())
        finally:
            self._leave()

    def _leave(self) -> None:
        self._patience.cancel()
        self._inside.entering.discard(self)


class _Vestibule(asyncio.Protocol):
    """Keeps what a client says between its handshake and the application's readiness.

    asyncio hands bytes that came along with the handshake's end over before it returns the
    transport that the application needs to answer them.
    """

    def __init__(self) -> None:
        self._said = bytearray()

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self._said += data

    def lead_in(self, tunnel: asyncio.Transport, application: asyncio.Protocol) -> None:
        """From now on the client talks to ``application``."""
        tunnel.set_protocol(application)
        application.connection_made(tunnel)
        if self._said:
            application.data_received(bytes(self._said))
