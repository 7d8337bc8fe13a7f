"""Several sockets spoken of as one: as well as the worst, and moved away from when one is dead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from brokers.interface import Mode
from streaming.feed import State
from tests.streaming.group_of_sockets import group, subscribe
from tests.streaming.waiting import run

NOON = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)
BORNE = timedelta(seconds=20)


def test_only_sockets_that_have_keys_are_opened() -> None:
    """A connection that delivers nothing would only be one less for the user's other tools."""

    async def test() -> None:
        sockets, connections = group(3)
        running = asyncio.create_task(sockets.run())
        sockets.want({0: {"a": Mode.FULL}, 2: {"b": Mode.LTP}}, is_whole=True)
        await connections[0].started.wait()
        await connections[2].started.wait()
        assert not connections[1].started.is_set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(test())


def test_the_same_plan_again_changes_nothing() -> None:
    """And a changed one wakes only those that it changes."""
    sockets, connections = group(2)
    plan = {0: {"a": Mode.FULL}, 1: {"b": Mode.LTP}}
    assert sockets.want(plan, is_whole=False)
    assert not sockets.want(plan, is_whole=True)
    assert all(socket.session.is_plan_whole for socket in sockets.members)
    assert sockets.want({**plan, 1: {"b": Mode.FULL}}, is_whole=True)
    assert [connection.wakes for connection in connections] == [1, 2]
    assert sockets.wanted == {"a": Mode.FULL, "b": Mode.FULL}


def test_the_group_is_as_well_as_its_worst_member() -> None:
    """Those without keys do not count."""
    sockets, connections = group(3)
    assert sockets.state is State.IDLE
    sockets.want({0: {"a": Mode.FULL}, 1: {"b": Mode.FULL}}, is_whole=True)
    subscribe(sockets.members[0], NOON)
    assert sockets.state is State.IDLE
    subscribe(sockets.members[1], NOON)
    assert sockets.state is State.SUBSCRIBING
    connections[1].last_failure = "why"
    connections[2].waiting_for_token = "not ours"
    assert (sockets.last_failure, sockets.waiting_for_token) == ("why", None)


def test_the_token_is_taken_when_one_socket_is_open() -> None:
    """And open epochs are told, so that nobody takes them for complete."""
    sockets, connections = group(2)
    assert not sockets.is_let_in
    connections[1].epoch = 7
    assert sockets.is_let_in
    assert sockets.open_epochs() == {7}


def test_a_socket_that_stays_away_gives_its_keys_up_until_it_is_back() -> None:
    """A short loss moves nothing."""
    sockets, _ = group(3)
    sockets.want({0: {"a": Mode.FULL}, 1: {"b": Mode.FULL}}, is_whole=True)
    subscribe(sockets.members[0], NOON)
    assert sockets.alive(NOON) == {0, 1, 2}
    assert sockets.alive(NOON + BORNE * 0.9) == {0, 1, 2}
    assert sockets.alive(NOON + BORNE) == {0, 2}
    subscribe(sockets.members[1], NOON)
    assert sockets.alive(NOON + 2 * BORNE) == {0, 1, 2}


def test_when_all_are_away_none_gives_its_keys_up() -> None:
    """They must be asked for in the instant in which the network returns."""
    sockets, _ = group(2)
    sockets.want({0: {"a": Mode.FULL}, 1: {"b": Mode.FULL}}, is_whole=True)
    sockets.alive(NOON)
    assert sockets.alive(NOON + 2 * BORNE) == {0, 1}
