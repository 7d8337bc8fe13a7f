"""The trades of a contract in a day, and bars made of them: kernels.

A trade is a numbered mark on the day's turnover; it shows at the next instant at which its symbol
is quoted, at a price from that book. So what was last traded at any instant, and all trades of a
minute, are found without those before them, and always agree.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simulator.exchange import noise
from simulator.exchange.book import (
    TICK,
    TICKS_PER_RUPEE,
    book,
    is_stock,
    last_of,
    quoted_at,
    state,
    state_at,
)
from simulator.exchange.days import DEVIATION, LOG_SPOT, TURNOVER, Track, curve_at, log_spot
from simulator.exchange.liquidity import INDEX, Row
from simulator.exchange.noise import Floats
from simulator.exchange.timetable import MINUTE_MS
from transforms.kernel import compiled

_PLACE, _SIZE, _PRICE = np.uint64(11), np.uint64(12), np.uint64(13)
_TRADES_PER_DAY = 1 << 21  # more than any contract has
_AUCTION_SHARE = 0.02  # of a stock's day that the closing auction turns over
# Arithmetic may put a mark so far from its place.
_HAIR_MS = 1e-6
# Beyond the bridge's ends, in deviations of the minute: passed once in ten million minutes.
_FARTHEST = 3.0
_OVER_BOUND = 1.003


class Trade(NamedTuple):
    """The last trade by an instant.

    Attributes:
        number: trades of the day so far; with 0 the rest means nothing.
        traded_ms: when it showed, ms of trading.
        units: traded in the day so far. last_units: in this trade.
    """

    number: int
    traded_ms: int
    units: int
    last_units: int


class Bar(NamedTuple):
    """Prices in ₹.

    Attributes:
        trades: that were looked at; 0 where there were none, and then the prices mean nothing.
    """

    open: float
    high: float
    low: float
    close: float
    trades: int


@compiled
def last_trade(track: Track, row: Row, traded_ms: int) -> Trade:
    """The last trade at or before an instant; none yet of an index, which does not trade."""
    if row.trades <= 0.0:
        return Trade(0, 0, 0, 0)
    if is_stock(row) and _has_auction(track) and traded_ms >= track.auction_closes:
        return _auction(track, row)
    count = _count_by(track, row, traded_ms)
    if count == 0:
        return Trade(0, 0, 0, 0)
    units = _units(track, row, count)
    last_units = units - _units(track, row, count - 1)
    return Trade(count, _shown_at(track, row, count), units, last_units)


@compiled
def price_of(track: Track, row: Row, trade: Trade) -> float:
    """₹ of a trade."""
    true = state(track, row, trade.traded_ms)
    quoted = book(track, row, trade.traded_ms, true)
    draw = _price_draw(track, row, trade.number)
    return last_of(quoted, true, draw) / TICKS_PER_RUPEE


@compiled
def first_price(track: Track, row: Row) -> float:
    """₹ of the day's first trade; ask only where there is one."""
    at = _shown_at(track, row, 1)
    return price_of(track, row, Trade(max(_count_by(track, row, at), 1), at, 0, 0))


@compiled
def bar(track: Track, row: Row, start_ms: int, end_ms: int) -> Bar:
    """Everything that showed in ``start_ms <= t < end_ms``, ms of trading."""
    if row.kind == INDEX:
        return _index_bar(track, row, start_ms, end_ms)
    number = 1 if start_ms <= 0 else _count_by(track, row, start_ms - 1) + 1
    last = _count_by(track, row, end_ms - 1)
    made = Bar(math.nan, -math.inf, math.inf, math.nan, 0)
    while number <= last:
        # Of several trades between two quotes only the newest is ever seen.
        at = _shown_at(track, row, number)
        number = max(_count_by(track, row, at), number)
        made = _with(made, price_of(track, row, Trade(number, at, 0, 0)))
        number += 1
    if is_stock(row) and start_ms <= track.auction_closes < end_ms and _has_auction(track):
        made = _with(made, price_of(track, row, _auction(track, row)))
    return made


@compiled
def day_bar(track: Track, row: Row, end_ms: int, lowest: Floats, highest: Floats) -> Bar:
    """Everything that showed before ``end_ms``, without looking into minutes that cannot matter.

    Args:
        lowest, highest: bounds of ln(spot/level) in each minute.
    """
    minutes = -(-end_ms // MINUTE_MS)
    # The first and the last minute with a trade give open and close, and a range to begin with.
    first, made = _first_bar(track, row, 0, minutes, 1, end_ms)
    if made.trades == 0:
        return made
    last, final = _first_bar(track, row, minutes - 1, first, -1, end_ms)
    if final.trades:
        made = _joined(made, final)
    for minute in range(first + 1, last):
        low, high = _reach(track, row, minute, lowest[minute], highest[minute])
        if high > made.high or low < made.low:
            part = _minute_bar(track, row, minute, end_ms)
            if part.trades:
                made = _widened(made, part)
    return made


@compiled
def widest(track: Track) -> tuple[Floats, Floats]:
    """Bounds of ln(spot/level) in each minute that need no look at the instants inside."""
    minutes = track.minutes
    low, high = np.empty(minutes), np.empty(minutes)
    for minute in range(minutes):
        left, right = track.curves[LOG_SPOT, minute], track.curves[LOG_SPOT, minute + 1]
        reach = _FARTHEST * track.curves[DEVIATION, minute]
        low[minute], high[minute] = min(left, right) - reach, max(left, right) + reach
    return low, high


@compiled
def extend(
    track: Track, phase_ms: int, grid_ms: int, minutes: int, low: Floats, high: Floats
) -> None:
    """Narrow the bounds of the first ``minutes`` to what is quoted in them; known ones stay."""
    for minute in range(minutes):
        # Both are there once both are final: another thread may be at the same minute.
        if not (math.isnan(low[minute]) or math.isnan(high[minute])):
            continue
        at = minute * MINUTE_MS
        if at >= phase_ms:
            at += (phase_ms - at) % grid_ms
        lowest, highest = math.inf, -math.inf
        while at < (minute + 1) * MINUTE_MS:
            here = log_spot(track, at)
            lowest, highest = min(lowest, here), max(highest, here)
            at = phase_ms if at < phase_ms else at + grid_ms
        low[minute], high[minute] = lowest, highest


@compiled
def _first_bar(
    track: Track, row: Row, start: int, stop: int, step: int, end_ms: int
) -> tuple[int, Bar]:
    """The first of some minutes that has a trade, and its bar; ``stop`` if none has."""
    made = Bar(math.nan, -math.inf, math.inf, math.nan, 0)
    for minute in range(start, stop, step):
        made = _minute_bar(track, row, minute, end_ms)
        if made.trades:
            return minute, made
    return stop, made


@compiled
def _minute_bar(track: Track, row: Row, minute: int, end_ms: int) -> Bar:
    return bar(track, row, minute * MINUTE_MS, min((minute + 1) * MINUTE_MS, end_ms))


@compiled
def _joined(made: Bar, last: Bar) -> Bar:
    wide = _widened(made, last)
    return Bar(made.open, wide.high, wide.low, last.close, wide.trades)


@compiled
def _widened(made: Bar, part: Bar) -> Bar:
    high, low = max(made.high, part.high), min(made.low, part.low)
    return Bar(made.open, high, low, made.close, made.trades + part.trades)


@compiled
def _reach(
    track: Track, row: Row, minute: int, lowest: float, highest: float
) -> tuple[float, float]:
    """Bounds, ₹, of what a contract can trade at in a minute.

    Prices bend so little over a minute that its corners bound them, but for ticks and a hair.
    """
    low, high = math.inf, 0.0
    for at in (minute * MINUTE_MS, (minute + 1) * MINUTE_MS - 1):
        for here in (lowest, highest):
            true = state_at(track, row, at, here)
            quoted = book(track, row, at, true)
            if row.kind == INDEX:
                low, high = min(low, true.price), max(high, true.price)
            else:
                low = min(low, quoted.bid / TICKS_PER_RUPEE)
                high = max(high, quoted.ask / TICKS_PER_RUPEE)
    return low / _OVER_BOUND - 2.0 * TICK, high * _OVER_BOUND + 2.0 * TICK


@compiled
def _with(made: Bar, price: float) -> Bar:
    opened = price if made.trades == 0 else made.open
    return Bar(opened, max(made.high, price), min(made.low, price), price, made.trades + 1)


@compiled
def _index_bar(track: Track, row: Row, start_ms: int, end_ms: int) -> Bar:
    made = Bar(math.nan, -math.inf, math.inf, math.nan, 0)
    at = quoted_at(row, start_ms)
    if at < start_ms:
        at = _following(row, at)
    while at < end_ms:
        true = state(track, row, at)
        made = _with(made, round(true.price * TICKS_PER_RUPEE) / TICKS_PER_RUPEE)
        at = _following(row, at)
    return made


@compiled
def _following(row: Row, at: int) -> int:
    """The next instant of a row's quotes after ``at``, itself one."""
    return row.phase_ms if at < row.phase_ms else at + row.grid_ms


@compiled
def _price_draw(track: Track, row: Row, count: int) -> float:
    return noise.uniform_at(row.stream ^ _PRICE, track.number * _TRADES_PER_DAY + count)


@compiled
def _has_auction(track: Track) -> bool:
    return track.auction_closes > track.cash_closes


@compiled
def _count_by(track: Track, row: Row, traded_ms: int) -> int:
    """Trades of the day by an instant, without a closing auction's."""
    if is_stock(row):
        traded_ms = min(traded_ms, track.cash_closes - 1)
    return _count(track, row, quoted_at(row, traded_ms))


@compiled
def _count(track: Track, row: Row, traded_ms: int) -> int:
    """Trades whose mark the turnover has passed by an instant."""
    passed = row.trades * curve_at(track, TURNOVER, traded_ms)
    whole = int(passed)
    return whole + 1 if whole + _place(track, row, whole) <= passed else whole


@compiled
def _place(track: Track, row: Row, trade: int) -> float:
    """Where in its cell the mark of trade number ``trade`` lies; from 0 on."""
    return noise.uniform_at(row.stream ^ _PLACE, track.number * _TRADES_PER_DAY + trade)


@compiled
def _shown_at(track: Track, row: Row, count: int) -> int:
    """When trade number ``count``, from 1 on, shows: at the quote after its mark."""
    mark = (count - 1 + _place(track, row, count - 1)) / row.trades
    minute = _minute_of(track, mark)
    passed = track.curves[TURNOVER, minute]
    width = track.curves[TURNOVER, minute + 1] - passed
    at = math.ceil((minute + (mark - passed) / width) * MINUTE_MS - _HAIR_MS)
    shown = quoted_at(row, at)
    if shown < at:
        shown = _following(row, shown)
    # Within a hair of a quote the count decides on which side the mark is.
    if _count(track, row, shown) < count:
        return _following(row, shown)
    return shown


@compiled
def _minute_of(track: Track, mark: float) -> int:
    """The minute in which the turnover passes a mark, by bisection."""
    low, high = 0, track.minutes - 1
    while low < high:
        middle = (low + high + 1) // 2
        if track.curves[TURNOVER, middle] <= mark:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def _units(track: Track, row: Row, count: int) -> int:
    """Units of the first ``count`` trades: at least a lot in each."""
    if count == 0:
        return 0
    draw = noise.uniform_at(row.stream ^ _SIZE, track.number * _TRADES_PER_DAY + count)
    more = (row.lots_per_trade - 1.0) * (count - 1 + 0.9 * draw)
    return (count + int(more)) * row.lot_units


@compiled
def _auction(track: Track, row: Row) -> Trade:
    """The closing auction's one trade of a stock."""
    count = _count_by(track, row, track.cash_closes)
    before = _units(track, row, count)
    units = int(_AUCTION_SHARE * row.trades * row.lots_per_trade)
    return Trade(count + 1, track.auction_closes, before + units, units)
