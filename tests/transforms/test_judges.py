"""Our volatilities and Greeks before judges: two packages that share no code with us or each other.

vanilla-option-pricers (A. Sepp, MIT) follows P. Jäckel's "Let's Be Rational" of 2024; QuantLib
(BSD) brackets and has its own calculator. Theirs are brought into our units:

* delta: vanilla's is discounted already, QuantLib's ``deltaForward`` too;
* gamma: vanilla's is undiscounted, so it is multiplied by D = exp(−rT);
* vega: both per 1.00 of volatility, ours per volatility point: a hundredth;
* theta: ours keeps the forward and is per calendar day. Vanilla's keeps the spot of a forward that
  grows at r, so it is asked at r = 0 and rV is added; QuantLib's has the same rV by hand;
* rho: with the forward fixed −T·V, per 1 %.
"""

from __future__ import annotations

import math

import polars as pl
import pytest
import QuantLib as ql
import vanilla_option_pricers as vanilla
from hypothesis import assume, given

from benchmarks import universe
from benchmarks.exact_roots import sample
from tests.strategies import Option, options
from transforms import black76, greeks

# Judges lose digits that we keep: x = ln(F/K) in double, price less intrinsic value.
LOOSE = 1e-9


def _frame(option: Option) -> pl.DataFrame:
    terms = (option.forward, option.strike, option.years, option.rate)
    premium = black76.price(*terms, option.volatility, option.is_call)
    return pl.DataFrame(
        {
            "premium": [premium],
            "forward": [option.forward],
            "strike": [option.strike],
            "years_to_expiry": [option.years],
            "rate": [option.rate],
            "is_call": [option.is_call],
        }
    )


def _vanilla_volatility(row: dict[str, float]) -> float:
    discount = math.exp(-row["rate"] * row["years_to_expiry"])
    right = "C" if row["is_call"] else "P"
    terms = (row["forward"], row["years_to_expiry"], row["strike"], row["premium"])
    return float(vanilla.infer_bsm_implied_vol(*terms, discount, right, 1e-14, 0.0, 100.0))


def _vanilla_greeks(row: dict[str, float], v: float) -> dict[str, float]:
    discount = math.exp(-row["rate"] * row["years_to_expiry"])
    right = "C" if row["is_call"] else "P"
    terms = (row["years_to_expiry"], row["forward"], row["strike"], v)
    decay = vanilla.compute_bsm_vanilla_theta(*terms, right, discount, 0.0)
    return {
        "delta_forward": vanilla.compute_bsm_vanilla_delta(*terms, right, discount),
        "gamma_forward": discount * vanilla.compute_bsm_vanilla_gamma(*terms),
        "theta_per_day": (decay + row["rate"] * row["premium"]) / 365.0,
        "vega_per_vol_point": vanilla.compute_bsm_vanilla_vega(*terms, discount) / 100.0,
    }


def _quantlib_greeks(row: dict[str, float], v: float) -> dict[str, float]:
    right = ql.Option.Call if row["is_call"] else ql.Option.Put
    years, rate = row["years_to_expiry"], row["rate"]
    payoff = ql.PlainVanillaPayoff(right, row["strike"])
    discount = math.exp(-rate * years)
    made = ql.BlackCalculator(payoff, row["forward"], v * math.sqrt(years), discount)
    vega, value = made.vega(years), made.value()
    return {
        "delta_forward": made.deltaForward(),
        "gamma_forward": made.gammaForward(),
        "theta_per_day": (rate * value - 0.5 * v * vega / years) / 365.0,
        "vega_per_vol_point": vega / 100.0,
        "rho_per_percent": -years * value / 100.0,
    }


def _quantlib_volatility(row: dict[str, float]) -> float:
    right = ql.Option.Call if row["is_call"] else ql.Option.Put
    years = row["years_to_expiry"]
    terms = (right, row["strike"], row["forward"], row["premium"], math.exp(-row["rate"] * years))
    guess = row["implied_volatility"] * math.sqrt(years) * 1.1
    return float(ql.blackFormulaImpliedStdDev(*terms, 0.0, guess, 1e-15, 1000)) / math.sqrt(years)


@given(options(deviations=5.0, volatility=(0.03, 3.0), years=(1 / 365, 3.0)))
def test_vanilla_finds_the_same_volatility(option: Option) -> None:
    """Out of the money, where the premium tells the volatility, both find it to 1e-9."""
    assume(option.is_out_of_the_money)
    row = greeks.price(_frame(option)).row(0, named=True)
    assert row["iv_status"] == "ok"
    assert _vanilla_volatility(row) == pytest.approx(row["implied_volatility"], rel=LOOSE)


@given(options(deviations=4.0, volatility=(0.05, 2.0), years=(1 / 365, 3.0)))
def test_quantlib_finds_the_same_volatility(option: Option) -> None:
    """Its bracketing solver with its finest accuracy, from a guess 10 % off, to 1e-9."""
    assume(option.is_out_of_the_money)
    row = greeks.price(_frame(option)).row(0, named=True)
    assert _quantlib_volatility(row) == pytest.approx(row["implied_volatility"], rel=LOOSE)


@pytest.mark.parametrize("judge", [_vanilla_greeks, _quantlib_greeks])
@given(option=options(deviations=5.0, volatility=(0.03, 3.0), years=(1 / 365, 3.0)))
def test_greeks_agree(judge: object, option: Option) -> None:
    """All Greeks that a judge has, in our units, at our volatility; values to rounding."""
    assume(option.is_out_of_the_money)
    row = greeks.price(_frame(option)).row(0, named=True)
    theirs = judge(row, row["implied_volatility"])  # type: ignore[operator]
    # QuantLib's N(d) has an absolute error; its value is a difference of terms as large as F, K.
    rounding = 1e-14 * max(option.forward, option.strike)
    value_slack = LOOSE * row["premium"] + rounding
    slack = {
        "delta_forward": 1e-14,
        "theta_per_day": abs(row["rate"]) * value_slack / 365.0,
        "rho_per_percent": row["years_to_expiry"] * rounding / 100.0,
    }
    for name, value in theirs.items():
        assert row[name] == pytest.approx(value, rel=LOOSE, abs=slack.get(name, 0.0)), name


def test_a_market_before_vanilla() -> None:
    """Rows as a market rounds them: the same ones have a volatility, and the same one to 1e-8."""
    market = sample(universe.market().select(universe.TERMS), 2_000, seed=7)
    for row in greeks.imply(market).iter_rows(named=True):
        theirs, ours = _vanilla_volatility(row), row["implied_volatility"]
        assert math.isnan(theirs) == (ours is None)
        assert ours is None or theirs == pytest.approx(ours, rel=1e-8)
