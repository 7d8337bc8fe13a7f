"""How a snapshot's volatilities and forwards change as its settlements come nearer.

Between snapshots time runs on: there is less of it, and inside an averaging window the settlement
follows the spot less and less. The laws stand in ``tenor`` and ``settlement``; here they are kept
ready for the few expiries of one symbol, to be asked at every tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import Rules
from transforms.kernel import compiled
from transforms.settlement import remaining_variance, remarked_forward
from transforms.tenor import (
    MINUTES_PER_YEAR,
    SETTLING_YEARS,
    averaging_years,
    spot_share_at,
    variance_time,
    years_between,
)

Floats = NDArray[np.float64]

_EPOCH = datetime.fromtimestamp(0, UTC)


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
        settlements = [rules.settlement(expiry) for expiry in self.expiries]
        instants = list(expiries["as_of"])
        # Counted from the first settlement, so that near it a float keeps the nanosecond.
        self._zero = min((s.settles_at for s in settlements), default=_EPOCH)
        settles = [self._seconds(settlement.settles_at) for settlement in settlements]
        self._settles = np.array(settles, np.float64)
        self._windows = np.array([averaging_years(s) for s in settlements], np.float64)
        pairs = zip(instants, settlements, strict=True)
        years = [years_between(at, settlement.settles_at) for at, settlement in pairs]
        self._years_then = np.array(years, np.float64)
        self._variance_then, self._share_then = told(self._years_then, self._windows)

    def at(self, as_of: datetime) -> Reading:
        """The settlements at an instant (aware UTC)."""
        now, then = self._seconds(as_of), (self._years_then, self._variance_then)
        return Reading(*read(now, self._settles, self._windows, *then))

    def forwards(
        self, forward_then: Floats, spot_then: Floats, spot: float, now: Reading
    ) -> Floats:
        """Each expiry's forward (₹) now, from the snapshot's and the spot's move since."""
        return moved(forward_then, spot_then, float(spot), self._share_then, now.spot_share)

    def _seconds(self, at: datetime) -> float:
        return (at - self._zero).total_seconds()


@compiled
def told(years: Floats, windows: Floats) -> tuple[Floats, Floats]:
    """Variance years and spot share of each expiry, so many years before its settlement."""
    variance_years, spot_share = np.empty(len(years)), np.empty(len(years))
    for e in range(len(years)):
        variance_years[e] = variance_time(years[e], windows[e])
        spot_share[e] = spot_share_at(years[e], windows[e])
    return variance_years, spot_share


@compiled
def read(
    now: float, settles: Floats, windows: Floats, years_then: Floats, variance_then: Floats
) -> tuple[Floats, Floats, Floats]:
    """What a ``Reading`` holds.

    Args:
        now: seconds, on the clock of ``settles``.
        windows, years_then, variance_then: years.
    """
    years = (settles - now) / 60.0 / MINUTES_PER_YEAR
    variance_years, spot_share = told(years, windows)
    ratio = np.full(len(years), np.nan)
    for e in range(len(years)):
        if years[e] >= SETTLING_YEARS and years_then[e] >= SETTLING_YEARS:
            # Of σ² = 1; an auction's own jump is 0 in the tables until someone estimates it.
            left = remaining_variance(years_then[e], variance_then[e], variance_years[e], 0.0)
            ratio[e] = math.sqrt(left / years[e])
    return years, ratio, spot_share


@compiled
def moved(
    forward_then: Floats, spot_then: Floats, spot: float, share_then: Floats, share_now: Floats
) -> Floats:
    """``remarked_forward`` of each expiry."""
    found = np.empty(len(forward_then))
    for e in range(len(found)):
        terms = forward_then[e], spot_then[e], spot, share_then[e], share_now[e]
        found[e] = remarked_forward(*terms)
    return found


def warm() -> None:
    """Compile what a tick runs, so that no live path compiles."""
    one = np.ones(1)
    variance, share = told(one, one)
    read(0.0, one, one, one, variance)
    moved(one, one, 1.0, share, share)
