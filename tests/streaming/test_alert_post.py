"""Alerts on their way out, against a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pytest

from market.errors import DatabaseUnavailable
from market.rules import Rules
from storage.alerts import store
from streaming import alert_post
from streaming.alert_post import AlertPost, log_channel, webhook_channel
from streaming.alerts import AlertDesk
from streaming.webhook import Notice, Webhook
from tests.fix_timescale import free_port
from tests.streaming.waiting import run, until
from transforms.signals.record import Direction, Kind, Signal


def signal(minute: int) -> Signal:
    """One event."""
    at = datetime(2026, 11, 25, 4, minute, tzinfo=UTC)
    return Signal(Kind.VWAP, "NIFTY", "NIFTY", at, Direction.UP, 1.0, 2.0, None, (), f"at {minute}")


class Scripted(AlertDesk):
    """A desk that says what it is given."""

    def __init__(self) -> None:
        super().__init__(Rules())
        self.to_say: list[Signal] = []

    def take_outbox(self) -> list[Signal]:
        """What is to be said now."""
        said, self.to_say = self.to_say, []
        return said


def clock() -> datetime:
    """Half past ten in Mumbai."""
    return datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


def post(desk: AlertDesk, dsn: str, *channels: alert_post.Channel) -> AlertPost:
    """One without pauses worth mentioning."""
    return AlertPost(desk, dsn, clock, channels, pause_seconds=0.01, retry_seconds=0.05)


def test_alerts_are_told_and_stored_once(database: str) -> None:
    """Also across two processes that see the same minutes; the second shows what the first said."""
    desk, told = Scripted(), []
    made = post(desk, database, told.extend)

    async def test() -> None:
        task = asyncio.create_task(made.run())
        desk.to_say = [signal(1), signal(2)]
        await until(lambda: made.stored == 2)
        task.cancel()
        await asyncio.wait([task])
        again = Scripted()
        second = post(again, database)
        task = asyncio.create_task(second.run())
        await until(lambda: again.version > 0)
        again.to_say = [signal(2), signal(3)]
        await until(lambda: second.stored == 1)
        task.cancel()
        await asyncio.wait([task])
        keys = [a["key"] for a in again.as_json()["alerts"]]
        assert keys == [signal(2).key, signal(1).key]

    run(test())
    assert told == [signal(1), signal(2)]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM alert").fetchone() == (3,)


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, and what had to go is counted."""
    monkeypatch.setattr(alert_post, "OUTBOX", 2)
    desk = Scripted()
    made = post(desk, f"postgresql://x@127.0.0.1:{free_port()}/x")
    desk.to_say = [signal(1), signal(2), signal(3)]
    made.step()
    with pytest.raises(DatabaseUnavailable):
        asyncio.run(made.flush())
    assert (made.stored, made.refused) == (0, 1)


def test_a_database_that_refuses_does_not_hold_up_the_next(empty_database: str) -> None:
    """No such table: counted, let go, and the feed goes on."""
    desk = Scripted()
    made = post(desk, empty_database)
    desk.to_say = [signal(1)]
    made.step()
    asyncio.run(made.flush())
    asyncio.run(made.flush())
    assert (made.stored, made.refused) == (0, 1)


def test_a_channel_that_fails_is_survived(database: str) -> None:
    """The others are told."""

    def broken(_: Sequence[Signal]) -> None:
        raise RuntimeError("no such room")

    desk, told = Scripted(), []
    made = post(desk, database, broken, log_channel, told.extend)
    desk.to_say = [signal(1)]
    made.step()
    assert told == [signal(1)]
    asyncio.run(made.flush())
    assert made.stored == 1
    assert store(database, [signal(1)]) == 0


def test_what_is_left_at_the_end_is_stored(database: str) -> None:
    """A stop between two looks at the outbox loses nothing."""
    desk = Scripted()
    made = AlertPost(desk, database, clock, (), pause_seconds=0.01, retry_seconds=3600)

    async def test() -> None:
        task = asyncio.create_task(made.run())
        await until(lambda: made.is_up)
        desk.to_say = [signal(1)]
        await until(lambda: not desk.to_say)
        task.cancel()
        await asyncio.wait([task])

    run(test())
    assert store(database, [signal(1)]) == 0


def test_alerts_that_come_together_are_one_notice() -> None:
    """Or a busy minute would crowd the token's alarm out of a bounded queue."""
    offered: list[Notice] = []

    class Told(Webhook):
        def offer(self, notice: Notice) -> None:
            offered.append(notice)

    webhook_channel(Told(None))([signal(1), signal(2)])
    assert offered == [Notice("alert", "at 1; at 2", signal(2).at)]
