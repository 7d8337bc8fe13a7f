"""Certificates: what a strict client accepts, and what it must not."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from simulator.certificates import identity, presented

HOSTS = ("api.upstox.com", "assets.upstox.com")


def _handshake(server: ssl.SSLContext, authority: Path, host: str) -> None:
    """A whole handshake in memory, judged by a client with the standard library's defaults."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cafile=str(authority))
    client = trusting.wrap_bio(to_client, to_server, server_hostname=host)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, answering]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
        if not waiting:
            return
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("host", HOSTS)
def test_a_strict_client_accepts_every_name(host: str) -> None:
    """The chain and the name hold for a client that checks all."""
    with presented(HOSTS) as (context, authority):
        _handshake(context, authority, host)


def test_another_name_is_not_accepted() -> None:
    """A host that the certificate does not name fails the client's check."""
    with (
        presented(HOSTS) as (context, authority),
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        _handshake(context, authority, "wsfeeder-api.upstox.com")


def test_the_authority_is_bound_to_the_brokers_domain() -> None:
    """Who trusts it trusts it for nothing else, even were its key to leak."""
    with (
        presented(("example.com",)) as (context, authority),
        pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"),
    ):
        _handshake(context, authority, "example.com")


def test_another_start_has_another_authority() -> None:
    """A file kept from an earlier start opens nothing."""
    with (
        presented(HOSTS) as (context, _),
        presented(HOSTS) as (_, authority),
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        _handshake(context, authority, HOSTS[0])


@pytest.mark.parametrize("away", [timedelta(days=-400), timedelta(days=400)])
def test_validity_is_around_the_time_given(away: timedelta, tmp_path: Path) -> None:
    """Made for another year, it is refused today."""
    made = identity(HOSTS, datetime.now(UTC) + away)
    (tmp_path / "ca.pem").write_bytes(made.authority_pem)
    (tmp_path / "server.pem").write_bytes(made.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"expired|not yet valid"):
        _handshake(context, tmp_path / "ca.pem", HOSTS[0])


def test_no_key_lies_about() -> None:
    """While it serves, the folder holds the authority's certificate alone; after that, nothing."""
    with presented(HOSTS) as (_, authority):
        folder = authority.parent
        assert list(folder.iterdir()) == [authority]
        assert b"PRIVATE" not in authority.read_bytes()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
