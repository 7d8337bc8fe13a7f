"""What to ask a broker for: which instruments on the socket, which chains over REST.

Pure: instruments and prices in, a plan out. Carrying a plan out belongs to ``streaming`` and
``orchestration``; how many calls are allowed belongs to ``budget``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from brokers.interface import Instrument, Mode
from market.contract import Kind
from market.errors import ConfigurationError

# Keys that one connection takes in full mode when no other mode is in use.
FULL_KEYS_PER_SOCKET = 2000


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What one socket subscribes.

    Attributes:
        by_mode: instruments for each mode: spots, then futures, then options.
        without_price: symbols whose contracts wait for a first price of the underlying.
    """

    by_mode: Mapping[Mode, tuple[Instrument, ...]]
    without_price: tuple[str, ...] = ()

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All of them, whatever the mode."""
        return tuple(i for planned in self.by_mode.values() for i in planned)

    def keys(self, mode: Mode) -> tuple[str, ...]:
        """The broker keys to subscribe in ``mode``."""
        return tuple(i.broker_key for i in self.by_mode.get(mode, ()))


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """One option chain to fetch; ``underlying`` is the spot instrument."""

    underlying: Instrument
    expiry: date


def feed_plan(
    instruments: Sequence[Instrument],
    spots: Mapping[str, float],
    strikes_each_side: int,
    today: date,
    *,
    keys_limit: int = FULL_KEYS_PER_SOCKET,
) -> FeedPlan:
    """Every underlying, and around its money the contracts of its nearest expiry, in full mode.

    An index has no volume of its own, so its nearest future comes with it.

    The money is the listed strike nearest the spot, the lower one of two; from there
    ``strikes_each_side`` listed strikes up and down, calls and puts.

    Args:
        instruments: as listed by the broker.
        spots: ₹ by symbol; a symbol without a price gets its spot subscribed and nothing more.
        today: exchange date (IST); contracts that expire today are still planned.

    Raises:
        ConfigurationError: if the plan needs more keys than one socket takes.
    """
    chains = _options_by_symbol(instruments)
    underlyings = [i for i in instruments if i.contract.expiry is None]
    contracts = [
        option
        for spot in underlyings
        if (price := spots.get(spot.contract.symbol)) is not None
        for option in _around_money(
            chains.get(spot.contract.symbol, ()), price, strikes_each_side, today
        )
    ]
    futures = near_futures(instruments, today)
    _check_limit(len(underlyings) + len(futures) + len(contracts), keys_limit)
    return FeedPlan(
        {Mode.FULL: (*underlyings, *futures, *contracts)},
        tuple(i.contract.symbol for i in underlyings if i.contract.symbol not in spots),
    )


def near_futures(instruments: Iterable[Instrument], today: date) -> tuple[Instrument, ...]:
    """Of each index the future that expires next, today included; in the order of the list."""
    nearest: dict[str, tuple[date, Instrument]] = {}
    for listed in instruments:
        symbol, expiry = listed.contract.symbol, listed.contract.expiry
        if listed.contract.kind is not Kind.FUTURE or listed.underlying.kind is not Kind.INDEX:
            continue
        if expiry is not None and expiry >= today:
            known = nearest.get(symbol)
            if known is None or expiry < known[0]:
                nearest[symbol] = expiry, listed
    return tuple(future for _, future in nearest.values())


def chain_plan(
    instruments: Sequence[Instrument], symbols: Sequence[str], expiries: int, today: date
) -> tuple[ChainRequest, ...]:
    """The nearest ``expiries`` of each symbol: every symbol's first before any symbol's second.

    In that order a budget that runs out costs far expiries, not whole symbols. A symbol that is
    not listed, or has no options, has no requests.
    """
    chains = _options_by_symbol(instruments)
    spots = {i.contract.symbol: i for i in instruments if i.contract.expiry is None}
    ranked = [
        (rank, ChainRequest(spots[symbol], expiry))
        for symbol in symbols
        if symbol in spots
        for rank, expiry in enumerate(_expiries(chains.get(symbol, ()), today)[:expiries])
    ]
    return tuple(request for _, request in sorted(ranked, key=lambda r: r[0]))


def _options_by_symbol(instruments: Iterable[Instrument]) -> dict[str, list[Instrument]]:
    chains: dict[str, list[Instrument]] = {}
    for instrument in instruments:
        if instrument.contract.kind is Kind.OPTION:
            chains.setdefault(instrument.contract.symbol, []).append(instrument)
    return chains


def _expiries(options: Iterable[Instrument], today: date) -> list[date]:
    return sorted({e for o in options if (e := o.contract.expiry) is not None and e >= today})


def _around_money(
    options: Sequence[Instrument], price: float, strikes_each_side: int, today: date
) -> list[Instrument]:
    nearest = _expiries(options, today)[:1]
    chain = [o for o in options if o.contract.expiry in nearest]
    strikes = sorted({_strike(o) for o in chain})
    if not strikes:
        return []
    money = min(range(len(strikes)), key=lambda i: abs(strikes[i] - price))
    chosen = set(strikes[max(0, money - strikes_each_side) : money + strikes_each_side + 1])
    picked = [o for o in chain if _strike(o) in chosen]
    return sorted(picked, key=lambda o: (_strike(o), o.contract.right or ""))


def _strike(option: Instrument) -> float:
    strike = option.contract.strike
    if strike is None:
        raise ValueError(f"{option.contract} is an option without a strike")
    return strike


def _check_limit(needed: int, limit: int) -> None:
    if needed > limit:
        raise ConfigurationError(
            f"the feed plan needs {needed} keys, one socket takes {limit}: "
            "lower OPTIONLAKE_STRIKES_EACH_SIDE or follow fewer OPTIONLAKE_SYMBOLS"
        )
