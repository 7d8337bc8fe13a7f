"""How a trading day's variance and turnover spread over its minutes, and its sudden bursts.

Deterministic shapes and seeded events; the path that they shape stands in ``paths``. The shapes
are the known ones: lively at the open, quiet at noon, lively again into the close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.exchange import noise
from simulator.exchange.noise import Floats

_REGULAR_MINUTES = 375
_QUIET_BURST_CHANCE = 0.12  # of a burst on a day that is no expiry, per session of regular length
_EXPIRY_BURSTS = 1.5  # on average, on an expiry day


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of heightened volatility: whole minutes of the day, the end not included.

    Attributes:
        multiple: of the volatility that the minutes would have had.
    """

    start_minute: int
    end_minute: int
    multiple: float


def variance_shape(minutes: int, *, is_flat: bool) -> Floats:
    """Each minute's share of the day's variance; sums to 1."""
    u = _middles(minutes)
    shape = np.ones(minutes)
    if not is_flat:
        shape += 2.2 * np.exp(-u / 0.06) + 0.6 * np.exp(-(1.0 - u) / 0.05)
    shares: Floats = shape / shape.sum()
    return shares


def turnover_shape(minutes: int, *, is_flat: bool) -> Floats:
    """Each minute's share of the day's turnover, before bursts; sums to 1."""
    u = _middles(minutes)
    shape = np.ones(minutes)
    if not is_flat:
        shape += 2.5 * np.exp(-u / 0.07) + 1.8 * np.exp(-(1.0 - u) / 0.06)
    shares: Floats = shape / shape.sum()
    return shares


def bursts(stream: int, day_number: int, minutes: int, *, is_expiry: bool) -> tuple[Burst, ...]:
    """The bursts of one symbol's day, in order: more on an expiry day, and then in its second half.

    Args:
        stream: the symbol's own.
    """
    streams = np.array([stream], np.uint64)
    draws = noise.uniform(streams, day_number * 64 + np.arange(40))
    mean = _EXPIRY_BURSTS if is_expiry else _QUIET_BURST_CHANCE
    wanted = mean * minutes / _REGULAR_MINUTES
    count = min(int(wanted) + int(draws[0] < wanted - int(wanted)), 8)
    earliest = 0.5 if is_expiry and minutes < 2 * _REGULAR_MINUTES else 0.05
    found = [_burst(draws[4 * i + 1 : 4 * i + 4], minutes, earliest) for i in range(count)]
    return tuple(sorted(found, key=lambda burst: burst.start_minute))


def _burst(draws: Floats, minutes: int, earliest: float) -> Burst:
    start = int(minutes * (earliest + (0.93 - earliest) * float(draws[0])))
    length = 4 + int(16 * float(draws[1]))
    return Burst(start, min(start + length, minutes), 2.0 + 2.0 * float(draws[2]))


def multiples(found: tuple[Burst, ...], minutes: int) -> Floats:
    """Each minute's multiple of volatility; where bursts meet the larger one counts."""
    every = np.ones(minutes)
    for burst in found:
        part = every[burst.start_minute : burst.end_minute]
        np.maximum(part, burst.multiple, out=part)
    return every


def _middles(minutes: int) -> Floats:
    return (np.arange(minutes) + 0.5) / minutes
