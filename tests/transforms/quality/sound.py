"""Chains that break no rule, as frames; tests break one thing in them at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from statistics import NormalDist

import polars as pl
from hypothesis import strategies as st

from tests.strategies import AS_OF, EXPIRIES, RULES, TICK, Option, Truth, quotes_of, truths
from transforms.context import PREVIOUS
from transforms.quality import Circumstances
from transforms.quality.interest import with_earlier
from transforms.quality.series import series_of
from transforms.schemas import CONTRACTS, VIOLATIONS
from transforms.tenor import with_tenor

LOT = 65
TRUTH = Truth("NIFTY", EXPIRIES[2], 24_000.0, 24_140.0, 0.15, 100.0, 13)
FIVE_MINUTES = timedelta(minutes=5)
NORMAL = NormalDist()


@dataclass(frozen=True)
class Chain:
    """The two frames of an analysis that the rules read."""

    contracts: pl.DataFrame
    expiries: pl.DataFrame


@st.composite
def sound_truths(draw: st.DrawFn) -> Truth:
    """Truths whose every option is worth several ticks, with a carry that dividends explain."""
    truth = draw(truths())
    return replace(
        truth,
        expiry=EXPIRIES[2],
        forward=truth.spot * draw(st.floats(1.003, 1.009)),
        volatility=max(truth.volatility, 0.14),
        count=18,
    )


def rounded_quotes(truth: Truth, half_spread: float = 0.1) -> pl.DataFrame:
    """A truth's quotes as an exchange would show them: bids rounded down to a tick, asks up."""
    bid, ask, last = pl.col("bid_price"), pl.col("ask_price"), pl.col("last_price")
    return quotes_of(truth, half_spread=half_spread).with_columns(
        bid_price=((bid / TICK).floor() * TICK).round(2),
        ask_price=((ask / TICK).ceil() * TICK).round(2),
        last_price=((last / TICK).round() * TICK).round(2),
        lot_size_units=pl.lit(LOT, pl.Int64),
    )


def chain_of(*chosen: Truth) -> Chain:
    """Contracts and expiries of some truths, priced from the truth and not by the project."""
    contracts = pl.concat(_contracts(truth) for truth in chosen).sort(
        "symbol", "expiry", "strike", "is_call"
    )
    return Chain(contracts, expiries_of(contracts))


def expiries_of(contracts: pl.DataFrame) -> pl.DataFrame:
    """What Q26 and Q30 read of the expiries, summed here by the simplest means."""
    rows = []
    for (symbol, expiry), group in contracts.group_by("symbol", "expiry", maintain_order=True):
        sums = {}
        for side, is_call in (("call", True), ("put", False)):
            own = group.filter(pl.col("is_call") == is_call)
            for name in ("open_interest_units", "volume_units"):
                known = own[name].drop_nulls().drop_nans()
                sums[f"{side}_{name}"] = float(known.sum()) if len(known) else None
        ratios = {
            f"pcr_{what}": _ratio(sums[f"put_{what}_units"], sums[f"call_{what}_units"])
            for what in ("open_interest", "volume")
        }
        phase, as_of = group["settlement_phase"][0], group["as_of"][0]
        row = {"symbol": symbol, "expiry": expiry, "as_of": as_of, "settlement_phase": phase}
        rows.append(row | sums | ratios)
    return pl.DataFrame(rows, schema_overrides=_NUMBERS, infer_schema_length=None)


def previous_of(contracts: pl.DataFrame, age: timedelta = FIVE_MINUTES) -> pl.DataFrame:
    """The same chain one interval earlier."""
    return PREVIOUS.conform(contracts.with_columns(as_of=pl.col("as_of") - age))


def series_in(contracts: pl.DataFrame, previous: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row per expiry of a chain, and of the snapshot before if there is one."""
    then = PREVIOUS.empty() if previous is None else previous
    return series_of(with_earlier(contracts, then))


def beside(contracts: pl.DataFrame, **known: object) -> Circumstances:
    """Circumstances of a quiet moment in trading hours."""
    quiet: dict[str, object] = {
        "rules": RULES,
        "underlying_phase": "continuous",
        "interval_seconds": 300.0,
        "previous": previous_of(contracts),
        "requested": contracts.select("symbol", "expiry").unique(),
    }
    return Circumstances(**(quiet | known))  # type: ignore[arg-type]


def put_in(
    contracts: pl.DataFrame, strike: float, is_call: bool, **columns: object
) -> pl.DataFrame:
    """The contracts with some columns of one leg replaced by values or expressions."""
    is_leg = (pl.col("strike") == strike) & (pl.col("is_call") == is_call)
    return contracts.with_columns(
        pl.when(is_leg)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(name)
        .cast(contracts.schema[name])
        .alias(name)
        for name, value in columns.items()
    )


def told(violations: pl.DataFrame) -> list[tuple[object, ...]]:
    """Rule, severity and strike of each violation."""
    assert violations.schema == VIOLATIONS.polars
    return violations.select("rule", "severity", "strike").rows()


_NUMBERS = dict.fromkeys(
    [
        *(f"{s}_{n}_units" for s in ("call", "put") for n in ("open_interest", "volume")),
        "pcr_open_interest",
        "pcr_volume",
    ],
    pl.Float64,
)


def _ratio(put: float | None, call: float | None) -> float | None:
    return put / call if put is not None and call else None


def _contracts(truth: Truth) -> pl.DataFrame:
    quotes = with_tenor(rounded_quotes(truth), AS_OF, RULES)
    terms = quotes.row(0, named=True)
    legs = {(row["strike"], row["is_call"]): row for row in quotes.iter_rows(named=True)}
    priced = [_priced(truth, key, legs, terms) for key in legs]
    blank = {c.name: None for c in CONTRACTS.columns}
    rows = [
        blank | {"formula_version": "1"} | row | more
        for row, more in zip(legs.values(), priced, strict=True)
    ]
    types = dict(CONTRACTS.polars) | {"settlement_phase": pl.String}
    return pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)


def _priced(
    truth: Truth,
    key: tuple[float, bool],
    legs: dict[tuple[float, bool], dict[str, object]],
    terms: dict[str, object],
) -> dict[str, object]:
    strike, is_call = key
    is_upper = strike >= truth.forward
    years, rate = float(str(terms["years_to_expiry"])), float(str(terms["rate"]))
    speaking = Option(truth.forward, strike, years, rate, truth.smile(strike), is_upper)
    quote = legs[strike, is_upper]
    shift = 0.0 if is_call else 1.0
    return {
        "forward": truth.forward,
        "implied_volatility": speaking.volatility,
        "iv_status": "ok",
        "implied_volatility_bid": _implied(speaking, quote["bid_price"]),
        "implied_volatility_ask": _implied(speaking, quote["ask_price"]),
        "delta_forward": math.exp(-rate * years) * (NORMAL.cdf(_d1(speaking)) - shift),
    }


def black(option: Option) -> float:
    """Black's formula, as in the textbook; ₹."""
    d1, sign = _d1(option), 1.0 if option.is_call else -1.0
    d2 = d1 - option.volatility * math.sqrt(option.years)
    value = option.forward * NORMAL.cdf(sign * d1) - option.strike * NORMAL.cdf(sign * d2)
    return math.exp(-option.rate * option.years) * sign * value


def _d1(option: Option) -> float:
    deviation = option.volatility * math.sqrt(option.years)
    return math.log(option.forward / option.strike) / deviation + 0.5 * deviation


def _implied(option: Option, price: object) -> float | None:
    """Volatility by bisection; None without a price."""
    if not isinstance(price, float) or price <= 0.0:
        return None
    low, high = 1e-3, 3.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if black(option._replace(volatility=middle)) < price:
            low = middle
        else:
            high = middle
    return low


def later(truth: Truth, expiry: date) -> Truth:
    """The same market's next expiry: carried on at 5 % a year."""
    days = (expiry - truth.expiry).days
    return replace(truth, expiry=expiry, forward=truth.forward * (1 + 0.05 * days / 365))
