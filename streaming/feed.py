"""One feed session, without I/O: frames, pings, commands and ``now`` in; events and requests out.

The protocol has no acknowledgement, no error frame, no sequence number and no heartbeat, so what
is subscribed, what is alive and what was missed is decided here. Sockets, waiting, back-off and
logging belong to ``connection``; what a frame's columns mean belongs to ``live`` and ``sink``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from brokers.interface import FeedCodec, FeedFrame, FrameKind, Mode
from market.errors import FrameError
from market.rules import Rules
from streaming.liveness import Liveness


class State(StrEnum):
    """Where the session stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    AWAITING_STATUS = "awaiting_status"
    SUBSCRIBING = "subscribing"
    LIVE = "live"
    STALE = "stale"
    CLOSED = "closed"


class Input(StrEnum):
    """What can happen to it."""

    CONNECT = "connect"
    OPEN = "open"
    STATUS = "status"
    DATA = "data"
    SILENCE = "silence"
    LOSS = "loss"


# An input that is not listed for a state is a mistake of the shell and raises.
MOVES: Mapping[tuple[State, Input], State] = {
    (State.IDLE, Input.CONNECT): State.CONNECTING,
    (State.CLOSED, Input.CONNECT): State.CONNECTING,
    (State.CONNECTING, Input.OPEN): State.AWAITING_STATUS,
    (State.CONNECTING, Input.LOSS): State.CLOSED,
    (State.AWAITING_STATUS, Input.STATUS): State.SUBSCRIBING,
    (State.AWAITING_STATUS, Input.DATA): State.AWAITING_STATUS,
    (State.AWAITING_STATUS, Input.SILENCE): State.STALE,
    (State.AWAITING_STATUS, Input.LOSS): State.CLOSED,
    (State.SUBSCRIBING, Input.STATUS): State.SUBSCRIBING,
    (State.SUBSCRIBING, Input.DATA): State.LIVE,
    (State.SUBSCRIBING, Input.SILENCE): State.STALE,
    (State.SUBSCRIBING, Input.LOSS): State.CLOSED,
    (State.LIVE, Input.STATUS): State.LIVE,
    (State.LIVE, Input.DATA): State.LIVE,
    (State.LIVE, Input.SILENCE): State.STALE,
    (State.LIVE, Input.LOSS): State.CLOSED,
    (State.STALE, Input.STATUS): State.STALE,
    (State.STALE, Input.DATA): State.STALE,
    (State.STALE, Input.LOSS): State.CLOSED,
}
_SUBSCRIBED = frozenset({State.SUBSCRIBING, State.LIVE})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is borne, seconds.

    Attributes:
        status_seconds: from open to the first market status.
        silent_seconds: without any frame, ping or pong: the link is dead.
        pulse_seconds: without what had come each second, while the link answers; doubles each time.
        mute_seconds: without data in a session although the link answers; doubles each time that
            a new connection stays mute too, up to ``mute_cap_seconds``.
        closed_mute_seconds: the same while the exchange itself says that it is not trading.
        settle_seconds: from a connection's first data, how long a gap stays open for keys that
            have told nothing yet.
        keys_per_request: most keys in one subscription request.
    """

    status_seconds: float = 10.0
    silent_seconds: float = 4.0
    pulse_seconds: float = 2.4
    mute_seconds: float = 10.0
    mute_cap_seconds: float = 300.0
    closed_mute_seconds: float = 120.0
    settle_seconds: float = 3.0
    keys_per_request: int = 500


@dataclass(frozen=True, slots=True)
class GapOpened:
    """Nothing came for ``keys`` since ``from_at``; told again when more keys are missed."""

    from_at: datetime
    reason: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GapSeen:
    """The feed is back: what lies between was not delivered for ``keys``."""

    from_at: datetime
    to_at: datetime
    reason: str
    epoch: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrameUnreadable:
    """The first frame of this ``kind`` that could not be used."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class WentLive:
    """The first data of this connection arrived."""

    epoch: int


@dataclass(frozen=True, slots=True)
class WentStale:
    """The connection must be given up, because of ``reason``."""

    reason: str


Event = GapOpened | GapSeen | FrameUnreadable | WentLive | WentStale


class FeedSession:
    """What is wanted outlives connections; what is subscribed, seen and alive does not.

    Args:
        codec: the socket's language.
        rules: when the market trades; silence means nothing while it does not.
        data_until: last data frame of an earlier process; the time since is a gap.
        missed_keys: what that process missed by then, whether it is wanted again or not.

    Attributes:
        is_plan_whole: whether what is wanted is all that will be; until then a gap stays open,
            since contracts that wait for a price are missed as well.
        wanted_keys: the keys of ``wanted`` in order.
    """

    def __init__(
        self,
        codec: FeedCodec,
        rules: Rules,
        patience: Patience | None = None,
        data_until: datetime | None = None,
        missed_keys: Collection[str] = (),
    ) -> None:
        self.state = State.IDLE
        self.epoch = 0
        self.frames = 0
        self.unknown_frames = 0
        self.connections = 0
        self.stale_reason: str | None = None
        self.last_frame_at: datetime | None = None
        self.connected_at: datetime | None = None
        self.is_plan_whole = True
        self.wanted_keys: tuple[str, ...] = ()
        self._codec = codec
        self._patience = patience or Patience()
        self._wanted: dict[str, Mode] = {}
        self._missed_keys = tuple(sorted(missed_keys))
        self._unseen: set[str] = set()
        self._unreadable_kinds: set[str] = set()
        self._liveness = Liveness(rules, self._patience)
        self._data_at: datetime | None = None
        self._back_at: datetime | None = None
        self._is_returning = False
        self._gap_from, self._gap_reason = data_until, "restart"
        self._to_send: list[bytes] = []
        self._events: list[Event] = []

    @property
    def wanted(self) -> Mapping[str, Mode]:
        """Every key that the feed should deliver, with its mode."""
        return self._wanted

    @property
    def has_gap(self) -> bool:
        """Whether something is missed that is not back yet."""
        return self._gap_from is not None

    @property
    def subscribed_count(self) -> int:
        """Keys requested on this connection."""
        return len(self._wanted) if self.state in _SUBSCRIBED else 0

    @property
    def never_seen(self) -> Collection[str]:
        """Keys requested on this connection that it has not told anything about."""
        return frozenset(self._unseen) if self.state in _SUBSCRIBED else frozenset()

    @property
    def has_output(self) -> bool:
        """Whether requests or events wait to be fetched."""
        return bool(self._to_send or self._events)

    def want(self, keys: Mapping[str, Mode]) -> None:
        """Make ``keys`` the whole of what is wanted; requests only what changed."""
        before, self._wanted = self._wanted, dict(keys)
        if before.keys() != self._wanted.keys():
            self.wanted_keys = tuple(sorted(keys))
            self._miss_wanted()
        dropped = [key for key in before if key not in keys]
        added = {key: mode for key, mode in keys.items() if before.get(key) is not mode}
        self._unseen.difference_update(dropped)
        if self.state in _SUBSCRIBED:
            self._request(added)
            if dropped:
                self._to_send.append(self._codec.unsubscribe(dropped))

    def connecting(self) -> None:
        """A connection is being attempted."""
        self._move(Input.CONNECT)

    def opened(self, epoch: int, now: datetime) -> None:
        """The socket is open; nothing may be sent before the market status."""
        self._move(Input.OPEN)
        self.epoch = epoch
        self.connections += 1
        self.connected_at = now
        self._liveness.opened(now)
        self.stale_reason = self._data_at = self._back_at = None
        self._is_returning = self._gap_from is not None
        self._unseen = set(self._wanted)

    def received(self, frame: bytes, now: datetime) -> FeedFrame | None:
        """Take one frame; None if it cannot be used (counted, and told once for each kind)."""
        self.frames += 1
        self.last_frame_at = now
        self._liveness.heard(now)
        try:
            decoded = self._codec.decode(frame)
        except FrameError as error:
            self._unreadable(type(error.__cause__ or error).__name__, str(error))
            if error.__cause__:
                self._ticks_spoiled()
            return None
        if decoded.kind is FrameKind.STATUS:
            self._status(decoded)
        elif decoded.keys:
            self._data(decoded, now)
        else:
            self._unreadable("empty", f"a {decoded.kind} frame without keys")
            return None
        return decoded

    def answered(self, now: datetime) -> None:
        """A ping or pong came: the link is alive, whatever the market does."""
        self._liveness.heard(now)

    def time_passes(self, now: datetime) -> None:
        """Judge the silence; a verdict is a ``WentStale`` event."""
        if reason := self._verdict(now):
            self._move(Input.SILENCE)
            self.stale_reason = reason
            self._events.append(WentStale(reason))
        if self._is_returning:
            self._settle(now)

    def lost(self, reason: str) -> None:
        """The connection is gone, or the attempt failed."""
        self._move(Input.LOSS)
        if self._data_at is not None and self._gap_from is None:
            self._open_gap(self._data_at, self.stale_reason or reason)
        self._data_at = None
        self._liveness.lost()
        self._to_send.clear()

    def forget_gap(self) -> None:
        """Whatever was missed is back by other ways: the gap is not this session's any more."""
        self._gap_from, self._missed_keys, self._is_returning = None, (), False

    def data_to_send(self) -> list[bytes]:
        """Requests to put on the socket now, as binary messages."""
        pending, self._to_send = self._to_send, []
        return pending

    def events(self) -> list[Event]:
        """What happened since the last call."""
        pending, self._events = self._events, []
        return pending

    def _move(self, happened: Input) -> None:
        after = MOVES.get((self.state, happened))
        if after is None:
            raise RuntimeError(f"a feed that is {self.state} cannot take {happened}")
        self.state = after

    def _status(self, frame: FeedFrame) -> None:
        is_first = self.state is State.AWAITING_STATUS
        self._move(Input.STATUS)
        self._liveness.statuses(frame.market_status)
        if is_first:
            self._request(self._wanted)

    def _data(self, frame: FeedFrame, now: datetime) -> None:
        was_live = self.state is State.LIVE
        self._move(Input.DATA)
        if self.state is State.STALE:
            # Words of a line that is given up; the silence before them is not undone.
            return
        self._data_at = now
        self._liveness.told(now, is_update=frame.kind is FrameKind.UPDATE)
        if self._unseen:
            self._unseen.difference_update(frame.keys)
        if self.state is State.LIVE and not was_live:
            self._events.append(WentLive(self.epoch))
        self._back_at = self._back_at or now
        self._settle(now)

    def _settle(self, now: datetime) -> None:
        """Close a gap once every key is back, or the rest has been waited for long enough."""
        if self._gap_from is None or self.state is not State.LIVE:
            return
        is_missed = self._is_returning and (self._unseen or not self.is_plan_whole)
        if is_missed and not self._has_passed(self._patience.settle_seconds, self._back_at, now):
            return
        times = self._gap_from, max(now, self._gap_from)
        self._events.append(GapSeen(*times, self._gap_reason, self.epoch, self._missed_keys))
        self.forget_gap()

    def _open_gap(self, from_at: datetime, reason: str) -> None:
        self._gap_from, self._gap_reason, self._missed_keys = from_at, reason, self.wanted_keys
        self._events.append(GapOpened(from_at, reason, self._missed_keys))

    def _miss_wanted(self) -> None:
        """What is wanted while a gap is open is missed as well."""
        missed = tuple(sorted({*self._missed_keys, *self._wanted}))
        if self._gap_from is not None and missed != self._missed_keys:
            self._missed_keys = missed
            self._events.append(GapOpened(self._gap_from, self._gap_reason, self._missed_keys))

    def _ticks_spoiled(self) -> None:
        """Bytes that are no message stand in the place of ticks: a gap until the next data."""
        if self._gap_from is None and self._data_at is not None and self.state is State.LIVE:
            self._open_gap(self._data_at, "unreadable frame")

    def _unreadable(self, kind: str, detail: str) -> None:
        self.unknown_frames += 1
        if kind not in self._unreadable_kinds:
            self._unreadable_kinds.add(kind)
            self._events.append(FrameUnreadable(kind, detail))

    def _request(self, keys: Mapping[str, Mode]) -> None:
        self._unseen.update(keys)
        step = self._patience.keys_per_request
        for mode in Mode:
            chosen = [key for key, wanted in keys.items() if wanted is mode]
            for start in range(0, len(chosen), step):
                self._to_send.append(self._codec.subscribe(chosen[start : start + step], mode))

    def _verdict(self, now: datetime) -> str | None:
        patience = self._patience
        if self.state is State.AWAITING_STATUS and self._has_passed(
            patience.status_seconds, self.connected_at, now
        ):
            return f"no market status within {patience.status_seconds:g} s"
        if self.state not in _SUBSCRIBED:
            return None
        return self._liveness.verdict(now, is_anything_wanted=bool(self._wanted))

    @staticmethod
    def _has_passed(seconds: float, since: datetime | None, now: datetime) -> bool:
        return since is not None and now - since >= timedelta(seconds=seconds)
