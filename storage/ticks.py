"""Ticks: landed exactly once by one writer, read back as the bars of a window.

How a batch becomes bytes belongs in ``tick_rows``; frames, sockets and journals elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
import psycopg
from psycopg.conninfo import make_conninfo

from market.errors import DatabaseUnavailable
from storage.tick_rows import COPY, TickBatch, after, encoded
from storage.timescale import CONNECT_SECONDS, address, connect, reaching
from transforms.schemas import TICK_BARS

__all__ = ["Gap", "LandingStatus", "TickBatch", "TickStore", "landing_status", "window_bars"]

# Held by the session that lands ticks, so that a second streaming process cannot start by mistake.
_WRITER_LOCK = 7_141_003
# A server that vanished without a word is noticed within about ten seconds.
_KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

_MINUTE_MS = 60_000

_MARK = """
    SELECT last_sequence, epoch_rows, newest_event_at FROM ingest_ledger
    WHERE epoch = %s ORDER BY last_sequence DESC LIMIT 1
"""
# The minutes that the batch touched are noted in the same statement, for ``rollups`` to compute.
_LEDGER = """
    WITH noted AS (
        INSERT INTO tick_minute_note (minute_at)
        SELECT to_timestamp(60.0 * minute) FROM unnest(%s::bigint[]) AS minute
    )
    INSERT INTO ingest_ledger
        (epoch, first_sequence, last_sequence, row_count, epoch_rows, newest_event_at)
    VALUES (%s, %s, %s, %s, %s, greatest(%s, to_timestamp(%s / 1000.0)))
"""
_GAP = """
    INSERT INTO gap (from_at, to_at, reason, epoch, instrument_count, instrument_ids)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (from_at, epoch, reason) DO UPDATE SET
        to_at = greatest(gap.to_at, excluded.to_at),
        instrument_count = greatest(gap.instrument_count, excluded.instrument_count),
        instrument_ids = CASE
            WHEN gap.instrument_ids IS NOT NULL AND excluded.instrument_ids IS NOT NULL THEN ARRAY(
                SELECT DISTINCT id FROM unnest(gap.instrument_ids || excluded.instrument_ids)
                AS touched (id) ORDER BY id
            )
        END
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time in which the feed gave nothing (aware UTC).

    Attributes:
        reason: why, in a word or two, e.g. ``reconnect``.
        epoch: the journal epoch that began after it.
        instrument_count: how many subscribed instruments it touched.
        instrument_ids: which ones; None: not known, so all.
    """

    from_at: datetime
    to_at: datetime
    reason: str
    epoch: int
    instrument_count: int
    instrument_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class LandingStatus:
    """What has been landed so far.

    Attributes:
        rows: ticks ever landed.
        newest_event_at: exchange time of the newest tick (aware UTC); None if there is none.
        landed_at: when the last batch was committed (aware UTC).
        gaps: how many gaps are recorded.
        last_gap_to_at: end of the newest gap (aware UTC).
    """

    rows: int
    newest_event_at: datetime | None
    landed_at: datetime | None
    gaps: int
    last_gap_to_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far an epoch has been landed."""

    sequence: int = 0
    rows: int = 0
    newest_event_at: datetime | None = None


class TickStore:
    """The one writer of ticks: a connection that holds the writer's lock.

    An error means that the connection is of no more use: leave the block and enter a new one. A
    batch whose commit was not confirmed may be sent again, in any cut.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        """Connect and take the writer's lock.

        Raises:
            DatabaseUnavailable: it cannot be reached, or another writer holds the lock.
        """
        with reaching(self._dsn):
            self._connection = await psycopg.AsyncConnection.connect(
                make_conninfo(self._dsn, **_KEEPALIVE),
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
            )
            try:
                await self._take_lock(self._connection)
            except BaseException:
                await self._connection.close()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def land(self, batch: TickBatch) -> int:
        """Write a batch and its ledger row in one transaction; the rows that were new.

        Whatever the ledger says is landed already is left out: a batch sent again is a no-op.
        Batches of an epoch must come in order of sequence.

        Raises:
            DatabaseUnavailable: nothing or everything was landed; send it again.
        """
        connection = self._open()
        with reaching(self._dsn):
            async with connection.transaction():
                mark = await self._mark(connection, batch.epoch)
                if batch.last_sequence <= mark.sequence:
                    return 0
                fresh = after(batch, mark.sequence)
                async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
                    for piece in encoded(fresh):
                        await copy.write(piece)
                await connection.execute(_LEDGER, _ledger_row(fresh, mark))
        return len(fresh)

    async def last_landed(self, epoch: int) -> int:
        """The last sequence of ``epoch`` that is landed; 0 if none."""
        with reaching(self._dsn):
            return (await self._mark(self._open(), epoch)).sequence

    async def record_gap(self, gap: Gap) -> None:
        """Write a gap down; the same gap again is a no-op, a wider one of the name widens it."""
        ids = None if gap.instrument_ids is None else list(gap.instrument_ids)
        row = (gap.from_at, gap.to_at, gap.reason, gap.epoch, gap.instrument_count, ids)
        with reaching(self._dsn):
            await self._open().execute(_GAP, row)

    def _open(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            raise DatabaseUnavailable("tick store is not open: enter it with 'async with'")
        return self._connection

    async def _take_lock(self, connection: psycopg.AsyncConnection) -> None:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (_WRITER_LOCK,))
        if await cursor.fetchone() != (True,):
            raise DatabaseUnavailable(
                f"another process lands ticks into {address(self._dsn)}: only one may, stop it"
            )

    @staticmethod
    async def _mark(connection: psycopg.AsyncConnection, epoch: int) -> _Mark:
        row = await (await connection.execute(_MARK, (epoch,))).fetchone()
        return _Mark(*row) if row else _Mark()


def window_bars(dsn: str, start_at: datetime, end_at: datetime, as_of: datetime) -> pl.DataFrame:
    """Bars of every registered spot for ``start_at <= event_at < end_at``, as a TICK_BARS frame.

    Only what had been received by ``as_of`` counts, so a past window gives the same bars again.
    A spot without ticks has a row too, with nulls and the window's gaps.
    """
    given = {"start_at": start_at, "end_at": end_at, "as_of": as_of}
    with connect(dsn) as connection:
        rows = connection.execute(_query("window_bars"), given).fetchall()
    return TICK_BARS.conform(pl.DataFrame(rows, schema=TICK_BARS.polars, orient="row"))


def landing_status(dsn: str) -> LandingStatus:
    """How much has been landed; costs the same however much that is."""
    with connect(dsn) as connection:
        row = connection.execute(_query("landing_status")).fetchone()
    return LandingStatus(*row) if row else LandingStatus(0, None, None, 0, None)


def _ledger_row(batch: TickBatch, mark: _Mark) -> tuple[object, ...]:
    count = len(batch)
    newest_ms = int(batch.event_at_ms.max()) if count else None
    return (
        np.unique(batch.event_at_ms // _MINUTE_MS).tolist(),
        batch.epoch,
        batch.first_sequence,
        batch.last_sequence,
        count,
        mark.rows + count,
        mark.newest_event_at,
        newest_ms,
    )


def _query(name: str) -> bytes:
    return (files("storage") / "queries" / f"{name}.sql").read_bytes()
