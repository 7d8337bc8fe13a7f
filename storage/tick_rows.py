"""Ticks as columns, and as the bytes of PostgreSQL's binary COPY.

Arrays in, bytes out, without an object per tick: how wide a row is depends on its nulls, so all
rows are laid out at full width and the bytes of nulls are then left out at one stroke. The format:
https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY-FORMAT
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from brokers.interface import FEED_COLUMN_INDEX

# Epoch of PostgreSQL's timestamps, 2000-01-01 UTC, in microseconds of the Unix epoch.
_POSTGRES_EPOCH_US = 946_684_800_000_000
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"

# What the table keeps of the feed: ours to recompute (Greeks) or told once a day is left out.
_STORED = (
    "last_price",
    "traded_at_ms",
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
_FIXED = (
    ("event_at", ">i8"),
    ("received_at", ">i8"),
    ("epoch", ">i8"),
    ("sequence", ">i8"),
    ("instrument_id", ">i4"),
    ("is_snapshot", ">u1"),
)
_FIELDS = (
    *_FIXED,
    *((name.removesuffix("_ms"), ">i8" if name.endswith("_ms") else ">f8") for name in _STORED),
)
COPY = f"COPY tick ({', '.join(name for name, _ in _FIELDS)}) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class TickBatch:
    """Consecutive journal records of one epoch, decoded; arrays have one element per tick.

    Attributes:
        epoch: the journal epoch.
        first_sequence, last_sequence: records covered, also those that held no tick.
        sequence: record that each tick came in.
        received_at_ns: our clock at receipt, epoch ns.
        event_at_ms: the exchange's time, epoch ms.
        values: shape (n, len(FEED_COLUMNS)), NaN for "not told".
    """

    epoch: int
    first_sequence: int
    last_sequence: int
    sequence: NDArray[np.int64]
    received_at_ns: NDArray[np.int64]
    event_at_ms: NDArray[np.int64]
    instrument_id: NDArray[np.int32]
    is_snapshot: NDArray[np.bool_]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sequence)


def after(batch: TickBatch, sequence: int) -> TickBatch:
    """The part of a batch that comes after record ``sequence``."""
    if batch.first_sequence > sequence:
        return batch
    return replace(_rows(batch, batch.sequence > sequence), first_sequence=sequence + 1)


def _rows(batch: TickBatch, kept: slice | NDArray[np.bool_]) -> TickBatch:
    return replace(
        batch,
        sequence=batch.sequence[kept],
        received_at_ns=batch.received_at_ns[kept],
        event_at_ms=batch.event_at_ms[kept],
        instrument_id=batch.instrument_id[kept],
        is_snapshot=batch.is_snapshot[kept],
        values=batch.values[kept],
    )


def encoded(batch: TickBatch, rows_a_piece: int = 500) -> Iterator[bytes]:
    """The batch as a binary COPY stream for the columns named in ``COPY``, in pieces.

    The server works on one piece while the next one is made.
    """
    yield _HEADER
    for start in range(0, len(batch), rows_a_piece):
        yield _encoded_rows(_rows(batch, slice(start, start + rows_a_piece)))
    yield _TRAILER


def _encoded_rows(batch: TickBatch) -> bytes:
    rows = np.zeros(len(batch), dtype=_row_type())
    is_sent = np.ones((len(batch), rows.dtype.itemsize), dtype=np.bool_)
    rows["field_count"] = len(_FIELDS)
    for name, kind in _FIELDS:
        rows[f"{name}_length"] = np.dtype(kind).itemsize
    _fill_fixed(rows, batch)
    for feed_name in _STORED:
        _fill_nullable(rows, is_sent, feed_name, batch.values[:, FEED_COLUMN_INDEX[feed_name]])
    flat = rows.view(np.uint8).reshape(is_sent.shape)
    encoded_rows: bytes = flat[is_sent].tobytes()
    return encoded_rows


def _row_type() -> np.dtype[np.void]:
    lengths_and_values = [
        part for name, kind in _FIELDS for part in ((f"{name}_length", ">i4"), (name, kind))
    ]
    return np.dtype([("field_count", ">i2"), *lengths_and_values])


def _fill_fixed(rows: NDArray[np.void], batch: TickBatch) -> None:
    rows["event_at"] = batch.event_at_ms * 1000 - _POSTGRES_EPOCH_US
    rows["received_at"] = batch.received_at_ns // 1000 - _POSTGRES_EPOCH_US
    rows["epoch"] = batch.epoch
    rows["sequence"] = batch.sequence
    rows["instrument_id"] = batch.instrument_id
    rows["is_snapshot"] = batch.is_snapshot


def _fill_nullable(
    rows: NDArray[np.void],
    is_sent: NDArray[np.bool_],
    feed_name: str,
    values: NDArray[np.float64],
) -> None:
    is_told = ~np.isnan(values)
    name = feed_name.removesuffix("_ms")
    if name == feed_name:
        rows[name] = values
    else:
        whole_ms = np.where(is_told, values, 0.0).astype(np.int64)
        rows[name] = whole_ms * 1000 - _POSTGRES_EPOCH_US
    rows[f"{name}_length"][~is_told] = -1
    fields = rows.dtype.fields
    assert fields is not None  # noqa: S101 - a structured type always has them
    offset = fields[name][1]
    is_sent[:, offset : offset + 8] = is_told[:, np.newaxis]
