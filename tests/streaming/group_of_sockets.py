"""Sockets whose sessions are real and whose connections are only talked about."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import cast

from brokers.upstox.codec import UpstoxCodec
from market.rules import AlwaysOpen
from streaming.connection import FeedConnection
from streaming.feed import FeedSession
from streaming.sockets import Socket, Sockets
from tests.streaming import feed_frames


class IdleConnection:
    """What a connection shows, and whether it was started."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.waiting_for_token: str | None = None
        self.last_failure: str | None = None
        self.failures = 0
        self.wakes = 0
        self.started = asyncio.Event()

    def wake(self) -> None:
        """Count a wake-up."""
        self.wakes += 1

    async def run(self) -> None:
        """Run for ever."""
        self.started.set()
        await asyncio.Event().wait()


def group(count: int) -> tuple[Sockets, list[IdleConnection]]:
    """A group and its connections."""
    connections = [IdleConnection() for _ in range(count)]
    members = [
        Socket(index, FeedSession(UpstoxCodec(), AlwaysOpen()), cast(FeedConnection, connection))
        for index, connection in enumerate(connections)
    ]
    return Sockets(members, stagger_seconds=0.0), connections


def subscribe(socket: Socket, now: datetime) -> None:
    """Bring a session to where it may subscribe."""
    socket.session.connecting()
    socket.session.opened(1, now)
    socket.session.received(feed_frames.status(), now)
