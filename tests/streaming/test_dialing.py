"""Dialling: real sockets on loopback; each way to reach nobody is one error, within its time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from market.errors import BrokerUnreachable, MalformedResponse
from streaming.dialing import dial


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A bound socket."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made


def _address(listener: socket.socket) -> str:
    return f"ws://127.0.0.1:{listener.getsockname()[1]}/feed?code=secret"


def _dialled(address: str, seconds: float = 5.0) -> None:
    asyncio.run(dial(address, seconds)).close()


def test_who_listens_is_connected_to(listener: socket.socket) -> None:
    """The socket is connected to the very host and port, and does not block."""
    listener.listen(1)
    with asyncio.run(dial(_address(listener), 5.0)) as made:
        assert made.getpeername() == listener.getsockname()
        assert not made.getblocking()


def test_refused(listener: socket.socket) -> None:
    """Bound, but nobody listens; the one-time code is not told."""
    with pytest.raises(BrokerUnreachable, match="ConnectionRefusedError") as caught:
        _dialled(_address(listener))
    assert "secret" not in str(caught.value)


def test_lost(listener: socket.socket) -> None:
    """The kernel drops each further attempt: given up after its own short time."""
    listener.listen(0)
    with socket.create_connection(listener.getsockname()), socket.socket() as second:
        second.setblocking(False)
        second.connect_ex(listener.getsockname())
        with pytest.raises(BrokerUnreachable, match="TimeoutError"):
            _dialled(_address(listener), 0.1)


def test_a_dead_address_does_not_use_up_the_time_of_a_living_one(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with two addresses, of which the first refuses."""
    listener.listen(1)

    async def both(*_: Any, **__: Any) -> list[Any]:
        dead = ("127.0.0.1", 9)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, dead), (*kind, listener.getsockname())]

    async def test() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both, raising=False)
        with await dial("wss://feeder.example/x", 5.0) as made:
            assert made.getpeername() == listener.getsockname()

    asyncio.run(test())


def test_a_name_that_does_not_exist() -> None:
    """No name, nobody reached."""
    with pytest.raises(BrokerUnreachable, match=r"no-such-host\.invalid:443"):
        _dialled("wss://no-such-host.invalid/x")


@pytest.mark.parametrize("address", ["ws://", "http://127.0.0.1/", "ws://a:b/", "ws://[/"])
def test_no_address(address: str) -> None:
    """What cannot be dialled is the broker's mistake, not the network's."""
    with pytest.raises(MalformedResponse):
        _dialled(address)
