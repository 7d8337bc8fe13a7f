"""The database as a whole: migrations, readiness, edition, errors at the border."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from market.errors import ConfigurationError, DatabaseUnavailable, StorageError
from storage import timescale as module
from storage.embedded import EmbeddedServer
from storage.timescale import Edition, connect, edition, ensure_database, migrate, wait_until_ready
from tests.fix_timescale import free_port

MIGRATIONS = [
    "0001_ticks",
    "0002_chain_latest",
    "0003_contract_columns",
    "0004_alert",
    "0005_gap_instruments",
    "0006_minutes",
]


def test_migrating_twice_applies_each_migration_once(empty_database: str) -> None:
    """The second call finds nothing to do."""
    assert migrate(empty_database) == MIGRATIONS
    assert migrate(empty_database) == []


def test_concurrent_migrations_apply_each_once(empty_database: str) -> None:
    """Programs that start together do not get into each other's way."""
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [empty_database] * 4))
    assert sorted(len(names) for names in applied) == [0, 0, 0, len(MIGRATIONS)]


def test_an_altered_migration_is_refused(database: str) -> None:
    """History that changed under a database is an error that names the file."""
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE schema_migration SET checksum = 'other' WHERE name ~ '0001'")
    with pytest.raises(ConfigurationError, match="0001_ticks differs"):
        migrate(database)


def test_a_migration_of_a_newer_version_is_refused(database: str) -> None:
    """An old program does not write into a database that it does not understand."""
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO schema_migration VALUES ('9999_future', 'x')")
    with pytest.raises(ConfigurationError, match="9999_future"):
        migrate(database)


def test_a_failed_migration_leaves_nothing(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration is whole or not there, and can be tried again."""
    scripts = {"0001_bad": "CREATE TABLE half (a int); SELECT 1 / 0"}
    monkeypatch.setattr(module, "_shipped", lambda: scripts)
    with pytest.raises(StorageError):
        migrate(empty_database)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_edition_is_told_by_the_server(database: str, timescale: str) -> None:
    """Debian's package is the Apache edition; a database without the extension has none."""
    assert edition(database) is Edition.APACHE
    assert edition(ensure_database(timescale, "plain")) is Edition.NONE


def test_a_server_without_timescaledb_is_a_configuration_error(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to do."""
    statement = module.CREATE_EXTENSION.replace("timescaledb", "no_such_extension")
    monkeypatch.setattr(module, "CREATE_EXTENSION", statement)
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        migrate(empty_database)


def test_unreachable_is_database_unavailable_without_the_password() -> None:
    """The type says that trying again is worth it; the message never shows the password."""
    dsn = f"postgresql://someone:hush@127.0.0.1:{free_port()}/x"
    told: list[str] = []
    with pytest.raises(DatabaseUnavailable) as caught:
        wait_until_ready(dsn, [0, 0], told.append)
    assert len(told) == 1
    assert "127.0.0.1" in str(caught.value)
    assert "hush" not in str(caught.value) + told[0]


def test_waiting_ends_when_the_server_is_there(restartable: EmbeddedServer) -> None:
    """The delays are asked for only as long as they are needed."""
    dsn = restartable.dsn
    restartable.stop()

    def delays() -> object:
        yield 0
        restartable.start(lambda _: None)
        yield 0
        raise AssertionError("asked for a delay after the server was there")

    wait_until_ready(dsn, delays(), lambda _: None)  # type: ignore[arg-type]


def test_a_refused_statement_is_not_worth_retrying(database: str) -> None:
    """A statement that the server refuses is a StorageError, not DatabaseUnavailable."""
    with pytest.raises(StorageError) as caught, connect(database) as connection:
        connection.execute("SELECT * FROM nowhere")
    assert not isinstance(caught.value, DatabaseUnavailable)


def test_ensure_database_is_idempotent_also_at_once(timescale: str) -> None:
    """Many callers get the same database, as URL or as keywords."""
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ensure_database, [timescale] * 4, ["many"] * 4))
    assert len(found) == 1
    assert found.pop().endswith("/many")
