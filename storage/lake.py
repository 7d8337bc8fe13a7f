"""The lake: Parquet files under a data path, with DuckLake's catalogue in PostgreSQL.

Windows are replaced whole, in one transaction over all tables; readers are never blocked. What the
columns mean is declared in ``transforms.schemas``; when to write is decided by the programs above.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import duckdb
import polars as pl
import psycopg

from market.errors import DatabaseUnavailable, LakeConflict, SchemaMismatch, StorageError
from storage import lake_tables
from storage.duckdb_extensions import NAMES, extension_folder
from storage.provision import cache_folder
from storage.timescale import address, connect
from transforms.columns import Schema
from transforms.schemas import LAKE_TABLES

__all__ = ["Lake", "LakeConfig", "extension_folder"]

# Longest wait for other writers of optionlake, seconds.
TURN_SECONDS = 60
# Longest pause before each new attempt after a conflict with a writer that takes no turns (dbt, a
# person), seconds; the pause itself is random, so that two that collided do not collide again.
CONFLICT_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

_WRITERS_LOCK = 7_141_004
_SCHEMAS = {schema.name: schema for schema in LAKE_TABLES}
_PASSWORD = re.compile(r"(://[^:@/\s]*:)[^@\s]*@|(password=)('[^']*'|\S+)")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class LakeConfig:
    """Where a lake lies.

    Attributes:
        catalogue_dsn: PostgreSQL database of the catalogue; best one of its own.
        data_path: folder of the Parquet files; absolute, and fixed once the lake exists.
        extensions: DuckDB's extension directory; by default one that all clones share.
    """

    catalogue_dsn: str
    data_path: Path
    extensions: Path | None = None


class Lake:
    """An open lake; safe to use from several threads.

    Raises:
        DatabaseUnavailable: the catalogue cannot be reached; try again.
        StorageError: opened read-only, and there is no lake yet.
    """

    def __init__(self, config: LakeConfig, is_read_only: bool = False) -> None:
        self._config = config
        self._is_read_only = is_read_only
        self._connection = self._attach()

    def ensure_tables(self) -> None:
        """Create what is missing: tables, columns that a newer version added, views."""

        def create(cursor: duckdb.DuckDBPyConnection) -> None:
            for statement in lake_tables.missing(cursor):
                cursor.execute(statement)

        self._transact(create)

    def replace_window(
        self, day: date, slot: str, frames: Mapping[str, pl.DataFrame]
    ) -> dict[str, int]:
        """Replace everything that the given tables hold of one window; rows written per table.

        All tables change in one transaction or none does; an empty frame empties the window.

        Raises:
            SchemaMismatch: an unknown table, wrong columns, or rows of another window.
            LakeConflict: other writers won every time; try again later.
            DatabaseUnavailable: nothing was written; try again.
        """
        checked = {name: _checked(name, frame, day, slot) for name, frame in frames.items()}

        def replace(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
            for name, frame in checked.items():
                condition = "WHERE trading_day = ? AND slot = ?"
                cursor.execute(f"DELETE FROM {name} {condition}", (day, slot))  # noqa: S608
                if frame.height:
                    cursor.register("incoming", frame.to_arrow())
                    cursor.execute(f"INSERT INTO {name} SELECT * FROM incoming")  # noqa: S608
                    cursor.unregister("incoming")
            return {name: frame.height for name, frame in checked.items()}

        return self._transact(replace)

    def window(self, table: str, day: date, slot: str) -> pl.DataFrame:
        """What one table holds of one window, as a frame of its schema."""
        schema = _schema(table)
        columns = ", ".join(f'"{c.name}"' for c in schema.columns)
        text = f"SELECT {columns} FROM {table} WHERE trading_day = ? AND slot = ?"  # noqa: S608
        return schema.conform(self.query(text, (day, slot)))

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pl.DataFrame:
        """The result of one statement; tables and views are known by their bare names.

        Raises:
            StorageError: the statement is wrong, or writes while the lake is read-only.
        """
        with self._errors(), self._cursor() as cursor:
            return cursor.execute(sql, list(parameters)).pl()

    def size_bytes(self) -> int:
        """Size of the Parquet files of the current state."""
        total = self.query(
            "SELECT coalesce(sum(file_size_bytes + delete_file_size_bytes), 0)::BIGINT"
            " FROM ducklake_table_info('lake')"
        )
        return int(total.item())

    def close(self) -> None:
        """Let go of the catalogue; a second call does nothing."""
        self._connection.close()

    def _attach(self) -> duckdb.DuckDBPyConnection:
        extensions = self._config.extensions or extension_folder(cache_folder())
        connection = duckdb.connect(
            config={
                "extension_directory": str(extensions),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                # Names in a statement are the lake's, never variables of this program.
                "python_enable_replacements": "false",
            }
        )
        with self._errors():
            for name in NAMES:
                connection.execute(f"LOAD {name}")
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            if self._is_read_only:
                connection.execute(self._attach_statement())
            else:
                # The first of many makes the catalogue.
                with self._turn():
                    connection.execute(self._attach_statement())
        return connection

    def _attach_statement(self) -> str:
        catalogue = f"ducklake:postgres:{self._config.catalogue_dsn}".replace("'", "''")
        if self._is_read_only:
            return f"ATTACH '{catalogue}' AS lake (READ_ONLY)"
        folder = self._config.data_path.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        path = f"{folder}/".replace("'", "''")
        return f"ATTACH '{catalogue}' AS lake (DATA_PATH '{path}')"

    def _transact(self, work: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        if self._is_read_only:
            raise StorageError("this lake was opened read-only: open it without is_read_only")
        with self._turn():
            for delay in CONFLICT_DELAYS:
                try:
                    return self._attempt(work)
                except LakeConflict:
                    time.sleep(random.uniform(0, delay))  # noqa: S311 - not for secrets
            return self._attempt(work)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let writers go one after another, in the order in which they came.

        DuckLake's conflicts are by table, not by window: without turns, a backfill that replaces
        window after window would make each attempt of the live run collide until it gives up.
        """
        with connect(self._config.catalogue_dsn, autocommit=True) as connection:
            try:
                connection.execute(f"SET lock_timeout = {int(TURN_SECONDS * 1000)}".encode())
                connection.execute("SELECT pg_advisory_lock(%s)", (_WRITERS_LOCK,))
            except psycopg.errors.LockNotAvailable:
                raise LakeConflict(
                    f"other writers kept the lake of {address(self._config.catalogue_dsn)} for "
                    f"{TURN_SECONDS} s: try again"
                ) from None
            yield

    def _attempt(self, work: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        with self._errors(), self._cursor() as cursor:
            cursor.begin()
            try:
                result = work(cursor)
                cursor.commit()
            except BaseException:
                _roll_back(cursor)
                raise
            return result

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connection.cursor() as cursor:
            cursor.execute("USE lake")
            yield cursor

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """DuckDB's errors as ours, by type; its texts can hold the catalogue's password."""
        where = address(self._config.catalogue_dsn)
        try:
            yield
        except duckdb.TransactionException as error:
            raise LakeConflict(
                f"another writer changed the lake of {where} first, try again: {_first_line(error)}"
            ) from None
        except (duckdb.IOException, duckdb.ConnectionException) as error:
            raise DatabaseUnavailable(
                f"the lake's catalogue or files ({where}) cannot be used: {_first_line(error)}"
            ) from None
        except duckdb.Error as error:
            hint = "; it was opened read-only" if self._is_read_only else ""
            raise StorageError(f"the lake of {where} refused{hint}: {_clean(error)}") from None


def _schema(table: str) -> Schema:
    if table not in _SCHEMAS:
        raise SchemaMismatch(f"the lake has no table {table}, expected one of {sorted(_SCHEMAS)}")
    return _SCHEMAS[table]


def _checked(table: str, frame: pl.DataFrame, day: date, slot: str) -> pl.DataFrame:
    conformed = _schema(table).conform(frame)
    strangers = conformed.filter((pl.col("trading_day") != day) | (pl.col("slot") != slot))
    if strangers.height:
        raise SchemaMismatch(
            f"frame for {table} has {strangers.height} rows of another window than {day} {slot}"
        )
    # Sorted files let a reader of one symbol skip most of each.
    keys = [k for k in ("symbol", "expiry", "strike") if k in conformed.columns]
    return conformed.sort(keys, maintain_order=True)


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:
        # A failed commit has ended the transaction already.
        return


def _first_line(error: Exception) -> str:
    return _clean(error).partition("\n")[0]


def _clean(error: Exception) -> str:
    return _PASSWORD.sub(r"\1\2***@", str(error)).strip()
