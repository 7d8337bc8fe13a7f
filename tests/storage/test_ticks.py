"""Landing exactly once, and the bars of a window, against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS, Instrument
from market.contract import Contract, Kind, Right, Underlying
from market.errors import DatabaseUnavailable, StorageError
from storage.embedded import EmbeddedServer
from storage.instruments import register
from storage.ticks import Gap, TickBatch, TickStore, landing_status, window_bars
from storage.timescale import migrate
from transforms.schemas import TICK_BARS

START = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
END = START + timedelta(minutes=5)
NIFTY = Underlying("NIFTY", Kind.INDEX, "NSE")
TCS = Underlying("TCS", Kind.EQUITY, "NSE")
LISTED = [
    Instrument(Contract("NIFTY", Kind.INDEX), NIFTY, "index|1"),
    Instrument(Contract("TCS", Kind.EQUITY), TCS, "equity|1"),
    Instrument(
        Contract("NIFTY", Kind.OPTION, END.date(), 24000.0, Right.CALL), NIFTY, "opt|1", 75, 0.05
    ),
]


def batch(
    rows: Sequence[dict[str, object]], first: int = 1, last: int | None = None, epoch: int = 1
) -> TickBatch:
    """A batch from one dictionary per tick; ``at`` in seconds after START, one record each."""
    values = np.full((len(rows), len(FEED_COLUMNS)), np.nan)
    for i, row in enumerate(rows):
        for name in row.keys() & FEED_COLUMN_INDEX.keys():
            values[i, FEED_COLUMN_INDEX[name]] = row[name]
    base = START.timestamp()
    at = [base + float(str(row.get("at", 0))) for row in rows]
    received = [base + float(str(row.get("received", row.get("at", 0)))) for row in rows]
    return TickBatch(
        epoch=epoch,
        first_sequence=first,
        last_sequence=last if last is not None else first + max(len(rows), 1) - 1,
        sequence=np.arange(first, first + len(rows), dtype=np.int64),
        received_at_ns=np.array([round(s * 1e9) for s in received], np.int64),
        event_at_ms=np.array([round(s * 1e3) for s in at], np.int64),
        instrument_id=np.array([row.get("instrument", 1) for row in rows], np.int32),
        is_snapshot=np.array([row.get("is_snapshot", False) for row in rows], np.bool_),
        values=values,
    )


def land(dsn: str, *batches: TickBatch) -> list[int]:
    """Land batches through one store; the rows that each one added."""

    async def run() -> list[int]:
        async with TickStore(dsn) as store:
            return [await store.land(b) for b in batches]

    return asyncio.run(run())


def count(dsn: str) -> int:
    """Ticks in the table."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM tick").fetchone()
    assert row is not None
    return int(row[0])


THREE: list[dict[str, object]] = [{"at": i, "last_price": 100.0 + i} for i in range(3)]


def test_a_batch_sent_again_is_a_no_op(database: str) -> None:
    """Also when it comes from another session, and inside a larger cut."""
    assert land(database, batch(THREE), batch(THREE)) == [3, 0]
    assert land(database, batch(THREE), batch(THREE * 2)) == [0, 3]
    assert count(database) == 6
    assert landing_status(database).rows == 6


def test_records_without_ticks_move_the_mark(database: str) -> None:
    """Status frames are landed too, so that recovery does not read them for ever."""

    async def run() -> tuple[int, int, int]:
        async with TickStore(database) as store:
            before = await store.last_landed(1)
            await store.land(batch([], first=1, last=7))
            return before, await store.last_landed(1), await store.last_landed(2)

    assert asyncio.run(run()) == (0, 7, 0)


def test_rows_and_ledger_land_together_or_not_at_all(database: str) -> None:
    """The session is killed inside the transaction, before the ledger row."""
    with psycopg.connect(database, autocommit=True) as connection:
        # A ledger row that waits: the COPY before it is done and not yet committed.
        connection.execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$"
        )
        connection.execute(
            "CREATE TRIGGER hold BEFORE INSERT ON ingest_ledger EXECUTE FUNCTION hold()"
        )

    async def run() -> None:
        async with TickStore(database) as store:
            landing = asyncio.create_task(store.land(batch(THREE)))
            await _kill_the_holder(database)
            with pytest.raises(DatabaseUnavailable):
                await landing

    asyncio.run(run())
    assert count(database) == 0
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP TRIGGER hold ON ingest_ledger")
    assert land(database, batch(THREE)) == [3]


async def _kill_the_holder(dsn: str) -> None:
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        " AND datname = current_database()"
    )
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for _ in range(3000):
            if await (await connection.execute(kill)).fetchall():
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the batch never reached its ledger row")


def test_a_refused_batch_leaves_nothing(database: str) -> None:
    """An error of the data is not one of the connection, and nothing of the batch stays."""
    broken = batch(THREE, first=5, last=4)
    with pytest.raises(StorageError) as caught:
        land(database, broken)
    assert not isinstance(caught.value, DatabaseUnavailable)
    assert count(database) == 0


def test_one_writer_at_a_time(database: str) -> None:
    """A second streaming process is told so, and may try again later."""

    async def run() -> None:
        async with TickStore(database):
            with pytest.raises(DatabaseUnavailable, match="only one"):
                async with TickStore(database):
                    pass
        async with TickStore(database):
            pass

    asyncio.run(run())


def test_landing_goes_on_after_the_server_was_away(restartable: EmbeddedServer) -> None:
    """What failed is sent again through a new store; nothing is lost or doubled."""
    dsn = restartable.dsn
    migrate(dsn)

    async def run() -> None:
        async with TickStore(dsn) as store:
            await store.land(batch(THREE))
            restartable.stop()
            with pytest.raises(DatabaseUnavailable):
                await store.land(batch(THREE, first=4))
        with pytest.raises(DatabaseUnavailable):
            async with TickStore(dsn):
                pass
        restartable.start(lambda _: None)
        async with TickStore(dsn) as store:
            await store.land(batch(THREE))
            await store.land(batch(THREE, first=4))

    asyncio.run(run())
    assert count(dsn) == 6


def test_status_adds_up_over_epochs(database: str) -> None:
    """Totals come from the ledger alone; an older tick does not move the newest instant back."""
    assert landing_status(database).newest_event_at is None
    late: list[dict[str, object]] = [{"at": -60}]
    land(database, batch(THREE), batch(late, first=4), batch(THREE, epoch=2), batch([], epoch=3))
    record(database, gap(0, 10))
    status = landing_status(database)
    assert (status.rows, status.gaps) == (7, 1)
    assert status.newest_event_at == START + timedelta(seconds=2)
    assert status.last_gap_to_at == START + timedelta(seconds=10)


def gap(
    from_seconds: float,
    to_seconds: float,
    reason: str = "reconnect",
    ids: tuple[int, ...] | None = None,
    epoch: int = 1,
) -> Gap:
    """A gap in seconds after START."""
    at = [START + timedelta(seconds=s) for s in (from_seconds, to_seconds)]
    return Gap(at[0], at[1], reason, epoch, 10, ids)


def record(dsn: str, *gaps: Gap) -> None:
    """Record gaps through one store."""

    async def run() -> None:
        async with TickStore(dsn) as store:
            for each in gaps:
                await store.record_gap(each)

    asyncio.run(run())


def bars(dsn: str, as_of: datetime = END) -> dict[str, dict[str, object]]:
    """The window's bars by symbol."""
    frame = window_bars(dsn, START, END, as_of)
    assert frame.schema == TICK_BARS.polars
    return {str(row["symbol"]): row for row in frame.to_dicts()}


def test_bars_of_a_window(database: str) -> None:
    """First, highest, lowest, last; both borders; options are not spots."""
    ids = register(database, LISTED)
    nifty, option = ids["NIFTY"], ids[str(LISTED[2].contract)]
    prices = [(-1, 1.0), (0, 10.0), (1, 12.0), (2, 9.0), (299.999, 11.0), (300, 99.0)]
    rows: list[dict[str, object]] = [
        {"at": at, "instrument": nifty, "last_price": price} for at, price in prices
    ]
    land(database, batch([*rows, {"at": 1, "instrument": option, "last_price": 1000.0}]))
    found = bars(database)
    assert set(found) == {"NIFTY", "TCS"}
    bar = found["NIFTY"]
    ohlc = [bar[f"{name}_price"] for name in ("open", "high", "low", "close")]
    assert ohlc == [10.0, 12.0, 9.0, 11.0]
    assert bar["tick_count"] == 4
    assert bar["last_tick_at"] == START + timedelta(seconds=299, milliseconds=999)
    assert bar["traded_units"] is None
    assert bar["vwap_price"] is None
    assert found["TCS"]["close_price"] is None
    assert found["TCS"]["tick_count"] == 0


def test_nothing_received_after_as_of_counts(database: str) -> None:
    """A window computed again later gives the bars that it gave at its end."""
    nifty = register(database, LISTED)["NIFTY"]
    late: dict[str, object] = {"at": 10, "received": 400, "last_price": 50.0}
    land(
        database,
        batch([{"at": 1, "last_price": 5.0, "instrument": nifty}, {**late, "instrument": nifty}]),
    )
    assert bars(database)["NIFTY"]["close_price"] == 5.0
    assert bars(database, END + timedelta(hours=1))["NIFTY"]["close_price"] == 50.0


def test_volume_is_what_the_counter_gained(database: str) -> None:
    """From the last count before the window; a late tick adds nothing twice."""
    tcs = register(database, LISTED)["TCS"]
    seen = [
        (-5, 100.0, 1000),
        (1, 101.0, 1100),
        (3, 103.0, 1400),
        (2, 102.0, 1050),
        (4, 99.0, 1400),
    ]
    land(
        database,
        batch(
            [
                {"at": at, "instrument": tcs, "last_price": price, "volume_units": volume}
                for at, price, volume in seen
            ]
        ),
    )
    bar = bars(database)["TCS"]
    assert bar["traded_units"] == 400
    assert bar["vwap_price"] == pytest.approx((101 * 100 + 103 * 300) / 400)
    assert bar["tick_count"] == 4


def test_yesterdays_counter_is_no_base(database: str) -> None:
    """The first count of a day starts the counting."""
    tcs = register(database, LISTED)["TCS"]
    seen = [(-20 * 3600, 90.0, 9_000_000), (1, 100.0, 10), (2, 100.0, 30)]
    land(
        database,
        batch(
            [
                {"at": at, "instrument": tcs, "last_price": price, "volume_units": volume}
                for at, price, volume in seen
            ]
        ),
    )
    assert bars(database)["TCS"]["traded_units"] == 20


def test_snapshots_are_not_ticks(database: str) -> None:
    """State sent after a subscription is not counted, nor an old price taken for a new one."""
    nifty = register(database, LISTED)["NIFTY"]
    stale_ms = (START - timedelta(hours=1)).timestamp() * 1000
    fresh_ms = (START + timedelta(seconds=1)).timestamp() * 1000
    rows: list[dict[str, object]] = [
        {"at": 1, "last_price": 1.0, "is_snapshot": True, "traded_at_ms": stale_ms},
        {"at": 2, "last_price": 20.0, "is_snapshot": True, "traded_at_ms": fresh_ms},
        {"at": 3, "last_price": 21.0},
    ]
    land(database, batch([{**row, "instrument": nifty} for row in rows]))
    bar = bars(database)["NIFTY"]
    assert (bar["open_price"], bar["low_price"], bar["tick_count"]) == (20.0, 20.0, 1)


def test_gaps_are_counted_once_and_cut_to_the_window(database: str) -> None:
    """Overlapping gaps do not add up to more than the time that was missed."""
    register(database, LISTED)
    record(
        database,
        gap(-30, 10),
        gap(-30, 10),
        gap(5, 20, "stale"),
        gap(290, 400),
        gap(-60, 0),
        gap(300, 310),
    )
    bar = bars(database)["TCS"]
    assert bar["gap_count"] == 3
    assert bar["gap_seconds"] == pytest.approx(30.0)


def test_a_gap_touches_only_what_its_socket_should_have_delivered(database: str) -> None:
    """Two sockets are away at the same time; a row that does not tell touches all."""
    ids = register(database, LISTED)
    nifty, tcs, option = ids["NIFTY"], ids["TCS"], ids[str(LISTED[2].contract)]
    record(
        database,
        gap(10, 20, ids=(nifty, option)),
        gap(10, 25, ids=(tcs,), epoch=2),
        gap(30, 31, ids=(option,), epoch=3),
        gap(40, 42),
        gap(50, 53, "stale", (nifty, tcs)),
    )
    found = bars(database)
    assert (found["NIFTY"]["gap_count"], found["NIFTY"]["gap_seconds"]) == (3, 15.0)
    assert (found["TCS"]["gap_count"], found["TCS"]["gap_seconds"]) == (3, 20.0)


def test_a_gap_that_is_told_again_only_widens(database: str) -> None:
    """Whatever the order: the later end, and all that any telling touched."""
    record(database, gap(0, 9, ids=(1, 2)), gap(0, 5, ids=(2, 3)), gap(0, 9, ids=(1, 2)))
    record(database, gap(0, 9, ids=(1,), epoch=2), gap(0, 9, epoch=2), gap(0, 9, ids=(1,), epoch=2))
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT epoch, to_at, instrument_ids FROM gap ORDER BY epoch"
        ).fetchall()
    end = START + timedelta(seconds=9)
    assert [(row[0], row[1].astimezone(UTC), row[2]) for row in rows] == [
        (1, end, [1, 2, 3]),
        (2, end, None),
    ]
