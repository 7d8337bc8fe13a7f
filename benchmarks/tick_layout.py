"""How ticks are laid out: chunk interval and index, by what landing and typical reads cost.

Every layout lands the same ticks, three market days of three thousand instruments, through the
product's own writer into a durable server, and answers the same questions. Layouts land in turns,
a piece each, so that a busy host is busy for all of them. Which one is used stands in ``docs/adr``.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import numpy as np
import psycopg
from psycopg import sql

from benchmarks.landing import FRAME_ROWS, free_port, made_values
from benchmarks.report import Metric, within
from storage.embedded import EmbeddedServer
from storage.ticks import TickBatch, TickStore
from storage.timescale import ensure_database, migrate

ROWS = 6_000_000
PIECES = 6
BATCH_ROWS = 5_000
DAYS = 3
_BATCHES = ROWS // BATCH_ROWS
INSTRUMENTS = 3_000
ROUNDS = 5
OPENS_AT = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
SESSION = timedelta(hours=6, minutes=15)
_BY_INSTRUMENT: LiteralString = "CREATE INDEX ON tick (instrument_id, event_at)"
_BY_TIME: LiteralString = "CREATE INDEX ON tick (event_at)"
_BRIN: LiteralString = (
    "CREATE INDEX ON tick USING brin (event_at) WITH (pages_per_range = 32, autosummarize = on)"
)
_DAY_2 = OPENS_AT + timedelta(days=1)
_QUESTIONS: Mapping[str, tuple[LiteralString, tuple[datetime, datetime]]] = {
    "instrument_day_ms": (
        "SELECT max(last_price) FROM tick"
        " WHERE instrument_id = 1500 AND event_at >= %s AND event_at < %s",
        (_DAY_2, _DAY_2 + SESSION),
    ),
    "minute_of_all_ms": (
        "SELECT count(*), max(last_price) FROM tick WHERE event_at >= %s AND event_at < %s",
        (_DAY_2 + SESSION / 2, _DAY_2 + SESSION / 2 + timedelta(minutes=1)),
    ),
    "day_of_all_ms": (
        "SELECT instrument_id, max(last_price) FROM tick"
        " WHERE event_at >= %s AND event_at < %s GROUP BY 1",
        (_DAY_2, _DAY_2 + SESSION),
    ),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to lay ticks out."""

    chunk: LiteralString
    indexes: tuple[LiteralString, ...]

    @property
    def name(self) -> str:
        """For the table."""
        kinds = {_BY_INSTRUMENT: "(instrument, time)", _BY_TIME: "(time)", _BRIN: "BRIN(time)"}
        return f"{self.chunk}, {' + '.join(kinds[i] for i in self.indexes) or 'no index'}"


CHOSEN = Layout("1 day", (_BY_INSTRUMENT, _BRIN))
LAYOUTS = (
    Layout("1 day", ()),
    Layout("1 day", (_BRIN,)),
    Layout("1 day", (_BY_INSTRUMENT,)),
    CHOSEN,
    Layout("1 day", (_BY_INSTRUMENT, _BY_TIME)),
    Layout("1 hour", (_BY_INSTRUMENT,)),
    Layout("1 hour", (_BY_INSTRUMENT, _BRIN)),
    Layout("7 days", (_BY_INSTRUMENT, _BRIN)),
)


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Landing and reading of every layout on one server."""
    with tempfile.TemporaryDirectory(prefix="optionlake-layout-") as folder:
        server = EmbeddedServer(Path(folder), free_port())
        try:
            found = measured(server.start(lambda _: None), LAYOUTS)
        finally:
            server.destroy()
    bare, chosen = found[LAYOUTS[0].name], found[CHOSEN.name]
    told = {
        "landing_rows_s": ("rows/s", "rows_s", "As chosen, against no index."),
        "minute_of_all_ms": ("ms", "minute_of_all_ms", "As chosen, against no index; below 1."),
        "instrument_day_ms": ("ms", "instrument_day_ms", "As chosen, against no index; below 1."),
    }
    metrics = {
        name: within(chosen[column], unit, bare[column], meaning)
        for name, (unit, column, meaning) in told.items()
    }
    return metrics, {"rows": ROWS, "days": DAYS, "instruments": INSTRUMENTS, "layouts": found}


def measured(admin_dsn: str, layouts: Sequence[Layout]) -> dict[str, dict[str, float]]:
    """Of each layout: landing rate, bytes a row, and the median time of each question."""
    dsns = {}
    for number, layout in enumerate(layouts):
        dsns[layout] = ensure_database(admin_dsn, f"layout_{number}")
        migrate(dsns[layout])
        _lay_out(dsns[layout], layout)
    rates: dict[Layout, list[float]] = {layout: [] for layout in layouts}
    for piece in range(PIECES):
        for layout in layouts:
            rates[layout].append(asyncio.run(_landed(dsns[layout], piece)))
    return {
        layout.name: {"rows_s": round(statistics.median(rates[layout])), **_read(dsns[layout])}
        for layout in layouts
    }


def _read(dsn: str) -> dict[str, float]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        # As the server does by itself before long.
        connection.execute("VACUUM (ANALYZE) tick")
        found = {name: _median_ms(connection, name) for name in _QUESTIONS}
        row = connection.execute("SELECT hypertable_size('tick')").fetchone()
    return {**found, "bytes_a_row": round(float(row[0]) / ROWS, 1) if row else 0.0}


def _lay_out(dsn: str, layout: Layout) -> None:
    named = "SELECT indexname FROM pg_indexes WHERE tablename = 'tick'"
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT set_chunk_time_interval('tick', %s::interval)", (layout.chunk,))
        for (name,) in connection.execute(named).fetchall():
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        for statement in layout.indexes:
            connection.execute(statement)


async def _landed(dsn: str, piece: int) -> float:
    """Rows per second of one piece of the days."""
    spent, rows = 0.0, 0
    async with TickStore(dsn) as store:
        for number in range(piece * _BATCHES // PIECES, (piece + 1) * _BATCHES // PIECES):
            batch = _batch(number)
            began = time.perf_counter()
            rows += await store.land(batch)
            spent += time.perf_counter() - began
    return rows / spent


def _batch(number: int) -> TickBatch:
    random = np.random.default_rng(number)
    a_batch_ms = DAYS * SESSION / timedelta(milliseconds=1) / _BATCHES
    frames = BATCH_ROWS // FRAME_ROWS
    frame = np.repeat(np.arange(frames), FRAME_ROWS)
    day, into_day = divmod(number, _BATCHES // DAYS)
    began_ms = (OPENS_AT + timedelta(days=day)).timestamp() * 1000
    event_at_ms = (began_ms + (into_day + frame / frames) * a_batch_ms).astype(np.int64)
    return TickBatch(
        1,
        number * frames + 1,
        (number + 1) * frames,
        number * frames + 1 + frame,
        event_at_ms * 1_000_000 + 15_000_000,
        event_at_ms,
        random.integers(1, INSTRUMENTS, BATCH_ROWS, dtype=np.int32),
        np.zeros(BATCH_ROWS, dtype=np.bool_),
        made_values(random, event_at_ms),
    )


def _median_ms(connection: psycopg.Connection, name: str) -> float:
    statement, given = _QUESTIONS[name]
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        connection.execute(statement, given).fetchall()
        taken.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(taken), 1)
