"""Where a socket's frames come from, as the socket sees it: a market or a recording.

The interface alone. ``session`` serves a market through it, ``playback`` what was recorded.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Protocol

from simulator.access.tokens import Account


class Feed(Protocol):
    """One connection's feed: requests in, frames out, time handed in; no I/O."""

    def request(self, message: bytes, now: datetime) -> Sequence[bytes]:
        """Take a client's binary message; the frames that answer it, none for a wrong one."""

    def update(self, now: datetime) -> Sequence[bytes]:
        """The frames of everything that happened since the last call."""

    def followed(self) -> Sequence[str]:
        """The keys that the client follows now, in any mode."""

    def drop(self, keys: Sequence[str]) -> None:
        """Forget keys without a word, as if the client had never asked for them."""

    def close(self) -> None:
        """The connection is gone: give back what the feed counts for its user."""


class Source(Protocol):
    """Opens feeds and knows the state of the market that all of them are told."""

    def state(self, now: datetime) -> tuple[Hashable, bytes]:
        """The market's state and its ``market_info`` frame, sent whenever the state differs."""

    def open(self, account: Account) -> Feed:
        """A feed for a new connection of ``account``."""
