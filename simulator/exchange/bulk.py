"""Bars of many contracts or many minutes at once: loops over ``tape``, and their records.

Aggregation to longer bars stands in ``bars``, the broker's shapes in ``candle_calls``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from simulator.exchange import tape
from simulator.exchange.book import open_interest_lots
from simulator.exchange.days import STARTS, Day, Track, track_of
from simulator.exchange.liquidity import INDEX, Row, Terms, row_of
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.timetable import MINUTE_MS
from transforms.kernel import compiled


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars of one contract, oldest first; ₹, units, epoch ms.

    Only bars with a trade are there, except for spots: an index or a stock has every one.

    Attributes:
        starts_ms: start of each bar; midnight IST for a bar of a whole day.
        open_interest_units: at the end of each bar; 0 for spots.
    """

    starts_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume_units: Ints
    open_interest_units: Ints


_NO_INTS, _NO_FLOATS = np.empty(0, np.int64), np.empty(0)
NO_CANDLES = Candles(_NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_INTS, _NO_INTS)


class Extremes:
    """Bounds of each symbol's path in each minute of a day, narrowed as far as was asked.

    Args:
        grids: of ``liquidity.quote_grid``, by symbol.

    Attributes:
        low, high: ln(spot/level), shape (symbols, minutes); NaN where not asked yet.
    """

    def __init__(self, tracks: Sequence[Track], grids: Sequence[tuple[int, int]]) -> None:
        self._tracks, self._grids = tracks, grids
        shape = len(tracks), tracks[0].minutes
        self.low = np.full(shape, math.nan)
        self.high = np.full(shape, math.nan)

    def cover(self, symbols: Ints, end_ms: int) -> None:
        """Narrow the minutes that begin before ``end_ms``; alike whoever does it first."""
        minutes = min(-(-end_ms // MINUTE_MS), self.low.shape[1])
        for symbol in symbols.tolist():
            low, high = self.low[symbol], self.high[symbol]
            phase_ms, grid_ms = self._grids[symbol]
            tape.extend(self._tracks[symbol], phase_ms, grid_ms, minutes, low, high)


def joined(parts: Sequence[Candles]) -> Candles:
    """Candles one after the other."""
    if not parts:
        return NO_CANDLES
    names = [f.name for f in fields(Candles)]
    return Candles(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def bars(day: Day, terms: Terms, rows: Ints, start_ms: int, end_ms: int) -> tuple[Floats, Ints]:
    """Open, high, low, close (₹, NaN without a trade) and units of ``start_ms <= t < end_ms``."""
    prices, units = np.empty((4, rows.size)), np.empty(rows.size, np.int64)
    _fill_bars(day, terms, rows, start_ms, end_ms, prices, units)
    return prices, units


def day_bars(
    day: Day, terms: Terms, rows: Ints, end_ms: int, low: Floats, high: Floats
) -> tuple[Floats, Ints]:
    """The day before ``end_ms``, as ``bars``; ``low`` and ``high`` are of ``Extremes``."""
    prices, units = np.empty((4, rows.size)), np.empty(rows.size, np.int64)
    _fill_day_bars(day, terms, rows, end_ms, low, high, prices, units)
    return prices, units


def minute_candles(track: Track, row: Row, minutes: int, before: float) -> Candles:
    """The first ``minutes`` of a contract's day.

    Args:
        before: ₹ of a spot before its first trade.
    """
    prices, whole = np.empty((4, minutes)), np.empty((2, minutes), np.int64)
    _fill_minutes(track, row, before, prices, whole)
    kept = ~np.isnan(prices[0])
    found = prices[:, kept]
    starts = track.curves[STARTS, :minutes][kept].astype(np.int64)
    return Candles(starts, found[0], found[1], found[2], found[3], whole[0, kept], whole[1, kept])


def day_candle(track: Track, row: Row, end_ms: int, starts_ms: int) -> Candles:
    """A contract's day before ``end_ms``; nothing if it did not trade."""
    made = tape.day_bar(track, row, end_ms, *tape.widest(track))
    if not made.trades:
        return NO_CANDLES
    units = np.array([_units_by(track, row, end_ms)], np.int64)
    prices = [np.array([price]) for price in made[:4]]
    lots = open_interest_lots(track, row, end_ms - 1)
    held = np.array([lots * row.lot_units], np.int64)
    first = np.array([starts_ms], np.int64)
    return Candles(first, prices[0], prices[1], prices[2], prices[3], units, held)


@compiled
def _fill_bars(
    day: Day, terms: Terms, rows: Ints, start_ms: int, end_ms: int, prices: Floats, units: Ints
) -> None:
    for i in range(rows.size):
        row = row_of(terms, rows[i])
        track = track_of(day, row.symbol)
        _put(tape.bar(track, row, start_ms, end_ms), prices, i)
        units[i] = _units_by(track, row, end_ms)
        if start_ms > 0:
            units[i] -= _units_by(track, row, start_ms)


@compiled
def _fill_day_bars(
    day: Day,
    terms: Terms,
    rows: Ints,
    end_ms: int,
    low: Floats,
    high: Floats,
    prices: Floats,
    units: Ints,
) -> None:
    for i in range(rows.size):
        row = row_of(terms, rows[i])
        track = track_of(day, row.symbol)
        _put(tape.day_bar(track, row, end_ms, low[row.symbol], high[row.symbol]), prices, i)
        units[i] = _units_by(track, row, end_ms)


@compiled
def _fill_minutes(track: Track, row: Row, before: float, prices: Floats, whole: Ints) -> None:
    units, last, is_spot = 0, before, row.settles_ms == 0
    for minute in range(prices.shape[1]):
        start_ms, end_ms = minute * MINUTE_MS, (minute + 1) * MINUTE_MS
        made = tape.bar(track, row, start_ms, end_ms)
        _put(made, prices, minute)
        if made.trades:
            last = made.close
        elif is_spot:
            prices[:, minute] = last
        by_now = _units_by(track, row, end_ms)
        whole[0, minute], units = by_now - units, by_now
        whole[1, minute] = open_interest_lots(track, row, end_ms - 1) * row.lot_units


@compiled
def _put(made: tape.Bar, prices: Floats, i: int) -> None:
    prices[0, i] = made.open
    prices[1, i] = made.high if made.trades else math.nan
    prices[2, i] = made.low if made.trades else math.nan
    prices[3, i] = made.close


@compiled
def _units_by(track: Track, row: Row, end_ms: int) -> int:
    """Units traded before an instant."""
    if row.kind == INDEX:
        return 0
    return tape.last_trade(track, row, end_ms - 1).units
