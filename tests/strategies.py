"""Hypothesis strategies shared by the tests: contracts, and option chains free of arbitrage.

A chain is priced from a known forward and smile, so every test that draws one knows the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import polars as pl
from hypothesis import strategies as st

from market.contract import Contract, Kind, Right
from market.rules import Rules
from transforms import black76
from transforms.schemas import QUOTES
from transforms.tenor import years_between

RULES = Rules()
AS_OF = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
EXPIRIES = (date(2026, 11, 24), date(2026, 12, 1), date(2026, 12, 29))
TICK = RULES.tick_rupees()

symbols = st.from_regex(r"[A-Z][A-Z0-9&-]{0,11}", fullmatch=True)
strikes = st.integers(1, 20_000_000).map(lambda hundredths: hundredths / 100)


class Option(NamedTuple):
    """The terms of one option in the kernels' order; ₹, years, fractions."""

    forward: float
    strike: float
    years: float
    rate: float
    volatility: float
    is_call: bool

    @property
    def is_out_of_the_money(self) -> bool:
        """Whether all of its price is time value."""
        return self.is_call == (self.strike >= self.forward)


@st.composite
def options(
    draw: st.DrawFn,
    deviations: float = 8.0,
    volatility: tuple[float, float] = (0.01, 4.0),
    years: tuple[float, float] = (1 / 525_600, 3.0),
) -> Option:
    """Any option whose strike is so many standard deviations from the forward, at most."""
    forward, sigma = draw(st.floats(50.0, 100_000.0)), draw(st.floats(*volatility))
    left = draw(st.floats(*years))
    away = draw(st.floats(-deviations, deviations)) * sigma * math.sqrt(left)
    rate, is_call = draw(st.floats(-0.02, 0.12)), draw(st.booleans())
    return Option(forward, forward * math.exp(away), left, rate, sigma, is_call)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any contract that a canonical id can name."""
    symbol, kind = draw(symbols), draw(st.sampled_from(list(Kind)))
    if kind in {Kind.INDEX, Kind.EQUITY}:
        return Contract(symbol, kind)
    expiry = draw(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
    if kind is Kind.FUTURE:
        return Contract(symbol, kind, expiry)
    return Contract(symbol, kind, expiry, draw(strikes), draw(st.sampled_from(list(Right))))


@dataclass(frozen=True, slots=True)
class Truth:
    """What a drawn chain was priced from; ₹ and fractions."""

    symbol: str
    expiry: date
    spot: float
    forward: float
    volatility: float
    step: float
    count: int

    def smile(self, strike: float) -> float:
        """Volatility of a strike: a gentle parabola in moneyness around the money."""
        return self.volatility * (1.0 + 2.0 * (strike / self.forward - 1.0) ** 2)

    @property
    def strikes(self) -> list[float]:
        """Listed strikes, centred on the spot."""
        centre = round(self.spot / self.step) * self.step
        return [centre + self.step * i for i in range(-self.count, self.count + 1)]


@st.composite
def truths(draw: st.DrawFn, symbol: str = "NIFTY") -> Truth:
    """The truth behind one expiry of one symbol."""
    spot = draw(st.floats(20_000, 26_000))
    return Truth(
        symbol=symbol,
        expiry=draw(st.sampled_from(EXPIRIES[1:])),
        spot=spot,
        forward=spot * draw(st.floats(0.995, 1.01)),
        volatility=draw(st.floats(0.08, 0.4)),
        step=draw(st.sampled_from((50.0, 100.0))),
        count=draw(st.integers(6, 12)),
    )


def quotes_of(
    truth: Truth,
    *,
    as_of: datetime = AS_OF,
    half_spread: float = 0.1,
    open_interest: float | None = 65_000.0,
) -> pl.DataFrame:
    """The chain of a truth as a ``QUOTES`` frame, quoted around its exact price."""
    rows = [
        _row(truth, strike, is_call, as_of) | _book(truth, strike, is_call, as_of, half_spread)
        for strike in truth.strikes
        for is_call in (True, False)
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return QUOTES.conform(frame.with_columns(open_interest_units=pl.lit(open_interest)))


@st.composite
def chains(draw: st.DrawFn) -> pl.DataFrame:
    """Quotes of one to three expiries over two symbols, some legs without prices or interest."""
    found = draw(
        st.lists(truths(draw(st.sampled_from(("NIFTY", "SENSEX")))), min_size=1, max_size=3)
    )
    unique = {(truth.symbol, truth.expiry): truth for truth in found}
    frame = pl.concat(quotes_of(truth) for truth in unique.values())
    rows = st.lists(st.integers(0, len(frame) - 1), max_size=10)
    dark, silent = draw(rows), draw(rows)
    index = pl.int_range(pl.len())
    no_price = [
        pl.when(~index.is_in(dark)).then(name).alias(name) for name in ("bid_price", "last_price")
    ]
    interest = "open_interest_units"
    return frame.with_columns(
        *no_price, pl.when(~index.is_in(silent)).then(interest).alias(interest)
    )


def exact_value(truth: Truth, strike: float, is_call: bool, as_of: datetime) -> float:
    """Discounted value of a leg of the truth, ₹."""
    return black76.price(
        truth.forward,
        strike,
        years_between(as_of, RULES.settlement_at(truth.expiry)),
        RULES.rate(as_of.date()),
        truth.smile(strike),
        is_call,
    )


def _row(truth: Truth, strike: float, is_call: bool, as_of: datetime) -> dict[str, object]:
    right = Right.CALL if is_call else Right.PUT
    contract_id = str(Contract(truth.symbol, Kind.OPTION, truth.expiry, strike, right))
    return {
        "symbol": truth.symbol,
        "expiry": truth.expiry,
        "strike": strike,
        "is_call": is_call,
        "contract_id": contract_id,
        "broker_key": contract_id,
        "exchange": "NSE",
        "lot_size_units": 65,
        "last_traded_at": None,
        "previous_close_price": None,
        "volume_units": 130,
        "previous_open_interest_units": None,
        "spot": truth.spot,
        "vendor_implied_volatility": None,
        "vendor_delta": None,
        "quoted_at": as_of - timedelta(seconds=1),
        "source": "live",
    }


def _book(
    truth: Truth, strike: float, is_call: bool, as_of: datetime, half_spread: float
) -> dict[str, object]:
    value = exact_value(truth, strike, is_call, as_of)
    return {
        "bid_price": value - half_spread if value > half_spread else None,
        "bid_quantity_units": 65,
        "ask_price": value + half_spread,
        "ask_quantity_units": 65,
        "last_price": value if value > TICK else None,
    }
