"""A recording as a socket's source: its frames again, when the clock says that they came.

Frames go out as they were recorded, cut down to the keys that a client follows; only the snapshot
that answers a subscription is put together here. Modes are those of the recording, whatever a
client asks for: what was not recorded cannot be told. Where frames come from stands in
``recording``, the REST calls beside them in ``playback_calls``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator.access.tokens import Account
from simulator.exchange.timetable import epoch_ms
from simulator.recordings.recording import Recording
from simulator.socket import feed_requests
from simulator.socket.source import Feed
from simulator.socket.wire import MODES

# Most recorded bytes that one update passes on, so that a fast clock does not block the loop.
_MOST_BYTES = 2_000_000


class RecordedSource:
    """Opens feeds on a recording; a ``Source``."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def state(self, now: datetime) -> tuple[Hashable, bytes]:
        """The newest recorded state; an empty one before the first."""
        found = self._recording.market_state(self._recording.position(now))
        if found is not None:
            return found
        empty = wire.FeedResponse(
            type=wire.market_info, currentTs=epoch_ms(now), marketInfo=wire.MarketInfo()
        )
        return None, empty.SerializeToString()

    def open(self, account: Account) -> Feed:
        """A feed for a new connection; what an account entitles to does not matter here."""
        return RecordedFeed(self._recording)


class RecordedFeed:
    """One connection's way through a recording; a ``Feed``.

    No frame is left out for a client that reads slowly, or by a fast clock: it comes later.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._keys: set[str] = set()
        self._told = 0

    def request(self, message: bytes, now: datetime) -> Sequence[bytes]:
        """Take a request; a snapshot of the keys asked for, as far as they were recorded."""
        asked = feed_requests.parse(message)
        if asked.method == "unsub":
            self.drop(asked.keys)
        if asked.method not in ("sub", "change_mode") or asked.mode not in MODES:
            return []
        # What the client follows already comes first, so that no key is told twice of one frame.
        earlier = self._frames(now, most_bytes=None)
        self._keys.update(asked.keys)
        snapshot = self._snapshot(asked.keys)
        return [*earlier, snapshot] if snapshot else earlier

    def update(self, now: datetime) -> Sequence[bytes]:
        """The frames that were received since the last call, at most some megabytes of them."""
        return self._frames(now, _MOST_BYTES)

    def followed(self) -> Sequence[str]:
        """The keys that the client follows now, recorded or not."""
        return sorted(self._keys)

    def drop(self, keys: Sequence[str]) -> None:
        """Forget keys without a word."""
        self._keys.difference_update(keys)

    def close(self) -> None:
        """Nothing is counted for a recording."""

    def _frames(self, now: datetime, most_bytes: int | None) -> list[bytes]:
        position = self._recording.position(now)
        if not self._keys:
            self._told = position
        found, size = [], 0
        while self._told < position and (most_bytes is None or size < most_bytes):
            number, self._told = self._told, self._told + 1
            size += self._recording.size_bytes(number)
            if frame := self._passed_on(number):
                found.append(frame)
        return found

    def _passed_on(self, number: int) -> bytes | None:
        """A frame for this client; the market's state is told to all by ``state``."""
        if self._recording.is_market_state(number):
            return None
        return self._recording.frame(number).only(self._keys)

    def _snapshot(self, keys: Sequence[str]) -> bytes | None:
        found = {key: self._recording.entry(key, self._told) for key in keys}
        told = {key: entry for key, entry in found.items() if entry is not None}
        if not told:
            return None
        at_ms = self._recording.current_ms(self._told)
        frame = wire.FeedResponse(type=wire.initial_feed, currentTs=at_ms, feeds=told)
        return frame.SerializeToString()
