"""How lively each contract is: when it changes, what it trades, what stays open.

Shapes over strikes and time only; prices stand in ``quotes`` and ``pricing``. Volume and open
interest are in units and multiples of the lot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from market.contract import Kind
from simulator import noise
from simulator.noise import Floats, Ints, Mask, Streams
from simulator.universe import Listing

_SESSION_MS = 22.5e6  # 09:15 to 15:30: the day that volumes are told for
_INDEX_LOTS_PER_DAY, _STOCK_LOTS_PER_DAY = 400_000.0, 20_000.0
_INDEX_OPEN_LOTS, _STOCK_OPEN_LOTS = 90_000.0, 8_000.0
_SHARES_PER_DAY = 6e6  # of a stock itself
_OPEN_INTEREST_SWING = 1.5  # volatility of log open interest per √year: about 8 % in a day


@dataclass(frozen=True, slots=True)
class Pace:
    """One trading day's liveliness, over the rows of a listing.

    Attributes:
        period_ms: mean time between changes.
        lots_per_ms: mean rate of trading; 0 for an index.
    """

    period_ms: Ints
    lots_per_ms: Floats


def pace(listing: Listing, trading_day: date, levels: Floats) -> Pace:
    """The pace of ``trading_day``, whose strikes are counted from ``levels`` (₹, per symbol).

    Depends on the contract and the day alone, so that a later listing tells the same story.
    """
    steps = steps_from(listing, levels[listing.symbol_index])
    days = np.array([_days(row.contract.expiry, trading_day) for row in listing.rows])
    is_index = _is_index(listing)
    draw = noise.uniform(listing.streams, np.array([1]))
    wings = 1.0 + (steps / 6.0) ** 2
    period = (200.0 + 300.0 * draw) * wings * np.where(is_index, 1.0, 1.6) * (1.0 + days / 60.0)
    per_day = np.where(is_index, _INDEX_LOTS_PER_DAY, _STOCK_LOTS_PER_DAY)
    fall = np.exp(-np.abs(steps) / np.where(is_index, 4.0, 2.0)) / (1.0 + days / 7.0)
    lots = per_day * fall * (0.4 + 1.2 * noise.uniform(listing.streams, np.array([2])))
    for i, row in enumerate(listing.rows):
        if not row.is_derivative:
            lots[i] = 0.0 if row.contract.kind is Kind.INDEX else _SHARES_PER_DAY
    return Pace(period.astype(np.int64), lots / _SESSION_MS)


def volume_units(streams: Streams, lots_per_ms: Floats, lots: Ints, elapsed_ms: Ints) -> Ints:
    """Units traded since the day's open; never falls while ``elapsed_ms`` grows."""
    passed = noise.progress(streams + np.uint64(1 << 20), elapsed_ms.astype(np.float64))
    return np.floor(lots_per_ms * passed).astype(np.int64) * lots


def open_interest_units(
    listing: Listing, rows: Ints, slow_spot: Floats, at_ms: Floats, years: Floats
) -> Ints:
    """Open interest at ``at_ms``: humps out of the money, heavier at round strikes.

    Args:
        slow_spot: the spot without its moves within a day, ₹; where the humps stand.
    """
    streams, sign = listing.streams[rows], listing.sign[rows]
    step = _step(listing)[rows]
    strike = listing.strike[rows]
    outside = np.nan_to_num(sign * (strike - slow_spot) / step, nan=0.0)
    hump = np.exp(-0.5 * ((outside - 3.0) / 7.5) ** 2) + 0.02
    round_strike = np.where(np.round(strike / step) % 10 == 0, 1.8, 1.0)
    base = np.where(_is_index(listing)[rows], _INDEX_OPEN_LOTS, _STOCK_OPEN_LOTS)
    taste = 0.4 + 1.2 * noise.uniform(streams, np.array([3]))
    swing = noise.walk(streams + np.uint64(2 << 20), at_ms, noise.SLOW)
    open_lots = base * hump * round_strike * taste * np.exp(_OPEN_INTEREST_SWING * swing)
    faded = open_lots / (1.0 + 8.0 * years)
    is_open = listing.settles_ms[rows] > 0
    return np.where(is_open, np.round(faded), 0.0).astype(np.int64) * listing.lot_units[rows]


def steps_from(listing: Listing, level: Floats) -> Floats:
    """Strikes away from ``level`` (₹, per row), in steps; 0 for spots and futures."""
    return np.nan_to_num((listing.strike - level) / _step(listing), nan=0.0)


def _step(listing: Listing) -> Floats:
    return np.array([symbol.step for symbol in listing.symbols])[listing.symbol_index]


def _is_index(listing: Listing) -> Mask:
    return np.array([symbol.is_index for symbol in listing.symbols])[listing.symbol_index]


def _days(expiry: date | None, trading_day: date) -> float:
    return max(float((expiry - trading_day).days), 0.0) if expiry else 0.0
