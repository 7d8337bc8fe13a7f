"""Which option chains to fetch over REST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from brokers.interface import Instrument
from brokers.planner.candidates import expiries_of, options_by_symbol


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """One option chain to fetch; ``underlying`` is the spot instrument."""

    underlying: Instrument
    expiry: date


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
