"""Table definitions: made from the schemas, for every type that a schema uses."""

from __future__ import annotations

import duckdb

from storage.lake_tables import missing
from transforms.schemas import LAKE_TABLES


def test_statements_for_an_empty_lake_make_every_column() -> None:
    """Checked in DuckDB itself, which shares the syntax: names, order, nullability."""
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS lake; USE lake")
        for statement in missing(connection):
            if statement.startswith("CREATE TABLE"):
                connection.execute(statement)
        rows = connection.execute(
            "SELECT table_name, column_name, is_nullable FROM duckdb_columns()"
            " WHERE database_name = 'lake' ORDER BY table_name, column_index"
        ).fetchall()
    assert rows == [
        (s.name, c.name, not c.is_required)
        for s in sorted(LAKE_TABLES, key=lambda s: s.name)
        for c in s.columns
    ]


def test_every_table_is_partitioned_by_day() -> None:
    """A question about a day opens that day's files only."""
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS lake; USE lake")
        partitioned = [s for s in missing(connection) if "SET PARTITIONED BY (trading_day)" in s]
    assert len(partitioned) == len(LAKE_TABLES)
