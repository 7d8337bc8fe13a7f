"""Landing ticks exactly once, against a plain COPY of the same rows into the same table.

The peer is what one would write without the ledger: psycopg's typed ``write_row`` into binary COPY,
a transaction a batch. Both use the same real TimescaleDB, durable, in turns.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.report import Metric, against
from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS
from storage.embedded import EmbeddedServer
from storage.ticks import TickBatch, TickStore
from storage.timescale import ensure_database, migrate

BATCH_ROWS = 5_000
BATCHES = 20
ROUNDS = 15
FRAME_ROWS = 50
FIRST_EVENT_MS = 1_790_000_000_000

_PLAIN = (
    "COPY tick (event_at, received_at, epoch, sequence, instrument_id, is_snapshot, last_price,"
    " traded_at, last_quantity_units, bid_price, bid_quantity_units, ask_price,"
    " ask_quantity_units, volume_units, open_interest_units, average_price,"
    " vendor_implied_volatility, total_bid_quantity_units, total_ask_quantity_units)"
    " FROM STDIN (FORMAT BINARY)"
)
_TYPES = ("timestamptz", "timestamptz", "int8", "int8", "int4", "bool", "float8", "timestamptz")
_PLAIN_COLUMNS = (
    "last_quantity_units",
    "bid_price",
    "bid_quantity_units",
    "ask_price",
    "ask_quantity_units",
    "volume_units",
    "open_interest_units",
    "average_price",
    "vendor_implied_volatility",
    "total_bid_quantity_units",
    "total_ask_quantity_units",
)


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Rows per second of both, in interleaved rounds on one server."""
    with tempfile.TemporaryDirectory(prefix="optionlake-landing-") as folder:
        server = EmbeddedServer(Path(folder), free_port())
        try:
            dsn = ensure_database(server.start(lambda _: None), "landing")
            migrate(dsn)
            ours, plain = _rounds(dsn)
        finally:
            server.destroy()
    metric = against(ours, "rows/s", plain, "Above 1: landing with its ledger is the faster.")
    details = {"batch_rows": BATCH_ROWS, "batches": BATCHES, "rounds": ROUNDS, "fsync": True}
    return {"vs_plain_copy": metric}, details


def _rounds(dsn: str) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    plain: list[float] = []
    asyncio.run(_land(dsn, _batches(1, 2)))  # opens chunks and caches; not counted
    for number in range(ROUNDS):
        batches = _batches(number + 2, BATCHES)
        records = [_records(batch) for batch in batches]
        pair: list[tuple[list[float], Callable[[], None]]] = [
            (ours, partial(_land_all, dsn, batches)),
            (plain, partial(_copy, dsn, records)),
        ]
        for rates, action in pair if number % 2 else reversed(pair):
            rates.append(_rate(action))
    return ours, plain


def _rate(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return BATCH_ROWS * BATCHES / (time.perf_counter() - began)


def _land_all(dsn: str, batches: list[TickBatch]) -> None:
    asyncio.run(_land(dsn, batches))


async def _land(dsn: str, batches: list[TickBatch]) -> None:
    async with TickStore(dsn) as store:
        for batch in batches:
            await store.land(batch)


def _copy(dsn: str, batches: list[list[tuple[object, ...]]]) -> None:
    with psycopg.connect(dsn) as connection:
        for rows in batches:
            with connection.cursor() as cursor, cursor.copy(_PLAIN) as copy:
                copy.set_types([*_TYPES, *["float8"] * len(_PLAIN_COLUMNS)])
                for row in rows:
                    copy.write_row(row)
            connection.commit()


def _batches(epoch: int, count: int) -> list[TickBatch]:
    random = np.random.default_rng(epoch)
    frames = BATCH_ROWS // FRAME_ROWS
    made = []
    for number in range(count):
        sequence = np.repeat(np.arange(frames) + 1 + number * frames, FRAME_ROWS)
        event_at_ms = FIRST_EVENT_MS + (epoch * count + number) * 250 + sequence % frames
        made.append(
            TickBatch(
                epoch,
                int(sequence[0]),
                int(sequence[-1]),
                sequence,
                event_at_ms * 1_000_000 + 15_000_000,
                event_at_ms,
                random.integers(1, 3_000, BATCH_ROWS, dtype=np.int32),
                np.zeros(BATCH_ROWS, dtype=np.bool_),
                made_values(random, event_at_ms),
            )
        )
    return made


def made_values(random: np.random.Generator, event_at_ms: np.ndarray) -> np.ndarray:
    """Values of every feed column for ticks at these instants, none of them missing."""
    values = np.round(random.uniform(0.05, 500, (len(event_at_ms), len(FEED_COLUMNS))) * 20) / 20
    values[:, FEED_COLUMN_INDEX["traded_at_ms"]] = event_at_ms - 40
    return values


def _records(batch: TickBatch) -> list[tuple[object, ...]]:
    """The peer's rows, made beforehand so that only its COPY is timed."""
    instants = [_instant(ms) for ms in batch.event_at_ms]
    columns: list[Sequence[object]] = [
        instants,
        [_instant(ns / 1e6) for ns in batch.received_at_ns],
        [batch.epoch] * len(batch),
        batch.sequence.tolist(),
        batch.instrument_id.tolist(),
        batch.is_snapshot.tolist(),
        batch.values[:, FEED_COLUMN_INDEX["last_price"]].tolist(),
        [_instant(ms) for ms in batch.values[:, FEED_COLUMN_INDEX["traded_at_ms"]]],
        *(batch.values[:, FEED_COLUMN_INDEX[name]].tolist() for name in _PLAIN_COLUMNS),
    ]
    return list(zip(*columns, strict=True))


def _instant(epoch_ms: float) -> datetime:
    return datetime.fromtimestamp(float(epoch_ms) / 1000, UTC)


def free_port() -> int:
    """A loopback port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
