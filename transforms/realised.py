"""Realised volatility of an underlying, from its minute bars.

The window ends with the newest bar and starts at the same time of the day so many trading days
before, so it holds whole days whatever the hour: each part of the day, and each night, counts
equally often. What is made of the difference to implied volatility belongs in ``term``.

With r the log returns inside the days and o those overnight (close to next open), over n days::

    realised² = 252/n·(Σ r² + Σ o²)
    bipower² = 252/n·(π/2·N/(N − D)·Σ|r||r₋| + Σ o²)

Sources: T. Andersen and T. Bollerslev, Int. Economic Review 39 (1998); O. Barndorff-Nielsen and
N. Shephard, J. Financial Econometrics 2 (2004): products of neighbouring returns, which a jump
touches only once, converge to the variance without jumps. Products stay within a day; of N returns
in D stretches N − D have a neighbour before them.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.columns import INSTANT
from transforms.kernel import compiled
from transforms.layout import floats

REALISED_STATUSES = ("realised_ok", "no_bars", "too_few", "gaps")
"""``too_few``: less than ``FEWEST_DAYS`` earlier days; ``gaps``: minutes or days are missing."""

DAYS_PER_YEAR = 252
LOOKBACK_DAYS = 20
FEWEST_DAYS = 5

_OK, _NO_BARS, _TOO_FEW, _GAPS = range(4)
_NAMES = pl.Series("realised_status", REALISED_STATUSES)
# Of the minutes that the window's longest day makes one expect.
_FEWEST_MINUTES_SHARE = 0.8
# No holidays close the exchange for longer.
_LONGEST_CLOSURE_DAYS = 7
_MINUTES_PER_DAY = 1440
_IST_MINUTES = 330
_MICROS_PER_MINUTE = 60_000_000

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_FOUND = {
    "symbol": pl.String,
    "realised_volatility": pl.Float64,
    "bipower_volatility": pl.Float64,
    "realised_status": pl.String,
}
# day, minute, open and close
_Bars = tuple[Integers, Integers, Floats, Floats]


def realised(
    spot_bars: pl.DataFrame,
    as_of: datetime,
    *,
    sampling_minutes: int = 5,
    lookback_days: int = LOOKBACK_DAYS,
) -> pl.DataFrame:
    """Realised volatility of each symbol that has bars; bars after ``as_of`` are not looked at.

    Args:
        spot_bars: ``context.SPOT_BARS``, of any symbols in any order.
        as_of: aware instant.
        sampling_minutes: returns end at multiples of it on the clock and at the day's last bar:
            5 as published, 1 for the finest.
        lookback_days: trading days that the window holds, at most.

    Returns:
        ``symbol``, ``realised_volatility`` and ``bipower_volatility`` (fractions per √year, null
        unless the status is ``realised_ok``) and ``realised_status``.
    """
    if spot_bars.is_empty():
        return pl.DataFrame(schema=_FOUND)
    symbols, starts, bars = _usable(_numbered(spot_bars), as_of)
    found, status = realised_of_symbols(
        starts,
        *bars,
        sampling_minutes,
        lookback_days,
    )
    return pl.DataFrame(
        [
            symbols,
            pl.Series("realised_volatility", found[0], nan_to_null=True),
            pl.Series("bipower_volatility", found[1], nan_to_null=True),
            _NAMES[status],
        ]
    )


@compiled
def realised_of_symbols(
    starts: Integers,
    day: Integers,
    minute: Integers,
    opened: Floats,
    closed: Floats,
    sampling_minutes: int,
    lookback_days: int,
) -> tuple[Floats, NDArray[np.int8]]:
    """Realised and bipower volatility, shape (2, symbols), and status of sorted, usable bars.

    Args:
        starts: symbol i has the bars [starts[i], starts[i + 1]).
        day, minute: day number, and minute of that day at which the bar ends.
    """
    found = np.full((2, len(starts) - 1), np.nan)
    status = np.full(len(starts) - 1, _NO_BARS, dtype=np.int8)
    for s in range(len(starts) - 1):
        first, end = starts[s], starts[s + 1]
        if first == end:
            continue
        begin, days = _window(day, first, end, lookback_days)
        status[s] = _fitness(day, minute, begin, end, days)
        if status[s] == _OK:
            squares, products, nights = _sums(
                day, minute, opened, closed, begin, end, sampling_minutes
            )
            found[0, s] = math.sqrt(DAYS_PER_YEAR / days * (squares + nights))
            found[1, s] = math.sqrt(DAYS_PER_YEAR / days * (products + nights))
    return found, status


def warm() -> None:
    """Compile the kernels once, for the cache."""
    starts, ones, one = np.arange(2, dtype=np.int64), np.ones(1, dtype=np.int64), np.ones(1)
    _is_clean(starts, ones, ones, one, one)
    realised_of_symbols(starts, ones, ones, one, one, 5, LOOKBACK_DAYS)


def _numbered(spot_bars: pl.DataFrame) -> pl.DataFrame:
    """The bars with days and minutes as numbers."""
    day = pl.col("trading_day").to_physical().cast(pl.Int64)
    # India's clock has been 5 h 30 min ahead of UTC since 1945: no table of time zones is needed.
    minutes = pl.col("bar_end_at").to_physical() // _MICROS_PER_MINUTE + _IST_MINUTES
    return spot_bars.select(
        "symbol",
        "bar_end_at",
        "open_price",
        "close_price",
        day=day,
        minute=minutes - day * _MINUTES_PER_DAY,
    )


def _usable(numbered: pl.DataFrame, as_of: datetime) -> tuple[pl.Series, Integers, _Bars]:
    """Symbols, where their bars start, and the known bars that have a price, in order of time.

    Bars that come in order, as from a table, are not sorted again: that is most of the work.
    """
    is_known = pl.col("bar_end_at") <= pl.lit(as_of.astimezone(UTC), dtype=INSTANT)
    symbols, starts, bars = _columns(numbered)
    are_known = numbered.select(is_known.all()).item()
    if are_known and symbols.n_unique() == len(symbols) and _is_clean(starts, *bars):
        return symbols, starts, bars
    key = ["symbol", "day", "minute"]
    is_priced = [
        (pl.col(name) > 0.0) & pl.col(name).is_finite() for name in ("open_price", "close_price")
    ]
    known = numbered.filter(is_known, *is_priced)
    ordered = known.sort(*key, "bar_end_at", maintain_order=True)
    return _columns(ordered.unique(key, keep="last", maintain_order=True))


def _columns(numbered: pl.DataFrame) -> tuple[pl.Series, Integers, _Bars]:
    runs = numbered["symbol"].rle().struct.unnest()
    ends = runs["len"].cast(pl.Int64).cum_sum().to_numpy()
    bars = (
        numbered["day"].to_numpy(writable=True),
        numbered["minute"].to_numpy(writable=True),
        floats(numbered, "open_price"),
        floats(numbered, "close_price"),
    )
    return runs["value"].alias("symbol"), np.concatenate([np.zeros(1, dtype=np.int64), ends]), bars


@compiled
def _is_clean(
    starts: Integers, day: Integers, minute: Integers, opened: Floats, closed: Floats
) -> bool:
    """Whether each symbol's bars are strictly in order and all have prices."""
    for s in range(len(starts) - 1):
        for i in range(starts[s], starts[s + 1]):
            is_priced = 0.0 < opened[i] < math.inf and 0.0 < closed[i] < math.inf
            is_after = (
                i == starts[s]
                or day[i] > day[i - 1]
                or (day[i] == day[i - 1] and minute[i] > minute[i - 1])
            )
            if not (is_priced and is_after):
                return False
    return True


@compiled
def _window(day: Integers, first: int, end: int, lookback_days: int) -> tuple[int, int]:
    """Where the window's first day begins, and how many days lie between it and the newest."""
    begin, days = end - 1, 0
    for i in range(end - 2, first - 1, -1):
        if day[i] != day[i + 1]:
            if days == lookback_days:
                break
            days += 1
        begin = i
    return begin, days


@compiled
def _fitness(day: Integers, minute: Integers, begin: int, end: int, days: int) -> int:
    """Status of a window: days enough, none missing between them, and minutes enough."""
    if days < FEWEST_DAYS:
        return _TOO_FEW
    longest = bars_of_day = counted = 0
    for i in range(begin, end):
        is_new = i > begin and day[i] != day[i - 1]
        if is_new and day[i] - day[i - 1] > _LONGEST_CLOSURE_DAYS:
            return _GAPS
        bars_of_day = 1 if is_new else bars_of_day + 1
        longest = max(longest, bars_of_day)
        counted += day[i] > day[begin] or minute[i] > minute[end - 1]
    return _OK if counted >= _FEWEST_MINUTES_SHARE * days * longest else _GAPS


@compiled
def _sums(
    day: Integers,
    minute: Integers,
    opened: Floats,
    closed: Floats,
    begin: int,
    end: int,
    sampling_minutes: int,
) -> tuple[float, float, float]:
    """Squared returns within the days, their bipower counterpart and squared nights."""
    squares = products = nights = 0.0
    before = -1.0
    returns = pairs = 0
    anchor = opened[begin]
    for i in range(begin, end):
        is_first_day = day[i] == day[begin]
        if is_first_day and minute[i] <= minute[end - 1]:
            anchor = closed[i]
            continue
        if i > begin and day[i] != day[i - 1]:
            nights += math.log(opened[i] / closed[i - 1]) ** 2
            anchor, before = opened[i], -1.0
        is_last = i == end - 1 or day[i + 1] != day[i]
        if is_last or minute[i] % sampling_minutes == 0:
            size = abs(math.log(closed[i] / anchor))
            squares += size * size
            returns += 1
            if before >= 0.0:
                products += size * before
                pairs += 1
            anchor, before = closed[i], size
    scale = 0.5 * math.pi * returns / pairs if pairs > 0 else math.nan
    return squares, scale * products, nights
