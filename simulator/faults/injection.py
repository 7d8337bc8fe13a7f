"""Decides which faults strike what, when: the answers to the shell's questions, and the counts.

No I/O and no clock: the exchange's time is handed in. A share is decided by a number drawn from
(seed, fault, its place in the list, count), so that the same questions in the same order get the
same answers in every process. What a fault does stands in ``answers``,
``tampering`` and ``socket``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import structlog

from simulator.exchange import noise
from simulator.faults.answers import Answer, answer_of, both
from simulator.faults.catalogue import Place
from simulator.faults.fault import Fault
from simulator.faults.tampering import Outgoing, tampered, without_keys

_LOG = structlog.get_logger(__name__)
_ONLY_AT_ONE_TIME_ADDRESS = ("feed_forbidden", "code_reused", "too_many_sockets")
_HANDSHAKE_STATUS = {
    "feed_forbidden": 403,
    "code_reused": 403,
    "unauthorized": 401,
    "handshake_rate_limited": 429,
}


@dataclass(frozen=True, slots=True)
class LineView:
    """A connection as faults see it: its number in order of opening, whose it is, since when."""

    number: int
    user: str
    opened_at: datetime
    followed: Callable[[], Sequence[str]] = tuple


@dataclass(frozen=True, slots=True)
class Orders:
    """What a connection must do and stop doing now.

    Attributes:
        bytes_per_second: how slowly to send; None for as fast as it goes.
        forgets: keys to drop without a word.
        close_code: close with it; None to stay open.
    """

    is_half_open: bool = False
    is_mute: bool = False
    is_quiet: bool = False
    has_no_pings: bool = False
    bytes_per_second: float | None = None
    forgets: tuple[str, ...] = ()
    close_code: int | None = None
    is_reset: bool = False


@dataclass(frozen=True, slots=True)
class FaultState:
    """One fault as it stands: how often it could have struck and how often it did."""

    number: int
    fault: Fault
    is_active: bool
    seen: int
    fired: int


@dataclass(slots=True)
class _Entry:
    """A fault in the list, with what it has done."""

    number: int
    fault: Fault
    added_at: datetime
    seen: int = 0
    fired: int = 0
    struck: dict[tuple[int, datetime | None], bool] = field(default_factory=dict)
    frames: dict[int, int] = field(default_factory=dict)
    held: dict[int, Outgoing] = field(default_factory=dict)
    hidden: dict[str, bool] = field(default_factory=dict)
    calls_at: deque[datetime] = field(default_factory=deque)

    def began_at(self, now: datetime) -> datetime | None:
        return self.fault.began_at(now, self.added_at)


_CALM = Orders()


class Injection:
    """The faults of a running exchange. ``add`` and ``remove`` may be called from any thread.

    Args:
        faults: those from the start; numbered from 1 in their order.
        started_at: the exchange's time now.
        symbol_of: the underlying's symbol of an instrument key, None if unknown.
    """

    def __init__(
        self,
        seed: int,
        faults: Iterable[Fault],
        started_at: datetime,
        symbol_of: Callable[[str], str | None] = lambda _key: None,
    ) -> None:
        self._seed = seed
        self._symbol_of = symbol_of
        self._lock = threading.Lock()
        self._last_number = 0
        self._entries: tuple[_Entry, ...] = ()
        for each in faults:
            self.add(each, started_at)

    def add(self, fault: Fault, now: datetime) -> int:
        """Let ``fault`` strike from now on, if it is its time; returns its number."""
        with self._lock:
            self._last_number += 1
            self._entries = (*self._entries, _Entry(self._last_number, fault, now))
            return self._last_number

    def remove(self, number: int) -> bool:
        """End a fault; False if none has that number."""
        return self._keep(lambda entry: entry.number != number)

    def clear(self) -> None:
        """End every fault."""
        self._keep(lambda _entry: False)

    def has(self, number: int) -> bool:
        """Whether a fault of that number is in the list."""
        return any(entry.number == number for entry in self._entries)

    def states(self, now: datetime) -> list[FaultState]:
        """Every fault, in order of number."""
        return [
            FaultState(e.number, e.fault, e.began_at(now) is not None, e.seen, e.fired)
            for e in self._entries
        ]

    def on_call(self, path: str, keys: Sequence[str], now: datetime) -> Answer | None:
        """What happens to a REST call that names instrument ``keys``; None to serve it."""
        found: Answer | None = None
        for entry in self._active(Place.CALL, now):
            fault = entry.fault
            paths = fault.kind.paths
            is_meant = not paths or any(part in path for part in paths)
            if not (is_meant and self._matches_call(fault, path, keys)):
                continue
            if _is_above_rate(entry, now) and self._draws(entry):
                found = both(found, answer_of(fault.name, fault.arguments, keys))
        return found

    def refuses_token(self, issued_at: datetime, now: datetime) -> bool:
        """Whether a token made at ``issued_at`` is dead."""
        return any(
            issued_at < (entry.began_at(now) or issued_at) and self._draws(entry)
            for entry in self._active(Place.TOKEN, now)
        )

    def on_handshake(self, user: str | None, now: datetime, *, is_one_time: bool) -> int | None:
        """The status to refuse a handshake with, at the direct or the one-time address."""
        for entry in self._active(Place.HANDSHAKE, now):
            fault = entry.fault
            is_meant = is_one_time or fault.name not in _ONLY_AT_ONE_TIME_ADDRESS
            if is_meant and _is_user(fault, user) and self._draws(entry):
                known = _HANDSHAKE_STATUS.get(fault.name)
                return fault.arguments.whole("status") if known is None else known
        return None

    def on_line(self, line: LineView, now: datetime) -> Orders:
        """What one connection must do now."""
        orders = _CALM
        for entry in self._entries:
            fault = entry.fault
            if fault.name == "token_death" and fault.arguments.is_set("cuts_sockets"):
                begun = entry.began_at(now)
                is_hit = begun is not None and line.opened_at < begun
                if is_hit and self._strikes_line(entry, line, begun, is_counted=False):
                    orders = replace(orders, is_reset=True)
            elif fault.kind.place is Place.LINE and _is_user_or_key(fault, line.user):
                orders = self._order(orders, entry, line, now)
        return orders

    def on_frame(self, line: LineView, frame: bytes, now: datetime) -> Sequence[Outgoing]:
        """What is sent in place of ``frame``: nothing, itself, something else, or more."""
        sent: Sequence[Outgoing] = (Outgoing(frame),)
        for entry in self._entries:
            if entry.fault.kind.place is Place.FRAME:
                is_active = entry.began_at(now) is not None
                sent = [out for each in sent for out in self._struck(entry, line, each, is_active)]
        return sent

    def forget(self, line: LineView) -> None:
        """The connection is gone."""
        for entry in self._entries:
            entry.frames.pop(line.number, None)
            entry.held.pop(line.number, None)
            for struck in [s for s in entry.struck if s[0] == line.number]:
                del entry.struck[struck]

    def _keep(self, is_kept: Callable[[_Entry], bool]) -> bool:
        with self._lock:
            kept = tuple(entry for entry in self._entries if is_kept(entry))
            has_changed = len(kept) < len(self._entries)
            self._entries = kept
        return has_changed

    def _active(self, place: Place, now: datetime) -> Iterable[_Entry]:
        for entry in self._entries:
            if entry.fault.kind.place is place and entry.began_at(now) is not None:
                yield entry

    def _matches_call(self, fault: Fault, path: str, keys: Sequence[str]) -> bool:
        return all(
            path.startswith(wanted) if wanted.startswith("/") else self._names(wanted, keys)
            for wanted in fault.match
        )

    def _names(self, wanted: str, keys: Sequence[str]) -> bool:
        return any(wanted in (key, self._symbol_of(key)) for key in keys)

    def _draws(self, entry: _Entry, *where: object) -> bool:
        """Count a chance to strike and decide it; a fault used up strikes no more."""
        entry.seen += 1
        return self._is_hit(entry, entry.seen, *where) and self._fire(entry)

    def _is_hit(self, entry: _Entry, count: int, *where: object) -> bool:
        share = entry.fault.share
        if share >= 1.0:
            return True
        drawn = noise.stream(self._seed, "fault", entry.fault.name, entry.number, *where)
        streams = np.array([drawn], np.uint64)
        return bool(noise.uniform(streams, np.array([count], np.int64))[0] < share)

    def _fire(self, entry: _Entry) -> bool:
        if entry.fault.times is not None and entry.fired >= entry.fault.times:
            return False
        entry.fired += 1
        log = _LOG.debug if entry.fault.kind.place is Place.FRAME else _LOG.info
        log("fault_fired", fault=entry.fault.name, number=entry.number, count=entry.fired)
        return True

    def _order(self, orders: Orders, entry: _Entry, line: LineView, now: datetime) -> Orders:
        fault, begun = entry.fault, entry.began_at(now)
        if begun is None:
            return orders
        if not fault.kind.is_event:
            is_struck = self._strikes_line(entry, line, None)
            return _lasting(orders, fault) if is_struck else orders
        age = timedelta(seconds=fault.arguments.number("age_seconds"))
        is_late = fault.is_instant and line.opened_at >= begun
        if (
            is_late
            or now < max(begun, line.opened_at) + age
            or (line.number, begun) in entry.struck
        ):
            return orders
        if fault.name == "silent_unsubscribe":
            return self._unsubscribe(orders, entry, line, begun)
        is_struck = self._strikes_line(entry, line, begun)
        return _ended(orders, fault) if is_struck else orders

    def _strikes_line(
        self,
        entry: _Entry,
        line: LineView,
        begun: datetime | None,
        *,
        is_counted: bool = True,
    ) -> bool:
        """Decide once for a connection (and a beginning, of an event)."""
        known = entry.struck.get((line.number, begun))
        if known is not None:
            return known
        if is_counted:
            entry.seen += 1
        is_struck = self._is_hit(entry, line.number) and (not is_counted or self._fire(entry))
        entry.struck[line.number, begun] = is_struck
        return is_struck

    def _unsubscribe(
        self, orders: Orders, entry: _Entry, line: LineView, begun: datetime
    ) -> Orders:
        keys = self._matching_keys(entry.fault, line.followed())
        if not keys:
            return orders
        entry.struck[line.number, begun] = True
        entry.seen += len(keys)
        lost = [k for k in keys if self._is_hit(entry, line.number, k) and self._fire(entry)]
        return replace(orders, forgets=(*orders.forgets, *lost))

    def _matching_keys(self, fault: Fault, keys: Sequence[str]) -> list[str]:
        return [key for key in keys if all(self._names(m, (key,)) for m in fault.match)]

    def _struck(
        self, entry: _Entry, line: LineView, out: Outgoing, is_active: bool
    ) -> Sequence[Outgoing]:
        held = entry.held.pop(line.number, None)
        if held is not None:
            return (out, held)
        fault = entry.fault
        if not is_active or out.is_text:
            return (out,)
        if fault.name == "never_seen":
            return without_keys(out.data, lambda key: self._is_hidden(entry, key))
        if not _is_user_or_key(fault, line.user) or not self._draws_frame(entry, line):
            return (out,)
        if fault.name == "out_of_order":
            entry.held[line.number] = out
            return ()
        return tampered(fault.name, fault.arguments, out.data)

    def _draws_frame(self, entry: _Entry, line: LineView) -> bool:
        count = entry.frames.get(line.number, 0) + 1
        entry.frames[line.number] = count
        entry.seen += 1
        return self._is_hit(entry, count, line.number) and self._fire(entry)

    def _is_hidden(self, entry: _Entry, key: str) -> bool:
        if key not in entry.hidden:
            is_meant = bool(self._matching_keys(entry.fault, (key,)))
            entry.hidden[key] = is_meant and self._draws_key(entry, key)
        return entry.hidden[key]

    def _draws_key(self, entry: _Entry, key: str) -> bool:
        entry.seen += 1
        return self._is_hit(entry, 0, key) and self._fire(entry)


def _is_user(fault: Fault, user: str | None) -> bool:
    return all(user == wanted for wanted in fault.match)


def _is_user_or_key(fault: Fault, user: str) -> bool:
    """Whether the fault is for this user; where it is for keys, those are looked at later."""
    return fault.kind.shares == "keys" or _is_user(fault, user)


def _is_above_rate(entry: _Entry, now: datetime) -> bool:
    """Whether this call is one too many, of a fault that has a rate; True for any other."""
    if entry.fault.name != "throttled_empty":
        return True
    calls, arguments = entry.calls_at, entry.fault.arguments
    calls.append(now)
    while calls and calls[0] <= now - timedelta(seconds=arguments.number("seconds")):
        calls.popleft()
    return len(calls) > arguments.whole("calls")


def _lasting(orders: Orders, fault: Fault) -> Orders:
    if fault.name == "half_open":
        return replace(orders, is_half_open=True)
    if fault.name == "mute":
        return replace(orders, is_mute=True)
    if fault.name == "quiet":
        return replace(orders, is_quiet=True)
    if fault.name == "no_pings":
        return replace(orders, has_no_pings=True)
    rate = fault.arguments.number("bytes_per_second")
    return replace(orders, bytes_per_second=min(rate, orders.bytes_per_second or rate))


def _ended(orders: Orders, fault: Fault) -> Orders:
    if fault.name == "reset":
        return replace(orders, is_reset=True)
    return replace(orders, close_code=fault.arguments.whole("code"))
