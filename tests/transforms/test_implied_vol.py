"""Implied volatility: round trips over the whole domain, published chains, nasty inputs."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.exact_black76 import exact_value, exact_volatility, relative_error
from tests.reference_black76 import precise_price
from tests.strategies import Option, options
from transforms import black76, implied_vol
from transforms.implied_vol import (
    IV_STATUSES,
    OK,
    STALE,
    implied_volatility,
    implied_volatility_and_greeks_of_rows,
    implied_volatility_of_rows,
    total_volatility,
    warm,
)

OraclePath = Callable[[str], Path]

MINUTE = 1 / 525_600
NAN, INF = math.nan, math.inf


def solve(premium: float, *terms: float) -> tuple[float, str]:
    """Volatility and the name of its status, from premium, forward, strike, years, rate, right."""
    volatility, status = implied_volatility(premium, *terms)
    return volatility, IV_STATUSES[status]


def solve_exact(option: Option) -> tuple[float, str, float]:
    """Volatility and status from the exact premium, and that premium."""
    premium = float(precise_price(option))
    return *solve(premium, *option[:4], int(option.is_call)), premium


@settings(max_examples=400)
@given(options())
@example(Option(24_000.0, 24_000.0, MINUTE, 0.065, 0.01, True))
@example(Option(24_000.0, 24_000.0 * math.exp(8 * 4 * math.sqrt(3)), 3.0, 0.065, 4.0, True))
@example(Option(24_000.0, 24_000.0 * math.exp(-8e-4), 0.0001, 0.065, 0.01, False))
@example(Option(24_000.0, 24_000.0 * math.exp(0.2 * 0.1), 0.01, 0.0, 0.2, True))
def test_recovers_volatility(option: Option) -> None:
    """Out of the money, 1 %–400 %, one minute to three years, eight deviations: to 1e-12.

    The premium comes from exact arithmetic, so that price and solver cannot share an error.
    """
    speaking = option._replace(is_call=option.strike >= option.forward)
    found, status, _ = solve_exact(speaking)
    assert status == "ok"
    assert found == pytest.approx(option.volatility, rel=1e-12)


def drawn(count: int, nearest: float, farthest: float, seed: int) -> list[Option]:
    """Out of the money by so many deviations, 1 %–300 %, one minute to three years."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        volatility = 10.0 ** random.uniform(-2, math.log10(3))
        years = 10.0 ** random.uniform(math.log10(MINUTE), math.log10(3))
        sign = random.choice([-1.0, 1.0])
        away = sign * random.uniform(nearest, farthest) * volatility * math.sqrt(years)
        forward = 10.0 ** random.uniform(1, 5)
        terms = (forward, forward * math.exp(away), years, random.uniform(-0.02, 0.12))
        found.append(Option(*terms, volatility, bool(sign > 0)))
    return found


def errors(premiums: list[float], found: list[Option]) -> list[float]:
    """Relative error of each row's volatility against the exact root of the stored doubles."""
    columns = [np.array(column, dtype=float) for column in list(zip(*found, strict=True))[:4]]
    right = np.array([option.is_call for option in found], dtype=np.int8)
    volatility, status = implied_volatility_of_rows(np.array(premiums), *columns, right)
    assert (status == OK).all()
    roots = [exact_volatility(*each) for each in zip(premiums, found, strict=True)]
    return [relative_error(*each) for each in zip(volatility, roots, strict=True)]


@pytest.mark.parametrize(("nearest", "farthest"), [(0.0, 8.0), (8.0, 36.0)])
def test_exact_out_of_the_money(nearest: float, farthest: float) -> None:
    """Every answer within 1e-14 of the exact root, in the tail down to premiums of 1e-300."""
    found = drawn(200, nearest, farthest, seed=int(nearest))
    premiums = [float(exact_value(option)) for option in found]
    kept = [i for i, premium in enumerate(premiums) if premium > 1e-300]
    assert max(errors([premiums[i] for i in kept], [found[i] for i in kept])) <= 1e-14


def test_exact_in_the_money() -> None:
    """Where half a unit of the premium leaves 2.5e-14, the answer is within 1e-14 of the root."""
    found = [o._replace(is_call=not o.is_call) for o in drawn(250, 0.0, 2.5, seed=3)]
    premiums = [float(exact_value(option)) for option in found]
    limits = [
        0.5 * math.ulp(premium) / black76.vega(*option[:5]) / option.volatility
        for premium, option in zip(premiums, found, strict=True)
    ]
    kept = [i for i, limit in enumerate(limits) if limit < 2.5e-14]
    assert len(kept) > 150
    assert max(errors([premiums[i] for i in kept], [found[i] for i in kept])) <= 1e-14


def test_ill_conditioned_in_the_money() -> None:
    """Deep in the money: within 16 times what half a unit of the premium leaves, or no number.

    A number exactly where the stored doubles have a root, though the time value is a last digit.
    """
    found = [o._replace(is_call=not o.is_call) for o in drawn(250, 1.5, 8.0, seed=5)]
    premiums = [float(exact_value(option)) for option in found]
    for premium, option in zip(premiums, found, strict=True):
        root = exact_volatility(premium, option)
        volatility, status = solve(premium, *option[:4], int(option.is_call))
        assert (status == "ok") == (root is not None), option
        if root is not None:
            vega = black76.vega(*option[:4], float(root))
            attainable = 0.5 * math.ulp(premium) / max(vega * float(root), 1e-300)
            assert relative_error(volatility, root) <= 1e-14 + 16 * attainable, option


def test_exact_on_ticks() -> None:
    """Index options at prices rounded to the tick, both sides: all within 1e-12 of their roots."""
    random = np.random.default_rng(4)
    premiums, found = [], []
    while len(found) < 200:
        years, volatility = random.choice([0.3, 1, 8, 36, 92]) / 365, random.uniform(0.08, 0.6)
        away = random.uniform(-4, 4) * volatility * math.sqrt(years)
        strike = round(24_000.0 * math.exp(away) / 50) * 50.0
        option = Option(24_000.0, strike, years, 0.065, volatility, bool(random.random() < 0.5))
        premium = round(float(exact_value(option)) / 0.05) * 0.05
        side = 1.0 if option.is_call else -1.0
        floor = max(side * (24_000.0 - strike), 0.0) * math.exp(-0.065 * years)
        if premium > floor + 0.025:
            premiums.append(premium)
            found.append(option)
    assert max(errors(premiums, found)) <= 1e-12


@given(options(deviations=5.0))
def test_recovers_in_the_money(option: Option) -> None:
    """In the money the answer is as good as half a unit in the last place of the premium allows."""
    deep = option._replace(is_call=option.strike < option.forward)
    found, status, premium = solve_exact(deep)
    attainable = math.ulp(premium) / black76.vega(*option[:5]) / option.volatility
    if attainable > 1e-4:
        assert status in {"ok", "no_vega", "below_intrinsic"}
    else:
        assert found == pytest.approx(option.volatility, rel=1e-12 + 16 * attainable)


@given(st.floats(0.0, 50.0), st.floats(1e-5, 9.0))
def test_total_volatility_everywhere(x: float, s: float) -> None:
    """Far outside the market's domain the solver still lands, if doubles still tell the value."""
    beta = black76.time_value(x, s)
    left = 1.0 - beta * math.exp(0.5 * x)
    if beta < 1e-290 or left < 1e-6:
        return
    assert total_volatility(x, beta) == pytest.approx(s, rel=1e-9)


@given(st.floats(0.01, 300.0), st.floats(1e-4, 0.9))
def test_more_premium_more_volatility(x100: float, share: float) -> None:
    """The answer grows with the premium."""
    x = x100 / 100
    top = math.exp(-0.5 * x)
    assert total_volatility(x, share * top) < total_volatility(x, (share + 1e-3) * top)


def test_nse_2010(oracle_path: OraclePath) -> None:
    """29 NIFTY quotes of 1 Sep 2010 with volatility and vega (IGIDR, Grover & Thomas; fOptions).

    Their model is Black-Scholes on spot, which on the forward S·exp(rT) is ours.
    """
    with oracle_path("nifty_2010-09-01_near.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 29
    for row in rows:
        t, r, spot = (float(row[name]) for name in ("maturity", "riskfree", "underlying"))
        forward, strike = spot * math.exp(r * t), float(row["strike"])
        found, status = solve(float(row["value"]), forward, strike, t, r, int(row["type"] == "c"))
        assert status == "ok"
        # The published figures carry the other solver's tolerance.
        assert found == pytest.approx(float(row["iv"]), abs=6e-6)
        vega = black76.vega(forward, strike, t, r, float(row["iv"]))
        assert vega == pytest.approx(float(row["vega"]), abs=1e-6)


def test_nifty_session(oracle_path: OraclePath) -> None:
    """20 NIFTY calls, volatility and Greeks by py_vollib (OpenAlgo's benchmark), to its digits."""
    with oracle_path("openalgo_nifty_ce.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    for row in rows:
        t, strike = float(row["days_to_expiry"]) / 365, float(row["strike"])
        found, _ = solve(float(row["price"]), 23_659.0, strike, t, 0.0, 1)
        terms = (23_659.0, strike, t, 0.0, found)
        for name, value, half_digit in (
            ("iv_pct", 100 * found, 5e-3),
            ("delta", black76.delta(*terms, True), 5e-5),
            ("gamma", black76.gamma(*terms), 5e-7),
            # The days are printed to four digits, which moves theta by one in its last.
            ("theta_day", black76.theta(*terms, True) / 365, 2e-4),
            ("vega_pt", black76.vega(*terms) / 100, 5e-5),
            ("rho_pt", black76.rho(*terms, True) / 100, 1e-6),
        ):
            assert value == pytest.approx(float(row[name]), rel=0, abs=half_digit), (strike, name)


NASTY = [
    # premium, forward, strike, years, rate, right, status
    (NAN, 100.0, 100.0, 0.1, 0.05, 1, "no_price"),
    (0.0, 100.0, 100.0, 0.1, 0.05, 1, "no_vega"),
    (0.0, 100.0, 90.0, 0.1, 0.05, 1, "below_intrinsic"),
    (-1.0, 100.0, 100.0, 0.1, 0.05, 1, "invalid"),
    (INF, 100.0, 100.0, 0.1, 0.05, 1, "invalid"),
    (9.0, 100.0, 90.0, 0.1, 0.05, 1, "below_intrinsic"),
    (9.0, 90.0, 100.0, 0.1, 0.05, 0, "below_intrinsic"),
    (10.0, 100.0, 90.0, 0.1, 0.0, 1, "no_vega"),
    (100.0, 100.0, 90.0, 0.1, 0.05, 1, "above_bound"),
    (100.0, 100.0, 100.0, 0.1, 0.0, 1, "above_bound"),
    (1e9, 100.0, 100.0, 0.1, 0.0, 0, "above_bound"),
    (5.0, NAN, 100.0, 0.1, 0.05, 1, "invalid"),
    (5.0, 0.0, 100.0, 0.1, 0.05, 1, "invalid"),
    (5.0, -100.0, 100.0, 0.1, 0.05, 1, "invalid"),
    (5.0, INF, 100.0, 0.1, 0.05, 1, "invalid"),
    (5.0, 100.0, NAN, 0.1, 0.05, 1, "invalid"),
    (5.0, 100.0, 0.0, 0.1, 0.05, 1, "invalid"),
    (5.0, 100.0, -1.0, 0.1, 0.05, 1, "invalid"),
    (5.0, 100.0, INF, 0.1, 0.05, 1, "invalid"),
    (5.0, 100.0, 100.0, NAN, 0.05, 1, "invalid"),
    (5.0, 100.0, 100.0, INF, 0.05, 1, "invalid"),
    (5.0, 100.0, 100.0, 0.0, 0.05, 1, "settling"),
    (5.0, 100.0, 100.0, -0.1, 0.05, 1, "settling"),
    (5.0, 100.0, 100.0, 59 / 60 * MINUTE, 0.05, 1, "settling"),
    (5.0, 100.0, 100.0, MINUTE, 0.05, 1, "ok"),
    (5.0, 100.0, 100.0, 0.1, NAN, 1, "invalid"),
    (5.0, 100.0, 100.0, 0.1, INF, 1, "invalid"),
    (5.0, 100.0, 100.0, 0.1, -INF, 1, "invalid"),
    (5.0, 100.0, 100.0, 0.1, 0.05, -1, "invalid"),
    (5.0, 100.0, 100.0, 0.1, 0.05, 2, "invalid"),
    (5.0, 100.0, 100.0, 0.1, 1e6, 1, "above_bound"),
    (5e-324, 100.0, 100.0, 0.1, 0.05, 1, "no_vega"),
    (1e-300, 100.0, 120.0, 0.1, 0.05, 1, "ok"),
    (5.0, 1e-300, 1e300, 0.1, 0.05, 1, "above_bound"),
]


@pytest.mark.parametrize("case", NASTY)
def test_nasty_inputs(case: tuple[float, ...]) -> None:
    """Every odd input gets a status, a number only with ``ok``, and nothing raises."""
    *terms, status = case
    volatility, found = solve(*terms)
    assert found == status
    assert math.isfinite(volatility) == (status == "ok")


def test_statuses_are_a_public_order() -> None:
    """The codes travel on the live feed; stale is for callers that know a quote's age."""
    assert IV_STATUSES == (
        "ok",
        "below_intrinsic",
        "above_bound",
        "no_vega",
        "settling",
        "no_price",
        "invalid",
        "stale",
    )
    assert IV_STATUSES[STALE] == "stale"


def test_nasty_rows_stop_no_batch() -> None:
    """A batch gives each row what it gets alone, and Greeks only beside a volatility."""
    columns = [np.array(column, dtype=float) for column in list(zip(*NASTY, strict=True))[:5]]
    rights = np.array([row[5] for row in NASTY], dtype=np.int8)
    volatility, codes = implied_volatility_of_rows(*columns, rights)
    assert [IV_STATUSES[code] for code in codes] == [row[6] for row in NASTY]
    assert (np.isfinite(volatility) == (codes == OK)).all()
    once, codes_once, greeks = implied_volatility_and_greeks_of_rows(*columns, rights)
    assert np.array_equal(once, volatility, equal_nan=True)
    assert np.array_equal(codes_once, codes)
    assert (np.isfinite(greeks) == (codes == OK)).all()


@given(st.tuples(*[st.floats()] * 5), st.integers(-1, 1))
def test_no_float_raises(terms: tuple[float, ...], right: int) -> None:
    """Whatever the floats: a finite positive volatility with ``ok``, else NaN with a reason."""
    volatility, status = solve(*terms, right)
    assert (0.0 < volatility < INF) if status == "ok" else math.isnan(volatility)


@given(st.floats(-1e120, 1e120), st.floats(-1e120, 1e120))
def test_sums_and_products_keep_what_rounding_took(a: float, b: float) -> None:
    """The result and its error are the exact sum or product."""
    total, left = implied_vol._sum(a, b)
    assert Fraction(total) + Fraction(left) == Fraction(a) + Fraction(b)
    product, left = implied_vol._product(a, b)
    # Below the normal numbers an error has no digits left to stand in.
    slack = Fraction(2) ** -1000
    assert abs(Fraction(product) + Fraction(left) - Fraction(a) * Fraction(b)) <= slack


@pytest.mark.parametrize("is_writable", [True, False])
def test_warm_compiles_every_kernel_of_the_bridge(is_writable: bool) -> None:
    """After warming, no further signature is compiled by ordinary calls, nor by lent arrays."""
    warm()
    one, right = np.ones(4), np.ones(4, dtype=np.int8)
    for array in (one, right):
        array.setflags(write=is_writable)
    for kernel, last in (
        (implied_volatility_of_rows, right),
        (implied_volatility_and_greeks_of_rows, right),
        (black76.greeks_of_rows, right.view(np.bool_)),
        (black76.cross_greeks_of_rows, right.view(np.bool_)),
    ):
        before = len(kernel.signatures)
        kernel(*[one] * 5, last)
        assert len(kernel.signatures) == before
