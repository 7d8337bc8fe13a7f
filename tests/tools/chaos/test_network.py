"""The relay passes everything on in order, and loses the network only when told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tools.chaos.network import Network, relay

_SECONDS = 10


@pytest.fixture
def link() -> Iterator[Network]:
    """A relay to a server that answers everything with itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_echo, args=(server,), daemon=True)
        thread.start()
        with relay(server.getsockname()[1]) as made:
            yield made


def _echo(server: socket.socket) -> None:
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(peer,), daemon=True).start()


def _answer(peer: socket.socket) -> None:
    with peer:
        try:
            while data := peer.recv(65_536):
                peer.sendall(data)
        except OSError:
            return


def _connected(link: Network) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), _SECONDS)


def test_cut_holds_and_healing_delivers(link: Network) -> None:
    """Nothing comes while it is cut, and everything afterwards."""
    with _connected(link) as client:
        client.sendall(b"before")
        assert client.recv(6) == b"before"
        link.cut()
        client.sendall(b"during")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(6)
        link.heal()
        client.settimeout(_SECONDS)
        assert client.recv(6) == b"during"


def test_cut_answers_no_attempt(link: Network) -> None:
    """Who connects meanwhile hears nothing, not even a refusal, and gets through afterwards."""
    link.cut()
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", link.port), 0.2)
    link.heal()
    with _connected(link) as client:
        client.sendall(b"z")
        assert client.recv(1) == b"z"


def test_refusal_resets_open_and_turns_down_new_connections(link: Network) -> None:
    """Until it is healed."""
    with _connected(link) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        link.refuse()
        assert _is_ended(client)
    with pytest.raises(ConnectionRefusedError):
        _connected(link)
    link.heal()
    with _connected(link) as client:
        client.sendall(b"y")
        assert client.recv(1) == b"y"


def _is_ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
