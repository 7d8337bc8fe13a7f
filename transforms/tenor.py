"""Time to settlement: calendar minutes over 525 600, and how much of it still moves the settlement.

Until 3 Aug 2026 an expiry settled at the average of its last w = 30 minutes. A price move inside
that window counts for the part of the average still to come, so the settlement gathers less
variance than the clock gives time. Which instants and windows apply is asked of ``market.rules``;
prices and Greeks of options on an average belong in ``settlement``.

The average is taken as even in time. A move of the spot when τ of the window is left changes the
settlement by its share s(τ) = min(τ/w, 1), and the variance is σ²·∫s² dτ over the time left::

    before the window, a from its start:   σ²·(a + w/3),      share 1
    inside, τ left:                        σ²·τ³/(3w²),       share τ/w

(the average-rate variance of E. Levy, J. Int. Money and Finance 11, 1992, without drift).
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from market.rules import IST, Rules, Settlement
from transforms.columns import INSTANT
from transforms.kernel import compiled
from transforms.layout import beside

MINUTES_PER_YEAR = 525_600
# Below one minute a volatility no longer means anything: the contract is settling. The allowance
# lets exactly 60 s count as a minute after the division by minutes per year.
SETTLING_SECONDS = 60
SETTLING_YEARS = SETTLING_SECONDS / 60 / MINUTES_PER_YEAR * (1 - 1e-9)

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "expiry": pl.Date,
    "as_of": INSTANT,
    "settlement_at": INSTANT,
    "years_to_expiry": pl.Float64,
    "variance_years": pl.Float64,
    "spot_share": pl.Float64,
    "settlement_phase": pl.String,
    "is_expiry_day": pl.Boolean,
    "rate": pl.Float64,
}
_KEY = ("expiry", "as_of")
_Row = tuple[date, datetime, datetime, float, float, float, str, bool, float]


def years_between(start_at: datetime, end_at: datetime) -> float:
    """Years of 525 600 minutes from one aware instant to another; negative if it has passed."""
    return (end_at - start_at).total_seconds() / 60 / MINUTES_PER_YEAR


def is_settling(years: float) -> bool:
    """Whether less than 60 s are left, or none."""
    return years < SETTLING_YEARS


@compiled
def variance_time(left: float, window: float) -> float:
    """Time over which σ² accrues into the settlement, 0 once it is fixed.

    Args:
        left: time to settlement; floats of one unit, in which the answer is given too.
        window: length of the averaging that ends at settlement; 0 if it is one price.
    """
    if left <= 0.0:
        return 0.0
    if left >= window:
        return left - window + window / 3.0
    return left * (left / window) ** 2 / 3.0


@compiled
def spot_share_at(left: float, window: float) -> float:
    """∂E[settlement]/∂S: the share of the average still to come; arguments as ``variance_time``."""
    if left <= 0.0:
        return 0.0
    return left / window if left < window else 1.0


def averaging_years(settlement: Settlement) -> float:
    """Length of the averaging window, years; 0 where the settlement is one price."""
    if settlement.averaging_starts_at is None:
        return 0.0
    return years_between(settlement.averaging_starts_at, settlement.settles_at)


def with_tenor(frame: pl.DataFrame, as_of: datetime | None, rules: Rules) -> pl.DataFrame:
    """Add what the column ``expiry`` and an instant tell; the row order stays.

    Args:
        as_of: aware, the instant of every row; None: each row's own column ``as_of``.

    Returns:
        The frame with these columns added or replaced; all but ``as_of`` are null where the expiry
        is null or older than the tables:

        * ``as_of``, ``settlement_at``: UTC;
        * ``years_to_expiry``: zero or negative once settlement has passed;
        * ``variance_years``: years over which σ² accrues into the settlement, never more than
          the years left, 0 once settled; without the auction's own jump;
        * ``spot_share``: ∂E[settlement]/∂S, 1 before the averaging and 0 once settled;
        * ``settlement_phase``: one of ``market.rules.SETTLEMENT_PHASES``;
        * ``is_expiry_day``: whether the exchange's day of ``as_of`` is the expiry;
        * ``rate``: continuous, per year, of the tenor to settlement.
    """
    if as_of is not None:
        told = pl.Series("as_of", [as_of.astimezone(UTC)], INSTANT)
        frame = beside(frame, [told.new_from_index(0, len(frame))])
    kept = frame.drop(set(_SCHEMA) - set(_KEY), strict=False)
    pairs = dict.fromkeys(row for row in kept[list(_KEY)].rows() if None not in row)
    found = [_tenor(expiry, at, rules) for expiry, at in pairs]
    rows = [row for row in found if row is not None]
    tenors = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return kept.join(tenors, on=_KEY, how="left", maintain_order="left")


def _tenor(expiry: date, as_of: datetime, rules: Rules) -> _Row | None:
    try:
        settlement = rules.settlement(expiry)
    except ValueError:
        # No such date can be an expiry; one mistaken row must not stop the others.
        return None
    day = as_of.astimezone(IST).date()
    years, window = years_between(as_of, settlement.settles_at), averaging_years(settlement)
    return (
        expiry,
        as_of,
        settlement.settles_at,
        years,
        variance_time(years, window),
        spot_share_at(years, window),
        settlement.phase(as_of),
        day == expiry,
        rules.rate(day, max((expiry - day).days, 0)),
    )
