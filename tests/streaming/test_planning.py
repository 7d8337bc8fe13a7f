"""The plan is made again at the right moments and reaches the sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from brokers.interface import Broker, Capabilities, Instrument, Mode
from streaming.listing import Listing
from streaming.planning import Planning, PlanningConfig
from streaming.sockets import Sockets
from tests.strategies import AS_OF
from tests.streaming.group_of_sockets import group
from tests.streaming.listed import SPOT, SPOT_KEY, options
from tests.streaming.waiting import run, until

KEYS = {Mode.LTP: 100, Mode.GREEKS: 100, Mode.FULL: 100}


class Account:
    """A broker that only tells what it allows."""

    def capabilities(self) -> Capabilities:
        """Two sockets."""
        return Capabilities(2, KEYS, KEYS)


class Listed:
    """A list that is read already, and can grow old."""

    def __init__(self, listed: Sequence[Instrument]) -> None:
        self.instruments = listed
        self.is_of_today = True
        self.renewals: list[Sequence[Instrument]] = []

    async def renew(self) -> bool:
        """Take the next list, if there is one."""
        if not self.renewals:
            return False
        self.instruments, self.is_of_today = self.renewals.pop(), True
        return True


class Made:
    """A planning with prices that the test sets."""

    def __init__(self, listed: Listed, **settings: Any) -> None:
        self.spots: dict[str, float] = {}
        self.changes = 0
        self.sockets: Sockets
        self.sockets, _ = group(2)
        config = PlanningConfig(
            ("NIFTY",), 2, replan_seconds=0.01, unpriced_replan_seconds=0.01, relist_seconds=0.01
        )
        self.planning = Planning(
            replace(config, **settings),
            cast(Broker, Account()),
            cast(Listing, listed),
            self.sockets,
            spots=lambda: self.spots,
            clock=lambda: AS_OF,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1


def test_contracts_follow_once_there_is_a_price() -> None:
    """Until then a gap stays open for them; the same prices again change nothing."""
    made = Made(Listed([SPOT, *options()]))
    run(made.planning.make(None))
    assert list(made.sockets.wanted) == [SPOT_KEY]
    assert not made.sockets.members[0].session.is_plan_whole
    made.spots["NIFTY"] = 24_000.0
    for _ in range(3):
        run(made.planning.make(made.planning.plan))
    assert len(made.sockets.wanted) == 1 + 2 * 5
    assert made.changes == 2
    assert {i.broker_key for i in made.planning.followed} == set(made.sockets.wanted)


def test_without_sockets_everything_is_polled() -> None:
    """As in the mode that asks over REST alone."""
    made = Made(Listed([SPOT, *options()]), uses_sockets=False)
    made.spots["NIFTY"] = 24_000.0
    run(made.planning.make(None))
    assert not made.sockets.wanted
    assert made.planning.plan is not None
    assert len(made.planning.plan.polled) == len(made.planning.followed) == 1 + 2 * 5


def test_fewer_sockets_may_be_used_than_are_allowed() -> None:
    """The user's other tools share the account's connections."""
    made = Made(Listed([SPOT, *options()]), feed_sockets=1)
    made.spots["NIFTY"] = 24_000.0
    run(made.planning.make(None))
    assert [bool(socket.session.wanted) for socket in made.sockets.members] == [True, False]


def test_a_new_day_begins_with_a_new_list() -> None:
    """The old plan stays until the list is there; then nothing of it is kept."""

    async def test() -> None:
        listed = Listed([SPOT, *options()])
        made = Made(listed)
        made.spots["NIFTY"] = 24_000.0
        running = asyncio.create_task(made.planning.run())
        await until(lambda: len(made.sockets.wanted) > 1)
        listed.is_of_today = False
        kept = made.sockets.wanted
        listed.renewals.append([SPOT])
        await until(lambda: listed.is_of_today)
        await until(lambda: list(made.sockets.wanted) == [SPOT_KEY])
        assert len(kept) > 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(test())
