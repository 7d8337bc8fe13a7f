"""The embedded server: idempotent start, orderly stop, and what a messy host does to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from market.errors import ConfigurationError
from storage.embedded import EmbeddedServer
from tests.fix_timescale import free_port, start_or_skip


def _silent(_: str) -> None:
    return


def _wait_for(server: EmbeddedServer, is_running: bool) -> None:
    deadline = time.monotonic() + 30
    while server.is_running() is not is_running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_start_on_a_running_server_changes_nothing(restartable: EmbeddedServer) -> None:
    """The same process, the same address."""
    pid = restartable.pid()
    assert restartable.start(_silent) == restartable.dsn
    assert restartable.pid() == pid


def test_data_survive_stop_and_start(restartable: EmbeddedServer) -> None:
    """Stop ends open sessions and waits; start finds what was committed."""
    with psycopg.connect(restartable.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        restartable.stop()
        assert not restartable.is_running()
        restartable.stop()
    with psycopg.connect(restartable.start(_silent)) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_killed_server_starts_again(restartable: EmbeddedServer) -> None:
    """A postmaster that left its pid file behind is not taken for a running one."""
    pid = restartable.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _wait_for(restartable, is_running=False)
    with psycopg.connect(restartable.start(_silent)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pid_that_now_belongs_to_a_stranger_or_a_zombie_is_stale(
    restartable: EmbeddedServer,
) -> None:
    """Numbers are used again, and containers without an init leave zombies."""
    restartable.stop()
    pid_file = restartable.data_folder / "postmaster.pid"
    stranger = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    pid_file.write_text(f"{stranger.pid}\n")
    assert not restartable.is_running()
    stranger.communicate(b"\n")
    zombie = os.fork()
    if zombie == 0:
        os._exit(0)
    pid_file.write_text(f"{zombie}\n")
    assert not restartable.is_running()
    restartable.start(_silent)
    assert restartable.is_running()
    os.waitpid(zombie, 0)


def test_a_port_that_another_program_has_is_named(server_home: Path) -> None:
    """Nothing is created, and the setting to change is in the message."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = EmbeddedServer(server_home / "taken", port, is_durable=False)
        with pytest.raises(ConfigurationError, match=f"port {port}.*OPTIONLAKE_DATABASE_PORT"):
            start_or_skip(server)
    assert not (server_home / "taken/database").exists()


def test_another_port_than_the_running_one_is_refused(
    restartable: EmbeddedServer, server_home: Path
) -> None:
    """A changed setting does not silently point at nothing."""
    other = EmbeddedServer(restartable.home, free_port(), is_durable=False)
    with pytest.raises(ConfigurationError, match="already runs on port"):
        other.start(_silent)


def test_the_password_is_asked_for_and_private(restartable: EmbeddedServer) -> None:
    """Other users of this machine do not get in."""
    path = restartable.home / "database.password"
    assert path.stat().st_mode & 0o777 == 0o600
    password = path.read_text()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(restartable.dsn.replace(password, "guess"))


def test_a_server_never_started_has_no_address(tmp_path: Path) -> None:
    """The message says what to do."""
    with pytest.raises(ConfigurationError, match="start the database once"):
        _ = EmbeddedServer(tmp_path, free_port()).dsn


def test_it_is_durable_unless_told_otherwise(server_home: Path) -> None:
    """A committed tick survives power failure by default."""
    server = EmbeddedServer(server_home / "durable", free_port())
    dsn = start_or_skip(server)
    try:
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    finally:
        server.stop()


@pytest.fixture
def deep_private_home() -> Iterator[Path]:
    """A home under a folder of mode 700, deeper than a socket's path may be."""
    private = Path("/var/tmp") / f"optionlake-private-{os.getpid()}"
    private.mkdir(mode=0o700)
    yield private / ("d" * 100) / "my data"
    shutil.rmtree(private)


def test_a_home_that_the_servers_user_cannot_enter_works(deep_private_home: Path) -> None:
    """As root the data lie outside, linked from the home; otherwise they lie in it."""
    server = EmbeddedServer(deep_private_home, free_port(), is_durable=False)
    dsn = start_or_skip(server)
    try:
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        link = deep_private_home / "database"
        assert link.is_symlink() is (os.getuid() == 0)
        assert server.log_path == deep_private_home / "server.log"
        if link.is_symlink():
            assert str(deep_private_home) in (link.resolve() / "README").read_text()
    finally:
        folder = server.data_folder
        server.destroy()
    assert not folder.parent.exists()
    assert not link.is_symlink()


def test_a_home_made_anew_starts_empty(deep_private_home: Path) -> None:
    """Removing a home removes its database from sight, wherever the data lie."""
    folders = []
    for _ in range(2):
        server = EmbeddedServer(deep_private_home, free_port(), is_durable=False)
        dsn = start_or_skip(server)
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE mine (a int)")
        server.stop()
        folders.append(server.data_folder.parent)
        shutil.rmtree(deep_private_home)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
