"""Stored minutes beside the feed, with a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from market.rules import Rules
from storage.instruments import register
from storage.rollups import minutes
from storage.ticks import TickStore
from streaming.alerts import AlertDesk
from streaming.arrivals import Arrival, batch_of
from streaming.minute_keeper import GRACE, HOLD, MinuteKeeper
from tests.fix_timescale import free_port
from tests.streaming.test_alerts import ALL, desk
from tests.streaming.test_priming import IDS, RESTART, at, heard, market
from tests.streaming.waiting import until

FRAMES = market(3, 60)


def landed(dsn: str, count: int) -> None:
    """Land the first frames."""
    contracts = [i for i in ALL if i.broker_key in IDS]
    ids = register(dsn, contracts)
    by_key = {i.broker_key: ids[str(i.contract)] for i in contracts}
    arrivals = [
        Arrival(1, n + 1, (f.published_at_ms or 0) * 1_000_000, f)
        for n, f in enumerate(FRAMES[:count])
    ]

    async def run() -> None:
        async with TickStore(dsn) as store:
            await store.land(batch_of(arrivals, by_key)[0])

    asyncio.run(run())


def test_a_desk_goes_on_where_the_process_before_stopped(database: str) -> None:
    """As soon as everything is landed and the first minute is over, and not before."""
    primed_at = RESTART + 4
    now = at(FRAMES[RESTART].published_at_ms or 0)
    made, is_landed = desk(), False
    keeper = MinuteKeeper(database, made, Rules(), lambda: now, lambda: is_landed)
    landed(database, primed_at)
    told = heard(made, FRAMES[RESTART:primed_at], is_end=False)
    asyncio.run(keeper.step())
    assert not keeper.is_primed
    is_landed = True
    asyncio.run(keeper.step())
    assert not keeper.is_primed
    now = at(FRAMES[primed_at - 1].published_at_ms or 0) + timedelta(seconds=19)
    asyncio.run(keeper.step())
    assert keeper.is_primed
    told += heard(made, FRAMES[primed_at:])
    began = at(FRAMES[RESTART].published_at_ms or 0).replace(second=0)
    assert told == [s for s in heard(desk(), FRAMES) if s.at > began]


def test_running_minutes_and_old_ticks(database: str) -> None:
    """A minute is stored when it is over; ticks go when they have expired, minutes do not."""
    landed(database, 30)
    first = at(FRAMES[0].published_at_ms or 0)
    now = first + timedelta(minutes=1)
    keeper = MinuteKeeper(database, AlertDesk(Rules()), Rules(), lambda: now, lambda: False, 1)
    asyncio.run(keeper.step())
    assert keeper.refreshed == 0
    now += GRACE
    asyncio.run(keeper.step())
    assert keeper.refreshed == 1
    for _ in range(2):
        now += timedelta(days=3)
        asyncio.run(keeper.step())
    assert keeper.refreshed == 10
    found = minutes(database, ["NIFTY"], first, now)
    assert len(found) == 20


def test_a_database_that_is_away_is_tried_again() -> None:
    """Nothing is raised, nothing is primed, and the desk waits no longer than it should."""
    made, now = desk(), datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
    nowhere = f"postgresql://x@127.0.0.1:{free_port()}/x"
    keeper = MinuteKeeper(nowhere, made, Rules(), lambda: now, lambda: True)
    told = heard(made, FRAMES[RESTART:], is_end=False)
    for _ in range(2):
        asyncio.run(keeper.step())
    assert (keeper.refreshed, keeper.is_primed) == (0, False)
    made.work(now + HOLD)
    assert made.take_outbox() + told


def test_it_runs_until_it_is_cancelled(database: str) -> None:
    """The first step comes at once."""
    landed(database, 30)
    now = at(FRAMES[29].published_at_ms or 0) + timedelta(minutes=2)
    keeper = MinuteKeeper(database, desk(), Rules(), lambda: now, lambda: False)

    async def run() -> None:
        running = asyncio.create_task(keeper.run())
        await until(lambda: keeper.refreshed > 0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert keeper.refreshed == 10
