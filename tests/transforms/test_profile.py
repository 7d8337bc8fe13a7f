"""Profiles and hedging flows against independent repricing, and their sums."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import mpmath
import numpy as np
import polars as pl
import pytest
from hypothesis import given

from tests.repriced import Expiry, chains, frames, gex_at, prepared, scaled, swapped
from transforms.bells import symbol_starts
from transforms.exposure import GROSS_GEX, NET_GEX
from transforms.greeks import greeks_at
from transforms.profile import (
    RATIOS,
    by_symbol,
    flows_of_books,
    gex_of_books,
    hedge_flows,
    profiles,
    warm,
    with_hedge_flows,
)
from transforms.schemas import PROFILES

LEVELS = np.array(RATIOS)


def deltas(expiry: Expiry, spot: float) -> list[tuple[float, float, float, float]]:
    """Delta of call and put, and units held of each, by differentiating 40-digit prices."""
    found = []
    for strike, sigma, call, put in expiry.rows:
        assert sigma is not None

        def value(f: mpmath.mpf, strike: float = strike, sigma: float = sigma) -> mpmath.mpf:
            width = sigma * mpmath.sqrt(expiry.years)
            d1 = mpmath.log(f / strike) / width + width / 2
            price = f * mpmath.ncdf(d1) - strike * mpmath.ncdf(d1 - width)
            return mpmath.exp(-expiry.rate * expiry.years) * price

        with mpmath.workdps(40):
            own = float(mpmath.diff(value, mpmath.mpf(spot) * mpmath.mpf(expiry.carry)))
        discount = float(np.exp(-expiry.rate * expiry.years))
        found.append((own, own - discount, call or 0.0, put or 0.0))
    return found


@given(chains())
def test_profile_is_the_chain_repriced(expiry: Expiry) -> None:
    """Net and gross at all published levels are NumPy's repricing of the textbook formula."""
    found = profiles(*prepared(expiry))
    only_calls = replace(
        expiry, rows=[(k, v, (c or 0.0) + (p or 0.0), 0.0) for k, v, c, p in expiry.rows]
    )
    mine = found.filter(pl.col("expiry").is_not_null())
    gross = gex_at(only_calls, LEVELS).sum(axis=0)
    assert mine["level"].to_numpy() == pytest.approx(1000.0 * LEVELS)
    tiny = 1e-12 * gross.max()
    assert mine[GROSS_GEX].to_numpy() == pytest.approx(gross, rel=1e-9, abs=tiny)
    net = gex_at(expiry, LEVELS).sum(axis=0)
    assert mine[NET_GEX].to_numpy() == pytest.approx(net, rel=1e-9, abs=tiny)


@given(chains(), chains())
def test_all_together_are_the_sum_of_expiries(one: Expiry, other: Expiry) -> None:
    """A symbol's total, moved by the same ratio; its levels are of the newest spot."""
    second = replace(other, spot=1001.0, day=date(2027, 1, 26))
    found = profiles(*prepared(one, second))
    PROFILES.conform(found.with_columns(formula_version=pl.lit("1")))
    assert found["expiry"].to_list() == [one.day] * 97 + [second.day] * 97 + [None] * 97
    parts = [found[i * 97 : (i + 1) * 97] for i in range(3)]
    for name in (NET_GEX, GROSS_GEX):
        total = (parts[0][name] + parts[1][name]).to_numpy()
        assert parts[2][name].to_numpy() == pytest.approx(total, rel=1e-12, abs=1e-12)
    assert parts[2]["level"].to_numpy() == pytest.approx(1001.0 * LEVELS)


@given(chains())
def test_at_the_spot_it_is_the_snapshot(expiry: Expiry) -> None:
    """Level 1 of the profile is the sum over contracts of the Greeks' own GEX."""
    strikes, _ = frames(expiry)
    gamma = greeks_at(strikes.with_columns(is_call=True))["gamma_forward"]
    units = strikes["call_open_interest_units"] - strikes["put_open_interest_units"]
    want = (gamma * units * 1000.0**2 * 0.01 / 1e7).sum()
    found = profiles(*prepared(expiry), ratios=(1.0,))
    scale = found[GROSS_GEX][0]
    assert found[NET_GEX][0] == pytest.approx(want, rel=1e-9, abs=1e-12 * scale + 1e-300)


def test_unknown_has_no_rows_or_does_not_count() -> None:
    """Neither a spot nor a volatility: no profile; the other expiry is then the whole symbol."""
    known = Expiry([(1000.0, 0.2, 500.0, 100.0)])
    blind = Expiry([(1000.0, None, 500.0, 100.0)], day=date(2027, 1, 26))
    lost = replace(known, spot=None, day=date(2027, 2, 23))
    found = profiles(*prepared(known, blind, lost))
    assert found["expiry"].to_list() == [known.day] * 97 + [None] * 97
    assert found[NET_GEX][:97].to_list() == found[NET_GEX][97:].to_list()
    assert profiles(*prepared(blind)).is_empty()
    assert profiles(*prepared()).is_empty()


def test_hedging_is_the_change_of_delta() -> None:
    """Against deltas differentiated from prices, for several moves."""
    rows = [
        (950.0, 0.25, 3000.0, 9000.0),
        (1000.0, 0.2, 8000.0, 2000.0),
        (1040.0, 0.19, 7000.0, 0.0),
    ]
    expiry = Expiry(rows, years=9 / 365)
    ratios = (0.95, 0.99, 1.0, 1.01, 1.06)
    owners, found, book = prepared(expiry)
    before = sum(c * call - p * put for c, p, call, put in deltas(expiry, 1000.0))
    for ratio, flow in zip(ratios, hedge_flows(found, book, ratios)[0], strict=True):
        after = sum(c * call - p * put for c, p, call, put in deltas(expiry, 1000.0 * ratio))
        want = -(after - before) * 1000.0 * ratio / 1e7
        assert flow == pytest.approx(want, rel=1e-9, abs=1e-12)
    published = with_hedge_flows(owners, found, book).row(0, named=True)
    one_percent = hedge_flows(found, book, (1.01, 0.99))[0].tolist()
    assert [published[f"hedge_flow_{way}_crore"] for way in ("up", "down")] == one_percent


@given(chains())
def test_hedging_is_the_integral_of_exposure(expiry: Expiry) -> None:
    """Δ moves by (F/S)·G(s)/(0.01·s²): the flow to +1 % is Simpson's integral of the profile."""
    owners, found, book = prepared(expiry)
    ratios = np.linspace(1.0, 1.01, 801)
    net = gex_at(expiry, ratios).sum(axis=0)
    density = expiry.carry * net * 1e7 / (0.01 * (1000.0 * ratios) ** 2)
    weights = np.tile((2.0, 4.0), 401)[:801]
    weights[[0, -1]] = 1.0
    change = (density * weights).sum() * (10.0 / 800) / 3
    want = -change * 1010.0 / 1e7
    flow = with_hedge_flows(owners, found, book)["hedge_flow_up_crore"][0]
    scale = np.abs(gex_at(expiry, ratios)).sum(axis=0).max()
    assert flow == pytest.approx(want, rel=1e-6, abs=1e-9 * scale)


def test_long_gamma_sells_into_a_rise() -> None:
    """Calls only: dealers are long gamma, sell above and buy below; puts only: the other way."""
    calls = Expiry([(1000.0, 0.2, 5000.0, 0.0)])
    up, down = with_hedge_flows(*prepared(calls)).select("^hedge.*$").row(0)
    assert up < 0.0 < down
    puts = with_hedge_flows(*prepared(swapped(calls))).select("^hedge.*$").row(0)
    assert puts == pytest.approx((-up, -down))
    twice = with_hedge_flows(*prepared(scaled(calls, 2.0))).select("^hedge.*$").row(0)
    assert twice == pytest.approx((2 * up, 2 * down))


def test_flow_of_the_unknown_is_null() -> None:
    """Not 0; and expiries add up to their symbol."""
    known = Expiry([(1000.0, 0.2, 500.0, 100.0)])
    blind = Expiry([(1000.0, None, 500.0, 100.0)], day=date(2027, 1, 26))
    owners, found, book = prepared(known, blind)
    each = with_hedge_flows(owners, found, book)["hedge_flow_up_crore"]
    assert each[0] is not None
    assert each[1] is None
    together = hedge_flows(found, symbol_starts(owners, book), (1.01,))
    assert together[0, 0] == each[0]


def test_sums_by_symbol_skip_the_unknown() -> None:
    """NaN does not count, unless there is nothing else."""
    owners, _, _ = prepared(*(Expiry([], symbol=s) for s in "AAB"))
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 3.0]])
    assert by_symbol(owners, values) == pytest.approx(
        np.array([[3.0, np.nan], [np.nan, 3.0]]), nan_ok=True
    )


def test_kernels_are_compiled_once() -> None:
    """What is warmed is what runs: no call adds a signature of its own."""
    warm()
    owners, found, book = prepared(Expiry([(1000.0, 0.2, 5.0, 1.0)]))
    profiles(owners, found, book)
    with_hedge_flows(owners, found, symbol_starts(owners, book))
    kernels = (gex_of_books, flows_of_books)
    assert [len(kernel.signatures) for kernel in kernels] == [1, 1]
