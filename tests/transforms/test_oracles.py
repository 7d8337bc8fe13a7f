"""Published figures, each case by itself: ``oracles.json`` and the rows of the quoted chains.

A case's test is named after its id, and a failure names the book, paper or program that printed
the figure. What a module's figures must obey besides stands in the module's own tests.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.books import book_of
from tests.conftest import ORACLES
from tests.strategies import AS_OF, EXPIRIES, RULES, TICK, Truth, quotes_of
from transforms import black76
from transforms.barriers import exit_probability, touch_probability
from transforms.columns import INSTANT
from transforms.context import Context
from transforms.exposure import GEX, gex_crore_per_percent
from transforms.forward import with_forward
from transforms.greeks import imply
from transforms.implied_vol import implied_volatility
from transforms.layout import lay_out
from transforms.max_pain import payout_curve, with_max_pain
from transforms.sentiment import open_interest_sums, put_call_ratios, volume_sums
from transforms.skew import strike_of_delta
from transforms.smile import with_premium, with_volatility
from transforms.tenor import with_tenor

OraclePath = Callable[[str], Path]
Case = dict[str, Any]
# What the figure is, as we find it, as published, and how far the two may be apart.
Figure = tuple[str, float, float, float]

FILE = "oracles.json"
COUNT = 50
RUPEES_PER_CRORE = 1e7


def read(path: Path) -> list[Case]:
    """The cases, or one that stands for all of them where the file is absent."""
    return json.loads(path.read_text()) if path.exists() else [{"id": FILE, "fn": "absent"}]


CASES = read(ORACLES / FILE)


def forward_of(case: Case) -> float:
    """A case's forward: given, or spot with its carry, F = S·exp((r − q)T)."""
    if "F" in case:
        return float(case["F"])
    return float(case["S"] * math.exp((case["r"] - case["q"]) * case["T"]))


def both_terms(case: Case) -> tuple[float, float, float, float, float]:
    """Forward, strike, years, rate and volatility."""
    return forward_of(case), case["K"], case["T"], case["r"], case["vol"]


def is_call(case: Case) -> bool:
    """The case's right."""
    return bool(case["type"] == "c")


def price(case: Case) -> Iterator[Figure]:
    """Black-76, also for spot with a yield: on its forward that is Black-Scholes-Merton."""
    found = black76.price(*both_terms(case), is_call(case))
    yield "price", found, case["expect"], case["tol"]


def first_distance(case: Case) -> Iterator[Figure]:
    """d1."""
    found = black76.first_distance(forward_of(case), case["K"], case["T"], case["vol"])
    yield "d1", found, case["expect"], case["tol"]


def delta(case: Case) -> Iterator[Figure]:
    """By the chain rule per ₹1 of spot: Δ_S = Δ_F·F/S."""
    found = black76.delta(*both_terms(case), is_call(case)) * forward_of(case) / case["S"]
    yield "delta", found, case["expect"], case["tol"]


def gamma(case: Case) -> Iterator[Figure]:
    """Per ₹1 of spot: Γ_S = Γ_F·(F/S)²."""
    found = black76.gamma(*both_terms(case)) * (forward_of(case) / case["S"]) ** 2
    yield "gamma", found, case["expect"], case["tol"]


def theta_per_year(case: Case) -> Iterator[Figure]:
    """With spot unchanged the forward decays: Θ_S = Θ_F − (r − q)·F·Δ_F."""
    terms = both_terms(case)
    carry = (case["r"] - case["q"]) * terms[0] * black76.delta(*terms, is_call(case))
    yield "theta", black76.theta(*terms, is_call(case)) - carry, case["expect"], case["tol"]


def volatility(case: Case) -> Iterator[Figure]:
    """The volatility that the price implies."""
    terms = (case["price"], forward_of(case), case["K"], case["T"], case["r"])
    found, _ = implied_volatility(*terms, int(is_call(case)))
    yield "volatility", found, case["expect"], case["tol"]


def strike(case: Case) -> Iterator[Figure]:
    """The strike that has the forward delta."""
    found = strike_of_delta(case["F"], case["total_sd"], case["delta"])
    yield "strike", found, case["expect"], case["tol"]


def log_drift(case: Case) -> float:
    """(r − q − σ²/2)·T of ln(spot)."""
    return float((case["r"] - case["q"] - 0.5 * case["vol"] ** 2) * case["T"])


def worth(case: Case) -> float:
    """The cash that is paid at expiry, discounted."""
    return float(case["cash"] * math.exp(-case["r"] * case["T"]))


def touch(case: Case) -> Iterator[Figure]:
    """Cash at expiry if a level was touched, if it was not, and the probability in it."""
    distance = math.log(case["H"] / case["S"])
    found = touch_probability(distance, log_drift(case), case["vol"] * math.sqrt(case["T"]))
    yield "touch", worth(case) * found, case["expect_touch"], case["tol"]
    yield "no touch", worth(case) * (1.0 - found), case["expect_no_touch"], case["tol"]
    yield "probability", found, case["touch_prob"], 5.1e-7


def corridor(case: Case) -> Iterator[Figure]:
    """Cash at expiry if a corridor was left, if it was not, and the probability in it."""
    up, down = math.log(case["hi"] / case["S"]), math.log(case["S"] / case["lo"])
    found = exit_probability(up, down, log_drift(case), case["vol"] * math.sqrt(case["T"]))
    yield "knock-in", worth(case) * found, case["expect_knock_in"], case["tol"]
    yield "knock-out", worth(case) * (1.0 - found), case["expect_knock_out"], case["tol"]
    yield "probability", found, case["exit_prob"], 5.1e-7


def max_pain(case: Case) -> Iterator[Figure]:
    """The strike of the least payout, and the payout at each strike, ₹."""
    strikes = [float(k) for k in case["chain"]]
    legs = np.array(list(case["chain"].values()), dtype=float)
    columns = {"strike": np.repeat(strikes, 2), "is_call": [True, False] * len(strikes)}
    book = book_of({**columns, "open_interest_units": legs.ravel()})
    expiries = book.expiries.with_columns(forward=pl.lit(None, pl.Float64))
    answer = with_max_pain(book.strikes, expiries).row(0, named=True)
    least = min(case["expect_payout"].values())
    yield "strike", answer["max_pain"], case["expect_strike"], 0.0
    yield "payout", answer["max_pain_payout_crore"] * RUPEES_PER_CRORE, least, 1e-3
    curve = payout_curve(np.array(strikes), *legs.T) * RUPEES_PER_CRORE
    for level, found in zip(case["chain"], curve, strict=True):
        yield f"payout at {level}", float(found), case["expect_payout"][level], 1e-3


def put_call_ratio(case: Case) -> Iterator[Figure]:
    """By open interest."""
    sides = {"is_call": [True, False], "volume_units": [None, None]}
    units = [float(case["call_oi"]), float(case["put_oi"])]
    frame = pl.DataFrame(
        {**sides, "open_interest_units": units}, schema_overrides={"volume_units": pl.Int64}
    )
    sums = frame.select(*open_interest_sums(), *volume_sums())
    found = sums.select(put_call_ratios()).row(0)[0]
    yield "put-call ratio", found, case["expect"], case["tol"]


def exposure_crore(case: Case, units: float, is_call: bool) -> float:
    """₹ crore per 1 % of so many units."""
    names = ("is_call", "gamma_forward", "open_interest_units", "spot")
    row = dict(zip(names, (is_call, case["gamma"], float(units), float(case["S"])), strict=True))
    return float(pl.DataFrame([row]).select(gex_crore_per_percent())[GEX][0])


def exposure(case: Case) -> Iterator[Figure]:
    """Open interest is in units: no lot comes into it again."""
    found = exposure_crore(case, case["oi_units"], case["sign"] > 0)
    yield "crore per 1 %", found, case["expect_cr_per_1pct"], 5e-5


def exposure_variants(case: Case) -> Iterator[Figure]:
    """Per 1 % as we publish it, and what the other conventions make of the same."""
    found = exposure_crore(case, case["oi_contracts"] * case["mult"], True) * RUPEES_PER_CRORE
    spot, expected = case["S"], case["expect"]
    for name, factor in (
        ("per_1pct", 1.0),
        ("dollar_gamma_per_1pt", 100.0 / spot),
        ("gamma_x_oi_x_mult (delta shares per $1)", 100.0 / spot**2),
        ("half_gamma_S2", 50.0),
    ):
        yield name, found * factor, expected[name], 1e-9 * expected[name]


KINDS: dict[str, Callable[[Case], Iterator[Figure]]] = {
    "bsm_price": price,
    "black76_price": price,
    "d1": first_distance,
    "delta": delta,
    "gamma": gamma,
    "theta_per_year": theta_per_year,
    "implied_vol": volatility,
    "strike_from_forward_delta": strike,
    "one_touch_cash_at_expiry": touch,
    "double_barrier_cash_at_expiry": corridor,
    "max_pain": max_pain,
    "pcr": put_call_ratio,
    "gex": exposure,
    "gex_variants": exposure_variants,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case: Case, oracle_path: OraclePath) -> None:
    """A published case is met to the digits that its source prints; an unknown kind fails."""
    oracle_path(FILE)
    assert case["fn"] in KINDS, f"no check for {case['fn']} ({case['id']})"
    for name, found, published, tolerance in KINDS[case["fn"]](case):
        message = f"{case['id']}: {name} is {found}, {published} in {case['source']}"
        assert found == pytest.approx(published, rel=0.0, abs=tolerance), message


def test_all_cases_are_there(oracle_path: OraclePath) -> None:
    """None is lost, and none hides behind another of the same id; each tells its source."""
    cases = read(oracle_path(FILE))
    assert len({case["id"] for case in cases}) == len(cases) == COUNT
    assert {case["fn"] for case in cases} == set(KINDS)
    assert all(case["source"] for case in cases)


TRUTH = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_010.0, 0.15, 100.0, 12)
MATURITY, RATE, SPOT = 0.07945205479, 0.0629, 5_464.75


def nse_2010(path: Path) -> pl.DataFrame:
    """Real quotes of NIFTY, 1 Sep 2010 (IGIDR): one row per contract, with the terms of all."""
    read = pl.read_csv(path)
    return read.select(
        pl.col("strike").cast(pl.Float64),
        is_call=pl.col("type") == "c",
        bid_price="bid",
        ask_price="ask",
        last_price=pl.lit(None, pl.Float64),
        last_traded_at=pl.lit(None, INSTANT),
        quoted_at=pl.lit(AS_OF, INSTANT),
        years_to_expiry=pl.lit(MATURITY),
        rate=pl.lit(RATE),
    )


def nse_2010_forward(contracts: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Their strikes and parity forward."""
    legs = contracts.select("strike", "is_call", *_LEG)
    sides = [
        legs.filter(is_call=side).select("strike", pl.col(_LEG).name.prefix(prefix))
        for side, prefix in ((True, "call_"), (False, "put_"))
    ]
    both = sides[0].join(sides[1], on="strike", how="full", coalesce=True).sort("strike")
    strikes = both.with_columns(expiry_id=pl.lit(0, pl.UInt32))
    expiries = with_tenor(lay_out(quotes_of(TRUTH)).expiries, AS_OF, RULES).with_columns(
        spot=pl.lit(SPOT), years_to_expiry=pl.lit(MATURITY), rate=pl.lit(RATE)
    )
    return strikes, with_forward(strikes, expiries, Context(), TICK)["forward"][0]


_LEG = ("bid_price", "ask_price", "last_price", "last_traded_at", "quoted_at")


def test_nse_2010_filter(oracle_path: Callable[[str], Path]) -> None:
    """On spot with carry exactly those quotes have no volatility that its authors had to drop.

    Their filter: volume, and the bounds of the price. All 13 are calls below the lower bound.
    """
    raw = nse_2010(oracle_path("nifty_2010-09-01_near_raw.csv"))
    kept = nse_2010(oracle_path("nifty_2010-09-01_near.csv"))
    priced_raw = imply(
        with_premium(raw).with_columns(forward=pl.lit(SPOT * math.exp(RATE * MATURITY)))
    )
    told = priced_raw.filter(iv_status="ok").select("strike", "is_call")
    assert_frame_equal(told, kept.select("strike", "is_call"), check_row_order=False)
    assert priced_raw.filter(pl.col("iv_status") != "ok")["iv_status"].to_list() == (
        ["below_intrinsic"] * 13
    )


def test_nse_2010_has_one_smile(oracle_path: Callable[[str], Path]) -> None:
    """At parity's forward calls and puts of a strike agree, which on spot are 4 points apart."""
    raw = nse_2010(oracle_path("nifty_2010-09-01_near_raw.csv"))
    strikes, forward = nse_2010_forward(raw)
    terms = raw.filter(pl.col("strike").is_between(5_300, 5_600)).sort("strike", "is_call")
    gaps = {}
    for at in (forward, SPOT * math.exp(RATE * MATURITY)):
        found = imply(with_premium(terms).with_columns(forward=pl.lit(at)))
        both = found["implied_volatility"]
        gaps[at] = (both.gather_every(2) - both.gather_every(2, 1)).abs()
    assert gaps[forward].max() < 0.01
    assert gaps[SPOT * math.exp(RATE * MATURITY)].min() > 0.04
    smile = with_volatility(
        strikes.with_columns(
            forward=pl.lit(forward), years_to_expiry=pl.lit(MATURITY), rate=pl.lit(RATE)
        ),
        TICK,
    )
    # All strikes but the two whose put nobody quoted.
    unquoted = smile.filter(pl.col("iv_status") != "ok")
    assert unquoted.select("strike", "iv_status").rows() == [
        (4_100.0, "no_price"),
        (4_200.0, "no_price"),
    ]
    volatilities = smile["implied_volatility"].drop_nulls()
    assert volatilities.diff().abs().max() < 0.1
    assert volatilities.is_between(0.11, 0.5).all()
