"""Time to settlement: calendar minutes over 525 600.

Which instant settles an expiry is asked of ``market.rules``; settlement-aware time (averaging
windows) does not belong here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from market.rules import IST, Rules
from transforms.schemas import INSTANT

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
    "rate": pl.Float64,
}


def years_between(start_at: datetime, end_at: datetime) -> float:
    """Years of 525 600 minutes from one aware instant to another; negative if it has passed."""
    return (end_at - start_at).total_seconds() / 60 / MINUTES_PER_YEAR


def is_settling(years: float) -> bool:
    """Whether less than 60 s are left, or none."""
    return years < SETTLING_YEARS


def with_tenor(frame: pl.DataFrame, as_of: datetime, rules: Rules) -> pl.DataFrame:
    """Add ``as_of``, ``settlement_at``, ``years_to_expiry`` and ``rate`` by the column ``expiry``.

    ``years_to_expiry`` is zero or negative once settlement has passed.
    """
    expiries: list[date] = frame["expiry"].unique().sort().to_list()
    settlements = [rules.settlement_at(expiry) for expiry in expiries]
    rate = rules.rate(as_of.astimezone(IST).date())
    rows = [
        (expiry, as_of.astimezone(UTC), settlement_at, years_between(as_of, settlement_at), rate)
        for expiry, settlement_at in zip(expiries, settlements, strict=True)
    ]
    tenors = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame.join(tenors, on="expiry", how="left", maintain_order="left")
