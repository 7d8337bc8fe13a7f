"""Which instruments the feed should tell about, and what each is worth.

A candidate's weight is how much a second of its staleness hurts: the tier of its symbol times how
near the money it is, more when it expires soon. What a mode takes off the staleness, and which
socket an instrument goes to, stands in ``feed``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from brokers.interface import Instrument
from market.contract import Kind

# Indices, then as many of the user's symbols as an index of large companies has, then the rest.
FIRST_STOCKS = 50
TIERS = ("index", "first", "rest")
_TIER_WEIGHTS = (4.0, 2.0, 1.0)
# A spot re-marks its whole chain; the future stands in for the volume that an index lacks.
_SPOT_WEIGHT, _FUTURE_WEIGHT = 3.0, 2.0
# The next strike is worth 1/1.5 of the money, the tenth a sixth.
_STRIKES_TO_HALF = 2.0
# Gamma is largest, and trade busiest, on the last days.
_EXPIRES_TODAY, _EXPIRES_SOON, _SOON_DAYS = 1.5, 1.2, 2
# The money moves when the spot is this share of a step beyond the border between two strikes.
MONEY_MARGIN = 0.2


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instrument to follow.

    Attributes:
        tier: 0 for indices, 1 for the first stocks, 2 for the rest.
        weight: what a second of staleness costs, relative to others.
    """

    instrument: Instrument
    tier: int
    weight: float

    @property
    def is_index_spot(self) -> bool:
        """Whether it has a price only: no book, no volume, no open interest."""
        return self.instrument.contract.kind is Kind.INDEX


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that deserves to be followed.

    Attributes:
        candidates: heaviest first; equal weights by the symbol's place, then the way outwards.
        money: the strike (₹) that each symbol's options were counted from.
        without_price: symbols whose contracts wait for a first price of the underlying.
    """

    candidates: tuple[Candidate, ...]
    money: Mapping[str, float]
    without_price: tuple[str, ...]


def wanted(  # noqa: PLR0917 - as many facts as the choice has
    instruments: Sequence[Instrument],
    spots: Mapping[str, float],
    strikes_each_side: int,
    today: date,
    priorities: Sequence[str] = (),
    money_before: Mapping[str, float] | None = None,
) -> Wanted:
    """Every spot, the near futures of indices, and the nearest expiry's options around the money.

    Args:
        instruments: as listed by the broker.
        spots: ₹ by symbol; a symbol without a price has no options yet.
        today: exchange date (IST); contracts that expire today are still followed.
        priorities: symbols, the most important first; one that is not named comes after those.
        money_before: where the money was, for it to stay unless the spot has clearly left.
    """
    chains = options_by_symbol(instruments)
    futures = {f.contract.symbol: f for f in near_futures(instruments, today)}
    money: dict[str, float] = {}
    found: list[Candidate] = []
    for tier, spot in ranked_spots(instruments, priorities):
        symbol = spot.contract.symbol
        found.append(Candidate(spot, tier, _SPOT_WEIGHT * _TIER_WEIGHTS[tier]))
        if symbol in futures:
            found.append(Candidate(futures[symbol], tier, _FUTURE_WEIGHT * _TIER_WEIGHTS[tier]))
        chain = _nearest_chain(chains.get(symbol, ()), today)
        if chain and symbol in spots:
            before = (money_before or {}).get(symbol)
            money[symbol] = money_of(strikes_of(chain), spots[symbol], before)
            found += _around(chain, money[symbol], strikes_each_side, tier, today)
    found.sort(key=lambda c: -c.weight)
    waiting = tuple(s for i in instruments if _is_spot(i) and (s := i.contract.symbol) not in spots)
    return Wanted(tuple(found), money, waiting)


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


def ranked_spots(
    instruments: Iterable[Instrument], priorities: Sequence[str]
) -> list[tuple[int, Instrument]]:
    """The underlyings with their tiers: indices, then stocks in the order of the priorities."""
    places = {symbol: place for place, symbol in enumerate(priorities)}
    spots = sorted(
        (i for i in instruments if _is_spot(i)),
        key=lambda i: (
            i.underlying.kind is not Kind.INDEX,
            places.get(i.contract.symbol, len(places)),
        ),
    )
    stocks = 0
    ranked = []
    for spot in spots:
        is_stock = spot.underlying.kind is not Kind.INDEX
        ranked.append(((1 if stocks < FIRST_STOCKS else 2) if is_stock else 0, spot))
        stocks += is_stock
    return ranked


def tier_weight(tier: int) -> float:
    """What a second of staleness costs in this tier, relative to others."""
    return _TIER_WEIGHTS[tier]


def money_of(strikes: Sequence[float], price: float, before: float | None = None) -> float:
    """The listed strike nearest the price, the lower one of two; the old one if not clearly left.

    Clearly: the price is beyond the border to the next strike by a margin, so that a spot that sits
    on a border does not swap two strikes at each tick.

    Args:
        strikes: ₹, ascending, at least one.
    """
    if before is not None and before in strikes:
        place = strikes.index(before)
        ahead = place + (1 if price > before else -1)
        if not 0 <= ahead < len(strikes):
            return before
        if abs(price - before) <= (0.5 + MONEY_MARGIN) * abs(strikes[ahead] - before):
            return before
    return min(strikes, key=lambda strike: (abs(strike - price), strike))


def options_by_symbol(instruments: Iterable[Instrument]) -> dict[str, list[Instrument]]:
    """Each symbol's options, in the order of the list."""
    chains: dict[str, list[Instrument]] = {}
    for instrument in instruments:
        if instrument.contract.kind is Kind.OPTION:
            chains.setdefault(instrument.contract.symbol, []).append(instrument)
    return chains


def expiries_of(options: Iterable[Instrument], today: date) -> list[date]:
    """The expiries that are not over, ascending."""
    return sorted({e for o in options if (e := o.contract.expiry) is not None and e >= today})


def strikes_of(options: Iterable[Instrument]) -> list[float]:
    """The strikes in ₹, ascending."""
    return sorted({_strike(option) for option in options})


def _nearest_chain(options: Sequence[Instrument], today: date) -> list[Instrument]:
    nearest = expiries_of(options, today)[:1]
    return [o for o in options if o.contract.expiry in nearest]


def _around(
    chain: Sequence[Instrument], money: float, strikes_each_side: int, tier: int, today: date
) -> list[Candidate]:
    strikes = strikes_of(chain)
    centre = strikes.index(money)
    away = {strike: abs(place - centre) for place, strike in enumerate(strikes)}
    near = [o for o in chain if away[_strike(o)] <= strikes_each_side]
    near.sort(key=lambda o: (away[_strike(o)], _strike(o), o.contract.right or ""))
    base = _TIER_WEIGHTS[tier] * (_soon(near[0], today) if near else 1.0)
    return [Candidate(o, tier, base * _closeness(away[_strike(o)])) for o in near]


def _closeness(strikes_away: int) -> float:
    return 1 / (1 + strikes_away / _STRIKES_TO_HALF)


def _soon(option: Instrument, today: date) -> float:
    expiry = option.contract.expiry
    days = (expiry - today).days if expiry else _SOON_DAYS + 1
    return _EXPIRES_TODAY if days <= 0 else _EXPIRES_SOON if days <= _SOON_DAYS else 1.0


def _strike(option: Instrument) -> float:
    strike = option.contract.strike
    if strike is None:
        raise ValueError(f"{option.contract} is an option without a strike")
    return strike


def _is_spot(instrument: Instrument) -> bool:
    return instrument.contract.expiry is None
