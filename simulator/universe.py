"""What the simulated exchange lists: underlyings, futures and options, with stable keys.

A listing is fixed for a day: strikes stand on real steps around the level it is given. Prices do
not belong here, nor the shapes in which the broker serves a listing (``payloads``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np

from market.contract import Contract, Kind, Right, format_strike
from market.rules import Rules
from simulator.noise import Floats, Ints, Mask, Streams, stream
from simulator.symbols import SYMBOLS, Symbol


@dataclass(frozen=True, slots=True)
class Listed:
    """One listed instrument.

    Attributes:
        quote_name: the colon name under which quotes come back, ``SEGMENT:SYMBOL``.
        is_weekly: an option of a week that does not end a month's series.
    """

    symbol: Symbol
    contract: Contract
    key: str
    segment: str
    token: str
    trading_symbol: str
    quote_name: str
    lot_units: int
    is_weekly: bool = False

    @property
    def is_derivative(self) -> bool:
        return self.contract.expiry is not None

    @property
    def is_index(self) -> bool:
        return self.contract.kind is Kind.INDEX


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything listed on one day, as records and as arrays over the same rows.

    Attributes:
        symbol_index: row's place in ``symbols``.
        strike: ₹, NaN unless an option.
        sign: +1 call, −1 put, 0 otherwise.
        is_index: whether the row is an index itself, which nobody bids for.
        settles_ms: when the final settlement price is fixed; 0 for spot.
        streams: the row's own random stream; the same contract has the same one every day.
    """

    day: date
    symbols: tuple[Symbol, ...]
    rows: tuple[Listed, ...]
    row_of_key: Mapping[str, int]
    symbol_index: Ints
    strike: Floats
    sign: Floats
    is_index: Mask
    settles_ms: Ints
    lot_units: Ints
    streams: Streams
    chains: Mapping[tuple[str, date], Ints] = field(repr=False)

    def chain(self, symbol: str, expiry: date) -> Ints:
        """Rows of one expiry's options: strikes ascending, call then put; empty if not listed."""
        return self.chains.get((symbol, expiry), np.empty(0, np.int64))


def list_day(
    day: date, symbols: tuple[Symbol, ...], levels: Mapping[str, float], rules: Rules, seed: int
) -> Listing:
    """List a day: spots, then each symbol's futures and options about ``levels`` (₹)."""
    rows = [_spot(symbol) for symbol in symbols]
    for symbol in symbols:
        rows += _derivatives(symbol, day, levels[symbol.underlying.symbol], rules)
    return _as_arrays(day, symbols, tuple(rows), rules, seed)


def _as_arrays(
    day: date, symbols: tuple[Symbol, ...], rows: tuple[Listed, ...], rules: Rules, seed: int
) -> Listing:
    place = {symbol: i for i, symbol in enumerate(symbols)}
    contracts = [row.contract for row in rows]
    signs = {Right.CALL: 1.0, Right.PUT: -1.0, None: 0.0}
    chains: dict[tuple[str, date], list[int]] = {}
    for i, contract in enumerate(contracts):
        if contract.right and contract.expiry:
            chains.setdefault((contract.symbol, contract.expiry), []).append(i)
    return Listing(
        day=day,
        symbols=symbols,
        rows=rows,
        row_of_key={row.key: i for i, row in enumerate(rows)},
        symbol_index=np.array([place[row.symbol] for row in rows], np.int64),
        strike=np.array([np.nan if c.strike is None else c.strike for c in contracts]),
        sign=np.array([signs[c.right] for c in contracts]),
        is_index=np.array([row.is_index for row in rows], np.bool_),
        settles_ms=np.array([_settles_ms(c.expiry, rules) for c in contracts], np.int64),
        lot_units=np.array([row.lot_units for row in rows], np.int64),
        streams=np.array([stream(seed, "row", c) for c in contracts], np.uint64),
        chains={key: np.array(found, np.int64) for key, found in chains.items()},
    )


def _settles_ms(expiry: date | None, rules: Rules) -> int:
    return int(rules.settlement_at(expiry).timestamp() * 1000) if expiry else 0


def _spot(symbol: Symbol) -> Listed:
    name = symbol.name if symbol.is_index else symbol.underlying.symbol
    segment = symbol.key.partition("|")[0]
    contract = Contract(symbol.underlying.symbol, symbol.underlying.kind)
    quote_name = f"{segment}:{name}"
    return Listed(symbol, contract, symbol.key, segment, symbol.token, name, quote_name, 1)


def _derivatives(symbol: Symbol, day: date, level: float, rules: Rules) -> Iterator[Listed]:
    name, exchange = symbol.underlying.symbol, symbol.underlying.exchange
    ahead = rules.expiries(name, exchange, day, 10)
    expiries = ahead[:2]
    monthly = [a for a, b in pairwise(ahead) if a.month != b.month]
    months = {(expiry.year, expiry.month) for expiry in expiries}
    for expiry in (e for e in monthly if (e.year, e.month) in months):
        yield _future(symbol, expiry, rules)
    nearest = round(level / symbol.step)
    lots = {expiry: _lot_units(symbol, expiry, rules) for expiry in expiries}
    sides = symbol.strikes_each_side
    for expiry in expiries:
        is_weekly = expiry not in monthly
        for place in range(nearest - sides, nearest + sides + 1):
            for right in Right:
                yield _option(
                    symbol, expiry, place, right, lot_units=lots[expiry], is_weekly=is_weekly
                )


def _future(symbol: Symbol, expiry: date, rules: Rules) -> Listed:
    name = symbol.underlying.symbol
    token = 2_000_000 + _series(symbol, expiry)
    return Listed(
        symbol,
        Contract(name, Kind.FUTURE, expiry),
        f"{symbol.segment}|{token}",
        symbol.segment,
        str(token),
        f"{name} FUT {_spoken(expiry)}",
        f"{symbol.segment}:{name}{expiry:%y%b}FUT".upper(),
        _lot_units(symbol, expiry, rules),
    )


def _option(
    symbol: Symbol, expiry: date, place: int, right: Right, *, lot_units: int, is_weekly: bool
) -> Listed:
    name = symbol.underlying.symbol
    strike = place * symbol.step
    spelled = format_strike(strike)
    token = (_series(symbol, expiry) * 1024 + place % 1024) * 2 + (right is Right.PUT)
    series = f"{expiry:%y}{_month_letter(expiry)}{expiry:%d}" if is_weekly else f"{expiry:%y%b}"
    return Listed(
        symbol,
        Contract(name, Kind.OPTION, expiry, strike, right),
        f"{symbol.segment}|{token}",
        symbol.segment,
        str(token),
        f"{name} {spelled} {right} {_spoken(expiry)}",
        f"{symbol.segment}:{name}{series}{spelled}{right}".upper(),
        lot_units,
        is_weekly,
    )


def _series(symbol: Symbol, expiry: date) -> int:
    """A number for (symbol, expiry); comes back after 32 weeks, as the exchange re-uses tokens."""
    place = list(SYMBOLS).index(symbol.underlying.symbol)
    return (place + 1) * 32 + expiry.toordinal() // 7 % 32


def _lot_units(symbol: Symbol, expiry: date, rules: Rules) -> int:
    units = symbol.lot_units or rules.lot_units(symbol.underlying.symbol, expiry)
    if units is None:
        raise ValueError(f"no lot rule for {symbol.underlying.symbol} expiring {expiry}")
    return units


def _month_letter(expiry: date) -> str:
    return "123456789OND"[expiry.month - 1]


def _spoken(expiry: date) -> str:
    return f"{expiry:%d %b %y}".upper()
