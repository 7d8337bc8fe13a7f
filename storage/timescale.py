"""The database as a whole: reaching it, telling its edition, and moving its tables forward.

Migrations are numbered SQL files beside this module, applied once, in order, and never edited after
they shipped. What is read from and written to the tables belongs in ``ticks``, ``chains`` and
``instruments``. psycopg's errors stop here: whoever uses a connection wraps it in ``reaching``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from importlib.resources import files
from typing import LiteralString
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from market.errors import ConfigurationError, DatabaseUnavailable, StorageError

CONNECT_SECONDS = 10
# Any constant will do, as long as nothing else in this database locks the same number.
_MIGRATION_LOCK = 7_141_001
CREATE_EXTENSION: LiteralString = "CREATE EXTENSION IF NOT EXISTS timescaledb"
_REMEDY = (
    "use a server with TimescaleDB (shared_preload_libraries = 'timescaledb'), "
    "or unset DATABASE_URL for the embedded one"
)


class Edition(StrEnum):
    """Which TimescaleDB a database has; compression and policies exist in ``TIMESCALE`` only."""

    NONE = "none"
    APACHE = "apache"
    TIMESCALE = "timescale"


def address(dsn: str) -> str:
    """``host:port/database`` of a connection string, fit for messages: never the password."""
    parts = conninfo_to_dict(dsn)
    host, port = parts.get("host") or "localhost", parts.get("port") or 5432
    return f"{host}:{port}/{parts.get('dbname') or ''}"


@contextmanager
def reaching(dsn: str) -> Iterator[None]:
    """Turn psycopg's errors into the project's: unreachable is worth retrying, refused is not.

    Raises:
        DatabaseUnavailable: the connection could not be made, or broke.
        StorageError: the server refused the statement.
    """
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(
            f"database {address(dsn)} cannot be used: {_first_line(error)}; "
            "check that it runs and that DATABASE_URL is right"
        ) from error
    except psycopg.Error as error:
        raise StorageError(
            f"database {address(dsn)} refused a statement: {_first_line(error)}"
        ) from error


@contextmanager
def connect(dsn: str, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """One connection whose block is one transaction, with the project's errors."""
    with (
        reaching(dsn),
        psycopg.connect(dsn, autocommit=autocommit, connect_timeout=CONNECT_SECONDS) as connection,
    ):
        _speak_utc(connection)
        yield connection


def wait_until_ready(dsn: str, delays: Iterable[float], report: Callable[[str], None]) -> None:
    """Try to connect until it works, pausing ``delays`` seconds between attempts.

    Args:
        delays: pauses in seconds; when they run out, so does the patience.
        report: told once, with the reason, that the database is being waited for.

    Raises:
        DatabaseUnavailable: the last reason, after the last delay.
    """
    is_told = False
    for delay in delays:
        try:
            return _ping(dsn)
        except DatabaseUnavailable as error:
            if not is_told:
                report(f"waiting for the database: {error}")
                is_told = True
            time.sleep(delay)
    return _ping(dsn)


def edition(dsn: str) -> Edition:
    """Which TimescaleDB is installed in this database."""
    with connect(dsn) as connection:
        row = connection.execute(
            "SELECT current_setting('timescaledb.license', true)"
            " FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
    if row is None:
        return Edition.NONE
    return Edition.TIMESCALE if row[0] == "timescale" else Edition.APACHE


def ensure_database(admin_dsn: str, name: str) -> str:
    """Create database ``name`` on the server unless it is there; its connection string."""
    with connect(admin_dsn, autocommit=True) as connection, _created_by_another():
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return _with_database(admin_dsn, name)


def migrate(dsn: str) -> list[str]:
    """Bring the tables up to date; the names of the migrations applied now.

    Safe to call from many processes at once, and a no-op when nothing is new.

    Raises:
        ConfigurationError: no TimescaleDB, or the database has seen a migration that differs.
    """
    with connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        _ensure_extension(connection, dsn)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration ("
            " name text PRIMARY KEY, checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = connection.execute("SELECT name, checksum FROM schema_migration").fetchall()
        shipped = _shipped()
        _refuse_altered(dict(rows), shipped, dsn)
        fresh = [name for name in shipped if name not in dict(rows)]
        for name in fresh:
            _apply(connection, name, shipped[name])
        return fresh


@contextmanager
def _created_by_another() -> Iterator[None]:
    """Of two creators at once, the loser's error only says that the object is there."""
    with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        yield


def _with_database(dsn: str, name: str) -> str:
    if "://" not in dsn:
        return make_conninfo(dsn, dbname=name)
    return urlsplit(dsn)._replace(path="/" + quote(name, safe="")).geturl()


def _speak_utc(connection: psycopg.Connection) -> None:
    """Instants come back in the session's zone, and a server may have any."""
    if connection.info.parameter_status("TimeZone") not in {"UTC", "Etc/UTC"}:
        with connection.transaction():
            connection.execute("SET TIME ZONE 'UTC'")


def _ping(dsn: str) -> None:
    with connect(dsn) as connection:
        connection.execute("SELECT 1")


def _ensure_extension(connection: psycopg.Connection, dsn: str) -> None:
    try:
        connection.execute(CREATE_EXTENSION)
    except psycopg.Error as error:
        raise ConfigurationError(
            f"database {address(dsn)} has no TimescaleDB ({_first_line(error)}): {_REMEDY}"
        ) from error


def _shipped() -> dict[str, str]:
    folder = files("storage") / "migrations"
    scripts = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return {f.name.removesuffix(".sql"): f.read_text("utf-8") for f in scripts}


def _checksum(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()


def _refuse_altered(applied: dict[str, str], shipped: dict[str, str], dsn: str) -> None:
    for name, checksum in applied.items():
        if name not in shipped:
            raise ConfigurationError(
                f"database {address(dsn)} has migration {name}, which this version does not know: "
                "it was used by a newer version, so use that one"
            )
        if checksum != _checksum(shipped[name]):
            raise ConfigurationError(
                f"migration {name} differs from the one applied to {address(dsn)}: "
                "restore the file, and put the change into a new migration"
            )


def _apply(connection: psycopg.Connection, name: str, script: str) -> None:
    with connection.transaction():
        connection.execute(script.encode())
        connection.execute(
            "INSERT INTO schema_migration (name, checksum) VALUES (%s, %s)",
            (name, _checksum(script)),
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
