"""A plan told to people and machines: counts, room, cadences, and why.

Pure; printing it belongs to ``optionlake``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from brokers.interface import Instrument
from brokers.planner.candidates import TIERS
from brokers.planner.chains import ChainCadence
from brokers.planner.feed import FeedPlan
from brokers.planner.polling import PollPlan
from brokers.planner.uses import Room
from market.contract import Kind


@dataclass(frozen=True, slots=True)
class SocketTold:
    """One socket; ``room`` is what is left in each mode, of all sockets where they share it."""

    index: int
    is_alive: bool
    keys: Mapping[str, int]
    room: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TierTold:
    """The symbols of a tier.

    Attributes:
        strikes_each_side: as many on a socket on both sides of the money, for each symbol.
        keys: instruments by mode, ``polled`` for those without a socket.
        chain_minutes: minutes between chains → number of chains.
    """

    tier: str
    symbols: int
    strikes_each_side: float
    keys: Mapping[str, int]
    chain_minutes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PollTold:
    """What is polled: keys, and the period of the first and of the slowest batch."""

    keys: int
    first_seconds: float | None
    slowest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan on one screen; staleness is the weighted mean age in seconds."""

    sockets: tuple[SocketTold, ...]
    tiers: tuple[TierTold, ...]
    polled: PollTold
    chain_calls_per_minute: float | None
    staleness_seconds: float
    polled_staleness_seconds: float
    without_price: tuple[str, ...]
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The record as plain values, for an answer in JSON."""
        return asdict(self)


def explain(
    plan: FeedPlan, chains: ChainCadence | None = None, polls: PollPlan | None = None
) -> Explanation:
    """Tell a plan.

    Args:
        chains: cadences of chains, if they are known here.
        polls: how what is polled is asked for.
    """
    batches = polls.batches if polls else ()
    periods = [batch.period_seconds for batch in batches]
    return Explanation(
        sockets=_sockets(plan),
        tiers=tuple(_tier(plan, chains, tier) for tier in sorted(set(plan.tiers.values()))),
        polled=PollTold(
            len(plan.polled), periods[0] if periods else None, max(periods, default=None)
        ),
        chain_calls_per_minute=chains.calls_per_window / chains.window_minutes if chains else None,
        staleness_seconds=round(plan.staleness_seconds, 2),
        polled_staleness_seconds=round(plan.polled_staleness_seconds, 2),
        without_price=plan.without_price,
        reasons=tuple(_reasons(plan, chains)),
    )


def _sockets(plan: FeedPlan) -> tuple[SocketTold, ...]:
    room = Room(plan.capabilities, plan.uses, plan.alive) if plan.capabilities else None
    for socket in plan.sockets if room else ():
        for mode, on_it in socket.by_mode.items():
            for _ in on_it:
                room.take(mode, 1.0, (socket.index,))  # type: ignore[union-attr]
    return tuple(
        SocketTold(
            socket.index,
            socket.index in plan.alive,
            {str(mode): len(on_it) for mode, on_it in socket.by_mode.items()},
            room.left(socket.index) if room else {},
        )
        for socket in plan.sockets
    )


def _tier(plan: FeedPlan, chains: ChainCadence | None, tier: int) -> TierTold:
    symbols = {symbol for symbol, t in plan.tiers.items() if t == tier}
    keys = Counter(
        str(mode)
        for socket in plan.sockets
        for mode, on_it in socket.by_mode.items()
        for i in on_it
        if i.contract.symbol in symbols
    )
    keys["polled"] = sum(i.contract.symbol in symbols for i in plan.polled)
    minutes = Counter(
        f"{chain.every_windows * chains.window_minutes:g}"
        for chain in (chains.chains if chains else ())
        if chains and chain.tier == tier
    )
    return TierTold(TIERS[tier], len(symbols), _strikes(plan, symbols), dict(keys), dict(minutes))


def _strikes(plan: FeedPlan, symbols: set[str]) -> float:
    """Mean number of strikes beside the money on each side that a socket tells of."""
    priced = symbols & set(plan.money)
    told = {_strike(i) for i in plan.instruments if i.contract.kind is Kind.OPTION}
    count = sum(symbol in priced for symbol, _ in told)
    return round(max(0.0, (count / len(priced) - 1) / 2), 1) if priced else 0.0


def _strike(instrument: Instrument) -> tuple[str, float | None]:
    return instrument.contract.symbol, instrument.contract.strike


def _reasons(plan: FeedPlan, chains: ChainCadence | None) -> list[str]:
    reasons = []
    if plan.capabilities:
        reasons.append(_limits_told(plan))
    if dead := [s.index for s in plan.sockets if s.index not in plan.alive]:
        reasons.append(f"sockets {dead} are dead: their keys are elsewhere as far as there is room")
    if plan.polled:
        reasons.append(f"{len(plan.polled)} instruments find no room on a socket: prices over REST")
    if plan.without_price:
        reasons.append(
            f"{len(plan.without_price)} symbols wait for a first price; then come their options"
        )
    if chains:
        slower = sum(chain.every_windows > 1 for chain in chains.chains)
        reasons.append(
            f"{slower} of {len(chains.chains)} chains are not fetched in every window: "
            f"chains may use {chains.calls_per_minute:g} calls a minute"
            if slower
            else "every chain is fetched in every window"
        )
    return reasons


def _limits_told(plan: FeedPlan) -> str:
    found = plan.capabilities
    if found is None:
        return ""
    account = {True: "Plus", False: "normal", None: "unknown, taken for normal"}[found.is_plus]
    scope = "each socket" if found.is_per_socket else "all sockets together"
    modes = sorted({str(mode) for used in plan.uses for mode in used})
    return (
        f"account {account}: {found.sockets} sockets, key limits of {scope}; "
        f"least staleness with {', '.join(modes) or 'no mode'}"
    )
