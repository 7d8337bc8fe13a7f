"""Connections: where proxies have a say, and what proves that nobody was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import requests

from brokers.upstox.sessions import api_session, failure_of, is_loopback
from market.errors import BrokerUnavailable, BrokerUnreachable

SECONDS = (0.2, 0.2)


def _failed(url: str) -> BrokerUnavailable:
    with api_session(url) as session, pytest.raises(requests.RequestException) as caught:
        session.get(url, timeout=SECONDS)
    return failure_of(caught.value, "GET somewhere")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A bound socket that everything else is made of."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_refused_connection_reached_nobody(listener: socket.socket) -> None:
    """Bound, but nobody listens."""
    error = _failed(_url(listener))
    assert type(error) is BrokerUnreachable
    assert "NewConnectionError" in str(error)


def test_a_lost_connect_reached_nobody(listener: socket.socket) -> None:
    """The queue of connections is full, so that the kernel drops each further attempt."""
    listener.listen(0)
    with socket.create_connection(listener.getsockname()), socket.socket() as second:
        second.setblocking(False)
        second.connect_ex(listener.getsockname())
        assert type(_failed(_url(listener))) is BrokerUnreachable


def test_an_unknown_host_reached_nobody() -> None:
    """No name, no call."""
    assert type(_failed("http://no-such-host.invalid")) is BrokerUnreachable


def test_silence_after_connecting_may_have_been_a_call(listener: socket.socket) -> None:
    """Connected and then no answer: the request may be there."""
    listener.listen(5)
    assert type(_failed(_url(listener))) is BrokerUnavailable


def test_a_hang_up_may_have_been_a_call(listener: socket.socket) -> None:
    """The broker may hang up after it has counted the call."""
    listener.listen(5)

    def hang_up() -> None:
        listener.accept()[0].close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    assert type(_failed(_url(listener))) is BrokerUnavailable
    thread.join()


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000/x", True),
        ("http://localhost", True),
        ("https://api.upstox.com", False),
        ("nonsense", False),
    ],
)
def test_a_proxy_has_no_say_on_this_machine(url: str, is_here: bool) -> None:
    """What the environment tells about proxies is for the internet."""
    assert is_loopback(url) is is_here
    with api_session(url) as session:
        assert session.trust_env is not is_here
