"""A TimescaleDB server of one's own, under the home folder, without root or Docker.

Starting, stopping and asking about that server. Where its programs come from belongs in
``provision``; what is kept in it belongs in ``timescale`` and the modules over it.

The server listens on loopback only and asks for a password, kept in the home folder with mode 0600.
Every setting is given on its command line, so a new version's settings apply at the next start.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from market.errors import ConfigurationError, StorageError
from storage.layout import write_private
from storage.provision import cache_folder, provision
from storage.timescale import ensure_database

HOST = "127.0.0.1"
DATABASE = "optionlake"
# Repeating the log after a power failure can take minutes.
START_SECONDS = 300
STOP_SECONDS = 60
# Data that the server's own user can reach, for a home that only root can enter.
_OUTSIDE = Path("/var/lib/optionlake")
# A program that an unrelated user started must not find its way into the server's.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

_INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # Sorting by code point on every host: an index never depends on the host's locale files.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
_SETTINGS = {
    "listen_addresses": HOST,
    # TCP alone: a socket file's path may have 107 bytes, and homes can be deeper than that.
    "unix_socket_directories": "",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # The Apache edition has no jobs to run; their schedulers would only hold each database open.
    "timescaledb.max_background_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Ingest writes the log in long bursts; fewer checkpoints mean fewer full-page images.
    "max_wal_size": "2GB",
    # Queries here are short: compiling them costs more than it gains.
    "jit": "off",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedServer:
    """PostgreSQL with TimescaleDB under ``home``, on a loopback port.

    Args:
        home: folder of the data (``database``), the log (``server.log``) and the password.
        port: TCP port on 127.0.0.1.
        is_durable: survive power failure; False is for tests, where speed matters more.
        prefix: folder of the programs; by default one that all clones share.
    """

    def __init__(
        self, home: Path, port: int, is_durable: bool = True, prefix: Path | None = None
    ) -> None:
        self._home = home.absolute()
        self._port = port
        self._is_durable = is_durable
        self._prefix = prefix or cache_folder() / "timescaledb"
        self._user = _server_user()

    @property
    def dsn(self) -> str:
        """Connection string of the database, whether the server runs or not.

        Raises:
            ConfigurationError: if the server has never been started here.
        """
        return self._dsn(DATABASE)

    @property
    def home(self) -> Path:
        """The folder handed in, absolute."""
        return self._home

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self._home / "server.log"

    def start(self, report: Callable[[str], None]) -> str:
        """Provision, create and start what is missing; the connection string.

        Raises:
            ConfigurationError: if this host cannot, or another program has the port.
            StorageError: if the server does not come up, with the end of its log.
        """
        programs = provision(self._prefix, report)
        self._home.mkdir(parents=True, exist_ok=True)
        with (self._home / "server.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.is_running():
                self._refuse_other_port()
            else:
                self._refuse_taken_port()
                self._create(programs, report)
                self._drop_stale_pid_file()
                report(f"starting the database on {HOST}:{self._port}")
                self._launch(programs)
            return ensure_database(self._dsn("postgres"), DATABASE)

    def stop(self) -> None:
        """Stop it and wait until it has: sessions are ended, committed data are kept.

        Raises:
            StorageError: if it does not stop in time.
        """
        self._shut_down("fast")

    def destroy(self) -> None:
        """Stop it and remove its data, also those outside the home; for benchmarks and tests."""
        # What is about to be removed need not be written out first.
        self._shut_down("immediate")
        folder = self.data_folder.parent
        shutil.rmtree(folder, ignore_errors=True)
        for left in (self._home / "database", self._password_path):
            left.unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Whether a live server process (not a zombie, not another program) owns the data."""
        pid = self.pid()
        return pid is not None and _is_live_server(pid, self.data_folder)

    def pid(self) -> int | None:
        """The process that the data folder names, alive or not; None if it names none."""
        lines = self._pid_file_lines()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    @property
    def data_folder(self) -> Path:
        """PostgreSQL's own folder; outside the home if the server's user cannot enter that."""
        return (self._home / "database").resolve() / "data"

    def _dsn(self, database: str) -> str:
        try:
            password = self._password_path.read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"the embedded database's password cannot be read ({error}): "
                "start the database once, or restore that file"
            ) from error
        return f"postgresql://postgres:{password}@{HOST}:{self._port}/{database}"

    @property
    def _password_path(self) -> Path:
        return self._home / "database.password"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data_folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _shut_down(self, mode: str) -> None:
        if not self.is_running():
            return
        programs = provision(self._prefix, lambda _: None)
        command = (programs / "pg_ctl", "stop", "-w", "-D", self.data_folder, "-m", mode)
        done = self._run((*command, "-t", str(STOP_SECONDS)))
        if done.returncode and self.is_running():
            raise StorageError(f"the database did not stop within {STOP_SECONDS} s: {self._tail()}")

    def _refuse_other_port(self) -> None:
        lines = self._pid_file_lines()
        if len(lines) > 3 and lines[3].strip() != str(self._port):
            raise ConfigurationError(
                f"the database under {self._home} already runs on port {lines[3].strip()}, "
                f"not {self._port}: stop it first, or set OPTIONLAKE_DATABASE_PORT to that"
            )

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            # As the server itself does, so that connections that are closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self._port))
            except OSError as error:
                raise ConfigurationError(
                    f"port {self._port} on {HOST} is used by another program: stop that, "
                    "or set OPTIONLAKE_DATABASE_PORT to a free port"
                ) from error

    def _create(self, programs: Path, report: Callable[[str], None]) -> None:
        if (self.data_folder / "PG_VERSION").exists():
            return
        report("creating the database")
        folder = self._make_data_folder()
        password = secrets.token_urlsafe(24)
        fresh, given = folder / "data.new", folder / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        write_private(given, password)
        self._give_away(given)
        sync = () if self._is_durable else ("--no-sync",)
        done = self._run(
            (programs / "initdb", "-D", fresh, "--pwfile", given, *_INITDB_OPTIONS, *sync)
        )
        given.unlink()
        if done.returncode:
            raise StorageError(f"the database cannot be created: {done.stderr.strip()[-500:]}")
        write_private(self._password_path, password)
        # Only a whole data folder ever carries the final name.
        fresh.rename(self.data_folder)

    def _make_data_folder(self) -> Path:
        link = self._home / "database"
        if not link.exists() and not self._can_enter(self._home):
            link.unlink(missing_ok=True)
            link.symlink_to(self._make_outside_folder())
        link.mkdir(exist_ok=True, mode=0o700)
        self._give_away(link.resolve())
        return link.resolve()

    def _make_outside_folder(self) -> Path:
        """A folder of this home's own in ``/var/lib``, with a note that says whose it is.

        Never one that is found again by its name: a home that was removed must start empty.
        """
        _OUTSIDE.mkdir(parents=True, exist_ok=True)
        _OUTSIDE.chmod(0o755)
        folder = Path(tempfile.mkdtemp(prefix="database-", dir=_OUTSIDE))
        (folder / "README").write_text(
            f"Database of {self._home}, which the server's user ({self._user}) cannot enter.\n"
            f"{self._home / 'database'} links here; if it no longer does, this can be removed.\n"
        )
        return folder

    def _can_enter(self, folder: Path) -> bool:
        return self._run(("test", "-x", folder)).returncode == 0

    def _give_away(self, path: Path) -> None:
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(path, account.pw_uid, account.pw_gid)

    def _drop_stale_pid_file(self) -> None:
        # PostgreSQL takes a zombie, or a stranger that got the old number, for a running server.
        if self.pid() is not None and not self.is_running():
            (self.data_folder / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, programs: Path) -> None:
        settings = _SETTINGS | {"port": str(self._port)}
        settings |= {} if self._is_durable else _NOT_DURABLE
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        command = (programs / "pg_ctl", "start", "-w", "-D", self.data_folder)
        # The log is opened here: the server's user need not be able to write into the home.
        with self.log_path.open("ab") as log:
            done = subprocess.run(
                self._as_user((*command, "-o", options, "-t", str(START_SECONDS))),
                cwd="/",
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode:
            raise StorageError(
                f"the database did not start: {self._tail()}; the whole log is {self.log_path}"
            )

    def _tail(self) -> str:
        return " | ".join(self.log_path.read_text(errors="replace").splitlines()[-5:])

    def _run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._as_user(command),
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _as_user(self, command: Sequence[str | Path]) -> Sequence[str | Path]:
        if self._user is None:
            return command
        group = str(pwd.getpwnam(self._user).pw_gid)
        drop = ("setpriv", f"--reuid={self._user}", f"--regid={group}", "--clear-groups", "--")
        return (*drop, *command)


def _server_user() -> str | None:
    """Whom the server runs as when root starts it, since PostgreSQL refuses root; else None."""
    if os.getuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _is_live_server(pid: int, data: Path) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        state = (process / "stat").read_text().rpartition(") ")[2][:1]
        command = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return state not in {"Z", "X"} and bytes(data) in command.split(b"\0")
