"""The newest chain: newer wins, nulls stay nulls, followers are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from market.errors import DatabaseUnavailable, SchemaMismatch
from storage.chains import changes, latest, publish
from storage.embedded import EmbeddedServer
from storage.timescale import migrate
from tests.fix_timescale import free_port
from transforms.columns import INSTANT
from transforms.schemas import CONTRACTS

AS_OF = datetime(2026, 11, 25, 4, 5, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_SAMPLES: dict[object, object] = {
    pl.String: 'a "quoted", text\nof two lines',
    pl.Float64: 0.1 + 0.2,
    pl.Int64: 2**40,
    pl.Boolean: True,
    pl.Date: date(2026, 12, 1),
    INSTANT: AS_OF,
}
_ODD = {"premium_source": "", "implied_volatility": float("inf"), "volume_units": 0}


def chain(
    symbol: str = "NIFTY", as_of: datetime = AS_OF, rows: int = 3, **given: object
) -> pl.DataFrame:
    """A CONTRACTS frame: one row full, one with only what is required, the rest odd."""
    full = {c.name: _SAMPLES[c.dtype] for c in CONTRACTS.columns}
    full |= {"symbol": symbol, "as_of": as_of, **given}
    bare = {c.name: full[c.name] if c.is_required else None for c in CONTRACTS.columns}
    made = []
    for i in range(rows):
        row = (full, bare, full | _ODD)[min(i, 2)]
        made.append(row | {"contract_id": f"{symbol}-{i}", "strike": 24000.0 + i})
    return pl.DataFrame(made, schema=CONTRACTS.polars)


def test_the_table_has_the_columns_of_the_schema(database: str) -> None:
    """A column added to the frame needs a migration, and this test says so."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT column_name, data_type, is_nullable = 'NO' FROM information_schema.columns"
            " WHERE table_name = 'chain_latest'"
        ).fetchall()
    types = {
        pl.String: "text",
        pl.Float64: "double precision",
        pl.Int64: "bigint",
        pl.Boolean: "boolean",
        pl.Date: "date",
        INSTANT: "timestamp with time zone",
    }
    columns = [(c.name, types[c.dtype], c.is_required) for c in CONTRACTS.columns]
    # In any order: what is added later stands last in the table.
    assert sorted(rows) == sorted(columns)


def test_what_was_published_comes_back_unchanged(database: str) -> None:
    """Any text, every bit of a float, microseconds, nulls, empty text that is no null."""
    publish(database, chain())
    assert_frame_equal(latest(database), chain(), check_exact=True)


def test_only_newer_rows_replace(database: str) -> None:
    """A late backfill does not undo the present."""
    publish(database, chain(spot=2.0))
    publish(database, chain(as_of=AS_OF - MINUTE, spot=1.0))
    publish(database, chain(spot=9.0))
    assert latest(database)["spot"].to_list() == [2.0, None, 2.0]
    publish(database, chain(as_of=AS_OF + MINUTE, spot=3.0, rows=1))
    assert latest(database)["spot"].to_list() == [3.0, None, 2.0]


def test_latest_is_asked_by_symbol(database: str) -> None:
    """Some, none, unknown and all."""
    publish(database, pl.concat([chain("NIFTY"), chain("O'HARE")]))
    assert latest(database, ["O'HARE"])["symbol"].unique().to_list() == ["O'HARE"]
    assert latest(database, []).schema == CONTRACTS.polars
    assert latest(database, ["NONE"]).is_empty()
    assert latest(database).height == 6


def test_settled_contracts_leave(database: str) -> None:
    """The table is as large as the market, however long the system runs."""
    publish(database, chain(settlement_at=AS_OF))
    publish(database, chain("OTHER", settlement_at=AS_OF))
    later = AS_OF + timedelta(days=2)
    fresh = chain(as_of=later, settlement_at=later, rows=1).with_columns(
        contract_id=pl.lit("NIFTY-next")
    )
    publish(database, fresh)
    assert latest(database, ["NIFTY"])["contract_id"].to_list() == ["NIFTY-next"]
    assert latest(database, ["OTHER"]).height == 3


def test_a_frame_of_another_kind_is_refused(database: str) -> None:
    """Before anything is written."""
    with pytest.raises(SchemaMismatch):
        publish(database, chain().drop("as_of"))


def test_publishers_at_once_do_not_block_each_other(database: str) -> None:
    """The same contracts in another order, many times."""
    frames = [chain(as_of=AS_OF + i * MINUTE, rows=40).sample(40, shuffle=True) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, [database] * 12, frames))
    assert latest(database)["as_of"].unique().to_list() == [AS_OF + 11 * MINUTE]


async def _next(news: AsyncIterator[str]) -> str:
    async with asyncio.timeout(30):
        return await anext(news)


def test_followers_hear_of_each_symbol(database: str) -> None:
    """First what is known already, then what is published."""
    publish(database, chain("AAA"))

    async def run() -> list[str]:
        news = changes(database)
        heard = [await _next(news)]
        await asyncio.to_thread(publish, database, chain("BBB"))
        heard.append(await _next(news))
        await asyncio.to_thread(publish, database, chain("CCC"))
        return [*heard, await _next(news)]

    assert asyncio.run(run()) == ["AAA", "BBB", "CCC"]


def test_followers_come_back_after_the_server_was_away(restartable: EmbeddedServer) -> None:
    """Whatever was published meanwhile is reported after the connection is made again."""
    dsn = restartable.dsn
    migrate(dsn)
    publish(dsn, chain("AAA"))

    async def run() -> list[str]:
        news = changes(dsn, reconnect_delays=[0.01])
        heard = [await _next(news)]
        await asyncio.to_thread(restartable.stop)
        waiting = asyncio.create_task(_next(news))
        await asyncio.to_thread(restartable.start, lambda _: None)
        return [*heard, await waiting]

    assert asyncio.run(run()) == ["AAA", "AAA"]


def test_publishing_to_nowhere_is_worth_retrying() -> None:
    """The type says so."""
    with pytest.raises(DatabaseUnavailable):
        publish(f"postgresql://127.0.0.1:{free_port()}/none", chain())
