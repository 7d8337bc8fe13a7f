"""Binary rows: what PostgreSQL reads back is what was put in, nulls and all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS
from storage import tick_rows
from storage.tick_rows import COPY, TickBatch, after, encoded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = st.integers(-(2**62), 2**62)
CELL = st.one_of(st.just(np.nan), st.floats(allow_nan=False), st.integers(0, 10**12).map(float))


@st.composite
def batches(draw: st.DrawFn) -> TickBatch:
    """Any batch that a feed could give, and stranger ones."""
    rows = draw(st.integers(0, 8))
    first = draw(st.integers(1, 10**9))
    values = draw(hnp.arrays(np.float64, (rows, len(FEED_COLUMNS)), elements=CELL))
    traded = draw(
        hnp.arrays(
            np.float64, rows, elements=st.one_of(st.just(np.nan), st.integers(0, 2**42).map(float))
        )
    )
    values[:, FEED_COLUMN_INDEX["traded_at_ms"]] = traded
    return TickBatch(
        epoch=draw(INT64),
        first_sequence=first,
        last_sequence=first + rows,
        sequence=np.sort(draw(hnp.arrays(np.int64, rows, elements=st.integers(first, first + 9)))),
        received_at_ns=draw(hnp.arrays(np.int64, rows, elements=st.integers(0, 2**62))),
        event_at_ms=draw(hnp.arrays(np.int64, rows, elements=st.integers(0, 2**42))),
        instrument_id=draw(hnp.arrays(np.int32, rows)),
        is_snapshot=draw(hnp.arrays(np.bool_, rows)),
        values=values,
    )


def _expected(batch: TickBatch, i: int) -> tuple[object, ...]:
    stored: list[object] = []
    for name in tick_rows._STORED:
        value = batch.values[i, FEED_COLUMN_INDEX[name]]
        if np.isnan(value):
            stored.append(None)
        elif name == "traded_at_ms":
            stored.append(EPOCH + timedelta(milliseconds=int(value)))
        else:
            stored.append(value)
    return (
        EPOCH + timedelta(milliseconds=int(batch.event_at_ms[i])),
        EPOCH + timedelta(microseconds=int(batch.received_at_ns[i]) // 1000),
        batch.epoch,
        int(batch.sequence[i]),
        int(batch.instrument_id[i]),
        bool(batch.is_snapshot[i]),
        *stored,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(batch=batches())
def test_the_server_reads_back_what_was_encoded(timescale: str, batch: TickBatch) -> None:
    """Every column of every row, with NaN as null, through the real server."""
    columns = [name for name, _ in tick_rows._FIELDS]
    types = {">i8": "bigint", ">f8": "float8", ">i4": "int", ">u1": "boolean"}
    fields = ", ".join(
        f"{name} {'timestamptz' if name.endswith('_at') else types[kind]}"
        for name, kind in tick_rows._FIELDS
    )
    with psycopg.connect(timescale) as connection:
        connection.execute(f"CREATE TEMP TABLE tick ({fields}) ON COMMIT DROP".encode())
        with connection.cursor() as cursor, cursor.copy(COPY.encode()) as copy:
            for piece in encoded(batch, rows_a_piece=3):
                copy.write(piece)
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM tick".encode()).fetchall()
    assert rows == [_expected(batch, i) for i in range(len(batch))]


@given(batch=batches(), cut=st.integers(0, 10**9 + 9))
def test_after_keeps_what_is_newer_and_nothing_else(batch: TickBatch, cut: int) -> None:
    """A batch sent again in another cut loses exactly the landed records."""
    rest = after(batch, cut)
    assert (rest.sequence > cut).all()
    assert len(rest) == int((batch.sequence > cut).sum())
    assert rest.first_sequence > cut
    assert {len(rest.values), len(rest.event_at_ms), len(rest.is_snapshot)} == {len(rest)}
