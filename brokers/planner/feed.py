"""Which instrument on which socket in which mode, so that expected staleness is least.

Pure: carrying a plan out belongs to ``streaming``. Three steps, each small enough to reason about:

1. The few ways to use the sockets (each for one mode alone, or for several) are compared by the
   staleness that is left when the heaviest instruments get the modes that tell most.
2. Those modes are given out, heaviest first; what finds no room is polled over REST.
3. Each instrument goes to its home socket. Homes are dealt out by weight, one by one, so the call
   and the put of a strike, and the spot and the future of an index, come to lie apart: a socket
   that dies takes half of each pair and no whole symbol, and what is left still prices the rest
   (parity). While a home is dead its instruments stay elsewhere, as far as there is room.

A plan always fits. It changes only where that pays: see ``_INERTIA`` and ``_KEEPS_USES``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from brokers.interface import Capabilities, Instrument, Mode
from brokers.planner import uses
from brokers.planner.candidates import Candidate, Wanted, wanted
from brokers.planner.uses import MODES, Uses
from market.contract import Kind

# How much heavier an instrument counts for each mode that it has above none, so that it is not
# pushed out by one that is hardly heavier.
_INERTIA = 0.1
_RANKS = {Mode.LTP: 1, Mode.GREEKS: 2, Mode.FULL: 3}


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """What one socket subscribes; ``by_mode`` has the heaviest instruments first."""

    index: int
    by_mode: Mapping[Mode, tuple[Instrument, ...]]

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All of them, whatever the mode."""
        return tuple(i for planned in self.by_mode.values() for i in planned)


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What the sockets subscribe, and what is left to REST.

    Attributes:
        sockets: one for each connection that the account allows, dead ones with nothing.
        polled: instruments without a socket, heaviest first.
        without_price: symbols whose contracts wait for a first price of the underlying.
        money: the strike (₹) around which each symbol's options were chosen.
        tiers: 0 for indices, 1 for the first stocks, 2 for the rest, by symbol.
        uses: for what each socket is used.
        homes: the socket that each key belongs on, also while that one is dead.
        alive: the sockets that could be used.
        staleness_seconds: expected staleness, weighted over all that is wanted.
        polled_staleness_seconds: the same if there were no socket at all.
    """

    sockets: tuple[SocketPlan, ...]
    polled: tuple[Instrument, ...] = ()
    without_price: tuple[str, ...] = ()
    money: Mapping[str, float] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=dict)
    uses: tuple[Uses, ...] = ()
    homes: Mapping[str, int] = field(default_factory=dict)
    alive: frozenset[int] = frozenset()
    staleness_seconds: float = 0.0
    polled_staleness_seconds: float = 0.0
    capabilities: Capabilities | None = None

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All that is on a socket."""
        return tuple(i for socket in self.sockets for i in socket.instruments)

    def keys(self, mode: Mode) -> tuple[str, ...]:
        """The broker keys in ``mode``, of all sockets."""
        return tuple(i.broker_key for s in self.sockets for i in s.by_mode.get(mode, ()))

    def wanted(self, index: int) -> dict[str, Mode]:
        """What one socket subscribes, by broker key; nothing for a socket that is not planned."""
        if not 0 <= index < len(self.sockets):
            return {}
        by_mode = self.sockets[index].by_mode
        return {i.broker_key: mode for mode, planned in by_mode.items() for i in planned}


@dataclass(frozen=True, slots=True)
class _Before:
    """The last plan by key."""

    modes: Mapping[str, Mode]
    sockets: Mapping[str, int]
    instruments: Mapping[str, Instrument]


def feed_plan(
    instruments: Sequence[Instrument],
    spots: Mapping[str, float],
    strikes_each_side: int,
    today: date,
    capabilities: Capabilities,
    *,
    previous: FeedPlan | None = None,
    alive: Collection[int] | None = None,
    priorities: Sequence[str] = (),
) -> FeedPlan:
    """Every underlying, near futures of indices, and options around the money, as far as they fit.

    Options of the last plan that are no longer near the money stay subscribed while there is room:
    the spot may come back, and their prices go on.

    Args:
        instruments: as listed by the broker; what is not in it any more is dropped.
        spots: ₹ by symbol; a symbol without a price gets its spot and future only.
        today: exchange date (IST); contracts that expire today are still planned.
        previous: the plan to change as little as pays; None at the start and on a new day.
        alive: indices of the sockets that can be used; None for all.
        priorities: symbols, the most important first; indices come before them anyway.
    """
    chosen = wanted(
        instruments,
        spots,
        strikes_each_side,
        today,
        priorities,
        previous.money if previous else None,
    )
    living = _living(capabilities, alive)
    before = _before(previous)
    ordered = _with_inertia(chosen.candidates, before)
    layout = uses.choose(ordered, capabilities, living, previous.uses if previous else ())
    room = uses.Room(capabilities, layout, living)
    modes = uses.give_modes(ordered, room.totals())
    kept = _kept(instruments, chosen, before, today)
    modes |= uses.give_modes(kept, _left(room.totals(), modes))
    old_homes = previous.homes if previous else {}
    served = [c for c in (*ordered, *kept) if c.instrument.broker_key in modes]
    homes = _homes(served, room, old_homes, capabilities.sockets)
    placed, homes = _place(served, modes, room, homes, before)
    return FeedPlan(
        sockets=_sockets((*chosen.candidates, *kept), capabilities.sockets, modes, placed),
        polled=tuple(
            c.instrument for c in chosen.candidates if c.instrument.broker_key not in placed
        ),
        without_price=chosen.without_price,
        money=chosen.money,
        tiers={c.instrument.contract.symbol: c.tier for c in chosen.candidates},
        uses=layout,
        homes={**_still_wanted(old_homes, chosen), **homes},
        alive=living,
        staleness_seconds=uses.staleness(chosen.candidates, modes),
        polled_staleness_seconds=uses.staleness(chosen.candidates, {}),
        capabilities=capabilities,
    )


def _living(capabilities: Capabilities, alive: Collection[int] | None) -> frozenset[int]:
    every = range(capabilities.sockets)
    return frozenset(every if alive is None else (i for i in every if i in alive))


def _before(previous: FeedPlan | None) -> _Before:
    planned = [
        (instrument, mode, socket.index)
        for socket in (previous.sockets if previous else ())
        for mode, on_it in socket.by_mode.items()
        for instrument in on_it
    ]
    return _Before(
        {i.broker_key: mode for i, mode, _ in planned},
        {i.broker_key: index for i, _, index in planned},
        {i.broker_key: i for i, _, _ in planned},
    )


def _with_inertia(candidates: Sequence[Candidate], before: _Before) -> list[Candidate]:
    """Heaviest first, each counted a little heavier for the mode that it has already."""

    def heft(candidate: Candidate) -> float:
        mode = before.modes.get(candidate.instrument.broker_key)
        return -candidate.weight * (1 + _INERTIA * (_RANKS[mode] if mode else 0))

    return sorted(candidates, key=heft)


def _kept(
    instruments: Sequence[Instrument], chosen: Wanted, before: _Before, today: date
) -> list[Candidate]:
    """What was subscribed and is still listed, but is no longer wanted."""
    wanted_keys = {c.instrument.broker_key for c in chosen.candidates}
    listed = {i.broker_key: i for i in instruments if i.broker_key in before.instruments}
    return [
        Candidate(instrument, 2, 0.0)
        for key, instrument in sorted(before.instruments.items())
        if key not in wanted_keys and listed.get(key) == instrument and _lives(instrument, today)
    ]


def _lives(instrument: Instrument, today: date) -> bool:
    expiry = instrument.contract.expiry
    return expiry is None or expiry >= today


def _left(totals: Mapping[Mode, int], given: Mapping[str, Mode]) -> dict[Mode, int]:
    taken = list(given.values())
    return {mode: room - taken.count(mode) for mode, room in totals.items()}


def _place(
    candidates: Sequence[Candidate],
    modes: Mapping[str, Mode],
    room: uses.Room,
    homes: Mapping[str, int],
    before: _Before,
) -> tuple[dict[str, int], dict[str, int]]:
    """The socket of each key, heaviest first; and the homes as they are then."""
    placed: dict[str, int] = {}
    settled: dict[str, int] = {}
    for candidate in candidates:
        key = candidate.instrument.broker_key
        home = homes[key]
        liked = home, before.sockets.get(key, home)
        placed[key] = room.take(modes[key], candidate.weight, liked)
        # A living home without room for the mode is a home no more.
        settled[key] = placed[key] if home in room.alive else home
    return placed, settled


def _still_wanted(homes: Mapping[str, int], chosen: Wanted) -> dict[str, int]:
    """Homes of what is polled for now, for its way back."""
    keys = (c.instrument.broker_key for c in chosen.candidates)
    return {key: homes[key] for key in keys if key in homes}


def _homes(
    candidates: Sequence[Candidate], room: uses.Room, old: Mapping[str, int], sockets: int
) -> dict[str, int]:
    """A home for each key: the old one, else the emptiest that its other half is not on."""
    keys = [c.instrument.broker_key for c in candidates]
    homes = {key: home for key in keys if (home := old.get(key, sockets)) < sockets}
    halves: dict[tuple[object, ...], int] = {}
    for candidate, key in zip(candidates, keys, strict=True):
        if key in homes:
            room.settle(homes[key], candidate.weight)
            halves[_half_of(candidate.instrument)] = homes[key]
    for candidate, key in zip(candidates, keys, strict=True):
        if key not in homes:
            half = _half_of(candidate.instrument)
            homes[key] = room.emptiest_home(halves.get(half))
            room.settle(homes[key], candidate.weight)
            halves[half] = homes[key]
    return homes


def _half_of(instrument: Instrument) -> tuple[object, ...]:
    """What the call and the put of a strike share, or the spot and the future of an index."""
    contract = instrument.contract
    if contract.kind is Kind.OPTION:
        return contract.symbol, contract.expiry, contract.strike
    return (contract.symbol,)


def _sockets(
    candidates: Sequence[Candidate],
    count: int,
    modes: Mapping[str, Mode],
    placed: Mapping[str, int],
) -> tuple[SocketPlan, ...]:
    on: list[dict[Mode, list[Instrument]]] = [{} for _ in range(count)]
    for candidate in candidates:
        key = candidate.instrument.broker_key
        if key in placed:
            on[placed[key]].setdefault(modes[key], []).append(candidate.instrument)
    return tuple(
        SocketPlan(index, {mode: tuple(by[mode]) for mode in MODES if mode in by})
        for index, by in enumerate(on)
    )
