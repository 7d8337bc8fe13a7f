"""Where prices come from: which sockets have to be replaced by quotes over REST, and since when.

Pure: what the sockets do and ``now`` in; calls to make and events out. ``hybrid`` asks for the keys
of a socket that is dead, and hands back when it delivers again; ``rest`` asks for everything;
``shadow`` does as ``hybrid`` and slowly asks for the rest too, so that both can be compared.
When a batch is due is decided in ``polling``, calls and the journal belong to ``rest_feed``, the
comparison to ``parity``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import zip_longest

from brokers.planner.polling import Pace, periods
from streaming.polling import Ask, Poller, Purpose, Wish, cut

_UNIX_START = datetime(1970, 1, 1, tzinfo=UTC)


class PriceMode(StrEnum):
    """Which source of prices is used."""

    HYBRID = "hybrid"
    REST = "rest"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class FallbackConfig:
    """How long a socket is waited for, seconds, and how fast quotes are asked for.

    Attributes:
        takeover_seconds: without a live socket before its keys are asked for.
        steady_seconds: that a socket must deliver before its keys are handed back to it.
        settle_seconds: that a socket may take to tell every key; those that it has not told by then
            are asked for although it is live.
        stall_seconds: without data from a live socket before it counts as dead; doubles with each
            time that it was merely quiet, up to ``stall_cap_seconds``.
        pace: of takeover and of ``rest``; ``shadow_pace``: of comparing.
        keys_per_call, characters_per_call: most keys of one call, and how long they may be in its
            address; common servers take 8 kB. 500 contracts fit, of shares 365.
        sampled_seconds: how often it is told that what no socket delivers was only sampled.
    """

    mode: PriceMode = PriceMode.HYBRID
    takeover_seconds: float = 3.0
    steady_seconds: float = 2.0
    settle_seconds: float = 10.0
    stall_seconds: float = 4.0
    stall_cap_seconds: float = 64.0
    pace: Pace = field(default_factory=lambda: Pace(30, 5))
    shadow_pace: Pace = field(default_factory=lambda: Pace(6, 15))
    keys_per_call: int = 500
    characters_per_call: int = 8_050
    sampled_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class SocketView:
    """What one socket should deliver and whether it does.

    Attributes:
        name: stays the same over reconnections.
        keys: in the order of importance.
        unseen: keys that this connection has not told anything about.
        last_data_at: its last frame (aware); None: its silence is not judged here.
    """

    name: str
    keys: Sequence[str]
    is_live: bool
    unseen: Collection[str] = ()
    last_data_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PollGroup:
    """Keys that no socket delivers, asked for again and again in any mode."""

    keys: Sequence[str]
    period_seconds: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What there is to decide on, at one moment."""

    is_market_open: bool
    sockets: Sequence[SocketView]
    always: Sequence[PollGroup] = ()


@dataclass(frozen=True, slots=True)
class TookOver:
    """The socket does not deliver since ``dead_since``: its keys are asked for over REST."""

    socket: str
    dead_since: datetime
    key_count: int
    reason: str


@dataclass(frozen=True, slots=True)
class HandedBack:
    """REST no longer stands in for the socket, because of ``reason``."""

    socket: str
    taken_over_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Sampled:
    """The prices of ``keys`` came over REST alone; the ticks between the answers were not seen."""

    from_at: datetime
    to_at: datetime
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeysRefused:
    """The broker does not know these keys; they are left out from now on."""

    keys: tuple[str, ...]


Event = TookOver | HandedBack | Sampled | KeysRefused


@dataclass(slots=True)
class _Socket:
    dead_since: datetime | None = None
    steady_since: datetime | None = None
    taken_over_at: datetime | None = None
    stalls: int = 0


class Fallback:
    """Decides at each step what to ask; the caller reports how each call ended.

    Attributes:
        is_polling: whether anything is to be asked for again at the moment.
        calls_per_minute: what the present wishes cost.
    """

    def __init__(self, config: FallbackConfig | None = None) -> None:
        self.is_polling = False
        self.calls_per_minute = 0.0
        self._config = config or FallbackConfig()
        self._poller = Poller()
        self._sockets: dict[str, _Socket] = {}
        self._open_since: datetime | None = None
        self._sampled_from: datetime | None = None
        self._told: set[str] = set()
        self._events: list[Event] = []

    @property
    def taken_over(self) -> tuple[str, ...]:
        """Names of the sockets that REST stands in for."""
        return tuple(n for n, s in self._sockets.items() if s.taken_over_at is not None)

    @property
    def refused(self) -> Collection[str]:
        """Keys that the broker does not know."""
        return self._poller.refused

    def step(self, situation: Situation, now: datetime) -> list[Ask]:
        """Judge the sockets; the calls to make now. Call a few times a second."""
        self._follow_hours(situation.is_market_open, now)
        self._forget({view.name for view in situation.sockets})
        for view in situation.sockets:
            self._judge(view, now)
        wishes = self._wishes(situation, now)
        self._note_sampling(situation, now)
        self.is_polling = bool(wishes)
        self.calls_per_minute = sum(60 / wish.period_seconds for wish in wishes)
        return self._poller.due(wishes, now)

    def answered(self, ask: Ask) -> None:
        """The broker told what was asked."""
        self._told.update(ask.keys)
        if bad := self._poller.answered(ask):
            self._events.append(KeysRefused(bad))

    def delayed(self, ask: Ask) -> None:
        """The budget had no room: asked again after the batch's period."""
        self._poller.delayed(ask)

    def failed(self, ask: Ask) -> None:
        """The call failed: asked again later and later."""
        self._poller.failed(ask)

    def rejected(self, ask: Ask) -> None:
        """The broker refused the call as a whole: the bad key is looked for."""
        self._poller.rejected(ask)
        if len(ask.keys) == 1:
            self._told.update(ask.keys)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        pending, self._events = self._events, []
        return pending

    def _follow_hours(self, is_market_open: bool, now: datetime) -> None:
        if is_market_open == (self._open_since is not None):
            return
        self._open_since = now if is_market_open else None
        # Closing prices are asked for once, by whatever is asked for at all.
        self._told.clear()

    def _forget(self, names: Collection[str]) -> None:
        self._sockets = {name: self._sockets.get(name, _Socket()) for name in names}

    def _judge(self, view: SocketView, now: datetime) -> None:
        socket = self._sockets[view.name]
        if self._config.mode is PriceMode.REST or not view.keys or self._open_since is None:
            is_closed = self._open_since is None
            self._hand_back(view, "market closed" if is_closed else "nothing is wanted of it")
            self._sockets[view.name] = _Socket()
            return
        reason = self._why_dead(view, socket, self._open_since, now)
        if reason is None:
            self._deliver(view, socket, now)
        else:
            self._miss(view, socket, reason, now)

    def _why_dead(
        self, view: SocketView, socket: _Socket, open_since: datetime, now: datetime
    ) -> str | None:
        if not view.is_live:
            socket.stalls = 0
            return "not live"
        if view.last_data_at is None:
            return None
        if socket.taken_over_at is not None and view.last_data_at <= socket.taken_over_at:
            return "live but silent since the takeover"
        config = self._config
        seconds = min(
            config.stall_seconds * 2.0 ** min(socket.stalls, 16), config.stall_cap_seconds
        )
        # A new session does not reproach anyone with the quiet before it.
        silent = now - max(view.last_data_at, open_since)
        return f"live but silent for {seconds:g} s" if silent.total_seconds() > seconds else None

    def _miss(self, view: SocketView, socket: _Socket, reason: str, now: datetime) -> None:
        socket.steady_since = None
        is_stall = view.is_live and view.last_data_at is not None
        if socket.dead_since is None:
            socket.dead_since = view.last_data_at if is_stall and view.last_data_at else now
        if socket.taken_over_at is not None:
            return
        if is_stall or _has_passed(self._config.takeover_seconds, socket.dead_since, now):
            socket.stalls += is_stall
            socket.taken_over_at = now
            count = len(view.keys)
            self._events.append(TookOver(view.name, socket.dead_since, count, reason))

    def _deliver(self, view: SocketView, socket: _Socket, now: datetime) -> None:
        socket.dead_since = None
        socket.steady_since = socket.steady_since or now
        if socket.taken_over_at is None:
            return
        config = self._config
        # A snapshot that lacks keys is waited for; a socket that comes and goes is not trusted.
        seconds = config.settle_seconds if view.unseen else config.steady_seconds
        if _has_passed(seconds, socket.steady_since, now):
            self._hand_back(view, "live and whole" if not view.unseen else "live but for some keys")

    def _hand_back(self, view: SocketView, reason: str) -> None:
        socket = self._sockets[view.name]
        if socket.taken_over_at is not None:
            self._events.append(HandedBack(view.name, socket.taken_over_at, reason))
            socket.taken_over_at = None

    def _wishes(self, situation: Situation, now: datetime) -> list[Wish]:
        mode, pace = self._config.mode, self._config.pace
        is_rest = mode is PriceMode.REST
        wanted = {
            view.name: tuple(view.keys) if is_rest else self._missing(view, now)
            for view in situation.sockets
        }
        purpose = Purpose.REST if is_rest else Purpose.TAKEOVER
        wishes = [*self._batches(purpose, wanted, pace), *self._groups(situation.always)]
        if self._open_since is None:
            return list(_untold(wishes, self._told))
        if mode is PriceMode.SHADOW:
            rest = {v.name: tuple(v.keys) for v in situation.sockets if not wanted[v.name]}
            wishes += self._batches(Purpose.SHADOW, rest, self._config.shadow_pace)
        return wishes

    def _missing(self, view: SocketView, now: datetime) -> tuple[str, ...]:
        """What a socket does not deliver: everything, nothing, or what it never told."""
        socket = self._sockets[view.name]
        if socket.taken_over_at is not None:
            return tuple(view.keys)
        if not view.unseen or not _has_passed(
            self._config.settle_seconds, socket.steady_since, now
        ):
            return ()
        return tuple(key for key in view.keys if key in view.unseen)

    def _batches(
        self, purpose: Purpose, wanted: dict[str, tuple[str, ...]], pace: Pace
    ) -> list[Wish]:
        """Every socket's first batch before any socket's second, so that rank is importance."""
        columns = [
            [(f"{purpose}/{name}/{n}", keys) for n, keys in enumerate(self._cut(told))]
            for name, told in wanted.items()
        ]
        ranked = [batch for rank in zip_longest(*columns) for batch in rank if batch]
        due = periods(len(ranked), pace)
        return [
            Wish(name, keys, seconds, purpose)
            for (name, keys), seconds in zip(ranked, due, strict=True)
        ]

    def _groups(self, groups: Sequence[PollGroup]) -> list[Wish]:
        return [
            Wish(f"{Purpose.ALWAYS}/{g}/{n}", keys, group.period_seconds, Purpose.ALWAYS)
            for g, group in enumerate(groups)
            for n, keys in enumerate(self._cut(group.keys))
        ]

    def _cut(self, keys: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        return cut(tuple(keys), self._config.keys_per_call, self._config.characters_per_call)

    def _note_sampling(self, situation: Situation, now: datetime) -> None:
        """Tell at intervals, and at the close, that what was only polled has been sampled."""
        since = self._sampled_from
        period = timedelta(seconds=self._config.sampled_seconds)
        # Whole periods, so that what is told is complete when a window ends.
        until = now - (now - _UNIX_START) % period if situation.is_market_open else now
        if since is not None and until > since:
            if keys := self._sampled_keys(situation):
                self._events.append(Sampled(since, until, keys))
            since = until
        self._sampled_from = (since or now) if situation.is_market_open else None

    def _sampled_keys(self, situation: Situation) -> tuple[str, ...]:
        on_sockets = situation.sockets if self._config.mode is PriceMode.REST else ()
        groups = [view.keys for view in on_sockets] + [group.keys for group in situation.always]
        return tuple(key for keys in groups for key in keys)


def _untold(wishes: Iterable[Wish], told: Collection[str]) -> Iterable[Wish]:
    for wish in wishes:
        if keys := tuple(key for key in wish.keys if key not in told):
            yield replace(wish, keys=keys)


def _has_passed(seconds: float, since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since >= timedelta(seconds=seconds)
