"""For what the sockets are used, how much room that makes, and who gets which mode.

A connection (or, where the limits hold for the user, all of them together) may carry many keys of
one mode, or fewer of each of several. How an instrument comes to its socket stands in
``feed``; what it weighs, in ``candidates``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, product

from brokers.interface import Capabilities, Mode
from brokers.planner.candidates import Candidate

# Most telling first.
MODES = (Mode.FULL, Mode.GREEKS, Mode.LTP)
Uses = tuple[Mode, ...]
_ALL_USES: tuple[Uses, ...] = ((Mode.FULL,), (Mode.GREEKS,), (Mode.LTP,), MODES)

# What a reader waits for, as shares: the price; the best bid and ask, open interest, volatility and
# volume; depth, average price and the day's range.
_PRICE, _QUOTE, _DAY = 0.6, 0.3, 0.1
# How old each is on average when it is pushed, when the price is polled, when only chains tell it.
PUSHED_SECONDS, POLLED_SECONDS, CHAIN_SECONDS = 0.3, 15.0, 150.0
_STALENESS = {
    None: _PRICE * POLLED_SECONDS + (_QUOTE + _DAY) * CHAIN_SECONDS,
    Mode.LTP: _PRICE * PUSHED_SECONDS + (_QUOTE + _DAY) * CHAIN_SECONDS,
    Mode.GREEKS: (_PRICE + _QUOTE) * PUSHED_SECONDS + _DAY * CHAIN_SECONDS,
    Mode.FULL: PUSHED_SECONDS,
}
# An index has a price and a day's range, and the latter follows from the former.
_INDEX_STALENESS = {
    None: POLLED_SECONDS,
    Mode.LTP: PUSHED_SECONDS,
    Mode.GREEKS: PUSHED_SECONDS,
    Mode.FULL: PUSHED_SECONDS,
}
# New uses drop whole sockets' subscriptions, so they must be better by this factor.
_KEEPS_USES = 1.05


class Room:
    """What is still free on each living socket, while places are given out."""

    def __init__(
        self, capabilities: Capabilities, layout: Sequence[Uses], alive: frozenset[int]
    ) -> None:
        self.alive = alive
        self._shared = not capabilities.is_per_socket
        self._free = {i: _limits(capabilities, layout[i]) for i in sorted(alive)}
        self._loads = dict.fromkeys(self._free, 0.0)
        self._home_loads = [0.0] * capabilities.sockets
        if self._shared and self._free:
            # One table for all: a key on any socket is a key of the user.
            common = next(iter(self._free.values()))
            self._free = dict.fromkeys(self._free, common)

    def totals(self) -> dict[Mode, int]:
        """Keys that fit in each mode, over all living sockets."""
        if self._shared:
            return dict(next(iter(self._free.values()), {}))
        return {m: sum(free.get(m, 0) for free in self._free.values()) for m in MODES}

    def left(self, index: int) -> dict[str, int]:
        """Keys that still fit on one socket in each mode; nothing on a dead one."""
        return {str(mode): count for mode, count in self._free.get(index, {}).items()}

    def emptiest_home(self, not_on: int | None = None) -> int:
        """The socket, dead or alive, that the least weight belongs to; another than ``not_on``."""
        every = [i for i in range(len(self._home_loads)) if i != not_on]
        return min(every or [0], key=self._home_loads.__getitem__)

    def settle(self, home: int, weight: float) -> None:
        """Note that an instrument belongs to ``home``."""
        self._home_loads[home] += _load(weight)

    def take(self, mode: Mode, weight: float, liked: Iterable[int]) -> int:
        """The first socket of ``liked`` that has room for the mode, else the one with least load.

        There must be room somewhere: modes are given out within ``totals``.
        """
        fitting = [i for i, free in self._free.items() if free.get(mode, 0) > 0]
        place = next((i for i in liked if i in fitting), None)
        if place is None:
            place = min(fitting, key=self._loads.__getitem__)
        self._free[place][mode] -= 1
        self._loads[place] += _load(weight)
        return place


def choose(
    candidates: Sequence[Candidate],
    capabilities: Capabilities,
    alive: frozenset[int],
    previous: Sequence[Uses] = (),
) -> tuple[Uses, ...]:
    """For what each socket is used: the old uses, or those that are clearly better.

    Args:
        candidates: heaviest first.
    """
    options = _layouts(capabilities, alive, previous)
    bill = _Bill(candidates)
    totals = {o: Room(capabilities, o, alive).totals() for o in options}
    costs = {layout: bill.cost(totals[layout]) for layout in options}
    best = min(options, key=lambda layout: (round(costs[layout], 6), _variety(layout)))
    old = tuple(previous)
    return old if old in costs and costs[old] <= _KEEPS_USES * costs[best] else best


def give_modes(candidates: Sequence[Candidate], totals: Mapping[Mode, int]) -> dict[str, Mode]:
    """The mode of each key: the most telling that has room, heaviest first; none if none has.

    An index's spot gains nothing from more than its price, so it takes the least telling mode that
    has room, before the others; and the most telling one if that is free in the end.
    """
    free = dict(totals)
    given: dict[str, Mode] = {}
    # In an order that does not depend on the modes they had, or they would swap them for ever.
    indices = sorted(
        (c for c in candidates if c.is_index_spot),
        key=lambda c: (-c.weight, c.instrument.broker_key),
    )
    for candidate in indices:
        _give(candidate, tuple(reversed(MODES)), free, given)
    for candidate in candidates:
        if not candidate.is_index_spot:
            _give(candidate, MODES, free, given)
    for candidate in indices:
        old = given.get(candidate.instrument.broker_key)
        if old not in {None, Mode.FULL} and free.get(Mode.FULL, 0) > 0:
            _give(candidate, (Mode.FULL,), free, given)
    return given


def staleness(candidates: Iterable[Candidate], modes: Mapping[str, Mode]) -> float:
    """Expected age in seconds of what readers wait for, averaged by weight; 0 of nothing."""
    total = weights = 0.0
    for candidate in candidates:
        mode = modes.get(candidate.instrument.broker_key)
        total += candidate.weight * _ages(candidate)[mode]
        weights += candidate.weight
    return total / weights if weights else 0.0


def _give(
    candidate: Candidate, modes: Sequence[Mode], free: dict[Mode, int], given: dict[str, Mode]
) -> None:
    for mode in modes:
        if free.get(mode, 0) > 0:
            free[mode] -= 1
            given[candidate.instrument.broker_key] = mode
            return


def _ages(candidate: Candidate) -> Mapping[Mode | None, float]:
    return _INDEX_STALENESS if candidate.is_index_spot else _STALENESS


def _limits(capabilities: Capabilities, used: Uses) -> dict[Mode, int]:
    limits = capabilities.keys_alone if len(used) == 1 else capabilities.keys_combined
    return {mode: limits.get(mode, 0) for mode in used}


def _layouts(
    capabilities: Capabilities, alive: frozenset[int], previous: Sequence[Uses]
) -> list[tuple[Uses, ...]]:
    """Every way to use the living sockets; a dead one keeps what it was used for."""
    every = range(capabilities.sockets)
    if not capabilities.is_per_socket:
        return [tuple(used for _ in every) for used in _ALL_USES]
    known = tuple(previous) if len(previous) == capabilities.sockets else ()
    asleep = {i: known[i] if known else _ALL_USES[0] for i in every if i not in alive}
    living = sorted(alive)
    return [
        tuple(({**asleep, **dict(zip(living, used, strict=True))})[i] for i in every)
        for used in product(_ALL_USES, repeat=len(living))
    ]


def _variety(layout: Sequence[Uses]) -> tuple[int, int]:
    """Fewer modes in use are simpler to understand; then the more telling ones."""
    return sum(map(len, layout)), sum(_ALL_USES.index(used) for used in layout)


class _Bill:
    """What layouts cost: staleness times weight that is left when ``give_modes`` has given."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._indices = [c.weight for c in candidates if c.is_index_spot]
        others = (c.weight for c in candidates if not c.is_index_spot)
        self._up_to = list(accumulate(others, initial=0.0))

    def cost(self, totals: Mapping[Mode, int]) -> float:
        """The cost of room for so many keys in each mode; see ``give_modes`` for who gets what."""
        free, cost, first = dict(totals), 0.0, 0
        for mode in reversed(MODES):
            last = min(first + free.get(mode, 0), len(self._indices))
            free[mode] = free.get(mode, 0) - (last - first)
            cost += sum(self._indices[first:last]) * _INDEX_STALENESS[mode]
            first = last
        cost += sum(self._indices[first:]) * _INDEX_STALENESS[None]
        first = 0
        for mode in MODES:
            last = min(first + free[mode], len(self._up_to) - 1)
            cost += (self._up_to[last] - self._up_to[first]) * _STALENESS[mode]
            first = last
        return cost + (self._up_to[-1] - self._up_to[first]) * _STALENESS[None]


def _load(weight: float) -> float:
    # Even what weighs nothing is work for a socket.
    return weight + 0.01
