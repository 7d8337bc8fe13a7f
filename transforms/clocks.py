"""How a snapshot's volatilities and forwards change as its settlements come nearer.

Between snapshots time runs on: there is less of it, and inside an averaging window the settlement
follows the spot less and less. The laws stand in ``tenor`` and ``settlement``; here they are kept
ready for the few expiries of one symbol, to be asked at every tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import Rules
from transforms.settlement import remaining_variance, remarked_forward
from transforms.tenor import (
    SETTLING_YEARS,
    averaging_years,
    spot_share_at,
    variance_time,
    years_between,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """Each expiry at one instant, shape (expiries,).

    Attributes:
        years: to settlement; negative once it has passed.
        volatility_ratio: what the snapshot's volatilities are to be multiplied with, so that
            σ²T is the variance that is left; NaN while settling.
        spot_share: ∂E[settlement]/∂S.
    """

    years: Floats
    volatility_ratio: Floats
    spot_share: Floats


class Clocks:
    """The settlements of one symbol's expiries.

    Attributes:
        expiries: the order of all arrays.
    """

    def __init__(self, expiries: pl.DataFrame, rules: Rules) -> None:
        """Take one row per expiry: ``expiry`` and ``as_of``, the instant of its snapshot."""
        self.expiries: tuple[date, ...] = tuple(expiries["expiry"])
        self._settlements = [rules.settlement(expiry) for expiry in self.expiries]
        self._windows = [averaging_years(settlement) for settlement in self._settlements]
        self._then = self._told(list(expiries["as_of"]))

    def at(self, as_of: datetime) -> Reading:
        """The settlements at an instant (aware UTC)."""
        years, variance_years, spot_share = self._told([as_of] * len(self.expiries))
        return Reading(years, self._ratio(years, variance_years), spot_share)

    def forwards(
        self, forward_then: Floats, spot_then: Floats, spot: float, now: Reading
    ) -> Floats:
        """Each expiry's forward (₹) now, from the snapshot's and the spot's move since."""
        moved: Floats = remarked_forward(
            forward_then, spot_then, np.full_like(spot_then, spot), self._then[2], now.spot_share
        )
        return moved

    def _told(self, instants: list[datetime]) -> tuple[Floats, Floats, Floats]:
        """Years, variance years and spot share of each expiry at its instant."""
        rows = []
        for settlement, window, at in zip(self._settlements, self._windows, instants, strict=True):
            left = years_between(at, settlement.settles_at)
            rows.append((left, variance_time(left, window), spot_share_at(left, window)))
        years, variance_years, spot_share = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        return years, variance_years, spot_share

    def _ratio(self, years: Floats, variance_years: Floats) -> Floats:
        years_then, variance_then, _ = self._then
        with np.errstate(divide="ignore", invalid="ignore"):
            # Of σ² = 1; an auction's own jump is 0 in the tables until someone estimates it.
            left = remaining_variance(years_then, variance_then, variance_years)
            ratio = np.sqrt(left / years)
        return np.where((years < SETTLING_YEARS) | (years_then < SETTLING_YEARS), np.nan, ratio)
