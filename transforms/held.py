"""What is held in the money at a spot: share of open interest, intrinsic value, trapped writers.

A call is in the money below the spot and a put above it, strictly. Prefix sums of open interest,
and of open interest times strike, answer every spot without another pass over the strikes. The
strikes next to the money stand in ``itm``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.aggregates import known_sum, ratio
from transforms.exposure import RUPEES_PER_CRORE
from transforms.kernel import compiled
from transforms.layout import beside, columns_of, floats, starts

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

_CALL, _CALL_RUPEES, _PUT, _PUT_RUPEES = range(4)
_WRITTEN = "short_build_up"


@dataclass(frozen=True, slots=True)
class Held:
    """What is held at one spot; NaN where nothing is known.

    Attributes:
        itm_open_interest_share: 0 to 1, shape (expiries).
        intrinsic_value_crore: ₹ crore, shape (expiries).
        total_itm_open_interest_share: of all expiries together.
        total_intrinsic_value_crore: ₹ crore, of all expiries together.
    """

    itm_open_interest_share: Floats
    intrinsic_value_crore: Floats
    total_itm_open_interest_share: float
    total_intrinsic_value_crore: float


class HeldInTheMoney:
    """One underlying's open interest, ready to be cut at many spots; not changed by it."""

    def __init__(self, strike: Floats, call: Floats, put: Floats, offsets: Positions) -> None:
        """Sum it up.

        Args:
            strike: ₹, ascending within each expiry, shape (n,).
            call, put: open interest, units, shape (n,); NaN, infinite or negative is not known.
            offsets: where each expiry's strikes begin, shape (expiries + 1).
        """
        self._strike = np.array(strike, np.float64)
        self._offsets = np.array(offsets, np.int64)
        self._sums = prefix_sums(
            self._strike, np.array(call, np.float64), np.array(put, np.float64), self._offsets
        )

    @classmethod
    def of(cls, strikes: pl.DataFrame, expiry_count: int) -> HeldInTheMoney:
        """From ``layout.Book.strikes``."""
        names = ("strike", "call_open_interest_units", "put_open_interest_units")
        strike, call, put = (floats(strikes, name) for name in names)
        return cls(strike, call, put, starts(strikes, "expiry_id", expiry_count))

    def at(self, spot: float) -> Held:
        """The cut at ``spot`` (₹): one binary search per expiry; all NaN at an impossible spot."""
        shares, crore = held_at(float(spot), self._strike, self._sums, self._offsets)
        return Held(shares[:-1], crore[:-1], float(shares[-1]), float(crore[-1]))

    def by_expiry(self, spots: Floats) -> tuple[Floats, Floats, Floats]:
        """In the money (units), in all (units), intrinsic value (₹ crore), at each one's spot."""
        return held_of_expiries(
            np.array(spots, np.float64), self._strike, self._sums, self._offsets
        )


@compiled
def prefix_sums(strike: Floats, call: Floats, put: Floats, offsets: Positions) -> Floats:
    """Running sums from each expiry's lowest strike, shape (strikes + expiries, 4).

    Columns: call units, call units × strike, put units, put units × strike. Each expiry begins with
    a row of zeros, or of NaN if none of its open interest is known.
    """
    count = len(offsets) - 1
    sums = np.zeros((len(strike) + count, 4))
    for e in range(count):
        is_known = False
        for i in range(offsets[e], offsets[e + 1]):
            before, after = sums[i + e], sums[i + e + 1]
            after[:] = before
            if 0.0 <= call[i] < math.inf:
                is_known = True
                after[_CALL] += call[i]
                after[_CALL_RUPEES] += call[i] * strike[i]
            if 0.0 <= put[i] < math.inf:
                is_known = True
                after[_PUT] += put[i]
                after[_PUT_RUPEES] += put[i] * strike[i]
        if not is_known:
            sums[offsets[e] + e : offsets[e + 1] + e + 1] = np.nan
    return sums


@compiled
def _cut(
    spot: float, strike: Floats, sums: Floats, first: int, stop: int, e: int
) -> tuple[float, float, float]:
    """Units in the money, units in all and ₹ of intrinsic value of expiry ``e``; NaN unknown."""
    if not 0.0 < spot < math.inf:
        return math.nan, math.nan, math.nan
    below, not_above = _places(spot, strike, first, stop)
    under, over, all_of_it = sums[below + e], sums[not_above + e], sums[stop + e]
    calls, puts = under[_CALL], all_of_it[_PUT] - over[_PUT]
    rupees = spot * calls - under[_CALL_RUPEES]
    rupees += all_of_it[_PUT_RUPEES] - over[_PUT_RUPEES] - spot * puts
    return calls + puts, all_of_it[_CALL] + all_of_it[_PUT], rupees


@compiled
def _places(spot: float, strike: Floats, first: int, stop: int) -> tuple[int, int]:
    """The first row that is not below the spot, and the first that is above it."""
    low, high = first, stop
    while low < high:
        middle = (low + high) // 2
        if strike[middle] < spot:
            low = middle + 1
        else:
            high = middle
    return low, low + 1 if low < stop and strike[low] == spot else low


@compiled
def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan


@compiled
def held_of_expiries(
    spots: Floats, strike: Floats, sums: Floats, offsets: Positions
) -> tuple[Floats, Floats, Floats]:
    """In the money (units), in all (units), intrinsic value (₹ crore) of each expiry; NaN without.

    Args:
        spots: ₹, shape (expiries).
        strike, offsets: as handed to ``prefix_sums``.
        sums: its answer.
    """
    inside, whole, crore = np.empty(len(spots)), np.empty(len(spots)), np.empty(len(spots))
    for e in range(len(spots)):
        inside[e], whole[e], rupees = _cut(spots[e], strike, sums, offsets[e], offsets[e + 1], e)
        crore[e] = rupees / RUPEES_PER_CRORE
    return inside, whole, crore


@compiled
def held_at(spot: float, strike: Floats, sums: Floats, offsets: Positions) -> tuple[Floats, Floats]:
    """Share in the money and intrinsic value (₹ crore) at one spot, shape (expiries + 1) each.

    The last element is of all expiries together, of those that are known.
    """
    count = len(offsets) - 1
    shares, crore = np.empty(count + 1), np.empty(count + 1)
    total_inside, total, total_crore, is_known = 0.0, 0.0, 0.0, False
    for e in range(count):
        inside, whole, rupees = _cut(spot, strike, sums, offsets[e], offsets[e + 1], e)
        shares[e], crore[e] = _share(inside, whole), rupees / RUPEES_PER_CRORE
        if not math.isnan(rupees):
            is_known = True
            total_inside, total = total_inside + inside, total + whole
            total_crore += crore[e]
    shares[count] = _share(total_inside, total)
    crore[count] = total_crore if is_known else math.nan
    return shares, crore


def with_held(
    contracts: pl.DataFrame, strikes: pl.DataFrame, expiries: pl.DataFrame
) -> pl.DataFrame:
    """Add ``columns.HELD`` to each expiry, and the two sums that ``held_totals`` needs.

    Trapped writers: open interest that was added since the previous day while the price fell
    (short build-up by the day's market rule), in contracts that are in the money now.

    Args:
        contracts: ``expiry_id``, ``strike``, ``is_call``, ``open_interest_change_units``,
            ``build_up`` (from ``build_up``).
        strikes: ``layout.Book.strikes``.
        expiries: with ``spot``.
    """
    spots = floats(expiries, "spot")
    inside, whole, crore = HeldInTheMoney.of(strikes, len(expiries)).by_expiry(spots)
    trapped = _trapped(contracts, spots)
    sums = {
        "itm_open_interest_units": inside,
        "held_open_interest_units": whole,
        "intrinsic_value_crore": crore,
        "trapped_call_writer_units": trapped[1],
        "trapped_put_writer_units": trapped[0],
    }
    return beside(expiries, columns_of(sums)).with_columns(_itm_share())


@cache
def held_totals() -> tuple[pl.Expr, ...]:
    """Per group of expiries with ``with_held``'s columns: the same of a whole underlying."""
    summed = ("intrinsic_value_crore", "trapped_call_writer_units", "trapped_put_writer_units")
    inside, whole = (known_sum(pl.col(f"{name}_open_interest_units")) for name in ("itm", "held"))
    return (
        ratio(inside, whole).alias("itm_open_interest_share"),
        *(known_sum(pl.col(name)).alias(name) for name in summed),
    )


def _itm_share() -> pl.Expr:
    share = ratio(pl.col("itm_open_interest_units"), pl.col("held_open_interest_units"))
    return share.alias("itm_open_interest_share")


def _trapped(contracts: pl.DataFrame, spots: Floats) -> Floats:
    """Units by side (put, call) and expiry; NaN where no build-up or no spot is known."""
    known = contracts.select(
        "expiry_id",
        "strike",
        "is_call",
        "open_interest_change_units",
        is_written=pl.col("build_up") == _WRITTEN,
    ).drop_nulls("is_written")
    owner, is_call = known["expiry_id"].to_numpy(), known["is_call"].to_numpy()
    strike, spot = known["strike"].to_numpy(), spots[owner]
    is_inside = np.where(is_call, strike < spot, strike > spot)
    counted = is_inside & known["is_written"].to_numpy()
    units = np.where(counted, floats(known, "open_interest_change_units"), 0.0)
    slot = owner + len(spots) * is_call.astype(np.int64)
    total = np.bincount(slot, units, minlength=2 * len(spots)).reshape(2, -1)
    seen = np.bincount(slot, minlength=2 * len(spots)).reshape(2, -1)
    return np.where((seen > 0) & (spots > 0), total, np.nan)


def warm() -> None:
    """Compile every kernel once and leave it in the cache, so that no live path compiles."""
    held = HeldInTheMoney(np.ones(1), np.ones(1), np.ones(1), np.array([0, 1]))
    held.at(1.0)
    held.by_expiry(np.ones(1))
