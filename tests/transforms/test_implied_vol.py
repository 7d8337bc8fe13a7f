"""Implied volatility: round trips over the whole domain, published chains, nasty inputs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.reference_black76 import precise_price
from tests.strategies import Option, options
from transforms import black76
from transforms.implied_vol import (
    IV_STATUSES,
    implied_volatility,
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


def test_hull(oracle_path: OraclePath) -> None:
    """Hull's worked example."""
    for case in json.loads(oracle_path("oracles.json").read_text()):
        if case["fn"] == "implied_vol":
            forward = case["S"] * math.exp(case["r"] * case["T"])
            found, _ = solve(case["price"], forward, case["K"], case["T"], case["r"], 1)
            assert found == pytest.approx(case["expect"], abs=case["tol"])


def test_nse_2010(oracle_path: OraclePath) -> None:
    """29 NSE quotes with volatility and vega by another library (Black-Scholes on spot)."""
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
    """20 NIFTY calls with volatility and Greeks by another library, to the digits it prints."""
    with oracle_path("openalgo_nifty_ce.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        t, strike = float(row["days_to_expiry"]) / 365, float(row["strike"])
        found, _ = solve(float(row["price"]), 23_659.0, strike, t, 0.0, 1)
        assert 100 * found == pytest.approx(float(row["iv_pct"]), abs=5.1e-3)
        terms = (23_659.0, strike, t, 0.0, found)
        assert black76.delta(*terms, True) == pytest.approx(float(row["delta"]), abs=1e-4)
        assert black76.gamma(*terms) == pytest.approx(float(row["gamma"]), abs=1e-6)
        assert black76.theta(*terms, True) / 365 == pytest.approx(float(row["theta_day"]), abs=5e-4)
        assert black76.vega(*terms) / 100 == pytest.approx(float(row["vega_pt"]), abs=3e-4)
        assert black76.rho(*terms, True) / 100 == pytest.approx(float(row["rho_pt"]), abs=1e-5)


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


def test_nasty_rows_stop_no_batch() -> None:
    """A batch gives each row what it gets alone."""
    columns = [np.array(column, dtype=float) for column in list(zip(*NASTY, strict=True))[:5]]
    rights = np.array([row[5] for row in NASTY], dtype=np.int8)
    volatility, codes = implied_volatility_of_rows(*columns, rights)
    assert [IV_STATUSES[code] for code in codes] == [row[6] for row in NASTY]
    assert (np.isfinite(volatility) == (codes == 0)).all()


@given(st.tuples(*[st.floats()] * 5), st.integers(-1, 1))
def test_no_float_raises(terms: tuple[float, ...], right: int) -> None:
    """Whatever the floats: a finite positive volatility with ``ok``, else NaN with a reason."""
    volatility, status = solve(*terms, right)
    assert (0.0 < volatility < INF) if status == "ok" else math.isnan(volatility)


def test_warm_compiles_every_kernel_of_the_bridge() -> None:
    """After warming, no further signature is compiled by ordinary calls."""
    warm()
    before = len(implied_volatility_of_rows.signatures)
    one = np.ones(4)
    implied_volatility_of_rows(one, one, one, one, one, np.ones(4, dtype=np.int8))
    assert len(implied_volatility_of_rows.signatures) == before
