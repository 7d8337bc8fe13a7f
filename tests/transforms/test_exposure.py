"""Gamma exposure: units, signs, scaling laws and sums."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.exposure import GEX, gex_crore_per_percent, side_sums, total_sums

# strike, right, gamma, open interest: six strikes worked by hand at a spot of 100
CHAIN = [
    (90.0, True, 0.01, 1_000.0),
    (90.0, False, 0.01, 3_000.0),
    (100.0, True, 0.04, 5_000.0),
    (100.0, False, 0.04, None),
    (110.0, True, None, 7_000.0),
    (110.0, False, 0.02, 2_000.0),
]


def frame_of(rows: list[tuple[object, ...]], spot: float = 100.0) -> pl.DataFrame:
    """Contracts with their exposure."""
    names = ("strike", "is_call", "gamma_forward", "open_interest_units")
    types = (pl.Float64, pl.Boolean, pl.Float64, pl.Float64)
    frame = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    return frame.with_columns(spot=pl.lit(spot)).with_columns(gex_crore_per_percent())


def exposure(gamma: float, units: float, spot: float, is_call: bool = True) -> float:
    """Exposure of one contract."""
    return float(frame_of([(100.0, is_call, gamma, units)], spot)[GEX][0])


def test_published_figure(oracle_path: Callable[[str], Path]) -> None:
    """Units of open interest are not multiplied by a lot."""
    for case in json.loads(oracle_path("oracles.json").read_text()):
        if case["fn"] == "gex":
            found = exposure(case["gamma"], case["oi_units"], case["S"], case["sign"] > 0)
            assert found == pytest.approx(case["expect_cr_per_1pct"], abs=1e-4)
        if case["fn"] == "gex_variants":
            units = case["oi_contracts"] * case["mult"]
            rupees = exposure(case["gamma"], units, case["S"]) * 1e7
            assert rupees == pytest.approx(case["expect"]["per_1pct"])


def test_hand_worked_chain() -> None:
    """Sides, nets and magnitudes; an unknown leg is unknown and not zero."""
    unit = 100.0**2 * 0.01 / 1e7
    sums = frame_of(CHAIN).group_by("strike", maintain_order=True).agg(side_sums())
    calls = [10.0 * unit, 200.0 * unit, None]
    puts = [-30.0 * unit, None, -40.0 * unit]
    assert sums["call_gex_crore_per_percent"].to_list() == pytest.approx(calls)
    assert sums["put_gex_crore_per_percent"].to_list() == pytest.approx(puts)
    net = [-20.0 * unit, 200.0 * unit, -40.0 * unit]
    assert sums["net_gex_crore_per_percent"].to_list() == pytest.approx(net)
    totals = frame_of(CHAIN).select(total_sums()).row(0)
    assert totals == pytest.approx((140.0 * unit, 280.0 * unit))


def test_nothing_known_is_null() -> None:
    """All gammas unknown: no sum at all."""
    rows = [(strike, is_call, None, units) for strike, is_call, _, units in CHAIN]
    assert frame_of(rows).select(total_sums()).row(0) == (None, None)


positive = st.floats(1e-6, 1e3)


@given(positive, positive, positive, st.floats(0.1, 10.0))
def test_scaling_laws(gamma: float, units: float, spot: float, c: float) -> None:
    """Linear in open interest and gamma, quadratic in spot, unchanged by a change of currency."""
    once = exposure(gamma, units, spot)
    assert exposure(gamma, c * units, spot) == pytest.approx(c * once)
    assert exposure(c * gamma, units, spot) == pytest.approx(c * once)
    assert exposure(gamma, units, c * spot) == pytest.approx(c * c * once)
    # Γ is per currency squared over currency: in units c times smaller, Γ·S² grows by c.
    assert exposure(gamma / c, units, c * spot) == pytest.approx(c * once)


@given(positive, positive, positive)
def test_swapping_rights_negates(gamma: float, units: float, spot: float) -> None:
    """A put counts as much as a call, with the other sign."""
    assert exposure(gamma, units, spot) == -exposure(gamma, units, spot, is_call=False)
