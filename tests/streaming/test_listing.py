"""The day's instruments: read however long it takes, registered, renewed once a day."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import psycopg
import pytest

from brokers.interface import Broker, Instrument
from market.errors import BrokerError
from streaming import listing as module
from streaming.listing import Listing
from tests.streaming.listed import SPOT, SPOT_KEY, options
from tests.streaming.waiting import run

MORNING = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


class Lists:
    """A broker that gives one list after another; None: it fails."""

    def __init__(self, *lists: Sequence[Instrument] | None) -> None:
        self._lists = list(lists)

    def instruments(self) -> Sequence[Instrument]:
        """The next one."""
        if (listed := self._lists.pop(0)) is None:
            raise BrokerError("the list is not there")
        return listed


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now


def listing(dsn: str, *lists: Sequence[Instrument] | None) -> tuple[Listing, Clock]:
    """A listing and its clock."""
    clock = Clock()
    return Listing(cast(Broker, Lists(*lists)), dsn, clock), clock


def test_a_list_that_is_not_there_is_asked_for_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is waited for is told meanwhile; then the database learns the instruments."""
    waited = []

    async def sleep(_: float) -> None:
        waited.append(made.waiting_for)

    async def test() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(module.asyncio, "sleep", sleep)
            await made.read()
        await made.register()

    made, _ = listing(database, None, None, [SPOT, *options()])
    run(test())
    assert waited == ["the instrument master: the list is not there"] * 2
    assert made.waiting_for is None
    assert set(made.ids_by_key) == {i.broker_key for i in made.instruments}
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT broker_key, instrument_id FROM instrument").fetchall()
    assert dict(rows) == made.ids_by_key


def test_the_day_begins_when_the_broker_has_renewed_its_list(database: str) -> None:
    """Not at midnight in Mumbai, at which the old one is still served."""
    made, clock = listing(database, [SPOT])
    run(made.read())
    clock.now = MORNING.replace(hour=20)
    assert made.is_of_today
    clock.now = MORNING + timedelta(days=1)
    assert not made.is_of_today


def test_a_new_list_adds_to_what_is_known_and_a_missing_one_changes_nothing(database: str) -> None:
    """Yesterday's keys still have ticks in the journal."""

    async def test() -> None:
        await made.read()
        await made.register()
        clock.now = MORNING + timedelta(days=1)
        assert not await made.renew()
        assert list(made.instruments) == [SPOT]
        assert await made.renew()

    chain = options()
    made, clock = listing(database, [SPOT], None, chain)
    run(test())
    assert made.is_of_today
    assert list(made.instruments) == chain
    assert set(made.ids_by_key) == {SPOT_KEY, *(i.broker_key for i in chain)}


def test_registering_waits_for_the_list(database: str) -> None:
    """Both begin together."""

    async def test() -> None:
        registering = asyncio.create_task(made.register())
        await asyncio.sleep(0)
        assert not registering.done()
        await made.read()
        await registering

    made, _ = listing(database, [SPOT])
    run(test())
    assert made.ids_by_key
