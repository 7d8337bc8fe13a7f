"""Fixtures of the real database: an embedded server, and a fresh migrated database per test."""

from __future__ import annotations

import itertools
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from market.errors import ConfigurationError
from storage.embedded import EmbeddedServer
from storage.provision import cache_folder, provision
from storage.timescale import ensure_database, migrate

_TEMPLATE = "template_migrated"
_numbers = itertools.count(1)


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """A folder that the server's own user can enter, which pytest's private folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="optionlake-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def programs_or_skip() -> Path:
    """Where the server's programs are; on a host that cannot provide them, skip and say why."""
    try:
        return provision(cache_folder() / "timescaledb", lambda _: None)
    except ConfigurationError as error:
        pytest.skip(f"no embedded TimescaleDB: {error}")


def start_or_skip(server: EmbeddedServer) -> str:
    """Start it, if this host can run it at all."""
    programs_or_skip()
    return server.start(lambda _: None)


@pytest.fixture(scope="session")
def timescale(server_home: Path) -> Iterator[str]:
    """Connection string of a running, non-durable TimescaleDB with a migrated template."""
    server = EmbeddedServer(server_home / "shared", free_port(), is_durable=False)
    dsn = start_or_skip(server)
    try:
        migrate(ensure_database(dsn, _TEMPLATE))
        yield dsn
    finally:
        server.destroy()


@pytest.fixture
def empty_database(timescale: str) -> Iterator[str]:
    """A new database without any tables."""
    name = f"empty_{next(_numbers)}"
    yield ensure_database(timescale, name)
    _drop(timescale, name)


@pytest.fixture
def database(timescale: str) -> Iterator[str]:
    """A new migrated database, copied from the template."""
    name = f"test_{next(_numbers)}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(timescale, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(_TEMPLATE)))
    yield ensure_database(timescale, name)
    _drop(timescale, name)


@pytest.fixture
def restartable(server_home: Path) -> Iterator[EmbeddedServer]:
    """A server of the test's own, to be cut and restored; running, not migrated."""
    server = EmbeddedServer(server_home / f"own-{next(_numbers)}", free_port(), is_durable=False)
    start_or_skip(server)
    yield server
    server.destroy()


def _drop(dsn: str, name: str) -> None:
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)
