"""Volatility across expiries and days: constant maturity, its place in the past year, premium.

All of an underlying. The volatility of one expiry comes from ``volatility``, the realised one from
``realised``.
"""

from __future__ import annotations

import math
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import IST
from transforms import realised
from transforms.context import Context
from transforms.kernel import compiled
from transforms.layout import beside, floats
from transforms.tenor import SETTLING_YEARS

TERM_STATUSES = ("interpolated", "nearest", "too_far", "no_volatility")

CONSTANT_DAYS = 30.0
HISTORY_DAYS = 252
FEWEST_HISTORY_DAYS = 20

_INTERPOLATED, _NEAREST, _TOO_FAR, _NO_VOLATILITY = range(4)
_NAMES = pl.Series("term_status", TERM_STATUSES)
_RANKS = {
    "symbol": pl.String,
    "iv_rank": pl.Float64,
    "iv_percentile": pl.Float64,
    "iv_history_days": pl.Int64,
}
_DAYS_PER_YEAR = 365.0
# A single expiry stands for a maturity of half to twice its own.
_FARTHEST = 2.0

Floats = NDArray[np.float64]


def with_term(
    underlyings: pl.DataFrame, expiries: pl.DataFrame, context: Context, as_of: datetime
) -> pl.DataFrame:
    """Add to each underlying the columns of ``columns.TERM`` that come from volatilities.

    Args:
        underlyings: one row per ``symbol``.
        expiries: sorted by symbol and expiry, with ``years_to_expiry`` and
            ``atm_implied_volatility``.
        context: its ``daily_volatility`` and ``spot_bars`` are read.
        as_of: the snapshot's aware instant; nothing from after it, and no history from its day, is
            looked at.

    Returns:
        The underlyings in the same order with these columns added or replaced:

        * ``implied_volatility_30_day``, ``term_status``: of ``constant_maturity``;
        * ``iv_rank``, ``iv_percentile``, ``iv_history_days``: of ``ranks``;
        * ``realised_volatility``, ``bipower_volatility``, ``realised_status``: of ``realised``;
        * ``variance_risk_premium``: 30-day implied less realised volatility, a fraction; null
          without both. In variances it would be the difference of their squares.
    """
    terms = constant_maturity(expiries).rename({"volatility": "implied_volatility_30_day"})
    current = underlyings.select("symbol").join(
        terms, on="symbol", how="left", maintain_order="left"
    )
    history = ranks(current, context.daily_volatility, as_of)
    past = realised.realised(context.spot_bars, as_of)
    gap = pl.col("implied_volatility_30_day") - pl.col("realised_volatility")
    found = (
        current.join(history, on="symbol", how="left", maintain_order="left")
        .join(past, on="symbol", how="left", maintain_order="left")
        .with_columns(
            pl.col("term_status").fill_null("no_volatility"),
            pl.col("realised_status").fill_null("no_bars"),
            pl.col("iv_history_days").fill_null(0),
            variance_risk_premium=gap,
        )
    )
    return beside(underlyings, found.get_columns()[1:])


def constant_maturity(expiries: pl.DataFrame, days: float = CONSTANT_DAYS) -> pl.DataFrame:
    """Volatility at the money of a maturity of so many calendar days, for each symbol.

    Total variance σ²T is interpolated linearly in T between the nearest expiries on both sides.
    With expiries on one side only, the nearest one's volatility stands for a maturity of half to
    twice its own, and for none beyond.

    Args:
        expiries: as for ``with_term``; those within a minute of settlement do not count.

    Returns:
        ``symbol``, ``volatility`` (fraction per √year; null without) and ``term_status``.
    """
    runs = expiries["symbol"].rle().struct.unnest()
    found, status = volatilities_at(
        _offsets(runs["len"]),
        floats(expiries, "years_to_expiry"),
        floats(expiries, "atm_implied_volatility"),
        days / _DAYS_PER_YEAR,
    )
    return pl.DataFrame(
        [
            runs["value"].alias("symbol"),
            pl.Series("volatility", found, nan_to_null=True),
            _NAMES[status],
        ]
    )


def ranks(current: pl.DataFrame, daily_volatility: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Where today's volatility stands among up to 252 earlier trading days, for each symbol.

    * ``iv_rank`` = (today − lowest)/(highest − lowest), today counting in the range, so that it is
      0 at a new low and 1 at a new high; null if nothing ever moved;
    * ``iv_percentile``: share of the earlier days that were strictly lower;
    * ``iv_history_days``: earlier days known, of the newest 252; below 20 both others are null.

    Args:
        current: ``symbol``, ``implied_volatility_30_day`` (null if unknown).
        daily_volatility: ``context.DAILY_VOLATILITY``; of two rows for a day the later counts.
        as_of: aware instant; its trading day and later ones are not looked at.
    """
    if daily_volatility.is_empty():
        return pl.DataFrame(schema=_RANKS)
    earlier = _earlier(daily_volatility, as_of.astimezone(IST).date())
    runs = earlier["symbol"].rle().struct.unnest().rename({"value": "symbol"})
    histories = runs.join(current, on="symbol", how="left", maintain_order="left")
    found, days = ranks_of_symbols(
        _offsets(runs["len"]),
        earlier["trading_day"].to_physical().to_numpy(writable=True),
        floats(earlier, "implied_volatility_30_day"),
        floats(histories, "implied_volatility_30_day"),
    )
    return pl.DataFrame(
        [
            runs["symbol"],
            pl.Series("iv_rank", found[0], nan_to_null=True),
            pl.Series("iv_percentile", found[1], nan_to_null=True),
            pl.Series("iv_history_days", days),
        ]
    )


@compiled
def ranks_of_symbols(
    starts: NDArray[np.int64], day: NDArray[np.int32], volatility: Floats, now: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Rank and percentile, shape (2, symbols), NaN if unknown, and the days they rest on.

    Args:
        starts: symbol i has the history [starts[i], starts[i + 1]), sorted by day; of a day's rows
            the last counts.
        now: the volatility that is ranked, NaN if unknown.
    """
    found = np.full((2, len(now)), np.nan)
    days = np.zeros(len(now), dtype=np.int64)
    for s in range(len(now)):
        lowest = highest = now[s]
        lower = 0
        for i in range(starts[s + 1] - 1, starts[s] - 1, -1):
            if i + 1 < starts[s + 1] and day[i] == day[i + 1]:
                continue
            if days[s] == HISTORY_DAYS:
                break
            days[s] += 1
            lower += volatility[i] < now[s]
            lowest, highest = min(lowest, volatility[i]), max(highest, volatility[i])
        if days[s] >= FEWEST_HISTORY_DAYS and not math.isnan(now[s]):
            found[0, s] = (now[s] - lowest) / (highest - lowest) if lowest < highest else math.nan
            found[1, s] = lower / days[s]
    return found, days


@compiled
def volatilities_at(
    starts: NDArray[np.int64], years: Floats, volatility: Floats, target_years: float
) -> tuple[Floats, NDArray[np.int8]]:
    """Volatility at one maturity of each symbol, and its status, an index into ``TERM_STATUSES``.

    Args:
        starts: symbol i has the expiries [starts[i], starts[i + 1]), in any order.
        volatility: NaN if an expiry has none.
    """
    found = np.full(len(starts) - 1, np.nan)
    status = np.full(len(starts) - 1, _NO_VOLATILITY, dtype=np.int8)
    for s in range(len(starts) - 1):
        low = high = -1
        for e in range(starts[s], starts[s + 1]):
            if not (volatility[e] > 0.0 and SETTLING_YEARS <= years[e] < math.inf):
                continue
            if years[e] <= target_years and (low < 0 or years[e] > years[low]):
                low = e
            if years[e] >= target_years and (high < 0 or years[e] < years[high]):
                high = e
        if low >= 0 and high >= 0:
            found[s] = _between(years, volatility, low, high, target_years)
            status[s] = _INTERPOLATED
        elif low >= 0 or high >= 0:
            nearest = max(low, high)
            ratio = years[nearest] / target_years
            is_near = 1.0 / _FARTHEST <= ratio <= _FARTHEST
            found[s] = volatility[nearest] if is_near else math.nan
            status[s] = _NEAREST if is_near else _TOO_FAR
    return found, status


def warm() -> None:
    """Compile the kernels of an underlying's volatilities once, for the cache."""
    one, starts = np.ones(1), np.arange(2, dtype=np.int64)
    volatilities_at(starts, one, one, 1.0)
    ranks_of_symbols(starts, np.ones(1, dtype=np.int32), one, one)
    realised.warm()


@compiled
def _between(years: Floats, volatility: Floats, low: int, high: int, target_years: float) -> float:
    """σ²T linear in T; T is at most that of ``high``."""
    if low == high:
        return float(volatility[low])
    share = (target_years - years[low]) / (years[high] - years[low])
    below, above = volatility[low] ** 2 * years[low], volatility[high] ** 2 * years[high]
    return math.sqrt((below + share * (above - below)) / target_years)


def _earlier(daily_volatility: pl.DataFrame, today: date) -> pl.DataFrame:
    """The known volatilities of earlier days, in order."""
    value = pl.col("implied_volatility_30_day")
    is_known = (value > 0.0) & value.is_finite()
    earlier = daily_volatility.filter(pl.col("trading_day") < today, is_known)
    return earlier.sort("symbol", "trading_day", "as_of")


def _offsets(lengths: pl.Series) -> NDArray[np.int64]:
    """Where runs of these lengths start, and where the last ends."""
    return np.concatenate([np.zeros(1, dtype=np.int64), lengths.cast(pl.Int64).to_numpy().cumsum()])
