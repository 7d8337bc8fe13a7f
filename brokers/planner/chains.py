"""Which option chains to fetch over REST, and every how many windows.

Pure: fetching belongs to ``orchestration``; that no limit is broken, whatever anybody asks for, is
seen to by ``brokers.budget``.

If a chain is fetched every T, its age is T/2 on average. For least weighted age within a rate of
calls, T goes with one over the root of the weight (Lagrange); it is then rounded to whole windows,
of lengths that divide a day of windows evenly, and the chains are spread over the windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from brokers.budget import UPSTOX_LIMITS
from brokers.interface import Instrument
from brokers.planner.candidates import (
    TIERS,
    expiries_of,
    options_by_symbol,
    ranked_spots,
    tier_weight,
)

# Calls a minute that are kept for sockets' addresses, polled prices and the user's own tools.
RESERVED_CALLS = 18.0
# All divide the last, so that the pattern of calls repeats after as many windows.
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48)
# Of the calls that are left, what an expiry may use while farther ones wait for theirs.
_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """One option chain to fetch; ``underlying`` is the spot instrument."""

    underlying: Instrument
    expiry: date


@dataclass(frozen=True, slots=True)
class PacedChain:
    """A chain and when it is due.

    Attributes:
        tier: of its symbol, see ``candidates.TIERS``.
        rank: 0 for the symbol's nearest expiry, 1 for the next, and so on.
        every_windows: it is fetched once in so many windows,
        phase: when the window's index leaves this remainder.
    """

    request: ChainRequest
    tier: int
    rank: int
    every_windows: int
    phase: int

    def is_due(self, window_index: int) -> bool:
        """Whether it is fetched at the end of this window."""
        return window_index % self.every_windows == self.phase

    @property
    def reason(self) -> str:
        """Its cadence in words."""
        often = "every window" if self.every_windows == 1 else f"every {self.every_windows} windows"
        return f"{often}: {TIERS[self.tier]}, expiry {self.rank + 1}"


@dataclass(frozen=True, slots=True)
class ChainCadence:
    """All chains with their cadences.

    Attributes:
        chains: the most important first.
        window_minutes: length of a window.
        calls_per_minute: what they may use together.
        left_out: requests for which no cadence within a day was left.
    """

    chains: tuple[PacedChain, ...]
    window_minutes: float
    calls_per_minute: float
    left_out: tuple[ChainRequest, ...] = ()

    def due(self, window_index: int) -> tuple[ChainRequest, ...]:
        """The chains to fetch at the end of a window, the most important first.

        Args:
            window_index: place of the window in its day, from 0.
        """
        return tuple(chain.request for chain in self.chains if chain.is_due(window_index))

    @property
    def calls_per_window(self) -> float:
        """Mean number of calls at a window's end."""
        return sum(1 / chain.every_windows for chain in self.chains)


def calls_for_chains(reserved_calls: float = RESERVED_CALLS) -> float:
    """Calls a minute that chains may use in steady state, with so many kept for others."""
    steady = min(60 * limit.calls / limit.seconds for limit in UPSTOX_LIMITS)
    return max(0.0, steady - reserved_calls)


def chain_plan(
    instruments: Sequence[Instrument], symbols: Sequence[str], expiries: int, today: date
) -> tuple[ChainRequest, ...]:
    """The nearest ``expiries`` of each symbol: every symbol's first before any symbol's second.

    In that order a budget that runs out costs far expiries, not whole symbols. A symbol that is
    not listed, or has no options, has no requests.
    """
    chains = options_by_symbol(instruments)
    spots = {i.contract.symbol: i for i in instruments if i.contract.expiry is None}
    ranked = [
        (rank, ChainRequest(spots[symbol], expiry))
        for symbol in symbols
        if symbol in spots
        for rank, expiry in enumerate(expiries_of(chains.get(symbol, ()), today)[:expiries])
    ]
    return tuple(request for _, request in sorted(ranked, key=lambda r: r[0]))


def chain_cadence(
    requests: Sequence[ChainRequest], window_minutes: float, calls_per_minute: float
) -> ChainCadence:
    """How often each chain is fetched, so that the weighted age is least.

    The nearest expiries come first: they are what a symbol's window lives on. What they leave, and
    a tenth at least, is for the next ones, which are never fetched more often.

    Args:
        requests: as ``chain_plan`` gives them; symbols in the order of their importance.
        calls_per_minute: what chains may use; the budget less what others need.
    """
    ranks, tiers = _ranks(requests), _tiers(requests)
    calls, least = max(calls_per_minute, 0.0) * window_minutes, 1
    placed: list[tuple[int, int]] = []
    for rank in range(max(ranks, default=-1) + 1):
        # Stable, so that equal ones stay in the order of importance.
        group = sorted(
            (i for i in range(len(requests)) if ranks[i] == rank),
            key=lambda i: tiers[_symbol(requests[i])],
        )
        share = calls * (_SHARE if rank < max(ranks) else 1.0)
        fitting = group[: math.floor(share * _STEPS[-1])]
        weights = [tier_weight(tiers[_symbol(requests[i])]) for i in fitting]
        steps = _steps(weights, share, least)
        placed += zip(fitting, steps, strict=True)
        calls, least = calls - _used(steps), max(steps, default=least)
        if len(fitting) < len(group):
            break
    phases = _phases([step for _, step in placed])
    chains = tuple(
        PacedChain(requests[i], tiers[_symbol(requests[i])], ranks[i], step, phase)
        for (i, step), phase in zip(placed, phases, strict=True)
    )
    taken = {i for i, _ in placed}
    left_out = tuple(r for i, r in enumerate(requests) if i not in taken)
    return ChainCadence(chains, window_minutes, calls_per_minute, left_out)


def _steps(weights: Sequence[float], calls_per_window: float, least: int) -> list[int]:
    """Windows between calls for each weight: the shortest that keep within the calls."""
    low, high = 0.0, 1.0
    while _used(_rounded(weights, high, least)) > calls_per_window and high < 1e9:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        if _used(_rounded(weights, middle, least)) > calls_per_window:
            low = middle
        else:
            high = middle
    return _spent(_rounded(weights, high, least), calls_per_window, least)


def _spent(steps: list[int], calls_per_window: float, least: int) -> list[int]:
    """Use what rounding has left: the next shorter step for as many as can have it."""
    left = calls_per_window - _used(steps)
    for place, step in enumerate(steps):
        shorter = max(least, _STEPS[max(0, _STEPS.index(step) - 1)])
        # Never before one that is heavier: the list is in the order of weight.
        if place and shorter < steps[place - 1]:
            continue
        if (cost := 1 / shorter - 1 / step) <= left:
            steps[place], left = shorter, left - cost
    return steps


def _rounded(weights: Sequence[float], scale: float, least: int) -> list[int]:
    """Intervals up to the next step, at most the longest."""
    return [
        next((s for s in _STEPS if s >= max(least, scale / math.sqrt(weight))), _STEPS[-1])
        for weight in weights
    ]


def _used(steps: Sequence[int]) -> float:
    return sum(1 / step for step in steps)


def _phases(steps: Sequence[int]) -> list[int]:
    """A phase for each so that windows get about the same number of calls; the strictest first."""
    period = _STEPS[-1]
    loads = [0] * period
    phases = [0] * len(steps)
    for place in sorted(range(len(steps)), key=lambda i: steps[i]):
        step = steps[place]
        phase = min(range(step), key=lambda p: max(loads[p::step]))
        for window in range(phase, period, step):
            loads[window] += 1
        phases[place] = phase
    return phases


def _tiers(requests: Sequence[ChainRequest]) -> Mapping[str, int]:
    spots = {_symbol(r): r.underlying for r in requests}
    ranked = ranked_spots(spots.values(), list(spots))
    return {spot.contract.symbol: tier for tier, spot in ranked}


def _ranks(requests: Sequence[ChainRequest]) -> list[int]:
    """The place of each request's expiry among its symbol's."""
    expiries: dict[str, list[date]] = {}
    for request in requests:
        expiries.setdefault(_symbol(request), []).append(request.expiry)
    ordered = {symbol: sorted(days) for symbol, days in expiries.items()}
    return [ordered[_symbol(request)].index(request.expiry) for request in requests]


def _symbol(request: ChainRequest) -> str:
    return request.underlying.contract.symbol
