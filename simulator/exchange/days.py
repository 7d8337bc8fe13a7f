"""One trading day of a market as numbers, and what it was at any instant of it: kernels.

How a day comes about stands in ``paths``, what contracts are worth on it in ``book``. Instants
within a day are ms of trading since its open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simulator.exchange import noise
from simulator.exchange.noise import Floats, Ints, Streams
from simulator.exchange.timetable import MINUTE_MS
from transforms.kernel import compiled

LEVEL_VOLATILITY = 0.8  # of log implied volatility, per √year
LEVERAGE = -0.6  # correlation of the volatility level with the spot
_FAR_OVER_REALISED = 1.1  # long-run implied volatility over that of the spot
MIN_YEARS = 1_000.0 / noise.MS_PER_YEAR  # one second: arithmetic stays finite at settlement
KEYS_PER_DAY = 2_048  # more than a day has minutes


# Rows of ``Track.curves``; those of borders are straight in between, those of minutes steps.
STARTS = 0  # of each minute, epoch ms; at last the close
LOG_SPOT = 1  # ln(spot/level) at the borders
DEVIATION = 2  # of a minute's log return
LEVEL = 3  # at the borders: ln of the volatility level's own part
SLOW = 4  # at the borders: ln(spot/level) without its quick octaves
TURNOVER = 5  # at the borders: share of the day's that has passed
GAMMA_RATIO = 6  # g of ``feedback`` at a minute's start
MULTIPLE = 7  # of a minute's volatility, in a burst
CURVES = 8


class Track(NamedTuple):
    """One symbol's trading day, as kernels take it.

    Attributes:
        market: the stream of the common factor. own: the symbol's.
        share: correlation of the spot with the common factor.
        level: ₹. volatility: of the spot, per √year. basis: carry above the rate, per year.
        correlation, steepness: of ``surface.Smile``.
        rate: risk-free, continuous, per year.
        night_share: part of the day's variance that has passed when it opens.
        year_ms: how long the day is in years of trading, as ms of a year.
        number: of the trading day. minutes: that it has.
        cash_closes, auction_closes: of the stocks' own market, ms of trading.
        curves: shape (CURVES, minutes + 1).
    """

    market: np.uint64
    own: np.uint64
    share: float
    level: float
    volatility: float
    basis: float
    correlation: float
    steepness: float
    rate: float
    night_share: float
    year_ms: float
    number: int
    minutes: int
    cash_closes: int
    auction_closes: int
    curves: Floats


class Day(NamedTuple):
    """The tracks of some symbols, laid out for a loop over many contracts.

    Attributes:
        streams: shape (symbols, 2). reals: (symbols, 9). wholes: (symbols, 4); as in
            ``Track``.
        curves: shape (symbols, CURVES, minutes + 1).
    """

    streams: Streams
    reals: Floats
    wholes: Ints
    curves: Floats


def day_of(tracks: Sequence[Track]) -> Day:
    """Lay tracks out one after the other."""
    return Day(
        np.array([track[:2] for track in tracks], np.uint64),
        np.array([track[2:11] for track in tracks], np.float64),
        np.array([track[11:15] for track in tracks], np.int64),
        np.array([track.curves for track in tracks]),
    )


@compiled
def track_of(day: Day, symbol: int) -> Track:
    """One symbol's track."""
    reals, wholes = day.reals[symbol], day.wholes[symbol]
    return Track(
        day.streams[symbol, 0],
        day.streams[symbol, 1],
        reals[0],
        reals[1],
        reals[2],
        reals[3],
        reals[4],
        reals[5],
        reals[6],
        reals[7],
        reals[8],
        wholes[0],
        wholes[1],
        wholes[2],
        wholes[3],
        day.curves[symbol],
    )


@compiled
def log_spot(track: Track, traded_ms: int) -> float:
    """ln(spot/level) at an instant."""
    minute = min(traded_ms // MINUTE_MS, track.minutes - 1)
    fraction = (traded_ms - minute * MINUTE_MS) / MINUTE_MS
    left, right = track.curves[LOG_SPOT, minute], track.curves[LOG_SPOT, minute + 1]
    key, share = track.number * KEYS_PER_DAY + minute, track.share
    market = noise.bridge_at(track.market, key, fraction)
    own = noise.bridge_at(track.own, key, fraction)
    swing = share * market + math.sqrt(1.0 - share * share) * own
    return float(left + (right - left) * fraction + track.curves[DEVIATION, minute] * swing)


@compiled
def curve_at(track: Track, curve: int, traded_ms: int) -> float:
    """A curve of borders at an instant."""
    minute = min(traded_ms // MINUTE_MS, track.minutes - 1)
    fraction = (traded_ms - minute * MINUTE_MS) / MINUTE_MS
    left, right = track.curves[curve, minute], track.curves[curve, minute + 1]
    return float(left + (right - left) * fraction)


@compiled
def epoch_ms_of(track: Track, traded_ms: int) -> int:
    """The instant, epoch ms, of an instant of trading."""
    minute = min(traded_ms // MINUTE_MS, track.minutes - 1)
    return int(track.curves[STARTS, minute]) + traded_ms - minute * MINUTE_MS


@compiled
def trading_ms(track: Track, traded_ms: int) -> float:
    """The instant on the clock that stands while the exchange is shut."""
    passed = traded_ms / (track.minutes * MINUTE_MS)
    share = track.night_share + (1.0 - track.night_share) * passed
    return (track.number + share) * track.year_ms


@compiled
def variances(track: Track, here: float, level: float) -> tuple[float, float]:
    """Today's and the long run's variance per year that options are priced with.

    Args:
        here: ln(spot/level) at the instant. level: of ``LEVEL``, at the instant.
    """
    far = _FAR_OVER_REALISED * track.volatility
    now = far * math.exp(LEVEL_VOLATILITY * LEVERAGE * here / track.volatility + level)
    return now * now, far * far


@compiled
def years_to(settles_ms: int, at_ms: int) -> float:
    """Years to settlement, at least one second."""
    return max((settles_ms - at_ms) / noise.MS_PER_YEAR, MIN_YEARS)
