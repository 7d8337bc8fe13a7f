"""A made-up Indian derivatives market of one instant: contracts, tick-rounded prices, quotes.

Everything comes from a seed, so nothing is stored and nobody's data is needed. Indices and stocks
with skewed smiles free of arbitrage before rounding, expiries from minutes to two months, premiums
discounted and rounded to ₹0.05; rows that rounding leaves without a volatility stay in, as they do
in a real chain. Harder inputs belong in ``grids``, deliberately broken ones in ``nasty``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import IST
from transforms.schemas import QUOTES

TERMS = ("premium", "forward", "strike", "years_to_expiry", "rate", "is_call")
"""What pricing needs of each row; units as in ``transforms.greeks.price``."""

DAY = date(2026, 9, 8)
LATE = time(15, 26)
SEED = 20260908
RATE = 0.065
TICK_RUPEES = 0.05

_CLOSE_MINUTES = 15 * 60 + 30
_MINUTES_PER_YEAR = 525_600
_STRIKES = 128
_INDICES = (
    # symbol, exchange, spot, strike step, volatility, skew
    ("NIFTY", "NSE", 24_500.0, 50.0, 0.13, -0.62),
    ("BANKNIFTY", "NSE", 55_200.0, 100.0, 0.15, -0.55),
    ("FINNIFTY", "NSE", 26_300.0, 50.0, 0.15, -0.55),
    ("MIDCPNIFTY", "NSE", 12_700.0, 25.0, 0.18, -0.5),
    ("SENSEX", "BSE", 80_300.0, 100.0, 0.13, -0.62),
)
_STOCKS = 210
_STEPS = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 250.0, 500.0)
_INDEX_DAYS = ((0, 7), (0, 21), (1, 28), (2, 49), (7, 21))
_STOCK_DAYS = ((14, 42), (21, 56), (28, 58), (9, 35))
# η of the surface below: 4 ≥ η²(1 + |ρ|) keeps every slice free of butterfly arbitrage.
_CURVATURE = 1.1


@dataclass(frozen=True, slots=True)
class _Underlying:
    symbol: str
    exchange: str
    spot: float
    step: float
    volatility: float
    skew: float
    days: tuple[int, int]


def market(seed: int = SEED, clock: time = LATE) -> pl.DataFrame:
    """About 110 000 contracts of 215 underlyings at ``clock`` (IST) on ``DAY``.

    Returns:
        ``symbol``, ``exchange``, ``expiry``, ``spot`` and ``TERMS``, sorted by contract.
    """
    random = np.random.default_rng(seed)
    minutes_left = _CLOSE_MINUTES - clock.hour * 60 - clock.minute
    slices = [
        _slice(underlying, days, minutes_left + 1440 * days)
        for underlying in _underlyings(random)
        for days in underlying.days
    ]
    return pl.concat(slices)


def chain(rows: int = 200, seed: int = SEED) -> pl.DataFrame:
    """The ``rows`` contracts around the money of one weekly index expiry, as ``market``."""
    nifty = pl.col("symbol") == "NIFTY"
    expiry = market(seed).filter(nifty, pl.col("expiry") == DAY + timedelta(days=7))
    around = (pl.col("strike") - pl.col("forward")).abs()
    return expiry.sort(around, "is_call").head(rows).sort("strike", "is_call")


def quotes(contracts: int, clock: time = time(11, 0), seed: int = SEED) -> pl.DataFrame:
    """The first ``contracts`` rows of the market as a ``transforms.schemas.QUOTES`` frame."""
    frame = market(seed, clock).head(contracts)
    random = np.random.default_rng(seed + 1)
    known = frame.with_columns(
        bid_price=_above_zero(pl.col("premium") - TICK_RUPEES),
        ask_price=pl.col("premium") + TICK_RUPEES,
        last_price=_above_zero(pl.col("premium")),
        previous_close_price=_above_zero(pl.col("premium")),
        contract_id=_contract_id(),
        broker_key=pl.format("{}|{}", "exchange", pl.int_range(pl.len()) + 40_000),
        lot_size_units=pl.lit(75),
        quoted_at=pl.lit(instant(clock)),
        source=pl.lit("live"),
        **{name: random.integers(0, 5_000, len(frame)) * 75 for name in _quantities()},
    )
    dtypes = QUOTES.polars
    absent = [pl.lit(None, dtypes[n]).alias(n) for n in dtypes if n not in known.columns]
    return QUOTES.conform(known.with_columns(absent))


def instant(clock: time) -> datetime:
    """A wall time (IST) of ``DAY`` as an aware instant."""
    return datetime.combine(DAY, clock, tzinfo=IST).astimezone(UTC)


def _quantities() -> Sequence[str]:
    return [c.name for c in QUOTES.columns if c.name.endswith("_units") and "lot" not in c.name]


def _above_zero(price: pl.Expr) -> pl.Expr:
    return pl.when(price > 0.5 * TICK_RUPEES).then(price)


def _contract_id() -> pl.Expr:
    right = pl.when("is_call").then(pl.lit("CE")).otherwise(pl.lit("PE"))
    return pl.format("{}:{}:{}:{}", "symbol", "expiry", "strike", right)


def _underlyings(random: np.random.Generator) -> list[_Underlying]:
    indices = [_Underlying(*i, days) for i, days in zip(_INDICES, _INDEX_DAYS, strict=True)]
    return indices + [_stock(number, random) for number in range(_STOCKS)]


def _stock(number: int, random: np.random.Generator) -> _Underlying:
    spot = round(float(np.exp(random.uniform(np.log(80.0), np.log(15_000.0)))), 2)
    wanted = spot * random.uniform(0.004, 0.009)
    step = min(_STEPS, key=lambda s: abs(np.log(s / wanted)))
    volatility, skew = random.uniform(0.18, 0.55), random.uniform(-0.5, -0.05)
    days = _STOCK_DAYS[number % len(_STOCK_DAYS)]
    return _Underlying(f"STOCK{number:03d}", "NSE", spot, step, volatility, skew, days)


def _slice(underlying: _Underlying, days: int, minutes: int) -> pl.DataFrame:
    years = minutes / _MINUTES_PER_YEAR
    forward = underlying.spot * float(np.exp(RATE * years))
    strikes = np.repeat(_strikes(forward, underlying.step), 2)
    is_call = np.arange(len(strikes)) % 2 == 1
    volatility = _smile(np.log(strikes / forward), years, underlying)
    value = np.exp(-RATE * years) * _black(forward, strikes, volatility * np.sqrt(years), is_call)
    return pl.DataFrame(
        {
            "premium": np.round(value / TICK_RUPEES) / round(1 / TICK_RUPEES),
            "strike": strikes,
            "is_call": is_call,
        }
    ).select(
        symbol=pl.lit(underlying.symbol),
        exchange=pl.lit(underlying.exchange),
        expiry=pl.lit(DAY + timedelta(days=days)),
        spot=pl.lit(underlying.spot),
        premium="premium",
        forward=pl.lit(forward),
        strike="strike",
        years_to_expiry=pl.lit(years),
        rate=pl.lit(RATE),
        is_call="is_call",
    )


def _strikes(forward: float, step: float) -> NDArray[np.float64]:
    middle = round(forward / step)
    lowest = max(middle - _STRIKES // 2, 1)
    return step * np.arange(lowest, lowest + _STRIKES, dtype=np.float64)


def _smile(
    log_strike: NDArray[np.float64], years: float, underlying: _Underlying
) -> NDArray[np.float64]:
    """Volatility at ln(K/F): SSVI (J. Gatheral, A. Jacquier, Quant. Finance 14, 2014, eq. 4.1)."""
    theta = underlying.volatility**2 * years
    rho = underlying.skew
    k = _CURVATURE / np.sqrt(theta) * log_strike
    total = 0.5 * theta * (1.0 + rho * k + np.sqrt((k + rho) ** 2 + 1.0 - rho * rho))
    return np.asarray(np.sqrt(total / years))


def _black(
    forward: float,
    strike: NDArray[np.float64],
    s: NDArray[np.float64],
    is_call: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Undiscounted Black-76 values, good to far below a tick."""
    d1 = np.log(forward / strike) / s + 0.5 * s
    call = forward * _normal_cdf(d1) - strike * _normal_cdf(d1 - s)
    return np.where(is_call, call, call - (forward - strike))


def _normal_cdf(h: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * np.asarray(_erfc(-h * math.sqrt(0.5)), dtype=np.float64)


_erfc = np.vectorize(math.erfc, otypes=[np.float64])
