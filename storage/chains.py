"""The newest priced row of each contract: published by the batch side, followed by the live side.

How a chain is computed belongs in ``transforms.chain``; its history belongs in the lake.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence

import polars as pl
import psycopg
from psycopg import sql

from market.errors import DatabaseUnavailable
from storage.timescale import CONNECT_SECONDS, connect, reaching
from transforms.columns import INSTANT
from transforms.schemas import CONTRACTS

CHANNEL = "chain_latest"
# Pauses before each attempt to reconnect, seconds; the last one repeats.
RECONNECT_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0)
# A connection that went silent is noticed after this long.
_PROBE_SECONDS = 15.0

_NAMES = [c.name for c in CONTRACTS.columns]
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _NAMES))
_STAGE = sql.SQL(
    "CREATE TEMP TABLE published ON COMMIT DROP AS SELECT {} FROM chain_latest LIMIT 0"
)
_COPY_IN = sql.SQL("COPY published ({}) FROM STDIN (FORMAT csv)").format(_COLUMNS)
# In order of the key, so that two publishers never wait for each other in a circle.
_UPSERT = sql.SQL(
    "INSERT INTO chain_latest ({columns}) SELECT {columns} FROM published ORDER BY contract_id"
    " ON CONFLICT (contract_id) DO UPDATE SET {sets} WHERE excluded.as_of > chain_latest.as_of"
).format(
    columns=_COLUMNS,
    sets=sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
        for name in _NAMES
        if name != "contract_id"
    ),
)
# Contracts that have settled leave, so that the table stays as small as the market is.
_EXPIRE = """
    DELETE FROM chain_latest AS old
    USING (SELECT symbol, max(as_of) AS as_of FROM published GROUP BY symbol) AS fresh
    WHERE old.symbol = fresh.symbol AND old.settlement_at < fresh.as_of - interval '1 day'
"""
_NOTIFY = "SELECT pg_notify(%s, symbol) FROM (SELECT DISTINCT symbol FROM published) AS p"


def publish(dsn: str, contracts: pl.DataFrame) -> None:
    """Make a CONTRACTS frame the newest one, and tell whoever follows ``changes``.

    A row replaces an older one only, by ``as_of``: publishing the past again changes nothing.

    Raises:
        SchemaMismatch: the frame is not a CONTRACTS frame.
        DatabaseUnavailable: nothing was published; try again.
    """
    text = _to_csv(CONTRACTS.conform(contracts))
    with connect(dsn) as connection:
        connection.execute(_STAGE.format(_COLUMNS))
        with connection.cursor() as cursor, cursor.copy(_COPY_IN) as copy:
            copy.write(text)
        connection.execute(_UPSERT)
        connection.execute(_EXPIRE)
        connection.execute(_NOTIFY, (CHANNEL,))


def latest(dsn: str, symbols: Sequence[str] | None = None) -> pl.DataFrame:
    """The newest rows of ``symbols`` (None: of all) as a CONTRACTS frame, ordered as a chain."""
    query = sql.SQL(
        "COPY (SELECT {} FROM chain_latest WHERE {} ORDER BY symbol, expiry, strike, is_call)"
        " TO STDOUT (FORMAT csv)"
    ).format(
        sql.SQL(", ").join(_readable(c.name, c.dtype == INSTANT) for c in CONTRACTS.columns),
        sql.SQL("true")
        if symbols is None
        else sql.SQL("symbol = ANY({})").format(sql.Literal(list(symbols))),
    )
    with connect(dsn) as connection, connection.cursor() as cursor, cursor.copy(query) as copy:
        text = b"".join(bytes(chunk) for chunk in copy)
    return _from_csv(text)


async def changes(
    dsn: str, reconnect_delays: Sequence[float] = RECONNECT_DELAYS
) -> AsyncIterator[str]:
    """Symbols whose chain was published, for ever; a lost connection is made again.

    After every connection each known symbol comes once, since news may have been missed.
    """
    attempt = 0
    while True:
        try:
            async for symbol in _listen(dsn):
                attempt = 0
                yield symbol
        except DatabaseUnavailable:
            delay = reconnect_delays[min(attempt, len(reconnect_delays) - 1)]
            attempt += 1
            await asyncio.sleep(delay)


async def _listen(dsn: str) -> AsyncIterator[str]:
    with reaching(dsn):
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=CONNECT_SECONDS
        )
        async with connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            known = await connection.execute("SELECT DISTINCT symbol FROM chain_latest ORDER BY 1")
            for (symbol,) in await known.fetchall():
                yield symbol
            while True:
                async for notice in connection.notifies(timeout=_PROBE_SECONDS):
                    yield notice.payload
                await connection.execute("SELECT 1")


def _readable(name: str, is_instant: bool) -> sql.Composable:
    if is_instant:
        return sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(sql.Identifier(name))
    return sql.Identifier(name)


def _to_csv(frame: pl.DataFrame) -> bytes:
    text = io.BytesIO()
    frame.write_csv(text, include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f+00")
    return text.getvalue()


def _from_csv(text: bytes) -> pl.DataFrame:
    if not text:
        return CONTRACTS.empty()
    # PostgreSQL writes booleans as t and f, and instants were asked for in microseconds.
    as_text = {c.name: pl.String for c in CONTRACTS.columns if c.dtype == pl.Boolean}
    as_number = {c.name: pl.Int64 for c in CONTRACTS.columns if c.dtype == INSTANT}
    kinds = {c.name: c.dtype for c in CONTRACTS.columns} | as_text | as_number
    frame = pl.read_csv(text, has_header=False, schema=kinds)
    return CONTRACTS.conform(frame.with_columns(pl.col(name) == "t" for name in as_text))
