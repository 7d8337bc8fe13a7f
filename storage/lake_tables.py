"""The lake's tables and views as DuckDB statements, made from the declared schemas.

Only what is missing is made: each change of the catalogue is a snapshot that stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import duckdb
import polars as pl

from market.errors import SchemaMismatch
from transforms.columns import INSTANT, Column, Schema
from transforms.schemas import LAKE_TABLES

_TYPES: dict[object, str] = {
    pl.String: "VARCHAR",
    pl.Float64: "DOUBLE",
    pl.Int64: "BIGINT",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Binary: "BLOB",
    pl.List(pl.Float64): "DOUBLE[]",
    INSTANT: "TIMESTAMP WITH TIME ZONE",
}
# Rows stay in Parquet, which any tool reads, and not partly in the catalogue.
_OPTIONS = {"data_inlining_row_limit": "0"}

# The newest rows are looked up in expiry_metrics, written with the chain and a hundredth of it.
_NEWEST = """
    SELECT symbol, expiry, max(as_of) AS as_of, any_value(trading_day) AS trading_day
    FROM expiry_metrics
    WHERE trading_day = (SELECT max(trading_day) FROM expiry_metrics WHERE {condition})
      AND {condition}
    GROUP BY symbol, expiry
"""
_SELECT = (
    "SELECT chain.* FROM chain JOIN ({newest}) AS newest USING (symbol, expiry, as_of)"
    " WHERE chain.trading_day = newest.trading_day"
)
_VIEWS = (
    # The newest chain of each expiry on the newest trading day.
    "CREATE OR REPLACE VIEW chain_latest AS "
    + _SELECT.format(newest=_NEWEST.format(condition="true")),
    # The same as it was known at an instant: nothing that describes a later one.
    "CREATE OR REPLACE MACRO chain_asof(ts) AS TABLE "
    + _SELECT.format(newest=_NEWEST.format(condition="as_of <= ts")),
)


def missing(cursor: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Statements that bring a lake up to the schemas; none if it is.

    Raises:
        SchemaMismatch: a column exists with another type.
    """
    present = _present_columns(cursor)
    for schema in LAKE_TABLES:
        if schema.name not in present:
            yield from _create(schema)
        else:
            yield from _extend(schema, present[schema.name])
    if not present:
        for name, value in _OPTIONS.items():
            yield f"CALL lake.set_option('{name}', '{value}')"
    yield from _views(cursor)


def _create(schema: Schema) -> Iterator[str]:
    columns = ", ".join(_definition(c) for c in schema.columns)
    yield f"CREATE TABLE IF NOT EXISTS {schema.name} ({columns})"
    # A file never holds two days, so a question about a day opens that day's files only.
    yield f"ALTER TABLE {schema.name} SET PARTITIONED BY (trading_day)"


def _extend(schema: Schema, present: dict[str, str]) -> Iterator[str]:
    for column in schema.columns:
        wanted, found = _TYPES[column.dtype], present.get(column.name)
        if found is None:
            # Rows from before have no value, so required or not, it can be null here.
            yield f'ALTER TABLE {schema.name} ADD COLUMN "{column.name}" {wanted}'
        elif found != wanted:
            raise SchemaMismatch(
                f"lake table {schema.name} has column {column.name} as {found}, expected {wanted}: "
                "a new meaning needs a new column"
            )


def _views(cursor: duckdb.DuckDBPyConnection) -> Iterator[str]:
    version = hashlib.sha256("\n".join(_VIEWS).encode()).hexdigest()[:16]
    known = cursor.execute(
        "SELECT comment FROM duckdb_views()"
        " WHERE database_name = 'lake' AND view_name = 'chain_latest'"
    ).fetchone()
    if known != (version,):
        yield from _VIEWS
        yield f"COMMENT ON VIEW chain_latest IS '{version}'"


def _definition(column: Column) -> str:
    required = " NOT NULL" if column.is_required else ""
    return f'"{column.name}" {_TYPES[column.dtype]}{required}'


def _present_columns(cursor: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    rows = cursor.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = 'lake' AND schema_name = 'main'"
    ).fetchall()
    present: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        present.setdefault(table, {})[column] = kind
    return present
