"""How lively each contract is: how often it trades, how much, and what stays open.

Shapes over strikes and time only; prices stand in ``pricing`` and ``book``. Volume and open
interest are in units and multiples of the lot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from market.contract import Contract, Kind, Right
from market.rules import Rules
from simulator.exchange import noise
from simulator.exchange.activity import (
    INDEX_FUTURE_LOTS,
    INDEX_OPEN_LOTS,
    STOCK_FUTURE_LOTS,
    STOCK_OPEN_LOTS,
    contract_stream,
    symbol_stream,
    weight,
)
from simulator.exchange.days import LOG_SPOT, STARTS, Track
from simulator.exchange.noise import Floats, Ints, Mask, Streams
from simulator.exchange.symbols import Symbol
from simulator.exchange.timetable import epoch_ms
from simulator.exchange.universe import Listing
from transforms.kernel import compiled

INDEX, EQUITY, FUTURE, OPTION = 0, 1, 2, 3
_KINDS = {Kind.INDEX: INDEX, Kind.EQUITY: EQUITY, Kind.FUTURE: FUTURE, Kind.OPTION: OPTION}

# How often the books of a kind may change, ms: the index's own pace, then slower.
_GRIDS_MS = np.array([250, 500, 500, 1_000])
# Most trades of one contract in a day: about one in every one and a half seconds.
_MOST_TRADES = 15_000.0

# The largest index's day at the money, and what its neighbours have of it.
_INDEX_LOTS, _STOCK_LOTS = 400_000.0, 20_000.0
_SHARES = 6e6


class Row(NamedTuple):
    """One contract as kernels take it; what each field is stands in ``Terms``."""

    symbol: int
    kind: int
    settles_ms: int
    lot_units: int
    grid_ms: int
    phase_ms: int
    stream: np.uint64
    strike: float
    sign: float
    step: float
    trades: float
    lots_per_trade: float
    open_lots: float
    illiquidity: float


class Terms(NamedTuple):
    """What contracts are and how lively on one trading day, over the rows of a listing.

    Attributes:
        symbol: place in the market's symbols.
        kind: one of ``INDEX``, ``EQUITY``, ``FUTURE``, ``OPTION``.
        settles_ms: epoch ms; 0 for spots.
        grid_ms: books change at multiples of this, shifted by ``phase_ms``, alike for one symbol.
        stream: the contract's own, the same on every day.
        strike: ₹; NaN unless an option. sign: +1 call, −1 put, else 0.
        step: distance of strikes, ₹.
        trades: of the whole day; 0 if it does not trade. lots_per_trade: on average, ≥ 1.
        open_lots: scale of open interest at the money.
        illiquidity: 0 for the busiest, towards 1 far from the money; widens the spread.
    """

    symbol: Ints
    kind: Ints
    settles_ms: Ints
    lot_units: Ints
    grid_ms: Ints
    phase_ms: Ints
    stream: Streams
    strike: Floats
    sign: Floats
    step: Floats
    trades: Floats
    lots_per_trade: Floats
    open_lots: Floats
    illiquidity: Floats


@compiled
def row_of(terms: Terms, i: int) -> Row:
    """One contract of many."""
    return Row(
        terms.symbol[i],
        terms.kind[i],
        terms.settles_ms[i],
        terms.lot_units[i],
        terms.grid_ms[i],
        terms.phase_ms[i],
        terms.stream[i],
        terms.strike[i],
        terms.sign[i],
        terms.step[i],
        terms.trades[i],
        terms.lots_per_trade[i],
        terms.open_lots[i],
        terms.illiquidity[i],
    )


class _Contracts(NamedTuple):
    """What contracts are without their market; fields as in ``Terms``."""

    symbol: Ints
    kind: Ints
    settles_ms: Ints
    lot_units: Ints
    strike: Floats
    sign: Floats


def terms(
    listing: Listing, symbols: tuple[Symbol, ...], seed: int, tracks: Sequence[Track]
) -> Terms:
    """The terms of a listing on the trading day of ``tracks``, one per symbol."""
    kinds = [_KINDS[row.contract.kind] for row in listing.rows]
    contracts = _Contracts(
        symbol=listing.symbol_index,
        kind=np.array(kinds, np.int64),
        settles_ms=listing.settles_ms,
        lot_units=listing.lot_units,
        strike=listing.strike,
        sign=listing.sign,
    )
    return _terms(symbols, seed, tracks, contracts)


def without(terms: Terms, absent: Mask) -> Terms:
    """The same, but nobody trades or holds those that are ``absent``."""
    trades, held = np.where(absent, 0.0, terms.trades), np.where(absent, 0.0, terms.open_lots)
    return terms._replace(trades=trades, open_lots=held)


def row_alone(contract: Contract, symbol: Symbol, rules: Rules, seed: int, track: Track) -> Row:
    """One contract's terms, as a listing would have them; its symbol counts as the first."""
    name, expiry = symbol.underlying.symbol, contract.expiry
    lots = symbol.lot_units or (rules.lot_units(name, expiry) if expiry else None) or 1
    signs = {None: 0.0, Right.CALL: 1.0, Right.PUT: -1.0}
    settles = epoch_ms(rules.settlement_at(expiry)) if expiry else 0
    alone = _Contracts(
        symbol=np.zeros(1, np.int64),
        kind=np.array([_KINDS[contract.kind]], np.int64),
        settles_ms=np.array([settles], np.int64),
        lot_units=np.array([lots if expiry else 1], np.int64),
        strike=np.array([math.nan if contract.strike is None else contract.strike]),
        sign=np.array([signs[contract.right]]),
    )
    row = row_of(_terms((symbol,), seed, (track,), alone), 0)
    # What comes out of a kernel as a plain integer would go into the next one as a signed one.
    return row._replace(stream=np.uint64(row.stream))


def _terms(
    symbols: tuple[Symbol, ...], seed: int, tracks: Sequence[Track], known: _Contracts
) -> Terms:
    own = np.array([symbol_stream(s, seed) for s in symbols], np.uint64)
    of, grid, step = known.symbol, _GRIDS_MS[known.kind], np.array([s.step for s in symbols])
    stream = _streams(own[of], known.settles_ms, np.nan_to_num(known.strike), known.sign)
    share = np.array([weight(s, int(own[i])) for i, s in enumerate(symbols)])[of]
    is_index = np.array([s.is_index for s in symbols])[of]
    steps, days = _distances(known, step[of], tracks)
    lots = share * _lots(known.kind, is_index, steps, days)
    lots *= 0.4 + 1.2 * noise.uniform(stream, np.array([2]))
    trades = np.where(lots < 1.0, 0.0, np.minimum(0.3 * lots**0.9 + 1.0, _MOST_TRADES))
    opened = np.where(is_index, INDEX_OPEN_LOTS, STOCK_OPEN_LOTS) * share
    return Terms(
        **known._asdict(),
        grid_ms=grid,
        phase_ms=_phase_ms(own)[of] % grid,
        stream=stream,
        step=step[of],
        trades=trades,
        lots_per_trade=np.maximum(lots / np.maximum(trades, 1.0), 1.0),
        open_lots=np.where(known.settles_ms > 0, opened, 0.0),
        illiquidity=1.0 - 1.0 / (1.0 + (steps / 20.0) ** 2 + days / 120.0),
    )


def _distances(known: _Contracts, step: Floats, tracks: Sequence[Track]) -> tuple[Floats, Floats]:
    """From the open: strikes between the spot and each option's, and days to settlement."""
    opened = [track.level * math.exp(track.curves[LOG_SPOT, 0]) for track in tracks]
    steps = np.abs(np.nan_to_num((known.strike - np.array(opened)[known.symbol]) / step))
    days = (known.settles_ms - tracks[0].curves[STARTS, 0]) / 86_400_000.0
    return steps, np.maximum(days, 0.0)


def quote_grid(symbol: Symbol, seed: int) -> tuple[int, int]:
    """Phase and distance, ms of trading, of the instants at which anything of a symbol changes."""
    finest = int(min(_GRIDS_MS))
    phase = _phase_ms(np.array([symbol_stream(symbol, seed)], np.uint64))
    return int(phase[0]) % finest, finest


def _phase_ms(own: Streams) -> Ints:
    """What a symbol's instants of quotes are shifted by, from its stream.

    An odd number: it stays above 0 on every grid, so that nothing is quoted at the very close,
    which belongs to no minute.
    """
    return (own % np.uint64(max(_GRIDS_MS))).astype(np.int64) | 1


def _lots(kind: Ints, is_index: Mask, steps: Floats, days: Floats) -> Floats:
    """Lots (shares for a stock) of an average day, for the largest of each kind."""
    at_the_money = np.where(is_index, _INDEX_LOTS, _STOCK_LOTS)
    reach = np.where(is_index, 5.0, 2.5) * np.sqrt(1.0 + days / 7.0)
    options = at_the_money * np.exp(-steps / reach) / (1.0 + days / 7.0)
    futures = np.where(is_index, INDEX_FUTURE_LOTS, STOCK_FUTURE_LOTS) * np.exp(-days / 20.0) * 2
    by_kind = np.array([np.zeros(kind.size), np.full(kind.size, _SHARES), futures, options])
    found: Floats = by_kind[kind, np.arange(kind.size)]
    return found


@compiled
def _streams(symbols: Streams, settles_ms: Ints, strikes: Floats, signs: Floats) -> Streams:
    found = np.empty(symbols.size, np.uint64)
    for i in range(symbols.size):
        found[i] = contract_stream(symbols[i], settles_ms[i], strikes[i], signs[i])
    return found
