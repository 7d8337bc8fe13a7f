"""Exposures of a chain on a small grid of spot and time, to be read at every tick.

A chain is repriced once when it arrives; between chains a tick only interpolates, which takes a
microsecond, however many contracts there are. Walls and flips stay those of the snapshot. Each
contract's own Greeks at a new spot belong in ``marking``; the wide profile that flips are found on
belongs in ``profile``.

The grid is uniform in ln(spot) and reaches as far as a spot may move until the next chain; the
three instants are the snapshot's, and two later ones. Between grid points a cubic through the four
nearest in spot and a parabola through the three in time are exact enough: the test holds the error
under 10⁻³ of the peak on an expiry day's last half hour.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import Rules
from transforms import clocks
from transforms.black76 import cross_greeks_of_rows, greeks_of_rows
from transforms.clocks import Clocks, Reading
from transforms.exposure import ONE_PERCENT, RUPEES_PER_CRORE
from transforms.kernel import compiled
from transforms.layout import floats
from transforms.tenor import SETTLING_YEARS

Floats = NDArray[np.float64]

MEASURES = (
    "net_gex_crore_per_percent",
    "gross_gex_crore_per_percent",
    "dex_crore",
    "vanna_exposure_crore_per_vol_point",
    "charm_exposure_crore_per_day",
)
"""What is read from a grid, in this order; naive convention, units as in ``schemas``."""

# A quarter of the points lie within a tenth of a per cent, about a strike of an index.
_POINTS = 193
_REACH = 0.015
_INSTANTS = 3
_SECONDS_PER_YEAR = 525_600 * 60.0


@dataclass(frozen=True, slots=True)
class Levels:
    """Exposures at one spot and instant, ``MEASURES`` wide; NaN where a number is not known.

    Attributes:
        by_expiry: shape (expiries, measures), in the order of ``LevelGrid.expiries``.
        total: shape (measures,), all expiries together.
        forward: ₹, shape (expiries,); not interpolated, so those of ``marking``.
        years_to_expiry: shape (expiries,).
    """

    by_expiry: Floats
    total: Floats
    forward: Floats
    years_to_expiry: Floats


class LevelGrid:
    """One symbol's exposures, repriced once and read many times; not changed by reading.

    Attributes:
        expiries: the order of per-expiry values.
        spot: ₹, the grid's middle.
        as_of: the grid's first instant.
        valid_seconds: how long after ``as_of`` it can be read.
    """

    def __init__(
        self,
        contracts: pl.DataFrame,
        rules: Rules,
        spot: float,
        as_of: datetime,
        interval_seconds: float = 600.0,
    ) -> None:
        """Reprice a ``schemas.CONTRACTS`` frame of one symbol.

        Args:
            rules: that it settles by.
            spot: ₹; the grid reaches 1.5 % to either side.
            as_of: aware UTC; when the grid begins.
            interval_seconds: how long it should last; less on an expiry day, when an eighth of
                the time left is as far as a parabola can be trusted.
        """
        rows = contracts.sort("expiry", "strike", "is_call")
        expiries = rows.group_by("expiry", maintain_order=True).first()
        self._clocks = Clocks(expiries, rules)
        self._forward, self._spot = floats(expiries, "forward"), floats(expiries, "spot")
        self.expiries: tuple[date, ...] = self._clocks.expiries
        self.spot, self.as_of = spot, as_of
        self.valid_seconds = _valid_seconds(self._clocks.at(as_of).years, interval_seconds)
        spots = spot * np.exp(np.linspace(-_REACH, _REACH, _POINTS))
        readings = [
            self._clocks.at(as_of + timedelta(seconds=float(seconds)))
            for seconds in np.linspace(0.0, self.valid_seconds, _INSTANTS)
        ]
        self._values = _repriced(rows, expiries, self._clocks, spots, readings)

    def covers(self, spot: float, as_of: datetime) -> bool:
        """Whether ``at`` can answer: beyond the grid the chain must be repriced."""
        seconds = (as_of - self.as_of).total_seconds()
        inside = min(spot, self.spot) > 0.0 and abs(math.log(spot / self.spot)) <= _REACH
        return inside and 0.0 <= seconds <= self.valid_seconds

    def at(self, spot: float, as_of: datetime) -> Levels:
        """Levels at a spot (₹) and an instant; exposures are NaN where ``covers`` says no."""
        seconds = (as_of - self.as_of).total_seconds()
        by_expiry = interpolate(self._values, spot, self.spot, _REACH, seconds, self.valid_seconds)
        now = self._clocks.at(as_of)
        forward = self._clocks.forwards(self._forward, self._spot, spot, now)
        return Levels(by_expiry[:-1], by_expiry[-1], forward, now.years)


def warm() -> None:
    """Compile what a tick runs, so that no live path compiles."""
    clocks.warm()
    interpolate(np.zeros((1, 3, 8, len(MEASURES))), 1.0, 1.0, _REACH, 0.0, 1.0)


@compiled
def interpolate(
    values: Floats, spot: float, middle: float, reach: float, seconds: float, valid_seconds: float
) -> Floats:
    """Values at one spot and instant, shape (expiries + 1, measures); the last row is the total.

    Args:
        values: shape (expiries, 3 instants, spots, measures), spots uniform in ln(spot) over
            ±reach around ``middle``; a NaN is an expiry that is not known.
    """
    expiries, _, points, measures = values.shape
    found = np.full((expiries + 1, measures), np.nan)
    if not (spot > 0.0 and 0.0 <= seconds <= valid_seconds):
        return found
    place = (np.log(spot / middle) / reach + 1.0) * 0.5 * (points - 1)
    if not (0.0 <= place <= points - 1.0):
        return found
    first = min(max(int(place) - 1, 0), points - 4)
    along = _cubic(place - first)
    in_time = _parabola(2.0 * seconds / valid_seconds)
    for m in range(measures):
        total, known = 0.0, 0
        for e in range(expiries):
            value = 0.0
            for t in range(3):
                for i in range(4):
                    value += in_time[t] * along[i] * values[e, t, first + i, m]
            found[e, m] = value
            if not np.isnan(value):
                total, known = total + value, known + 1
        if known > 0:
            found[expiries, m] = total
    return found


@compiled
def _cubic(u: float) -> tuple[float, float, float, float]:
    """Lagrange's weights of points 0, 1, 2, 3 at u."""
    a, b, c, d = u, u - 1.0, u - 2.0, u - 3.0
    return -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0


@compiled
def _parabola(u: float) -> tuple[float, float, float]:
    """Lagrange's weights of points 0, 1, 2 at u."""
    return (u - 1.0) * (u - 2.0) / 2.0, -u * (u - 2.0), u * (u - 1.0) / 2.0


def _valid_seconds(years: Floats, interval_seconds: float) -> float:
    """How long a grid lasts: an eighth of the shortest life, but a second at least."""
    living = years[years >= SETTLING_YEARS]
    if len(living) == 0:
        return interval_seconds
    return float(min(interval_seconds, max(living.min() * _SECONDS_PER_YEAR / 8.0, 1.0)))


def _repriced(
    rows: pl.DataFrame,
    expiries: pl.DataFrame,
    settlements: Clocks,
    spots: Floats,
    readings: list[Reading],
) -> Floats:
    """All measures on the grid, shape (expiries, instants, spots, measures)."""
    values = np.full((len(expiries), len(readings), len(spots), len(MEASURES)), np.nan)
    forward, spot = floats(expiries, "forward"), floats(expiries, "spot")
    chains = rows.filter(
        pl.col("implied_volatility").is_not_null() & pl.col("open_interest_units").is_not_null()
    ).partition_by("expiry", as_dict=True, include_key=False)
    for t, reading in enumerate(readings):
        forwards = np.array(
            [settlements.forwards(forward, spot, level, reading) for level in spots]
        )
        for e, expiry in enumerate(settlements.expiries):
            if (expiry,) in chains and np.isfinite(forwards[0, e] * reading.volatility_ratio[e]):
                terms = (forwards[:, e], reading.years[e], reading.volatility_ratio[e])
                values[e, t] = _exposures(chains[(expiry,)], spots, *terms)
    return values


def _exposures(
    rows: pl.DataFrame, spots: Floats, forwards: Floats, years: float, volatility_ratio: float
) -> Floats:
    """All measures of one expiry at one instant, shape (spots, measures)."""
    count, levels = len(rows), len(spots)

    def tiled(name: str) -> Floats:
        return np.tile(floats(rows, name), levels)

    is_call = np.tile(rows["is_call"].to_numpy(), levels)
    inputs = (
        np.repeat(forwards, count),
        tiled("strike"),
        np.full(count * levels, years),
        tiled("rate"),
        tiled("implied_volatility") * volatility_ratio,
        is_call,
    )
    delta, gamma = greeks_of_rows(*inputs)[:2]
    vanna, charm = cross_greeks_of_rows(*inputs)
    spot = np.repeat(spots, count)
    held = tiled("open_interest_units") * spot / RUPEES_PER_CRORE
    signed = np.where(is_call, held, -held)
    per_contract = (
        signed * gamma * spot * ONE_PERCENT,
        held * gamma * spot * ONE_PERCENT,
        signed * delta,
        signed * vanna,
        signed * charm,
    )
    return np.stack([v.reshape(levels, count).sum(axis=1) for v in per_contract], axis=1)
