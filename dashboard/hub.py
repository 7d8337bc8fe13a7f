"""Who is sent what and when: the live feed's rules for browsers, without any I/O or clock.

The last value of each row is held once; a client is a watch, the version it has seen and the
frames it has not acknowledged. Sockets and waiting stand in ``sessions``, the meaning of ids in
``catalogue``. The rules, with examples, are told in ``docs/live-feed.md``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboard.alerts import AlertLog
from dashboard.catalogue import TABLES, Catalogue, Watch
from dashboard.rows import Rows
from market import live_frame
from market.errors import FrameError
from market.live_frame import LiveFrame


@dataclass(frozen=True, slots=True)
class Limits:
    """The rules' numbers.

    Attributes:
        window: unacknowledged frames that a client may have.
        interval_seconds: time between frames, on average (20 Hz).
        ack_timeout_seconds: a client that owes an acknowledgement for so long is closed.
        clients: browsers served at once.
    """

    window: int = 2
    interval_seconds: float = 0.05
    ack_timeout_seconds: float = 30.0
    clients: int = 64


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection with this WebSocket code and reason."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame in flight: its sequence and when it left (monotonic seconds)."""

    sequence: int
    at_seconds: float


@dataclass(slots=True)
class _Client:
    watch: Watch = field(default_factory=Watch)
    seen: int = 0
    alerts_after: int | None = None
    told: tuple[int, Watch] | None = None
    health_seen: int = 0
    due_at: float = 0.0
    in_flight: deque[Sent] = field(default_factory=deque)


TRY_LATER = 1013


class Hub:
    """Last values in, messages for each client out."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.catalogue = Catalogue()
        self.unknown_rows = 0
        self._edition = 0
        self._version = 0
        self._tables = {name: Rows(name, {}) for name in TABLES}
        self._health: tuple[int, str] = (0, "")
        self._clients: dict[int, _Client] = {}
        self._joined = 0
        self._encoded: dict[tuple[int, int, Watch], bytes | None] = {}
        self.alerts = AlertLog()

    @property
    def has_catalogue(self) -> bool:
        """Whether the feed has said what its ids mean."""
        return self._edition > 0

    @property
    def client_count(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    def learn(self, catalogue: Catalogue) -> None:
        """Take a catalogue; rows whose id means something else now are forgotten."""
        if self.has_catalogue and catalogue == self.catalogue:
            return
        for name, rows in self._tables.items():
            before, after = self.catalogue.meanings[name], catalogue.meanings[name]
            survivors = {number for number, entry in after.items() if before.get(number) == entry}
            rows.keep(catalogue.groups[name], survivors)
        self.catalogue = catalogue
        self._edition += 1
        self._bump()

    def apply(self, frame: LiveFrame) -> None:
        """Take a frame: the last value of a row wins."""
        self._bump()
        for table in frame.tables:
            rows = self._tables.get(table.name)
            if rows is not None:
                self.unknown_rows += rows.apply(table, self._version)

    def report(self, health: Mapping[str, object]) -> None:
        """Take the health message that every client is told next."""
        self._health = (self._health[0] + 1, _json({"type": "health", **health}))

    def row(self, table: str, number: int) -> Mapping[str, float | None]:
        """A row's last values by column; empty if it never came."""
        return self._tables[table].value(number)

    def join(self, now: float) -> int | Close:
        """Admit a client, which is told the catalogue and the underlyings until it watches more."""
        if len(self._clients) >= self.limits.clients:
            return Close(TRY_LATER, f"{self.limits.clients} pages are open; close one")
        self._joined += 1
        self._clients[self._joined] = _Client(due_at=now)
        return self._joined

    def leave(self, client: int) -> None:
        """Forget a client."""
        self._clients.pop(client, None)

    def receive(self, client: int, text: str) -> None:
        """Take a client's message: ``watch``, ``ack`` or ``alerts``.

        Raises:
            FrameError: if it is none of them; the connection is then to be closed.
        """
        message = _message(text)
        match message.get("type"):
            case "ack":
                self._acknowledge(self._clients[client], _sequence(message))
            case "watch":
                self._watch(self._clients[client], _watch(message))
            case "alerts":
                after = self.alerts.place(message.get("run"), message.get("after"))
                self._clients[client].alerts_after = after
            case other:
                raise FrameError(f"message type {other!r}, expected 'watch', 'ack' or 'alerts'")

    def poll(self, client: int, now: float, now_ms: float) -> tuple[str | bytes | Close, ...]:
        """What to send to a client now, in order.

        Args:
            now: monotonic seconds, for the rate and the time-out.
            now_ms: epoch ms that the frame is stamped with.
        """
        state = self._clients[client]
        if state.in_flight and now - state.in_flight[0].at_seconds > self._patience:
            return (Close(TRY_LATER, "no acknowledgement; connect again"),)
        texts = (self._hello(state), self._news(state), self._new_alerts(state))
        frame = self._frame(state, now, now_ms)
        return tuple(m for m in (*texts, frame) if m is not None)

    def wait_seconds(self, client: int, now: float) -> float | None:
        """How long until ``poll`` can have something that no event announces; None: never."""
        state = self._clients[client]
        waits = []
        if state.in_flight:
            waits.append(state.in_flight[0].at_seconds + self._patience - now)
        if self._may_send(state) and state.seen < self._version:
            waits.append(state.due_at - now)
        return max(0.0, min(waits)) if waits else None

    @property
    def _patience(self) -> float:
        return self.limits.ack_timeout_seconds

    def _bump(self) -> None:
        self._version += 1
        self._encoded.clear()

    def _acknowledge(self, state: _Client, sequence: int) -> None:
        while state.in_flight and state.in_flight[0].sequence <= sequence:
            state.in_flight.popleft()

    def _watch(self, state: _Client, watch: Watch) -> None:
        if watch != state.watch:
            state.watch, state.seen = watch, 0
            # A new version keeps sequences rising although the same rows are sent again.
            self._bump()

    def _hello(self, state: _Client) -> str | None:
        due = (self._edition, state.watch)
        if not self.has_catalogue or state.told == due:
            return None
        state.told, state.seen = due, 0
        catalogue = self.catalogue.only(state.watch).as_json()
        return _json({"type": "hello", "v": live_frame.VERSION, "catalogue": catalogue})

    def _news(self, state: _Client) -> str | None:
        number, text = self._health
        if number == state.health_seen:
            return None
        state.health_seen = number
        return text

    def _new_alerts(self, state: _Client) -> str | None:
        """What a client that asked for alerts has not been told; the first answer may be empty."""
        after = state.alerts_after
        if after is None or after == self.alerts.newest:
            return None
        state.alerts_after = self.alerts.newest
        return _json({"type": "alerts", "v": live_frame.VERSION, **self.alerts.since(after)})

    def _may_send(self, state: _Client) -> bool:
        return self.has_catalogue and len(state.in_flight) < self.limits.window

    def _frame(self, state: _Client, now: float, now_ms: float) -> bytes | None:
        if now < state.due_at or not self._may_send(state) or state.seen == self._version:
            return None
        frame = self._encode(state, now_ms)
        state.seen = self._version
        if frame is not None:
            interval = self.limits.interval_seconds
            # From when it was due, not from when it left: else two rates of 20 Hz in a row beat.
            state.due_at = max(state.due_at, now - interval) + interval
            state.in_flight.append(Sent(self._version, now))
        return frame

    def _encode(self, state: _Client, now_ms: float) -> bytes | None:
        key = (self._version, state.seen, state.watch)
        if key not in self._encoded:
            groups = state.watch.groups()
            changed = (rows.changed(state.seen, groups) for rows in self._tables.values())
            tables = [table for table in changed if table is not None]
            frame = LiveFrame(self._version, now_ms, tables, state.seen, self._version)
            self._encoded[key] = live_frame.encode(frame) if tables else None
        return self._encoded[key]


def _json(message: Mapping[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)


def _message(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise FrameError("message is not JSON, expected a watch or an ack") from error
    if not isinstance(message, dict):
        raise FrameError(f"message is a {type(message).__name__}, expected a JSON object")
    return message


def _sequence(message: Mapping[str, Any]) -> int:
    sequence = message.get("sequence")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise FrameError(f"ack of sequence {sequence!r}, expected the frame's integer")
    return sequence


def _watch(message: Mapping[str, Any]) -> Watch:
    if message.get("all") is True:
        return Watch(is_all=True)
    symbol, expiry = message.get("symbol"), message.get("expiry")
    if not isinstance(symbol, str) or not isinstance(expiry, str):
        raise FrameError("watch needs a symbol and an expiry (ISO date), or all: true")
    return Watch(symbol, expiry)
