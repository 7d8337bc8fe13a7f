"""Minutes of ticks in the database: brought up to date, read back, and outliving their ticks.

``tick_minute`` holds what each minute's own ticks tell: in TimescaleDB's Community edition it is a
continuous aggregate, in the Apache edition a table that is computed from the notes which landing
leaves. ``tick_bar_1m`` is the view over it that tells what was traded. Minutes for the detectors
while they run are ``streaming.minute_bars``'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import groupby
from typing import Any, LiteralString

import psycopg

from storage.timescale import connect

# Held by whoever refreshes or drops, so that two of them do not undo each other's work.
_LOCK = 7_141_005
_MINUTE = timedelta(minutes=1)
# Minutes computed in one transaction: after hours of outage the work is done in such steps.
STEP_MINUTES = 15

_TAKE = """
    SELECT minute_at, array_agg(note_id) FROM tick_minute_note
    WHERE minute_at < %s GROUP BY minute_at ORDER BY minute_at LIMIT %s
"""
_DONE = "DELETE FROM tick_minute_note WHERE note_id = ANY(%s)"
_REFRESH = "CALL refresh_continuous_aggregate('tick_minute', %s::timestamptz, %s::timestamptz)"
# The block range index of ticks that came just now; the server itself would take its time.
_SUMMARISE = """
    SELECT brin_summarize_new_values(indexrelid)
    FROM show_chunks('tick', newer_than => %s::timestamptz - interval '1 day') AS chunk
    JOIN pg_index ON indrelid = chunk
    JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_am ON pg_am.oid = relam AND amname = 'brin'
"""
_ALONE = "SELECT pg_advisory_lock(%s)"
_TABLE = "SELECT relkind = 'r' FROM pg_class WHERE oid = 'tick_minute'::regclass"
_EXPIRED = """
    SELECT max(range_end) FROM timescaledb_information.chunks
    WHERE hypertable_name = 'tick' AND range_end <= least(
        %s, (SELECT min(time_bucket('1 day', minute_at)) FROM tick_minute_note))
"""
_DROP = "SELECT drop_chunks('tick', older_than => %s::timestamptz)"
_IS_NOTED = "SELECT EXISTS (SELECT FROM tick_minute_note WHERE minute_at < %s)"


@dataclass(frozen=True, slots=True)
class StoredMinute:
    """One minute of a spot or a future, as its ticks told it; ₹, units.

    Attributes:
        contract_id: canonical id.
        starts_at: the minute's start, aware UTC.
        volume_units: traded in it; NaN if it was not watched from start to end.
    """

    contract_id: str
    starts_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume_units: float


def refresh(dsn: str, up_to: datetime) -> int:
    """Compute every minute before ``up_to`` that got ticks since it was computed; how many.

    Afterwards those minutes are what their landed ticks tell, however late and in whatever order
    they landed. May be called at any time, and by several; a crash leaves it to the next call.

    Args:
        up_to: aware; minutes that begin at it or later are left, since they still run.

    Raises:
        DatabaseUnavailable: some minutes may have been computed; call again.
    """
    done = 0
    with connect(dsn, autocommit=True) as connection:
        connection.execute(_ALONE, (_LOCK,))
        step = _table_step if _is_table(connection) else _aggregate_step
        while taken := connection.execute(_TAKE, (up_to, STEP_MINUTES)).fetchall():
            kept_from = _kept_from(connection)
            due = [at for at, _ in taken if kept_from is None or at >= kept_from]
            # What landed later than this reading has notes of its own, for the next one.
            step(connection, due, [note for _, notes in taken for note in notes])
            done += len(due)
    return done


def minutes(
    dsn: str, symbols: Sequence[str], from_at: datetime, to_at: datetime
) -> list[StoredMinute]:
    """Minutes of the spots and futures of ``symbols`` in ``[from_at, to_at)``, oldest first.

    As of the last ``refresh``; minutes without a price are left out.

    Args:
        from_at: aware, and not inside a trading day: a day's first minute has no volume.

    Raises:
        DatabaseUnavailable: try again.
    """
    given = {"symbols": list(symbols), "from_at": from_at, "to_at": to_at}
    with connect(dsn) as connection:
        rows = connection.execute(_query("stored_minutes"), given).fetchall()
    return [StoredMinute(*row) for row in rows]


def drop_expired(dsn: str, keep_days: int, now: datetime) -> datetime | None:
    """Drop whole chunks of ticks older than ``keep_days`` whose minutes are all computed.

    Minutes stay. Ticks of a dropped day that land later than that are in no minute, since a minute
    cannot be computed from a part of its ticks.

    Args:
        keep_days: 0 keeps everything.

    Returns:
        Up to where ticks are gone now; None if nothing was to be dropped.

    Raises:
        DatabaseUnavailable: nothing or everything was dropped; call again.
    """
    if not keep_days:
        return None
    with connect(dsn, autocommit=True) as connection:
        connection.execute(_ALONE, (_LOCK,))
        with connection.transaction() as transaction:
            before_at: datetime | None = _one(
                connection, _EXPIRED, (now - timedelta(days=keep_days),)
            )
            if before_at is None:
                return None
            connection.execute(_DROP, (before_at,))
            connection.execute("INSERT INTO tick_dropped VALUES (%s)", (before_at,))
            # Dropping waited for whoever was landing: what that was is computed first.
            if _one(connection, _IS_NOTED, (before_at,)):
                raise psycopg.Rollback(transaction)
            return before_at
    return None


def _table_step(connection: psycopg.Connection, due: Sequence[datetime], notes: list[int]) -> None:
    statement = _query("compute_minutes")
    with connection.transaction():
        if due:
            connection.execute(_SUMMARISE, (due[0],))
        for start_at, end_at in _runs(due):
            connection.execute(statement, {"start_at": start_at, "end_at": end_at})
        connection.execute(_DONE, (notes,))


def _aggregate_step(
    connection: psycopg.Connection, due: Sequence[datetime], notes: list[int]
) -> None:
    # Cannot be in a transaction; if the notes stay, a second refresh finds nothing to do.
    for start_at, end_at in _runs(due):
        connection.execute(_REFRESH, (start_at, end_at))
    connection.execute(_DONE, (notes,))


def _runs(due: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Minutes that follow each other as one stretch from start to end."""
    for _, run in groupby(enumerate(due), lambda at: at[1] - at[0] * _MINUTE):
        together = [at for _, at in run]
        yield together[0], together[-1] + _MINUTE


def _is_table(connection: psycopg.Connection) -> bool:
    return bool(_one(connection, _TABLE, ()))


def _kept_from(connection: psycopg.Connection) -> datetime | None:
    found: datetime | None = _one(connection, "SELECT max(before_at) FROM tick_dropped", ())
    return found


def _one(connection: psycopg.Connection, statement: LiteralString, given: Sequence[object]) -> Any:
    row = connection.execute(statement, given).fetchone()
    return row[0] if row else None


def _query(name: str) -> bytes:
    return (files("storage") / "queries" / f"{name}.sql").read_bytes()
