"""Small chains with volatilities, and their exposure at any spot from the textbook's formulas.

The yardstick for ``bells``, ``flips`` and ``profile``: plain NumPy, written from Hull's
Γ = n(d1)/(Sσ√T) on a forward, so that it shares nothing with the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
from hypothesis import strategies as st
from numpy.typing import NDArray

from transforms.bells import Bells, bells
from transforms.layout import Positions, starts

AS_OF = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)

Row = tuple[float, float | None, float | None, float | None]


@dataclass(frozen=True)
class Expiry:
    """One expiry: rows of strike, volatility, call and put open interest in units."""

    rows: list[Row]
    spot: float | None = 1000.0
    carry: float = 1.002
    years: float = 30 / 365
    rate: float = 0.065
    symbol: str = "A"
    day: date = date(2026, 12, 29)
    quoted_at: datetime = AS_OF

    @property
    def forward(self) -> float | None:
        return None if self.spot is None else self.spot * self.carry


def frames(*expiries: Expiry) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The strikes and expiries of a book, as the analysis hands them to the steps of exposure."""
    names = ("strike", "implied_volatility", "call_open_interest_units", "put_open_interest_units")
    schema: dict[str, type[pl.DataType]] = {
        "expiry_id": pl.UInt32,
        **dict.fromkeys(names, pl.Float64),
    }
    rows = [(i, *row) for i, expiry in enumerate(expiries) for row in expiry.rows]
    owners = pl.DataFrame(
        {
            "symbol": [e.symbol for e in expiries],
            "expiry": [e.day for e in expiries],
            "spot": [e.spot for e in expiries],
            "forward": [e.forward for e in expiries],
            "years_to_expiry": [e.years for e in expiries],
            "rate": [e.rate for e in expiries],
            "quoted_at": [e.quoted_at for e in expiries],
        },
        schema_overrides={
            "spot": pl.Float64, "forward": pl.Float64, "symbol": pl.String, "expiry": pl.Date,
            "quoted_at": pl.Datetime("us", "UTC"),
        },
    ).with_columns(as_of=pl.lit(AS_OF, pl.Datetime("us", "UTC")))  # fmt: skip
    strikes = pl.DataFrame(rows, schema=schema, orient="row")
    spread = owners.select("spot", "forward", "years_to_expiry", "rate")
    each = spread.select(pl.all().gather(strikes["expiry_id"]))
    return strikes.hstack(each), owners


def prepared(*expiries: Expiry) -> tuple[pl.DataFrame, Bells, Positions]:
    """Owners, bells and where each expiry's strikes begin."""
    strikes, owners = frames(*expiries)
    return owners, bells(strikes), starts(strikes, "expiry_id", len(owners))


def gex_at(expiry: Expiry, ratios: NDArray[np.float64], shift: float = 0.0) -> NDArray[np.float64]:
    """Net GEX at spot × ratio, ₹ crore per 1 %, one row per strike of which anything is known."""
    lines = []
    for strike, volatility, call, put in expiry.rows:
        if volatility is None or (call is None and put is None) or expiry.spot is None:
            continue
        level = expiry.spot * ratios
        forward = level * expiry.carry
        width = max(volatility + shift, volatility / 2) * np.sqrt(expiry.years)
        d1 = np.log(forward / strike) / width + width / 2
        density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
        gamma = np.exp(-expiry.rate * expiry.years) * density / (forward * width)
        units = (call or 0.0) - (put or 0.0)
        lines.append(gamma * units * level**2 * 0.01 / 1e7)
    return np.array(lines).reshape(len(lines), len(ratios))


def scaled(expiry: Expiry, factor: float) -> Expiry:
    """The same with all open interest multiplied."""
    rows = [
        (k, v, None if c is None else c * factor, None if p is None else p * factor)
        for k, v, c, p in expiry.rows
    ]
    return replace(expiry, rows=rows)


def swapped(expiry: Expiry) -> Expiry:
    """The same with calls and puts exchanged."""
    return replace(expiry, rows=[(k, v, p, c) for k, v, c, p in expiry.rows])


_units = st.integers(0, 400).map(lambda n: 500.0 * n)


@st.composite
def chains(draw: st.DrawFn, step: float = 20.0, count: int = 15) -> Expiry:
    """An expiry whose strikes span 860 to 1140 around a spot of 1000."""
    base = draw(st.floats(0.08, 0.5))
    rows: list[Row] = []
    for i in range(count):
        strike = 1000.0 + (i - count // 2) * step
        volatility = base * draw(st.floats(0.9, 1.1))
        rows.append((strike, volatility, draw(_units), draw(_units)))
    years = draw(st.sampled_from([0.5 / 365, 2 / 365, 7 / 365, 35 / 365]))
    return Expiry(rows, years=years, carry=draw(st.floats(0.995, 1.01)))
