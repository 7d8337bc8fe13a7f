"""What a contract is worth and how it is quoted, at an instant of a day: kernels.

All options of a symbol are quoted at the same instants, so that their books allow no arbitrage, and
its futures at those and halfway between. Spreads widen with price, with how far the contract can
move until it is quoted again, and away from the money. Trades stand in ``tape``, arrays of quotes
in ``quotes``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from simulator.exchange import noise, pricing, surface
from simulator.exchange.activity import open_lots
from simulator.exchange.days import (
    LEVEL,
    MULTIPLE,
    SLOW,
    Track,
    curve_at,
    epoch_ms_of,
    log_spot,
    trading_ms,
    variances,
    years_to,
)
from simulator.exchange.liquidity import EQUITY, INDEX, OPTION, Row
from simulator.exchange.timetable import MINUTE_MS
from transforms.kernel import compiled

TICK = 0.05
TICKS_PER_RUPEE = 20.0
_SHIFT = 1e-7  # in ticks: keeps a price that stands on a tick from slipping below it
_SHARE_OF_PRICE, _SHARE_OF_DRIFT, _ILLIQUID_SHARE = 0.0006, 0.6, 0.012


class State(NamedTuple):
    """The truth of one contract; ₹, years to settlement (at least one second).

    For what is no option ``price`` is its forward (its spot, for a spot) and volatility NaN.
    """

    spot: float
    forward: float
    years: float
    volatility: float
    price: float
    delta: float


class Book(NamedTuple):
    """Best bid and ask in ticks; 0 where nobody bids; both for an index and a closed market."""

    bid: float
    ask: float


@compiled
def quoted_at(row: Row, traded_ms: int) -> int:
    """The newest instant at or before ``traded_ms`` at which the row's symbol was quoted."""
    phase, grid = row.phase_ms, row.grid_ms
    if traded_ms < phase:
        return 0
    return phase + (traded_ms - phase) // grid * grid


@compiled
def state(track: Track, row: Row, traded_ms: int) -> State:
    """What a contract is truly worth at an instant."""
    return state_at(track, row, traded_ms, log_spot(track, traded_ms))


@compiled
def state_at(track: Track, row: Row, traded_ms: int, here: float) -> State:
    """``state`` for a known ln(spot/level)."""
    spot = track.level * math.exp(here)
    if row.settles_ms == 0:
        return State(spot, spot, 0.0, math.nan, spot, 1.0)
    years = years_to(row.settles_ms, epoch_ms_of(track, traded_ms))
    forward = spot * math.exp((track.rate + track.basis) * years)
    if row.kind != OPTION:
        return State(spot, forward, years, math.nan, forward, 1.0)
    now, far = variances(track, here, curve_at(track, LEVEL, traded_ms))
    theta = surface.at_the_money_variance(years, now, far)
    k = math.log(row.strike / forward)
    deviation = math.sqrt(surface.total_variance(k, theta, track.correlation, track.steepness))
    price, delta = pricing.price_and_delta(
        forward, row.strike, deviation, math.exp(-track.rate * years), row.sign
    )
    return State(spot, forward, years, deviation / math.sqrt(years), price, delta)


@compiled
def book(track: Track, row: Row, traded_ms: int, true: State) -> Book:
    """The book around a true state, in ticks: bid ≤ price ≤ ask wherever anybody bids."""
    if row.kind == INDEX or (is_stock(row) and traded_ms >= track.cash_closes):
        return Book(0.0, 0.0)
    half = 0.5 * TICK
    if row.kind == OPTION:
        half = half_spread(
            true.price,
            true.delta * true.spot * track.volatility * _burst(track, traded_ms),
            row.grid_ms,
            row.illiquidity,
        )
    bid = max(math.floor((true.price - half) * TICKS_PER_RUPEE + _SHIFT), 0.0)
    return Book(bid, max(math.ceil((true.price + half) * TICKS_PER_RUPEE - _SHIFT), bid + 1.0))


@compiled
def half_spread(price: float, drift: float, life_ms: int, illiquidity: float) -> float:
    """Half the width that a market maker asks for, ₹.

    Args:
        drift: deviation of the price over a year, ₹.
        life_ms: how long the quote has to stand.
    """
    moves = abs(drift) * math.sqrt(life_ms / noise.MS_PER_YEAR)
    share = _SHARE_OF_PRICE + _ILLIQUID_SHARE * illiquidity * illiquidity
    return 0.5 * TICK + share * price + _SHARE_OF_DRIFT * moves


@compiled
def last_of(quoted: Book, true: State, draw: float) -> float:
    """Price of a trade in ticks: a drawn place in the book; an index's own value.

    Args:
        draw: uniform in [0, 1).
    """
    if quoted.ask == 0.0:
        return round(true.price * TICKS_PER_RUPEE)
    low = max(quoted.bid, 1.0)
    return low + math.floor(draw * (quoted.ask - low + 1.0))


@compiled
def open_interest_lots(track: Track, row: Row, traded_ms: int) -> int:
    """Open lots as they are on show: told anew each minute; 0 for spots."""
    if row.settles_ms == 0:
        return 0
    told = told_at(traded_ms)
    return open_interest_at(track, row, told, log_spot(track, told))


@compiled
def told_at(traded_ms: int) -> int:
    """When the open interest was told that is on show at an instant."""
    return traded_ms // MINUTE_MS * MINUTE_MS


@compiled
def open_interest_at(track: Track, row: Row, told: int, here: float) -> int:
    """``open_interest_lots`` for a known ln(spot/level) at the instant it was told."""
    if row.settles_ms == 0:
        return 0
    slow = curve_at(track, SLOW, told)
    lean = (here - slow) / track.volatility
    out, is_round = 0.0, False
    if row.kind == OPTION:
        step = row.step
        level = track.level * math.exp(slow)
        out = row.sign * (row.strike - level) / step
        is_round = round(row.strike / step) % 10 == 0
    years = years_to(row.settles_ms, epoch_ms_of(track, told))
    at = trading_ms(track, told)
    scale = row.open_lots
    return round(open_lots(row.stream, row.sign, out, is_round, scale, lean, at, years))


@compiled
def _burst(track: Track, traded_ms: int) -> float:
    return float(track.curves[MULTIPLE, min(traded_ms // MINUTE_MS, track.minutes - 1)])


@compiled
def is_stock(row: Row) -> bool:
    """Whether the row is a stock itself, whose own market keeps other hours."""
    return row.kind == EQUITY
