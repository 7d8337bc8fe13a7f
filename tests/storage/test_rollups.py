"""Minutes of ticks against the real server: equal to the ticks, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokers.interface import Instrument
from market.contract import Contract, Kind, Right, Underlying
from market.errors import DatabaseUnavailable, StorageError
from storage import rollups
from storage.instruments import register
from storage.rollups import StoredMinute, drop_expired, minutes, refresh
from storage.ticks import TickStore
from tests.fix_timescale import free_port
from tests.storage.test_ticks import batch, land

START = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
LATER = START + timedelta(days=2)
FRESH = "SELECT * FROM tick_minute_fresh ORDER BY minute_at, instrument_id"
STORED = "SELECT * FROM tick_minute ORDER BY minute_at, instrument_id"
TCS = Instrument(Contract("TCS", Kind.EQUITY), Underlying("TCS", Kind.EQUITY, "NSE"), "equity|1")
OPTION = Contract("TCS", Kind.OPTION, START.date(), 100.0, Right.CALL)
FUTURE = Contract("TCS", Kind.FUTURE, START.date())
LISTED = [TCS, *(Instrument(c, TCS.underlying, str(c), 75) for c in (OPTION, FUTURE))]
Row = dict[str, object]


def asked(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a statement."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return connection.execute(statement.encode()).fetchall()


def bars(dsn: str, columns: str) -> list[tuple[Any, ...]]:
    """Columns of the view, oldest first."""
    return asked(dsn, f"SELECT {columns} FROM tick_bar_1m ORDER BY minute_at, instrument_id")


def tick(at: float, price: float | None = None, units: float | None = None, **more: object) -> Row:
    """A row for ``batch``; ``at`` in seconds after ``START``."""
    told = {"last_price": price, "volume_units": units}
    return {"at": at, **{k: v for k, v in told.items() if v is not None}, **more}


def test_a_minute_by_hand(database: str) -> None:
    """Prices in the order of time, the gain of the counter, the newest of what is state."""
    rows = [
        tick(0, 100.0, 1000.0),
        tick(62, 103.0, 1400.0, bid_price=102.0, ask_price=104.0),
        tick(61, 101.0, 1100.0, open_interest_units=7.0),
        tick(63, 99.0, bid_price=98.0),
        tick(119.999, 102.0, 1450.0),
        tick(120, 50.0, 1500.0),
    ]
    land(database, batch(rows))
    assert refresh(database, START + timedelta(minutes=2)) == 2
    told = "open_price, high_price, low_price, close_price, volume_units, is_whole, tick_count"
    assert bars(database, told) == [
        (100.0, 100.0, 100.0, 100.0, 0.0, False, 1),
        (101.0, 103.0, 99.0, 102.0, 450.0, True, 4),
    ]
    last = START + timedelta(seconds=119.999)
    state = "open_interest_units, bid_price, ask_price, day_volume_units, last_event_at"
    assert bars(database, state)[1] == (7.0, 98.0, 104.0, 1450.0, last)
    assert refresh(database, LATER) == 1
    assert bars(database, told)[2] == (50.0, 50.0, 50.0, 50.0, 50.0, True, 1)


def test_snapshots_are_state(database: str) -> None:
    """An old price in one is not of the minute; its volume counts, but nobody watched it happen."""
    stale_ms, fresh_ms = ((START + timedelta(seconds=s)).timestamp() * 1000 for s in (-60, 70))
    rows = [
        tick(1, 10.0, 100.0),
        tick(65, 500.0, 300.0, is_snapshot=True, traded_at_ms=stale_ms),
        tick(71, 11.0, 310.0, is_snapshot=True, traded_at_ms=fresh_ms),
        tick(72, 12.0, 330.0),
    ]
    land(database, batch(rows))
    refresh(database, LATER)
    told = "open_price, high_price, volume_units, is_whole, tick_count, snapshot_count"
    assert bars(database, told)[1] == (11.0, 12.0, 230.0, False, 1, 2)


def test_volume_is_never_negative_and_begins_anew_each_day(database: str) -> None:
    """A counter that falls, and one of yesterday; midnight is India's."""
    midnight = (datetime(2026, 11, 25, 18, 30, tzinfo=UTC) - START).total_seconds()
    counts = [
        (0, 1000.0),
        (60, 400.0),
        (90, 450.0),
        (180, 500.0),
        (midnight - 1, 900.0),
        (midnight, 950.0),
        (midnight + 1, 970.0),
    ]
    land(database, batch([tick(at, 1.0, units) for at, units in counts]))
    refresh(database, LATER)
    found = bars(database, "volume_units, is_whole")
    whole = [False, False, True, True, False]
    assert found == list(zip([0.0, 50.0, 50.0, 400.0, 20.0], whole, strict=True))


def test_what_still_runs_is_left(database: str) -> None:
    """Until it is over."""
    land(database, batch([tick(0, 1.0), tick(60, 2.0)]))
    assert refresh(database, START) == 0
    assert refresh(database, START + timedelta(seconds=61)) == 2
    assert refresh(database, START + timedelta(seconds=61)) == 0


ROWS = st.lists(
    st.builds(
        tick,
        st.integers(0, 3000).map(lambda tenths: tenths / 10),
        st.none() | st.integers(1, 50).map(float),
        st.none() | st.integers(0, 500).map(float),
        instrument=st.integers(1, 3),
        is_snapshot=st.booleans(),
        open_interest_units=st.integers(0, 9).map(float),
    ),
    min_size=1,
    max_size=8,
)
STEPS = st.lists(
    st.tuples(st.just("land"), st.integers(1, 3), ROWS)
    | st.tuples(st.just("refresh"), st.integers(0, 6), st.booleans()),
    min_size=2,
    max_size=12,
)


@given(steps=STEPS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_always_equal_to_the_ticks(
    database: str, steps: Sequence[tuple[str, int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the end each minute is what would be computed from scratch.

    Ticks come late, out of order and of several epochs; refreshes are doubled, partial and
    interrupted.
    """
    monkeypatch.setattr(rollups, "STEP_MINUTES", 2)
    emptied = "TRUNCATE tick, ingest_ledger, tick_minute_note, tick_minute"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(emptied)
    first = {1: 1, 2: 1, 3: 1}
    for what, number, told in steps:
        if what == "land":
            land(database, batch(told, first=first[number], epoch=number))
            first[number] += len(told)
        elif told:
            refresh(database, START + timedelta(minutes=number))
        else:
            _interrupted(database, monkeypatch)
    refresh(database, LATER)
    assert asked(database, STORED) == asked(database, FRESH)
    assert refresh(database, LATER) == 0


def _interrupted(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh that dies between computing and forgetting the notes."""
    with monkeypatch.context() as context:
        context.setattr(rollups, "_DONE", "SELECT 1 / (cardinality(%s::bigint[]) * 0)")
        try:
            refresh(dsn, LATER)
        except StorageError:
            return


def test_a_batch_that_lands_meanwhile_is_not_forgotten(database: str) -> None:
    """Landing does not wait for a refresh that has begun, and the next one computes it."""
    land(database, batch([tick(0, 1.0)]))
    with psycopg.connect(database) as holder:
        # The refresh waits for its notes, having computed the minute.
        holder.execute("SELECT * FROM tick_minute_note FOR UPDATE")

        async def run() -> int:
            refreshing = asyncio.create_task(asyncio.to_thread(refresh, database, LATER))
            await _waits_for_a_lock(database)
            async with asyncio.timeout(30), TickStore(database) as store:
                await store.land(batch([tick(1, 9.0)], first=2))
            await asyncio.to_thread(holder.rollback)
            return await refreshing

        assert asyncio.run(run()) == 2
    assert bars(database, "open_price, high_price") == [(1.0, 9.0)]


async def _waits_for_a_lock(dsn: str) -> None:
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    for _ in range(3000):
        if await asyncio.to_thread(asked, dsn, waiting):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the refresh never came to its notes")


def test_minutes_for_the_detectors(database: str) -> None:
    """Spots and futures, oldest first; a volume that nobody watched whole is not a number."""
    ids = register(database, LISTED)
    rows = [
        tick(at, 10.0 + at, at, instrument=ids[str(contract)])
        for at in (0.0, 60.0, 61.0)
        for contract in (TCS.contract, FUTURE, OPTION)
    ]
    land(database, batch([*rows, tick(90, None, 100.0, instrument=ids["TCS"], is_snapshot=True)]))
    refresh(database, LATER)
    found = minutes(database, ["TCS", "SBIN"], START, LATER)
    second = START + timedelta(minutes=1)
    assert [(m.contract_id, m.starts_at) for m in found] == [
        ("TCS", START),
        (str(FUTURE), START),
        ("TCS", second),
        (str(FUTURE), second),
    ]
    assert found[3] == StoredMinute(str(FUTURE), second, 70.0, 71.0, 70.0, 71.0, 61.0)
    assert isnan(found[0].volume_units)
    assert isnan(found[2].volume_units)
    assert minutes(database, ["SBIN"], START, LATER) == []
    assert len(minutes(database, ["TCS"], START, second)) == 2


@given(told=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99), st.booleans()), min_size=1))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_readings_tell_the_same_volume(
    database: str, told: Sequence[tuple[int, int, bool]]
) -> None:
    """The one that looks each minute up, and the one that goes through all in order."""
    number = register(database, LISTED)["TCS"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("TRUNCATE tick, ingest_ledger, tick_minute_note, tick_minute")
    rows = [
        tick(3600 * at, 1.0, float(units), instrument=number, is_snapshot=is_snapshot)
        for at, units, is_snapshot in told
    ]
    land(database, batch(rows))
    refresh(database, LATER)
    view = bars(database, "CASE WHEN is_whole THEN volume_units ELSE 'nan' END")
    found = [m.volume_units for m in minutes(database, ["TCS"], START, LATER)]
    assert [(nan if isnan(v) else v) for (v,) in view] == pytest.approx(found, nan_ok=True)


def test_ticks_go_only_after_their_minutes_are_computed(database: str) -> None:
    """By whole days; the minutes stay, also when a tick of such a day lands later."""
    day = 86_400
    land(database, batch([tick(at, 5.0) for at in (0, day, 2 * day)]))
    now = START + timedelta(days=3)
    assert drop_expired(database, 0, now) is None
    assert drop_expired(database, 1, now) is None
    refresh(database, START + timedelta(hours=1))
    assert drop_expired(database, 1, now) == datetime(2026, 11, 26, tzinfo=UTC)
    refresh(database, LATER + timedelta(days=1))
    assert len(bars(database, "open_price")) == 3
    assert drop_expired(database, 1, now) == datetime(2026, 11, 27, tzinfo=UTC)
    assert drop_expired(database, 1, now) is None
    land(database, batch([tick(1, 70.0)], first=4))
    assert refresh(database, LATER) == 0
    assert bars(database, "open_price, high_price") == [(5.0, 5.0)] * 3
    assert asked(database, "SELECT count(*) FROM tick") == [(2,)]


def test_no_database_is_worth_another_attempt() -> None:
    """By type."""
    nowhere = f"postgresql://x@127.0.0.1:{free_port()}/x"
    for attempt in (
        lambda: refresh(nowhere, START),
        lambda: minutes(nowhere, ["TCS"], START, LATER),
        lambda: drop_expired(nowhere, 1, START),
    ):
        with pytest.raises(DatabaseUnavailable):
            attempt()
