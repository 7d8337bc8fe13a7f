"""An expiry's volatility: at the money, straddle, and all of it over a laid-out book."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, exact_value, quotes_of, truths
from transforms import black76
from transforms.columns import VOLATILITY
from transforms.implied_vol import implied_volatility
from transforms.layout import lay_out
from transforms.schemas import QUOTES
from transforms.skew import SKEW_STATUSES, wing_volatilities
from transforms.tenor import years_between
from transforms.variance_index import STRIP_STATUSES, variances_of_expiries
from transforms.volatility import (
    ATM_STATUSES,
    at_the_forward,
    straddle_prices,
    warm,
    with_volatility_of_expiries,
)

PER_DEVIATION = math.sqrt(2 / math.pi)


def at_the_money(
    points: list[tuple[float, float]], forward: float = 100.0, years: float = 0.1
) -> tuple[float, str]:
    """Volatility and status of one expiry of (strike, volatility)."""
    strike, volatility = np.array(points, dtype=np.float64).reshape(-1, 2).T.copy()
    found, status = at_the_forward(
        np.array([0, len(points)], dtype=np.int64),
        strike,
        volatility,
        np.array([forward]),
        np.array([years]),
    )
    return float(found[0]), ATM_STATUSES[status[0]]


def straddle(
    strikes: list[float], forward: float, volatility: float, years: float, rate: float
) -> float:
    """Straddle price from exact premiums of a flat smile."""
    legs = [
        np.array([black76.price(forward, k, years, rate, volatility, side) for k in strikes])
        for side in (True, False)
    ]
    terms = (np.array([value]) for value in (forward, years, rate))
    offsets = np.array([0, len(strikes)], dtype=np.int64)
    return float(straddle_prices(offsets, np.array(strikes), *legs, *terms)[0])


def analysed(truth: Truth, changes: list[pl.Expr] | None = None) -> dict[str, object]:
    """The one expiry of a truth, with its exact forward, volatilities and premiums.

    ``changes`` are made to the strikes.
    """
    book = lay_out(quotes_of(truth))
    premiums = [
        exact_value(truth, strike, is_call, AS_OF)
        for strike, is_call in book.contracts.select("strike", "is_call").iter_rows()
    ]
    smile = [truth.smile(strike) for strike in book.strikes["strike"]]
    strikes = book.strikes.with_columns(pl.Series("implied_volatility", smile))
    years = years_between(AS_OF, RULES.settlement_at(truth.expiry))
    expiries = book.expiries.with_columns(
        forward=pl.lit(truth.forward),
        years_to_expiry=pl.lit(years),
        rate=pl.lit(RULES.rate(AS_OF.date())),
    )
    contracts = book.contracts.with_columns(pl.Series("premium", premiums))
    found = with_volatility_of_expiries(strikes.with_columns(changes or []), contracts, expiries)
    return found.row(0, named=True)


def test_total_variance_is_linear_in_moneyness() -> None:
    """Worked by hand: strikes 95 and 110 around a forward of 100."""
    points = [(90.0, 0.5), (95.0, 0.3), (105.0, math.nan), (110.0, 0.2), (120.0, 0.9)]
    low, high = math.log(95 / 100), math.log(110 / 100)
    share = -low / (high - low)
    expected = math.sqrt((1 - share) * 0.3**2 + share * 0.2**2)
    assert at_the_money(points) == (pytest.approx(expected), "atm_ok")


def test_a_strike_at_the_forward_is_taken_as_it_is() -> None:
    """No interpolation, and no neighbours needed."""
    assert at_the_money([(100.0, 0.25)]) == (0.25, "atm_ok")


@pytest.mark.parametrize(
    ("points", "forward", "years", "status"),
    [
        ([(95.0, 0.3), (99.0, 0.3)], 100.0, 0.1, "no_bracket"),
        ([(105.0, 0.3)], 100.0, 0.1, "no_bracket"),
        ([(95.0, math.nan), (105.0, 0.3)], 100.0, 0.1, "no_bracket"),
        ([], 100.0, 0.1, "no_bracket"),
        ([(95.0, 0.3), (105.0, 0.3)], math.nan, 0.1, "no_forward"),
        ([(95.0, 0.3), (105.0, 0.3)], -1.0, 0.1, "no_forward"),
        ([(95.0, 0.3), (105.0, 0.3)], 100.0, 1e-7, "settling"),
        ([(95.0, 0.3), (105.0, 0.3)], math.nan, -0.1, "settling"),
    ],
)
def test_null_with_a_reason(
    points: list[tuple[float, float]], forward: float, years: float, status: str
) -> None:
    """Never extrapolated, never zero."""
    value, told = at_the_money(points, forward, years)
    assert math.isnan(value)
    assert told == status


@given(
    st.floats(0.05, 0.6),
    st.floats(0.001, 0.3),
    st.floats(-0.02, 0.1),
    st.floats(0.0, 1.0),
    st.floats(0.05, 1.0),
)
def test_a_straddle_is_four_fifths_of_a_deviation(
    volatility: float, years: float, rate: float, place: float, steps: float
) -> None:
    """√(2/π)·1σ where the smile is flat, also when strikes lie a whole deviation apart."""
    deviation = volatility * math.sqrt(years)
    forward = 100.0
    low = forward * (1.0 - place * steps * deviation)
    # Rounding alone would leave the forward above the upper strike.
    strikes = [low, max(low + steps * deviation * forward, forward)]
    expected = math.exp(-rate * years) * PER_DEVIATION * deviation * forward
    found = straddle(strikes, forward, volatility, years, rate)
    # Prices are lognormal: a term of the order of σ²T comes on top.
    allowed = 0.001 + 0.02 * steps**2 + deviation**2 / 8
    assert found == pytest.approx(expected, rel=allowed)


def test_a_strike_at_the_forward_gives_its_own_straddle() -> None:
    """Call and put of that strike, whatever the neighbours cost."""
    expected = 2 * black76.price(100.0, 100.0, 0.1, 0.06, 0.2, True)
    found = straddle([90.0, 100.0, 110.0], 100.0, 0.2, 0.1, 0.06)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("strikes", "forward", "years"),
    [
        ([90.0, 95.0], 100.0, 0.1),
        ([105.0, 110.0], 100.0, 0.1),
        ([95.0, 105.0], math.nan, 0.1),
        ([95.0, 105.0], 100.0, 0.0),
        ([95.0, 105.0], 100.0, math.nan),
        ([], 100.0, 0.1),
    ],
)
def test_no_straddle_without_strikes_around_the_forward(
    strikes: list[float], forward: float, years: float
) -> None:
    """Never extrapolated, and nothing raises."""
    legs = np.full(len(strikes), 5.0)
    offsets = np.array([0, len(strikes)], dtype=np.int64)
    terms = (np.array([value]) for value in (forward, years, 0.05))
    assert np.isnan(straddle_prices(offsets, np.array(strikes), legs, legs, *terms)).all()


@given(truths())
def test_a_whole_expiry(truth: Truth) -> None:
    """On a gentle smile every figure is near the truth at the forward."""
    found = analysed(truth)
    at_forward, years = (
        truth.smile(truth.forward),
        years_between(AS_OF, RULES.settlement_at(truth.expiry)),
    )
    move = truth.forward * at_forward * math.sqrt(years)
    assert found["atm_status"] == "atm_ok"
    assert found["atm_implied_volatility"] == pytest.approx(at_forward, abs=1e-4)
    assert found["expected_move"] == pytest.approx(move, rel=1e-3)
    assert found["straddle_price"] == pytest.approx(PER_DEVIATION * move, rel=0.03)
    if found["skew_status"] == "skew_ok":
        assert found["risk_reversal_25_delta"] == pytest.approx(0.0, abs=1e-3)
    if found["model_free_status"] == "strip_ok":
        assert found["model_free_volatility"] == pytest.approx(at_forward, rel=0.03)


def test_a_long_chain_has_everything() -> None:
    """A liquid index week: all statuses are fine, and the strip sums to the smile's level."""
    truth = Truth("NIFTY", EXPIRIES[1], 24_010.0, 24_030.0, 0.15, 50.0, 50)
    found = analysed(truth)
    assert found["atm_status"] == "atm_ok"
    assert found["skew_status"] == "skew_ok"
    assert found["model_free_status"] == "strip_ok"
    assert found["butterfly_25_delta"] == pytest.approx(0.15 * 2 * 0.0125**2, abs=1e-4)
    assert found["model_free_volatility"] == pytest.approx(0.15, rel=0.01)


@given(truths(), st.sampled_from(["implied_volatility", "call_bid_price", "put_ask_price"]))
def test_every_null_has_its_reason(truth: Truth, name: str) -> None:
    """A chain that lacks a whole column gives statuses, no numbers and no exception."""
    found = analysed(truth, [pl.lit(None, dtype=pl.Float64).alias(name)])
    assert {column.name for column in VOLATILITY} <= set(found)
    assert found["atm_status"] in ATM_STATUSES
    assert found["skew_status"] in SKEW_STATUSES
    assert found["model_free_status"] in STRIP_STATUSES
    for value, status, fine in (
        ("atm_implied_volatility", "atm_status", "atm_ok"),
        ("expected_move", "atm_status", "atm_ok"),
        ("risk_reversal_25_delta", "skew_status", "skew_ok"),
        ("butterfly_25_delta", "skew_status", "skew_ok"),
        ("model_free_volatility", "model_free_status", "strip_ok"),
    ):
        assert (found[value] is None) == (found[status] != fine)


NASTY = st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-300, 1e300, 0.2, 23e3])


@given(st.data(), truths())
def test_no_input_raises(data: st.DataObject, truth: Truth) -> None:
    """Whatever stands in a column: finite numbers, no volatility of zero, a reason for a null."""
    book = lay_out(quotes_of(truth))

    def spoilt(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
        columns = [
            pl.Series(name, data.draw(st.lists(NASTY, min_size=n, max_size=n)), dtype=pl.Float64)
            for name in names
            for n in (len(frame),)
        ]
        return frame.with_columns(columns)

    found = with_volatility_of_expiries(
        spoilt(book.strikes, "implied_volatility", "call_bid_price", "put_ask_price"),
        spoilt(book.contracts, "premium"),
        spoilt(book.expiries, "forward", "years_to_expiry", "rate"),
    )
    numbers = found.select(column.name for column in VOLATILITY if column.unit).row(0)
    assert all(value is None or math.isfinite(value) for value in numbers)
    assert not {found["atm_implied_volatility"][0], found["model_free_volatility"][0]} & {0.0}
    assert (found["atm_implied_volatility"][0] is None) == (found["atm_status"][0] != "atm_ok")


@given(truths())
def test_warm_compiles_what_is_used(truth: Truth) -> None:
    """No frame makes a kernel compile again, which would take seconds in the live path."""
    warm()
    analysed(truth)
    kernels = (at_the_forward, straddle_prices, wing_volatilities, variances_of_expiries)
    assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)


def test_empty_frames() -> None:
    """Nothing in, nothing out, with all columns."""
    book = lay_out(QUOTES.empty())
    expiries = book.expiries.with_columns(
        pl.lit(None, dtype=pl.Float64).alias(name)
        for name in ("forward", "years_to_expiry", "rate")
    )
    found = with_volatility_of_expiries(
        book.strikes.with_columns(implied_volatility=pl.lit(None, dtype=pl.Float64)),
        book.contracts.with_columns(premium=pl.lit(None, dtype=pl.Float64)),
        expiries,
    )
    assert found.is_empty()
    assert {column.name for column in VOLATILITY} <= set(found.columns)


def test_volatilities_reproduce_published_indices(oracle_path: Callable[[str], Path]) -> None:
    """IGIDR (Grover and Thomas 2012), NIFTY on 1 Sep 2010: 29 volatilities, weighted two ways.

    By our vega, and by the mid over its spread.
    """
    rows = pl.read_csv(oracle_path("nifty_2010-09-01_near.csv"))
    found = []
    for row in rows.iter_rows(named=True):
        forward = row["underlying"] * math.exp(row["riskfree"] * row["maturity"])
        terms = forward, row["strike"], row["maturity"], row["riskfree"]
        sigma, _ = implied_volatility(row["value"], *terms, int(row["type"] == "c"))
        found.append((sigma, black76.vega(*terms, row["iv"])))
    volatilities, vegas = np.array(found).T
    assert vegas == pytest.approx(rows["vega"].to_numpy(), rel=1e-7)
    tightness = rows.select(pl.col("value") / (pl.col("ask") - pl.col("bid")))["value"].to_numpy()
    # Their solver stops up to 4e-6 short; only its own volatilities give all printed digits.
    for weights, published in ((vegas, 0.17790812), (tightness, 0.16754163)):
        theirs = np.average(rows["iv"].to_numpy(), weights=weights)
        assert theirs == pytest.approx(published, abs=5e-9)
        assert np.average(volatilities, weights=weights) == pytest.approx(published, abs=1e-6)
