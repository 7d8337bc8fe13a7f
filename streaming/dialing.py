"""One TCP connection to the host of a socket's address, found or given up within short times.

A name may have several addresses: each gets its own time, since the one that is dead would use up
that of the living. Who does not answer here was asked nothing, so the error is
``BrokerUnreachable``. TLS and the handshake, which the broker answers, belong to ``connection``.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from market.errors import BrokerUnreachable, MalformedResponse

_PORTS = {"ws": 80, "wss": 443}


async def dial(address: str, seconds: float) -> socket.socket:
    """A connected, non-blocking TCP socket to the host of a ``ws://`` or ``wss://`` address.

    Args:
        seconds: for the name's lookup, and again for each of its addresses.

    Raises:
        BrokerUnreachable: if no address could be connected to.
        MalformedResponse: if the address has no host to connect to.
    """
    host, port = _place(address)
    reason: Exception | None = None
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except OSError as error:
        raise _unreachable(host, port, error) from error
    for family, kind, protocol, _, place in found:
        try:
            return await _connected((family, kind, protocol), place, seconds)
        except OSError as error:
            reason = error
    raise _unreachable(host, port, reason) from reason


async def _connected(
    kind: tuple[int, int, int], place: Sequence[object], seconds: float
) -> socket.socket:
    made = socket.socket(*kind)
    try:
        made.setblocking(False)
        with suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(made, tuple(place))
    except BaseException:
        made.close()
        raise
    return made


def _place(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise MalformedResponse("the feed's address is no ws:// or wss:// address") from error
    if not host:
        raise MalformedResponse("the feed's address has no host")
    return host, port


def _unreachable(host: str, port: int, reason: Exception | None) -> BrokerUnreachable:
    cause = type(reason).__name__ if reason else "the name has no address"
    return BrokerUnreachable(
        f"no connection to the feed at {host}:{port}: {cause}; check the network"
    )
