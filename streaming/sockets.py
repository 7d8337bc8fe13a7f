"""The feed's sockets as one: each has a session and a connection of its own, all follow one plan.

What a session decides belongs in ``feed``, how one socket is kept open in ``connection``, which key
goes where in ``brokers.planner``. Here the sockets are started apart and spoken of together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from brokers.interface import Mode
from streaming.connection import FeedConnection
from streaming.feed import FeedSession, State

# From the best to the worst news; a group is as well as its worst member.
_BY_HEALTH = (
    State.LIVE,
    State.SUBSCRIBING,
    State.AWAITING_STATUS,
    State.CONNECTING,
    State.STALE,
    State.CLOSED,
    State.IDLE,
)
_SUBSCRIBED = frozenset({State.SUBSCRIBING, State.LIVE})


@dataclass(frozen=True, slots=True)
class Socket:
    """One session and the connection that carries it; ``index`` counts from 0."""

    index: int
    session: FeedSession
    connection: FeedConnection


class Sockets:
    """All sockets that the account may open; those without keys are not opened.

    Args:
        sockets: in the order of their index.
        stagger_seconds: between the first attempts of two sockets, so that the broker is not
            asked for all at once.
        dead_seconds: how long a socket may be away before its keys deserve another one.
    """

    def __init__(
        self,
        sockets: Collection[Socket],
        stagger_seconds: float = 0.5,
        dead_seconds: float = 20.0,
    ) -> None:
        self.members = tuple(sockets)
        self._stagger_seconds = stagger_seconds
        self._dead_after = timedelta(seconds=dead_seconds)
        self._is_wanted = [asyncio.Event() for _ in self.members]
        self._away_since: dict[int, datetime] = {}

    @property
    def wanted(self) -> dict[str, Mode]:
        """Every key that some socket should deliver, with its mode."""
        return {key: mode for socket in self.members for key, mode in socket.session.wanted.items()}

    @property
    def working(self) -> tuple[Socket, ...]:
        """The sockets that have something to deliver."""
        return tuple(socket for socket in self.members if socket.session.wanted)

    @property
    def state(self) -> State:
        """The worst state of the working ones; idle if there are none."""
        states = [socket.session.state for socket in self.working]
        return max(states, key=_BY_HEALTH.index, default=State.IDLE)

    @property
    def is_let_in(self) -> bool:
        """Whether the broker has taken the token: some socket is open."""
        return any(socket.connection.epoch is not None for socket in self.members)

    @property
    def waiting_for_token(self) -> str | None:
        """Why the broker refuses the token, if it does."""
        refused = (socket.connection.waiting_for_token for socket in self.working)
        return next((reason for reason in refused if reason), None)

    @property
    def last_failure(self) -> str | None:
        """Why a working socket is not live, if one is not."""
        failed = (socket.connection.last_failure for socket in self.working)
        return next((reason for reason in failed if reason), None)

    def open_epochs(self) -> set[int]:
        """Epochs that are being written now."""
        return {e for socket in self.members if (e := socket.connection.epoch) is not None}

    def want(self, wanted: Mapping[int, Mapping[str, Mode]], is_whole: bool) -> bool:
        """Make ``wanted`` (by socket) the whole of what is wanted; whether anything changed.

        Args:
            is_whole: false while contracts wait for a price before they can be wanted.
        """
        has_changed = False
        for socket in self.members:
            keys = wanted.get(socket.index, {})
            socket.session.is_plan_whole = is_whole
            if keys == socket.session.wanted:
                continue
            has_changed = True
            socket.session.want(keys)
            socket.connection.wake()
            if keys:
                self._is_wanted[socket.index].set()
        return has_changed

    def alive(self, now: datetime) -> frozenset[int]:
        """Sockets that may carry keys: all but those that were away for longer than is borne.

        If nothing is left of those that were ever used, all count: moving keys would help nobody.
        """
        for socket in self.members:
            if socket.session.state in _SUBSCRIBED or not self._is_wanted[socket.index].is_set():
                self._away_since.pop(socket.index, None)
            else:
                self._away_since.setdefault(socket.index, now)
        dead = {i for i, since in self._away_since.items() if now - since >= self._dead_after}
        used = {i for i, is_wanted in enumerate(self._is_wanted) if is_wanted.is_set()}
        every = frozenset(range(len(self.members)))
        return every if dead >= used else every - dead

    async def run(self) -> None:
        """Keep every socket open that has keys, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for socket in self.members:
                group.create_task(self._run(socket))

    async def _run(self, socket: Socket) -> None:
        await self._is_wanted[socket.index].wait()
        await asyncio.sleep(socket.index * self._stagger_seconds)
        await socket.connection.run()
