"""Exposures read from a grid: those of the analysis, and of an exact repricing beside it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, quotes_of
from transforms.chain import analyse
from transforms.level_grid import MEASURES, LevelGrid
from transforms.marking import ChainMark

NEAR = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_020.0, 0.15, 50.0, 30)
FAR = Truth("NIFTY", EXPIRIES[2], 24_000.0, 24_110.0, 0.17, 100.0, 20)
SPOT = 24_000.0


def analysed(*truths: Truth, as_of: object = AS_OF) -> object:
    """Chains with open interest that differs from strike to strike."""
    quotes = pl.concat([quotes_of(truth, as_of=as_of) for truth in truths])
    held = 65.0 * (1 + (7 * pl.int_range(pl.len())) % 11)
    return analyse(quotes.with_columns(open_interest_units=held), as_of, RULES)


BOTH = analysed(NEAR, FAR)
GRID = LevelGrid(BOTH.contracts, RULES, SPOT, AS_OF)
MARK = ChainMark(BOTH.contracts, RULES)


def test_at_the_snapshot_it_is_the_analysis() -> None:
    """Each measure of each expiry, and their sums."""
    levels = GRID.at(SPOT, AS_OF)
    for i, name in enumerate(MEASURES):
        assert levels.by_expiry[:, i] == pytest.approx(BOTH.expiries[name].to_list(), rel=1e-9)
        assert levels.total[i] == pytest.approx(BOTH.underlyings[name].item(), rel=1e-9)


@settings(max_examples=100)
@given(st.floats(-0.0149, 0.0149), st.floats(0.0, 1.0))
def test_beside_it_it_is_an_exact_repricing(move: float, share: float) -> None:
    """To a ten-thousandth of the gross exposure, wherever the grid reaches."""
    spot = SPOT * float(np.exp(move))
    at = AS_OF + timedelta(seconds=share * GRID.valid_seconds)
    assert GRID.covers(spot, at)
    levels, exact = GRID.at(spot, at), MARK.at(spot, at)
    gross = levels.total[1]
    assert levels.by_expiry[:, 0] == pytest.approx(exact.expiry_net_gex, abs=1e-4 * gross)
    assert levels.total[0] == pytest.approx(exact.total_net_gex, abs=1e-4 * gross)
    assert (levels.forward == exact.forward).all()
    assert (levels.years_to_expiry == exact.years_to_expiry).all()


@pytest.mark.parametrize("minutes", [120.0, 45.0, 31.0, 20.0, 10.0])
def test_on_an_expiry_day_too(minutes: float) -> None:
    """Where gamma is a needle: a thousandth of its peak, to the end of the grid's life."""
    as_of = RULES.settlement_at(NEAR.expiry) - timedelta(minutes=minutes)
    analysis = analysed(NEAR, as_of=as_of)
    grid = LevelGrid(analysis.contracts, RULES, SPOT, as_of)
    mark = ChainMark(analysis.contracts, RULES)
    at = as_of + timedelta(seconds=grid.valid_seconds)
    spots = SPOT * np.exp(np.linspace(-0.0145, 0.0145, 60))
    exact = np.array([mark.at(spot, at).total_net_gex for spot in spots])
    found = np.array([grid.at(spot, at).total[0] for spot in spots])
    peak = np.nanmax(np.abs([grid.at(spot, at).total[1] for spot in spots]))
    assert found == pytest.approx(exact, abs=1e-3 * peak)


@pytest.mark.parametrize(
    ("spot", "seconds"),
    [(SPOT * 1.02, 0.0), (SPOT * 0.98, 0.0), (SPOT, -1.0), (SPOT, 1e6), (0.0, 0.0), (-1.0, 0.0)],
)
def test_beyond_it_there_is_no_answer(spot: float, seconds: float) -> None:
    """Rather none than an extrapolated one."""
    at = AS_OF + timedelta(seconds=seconds)
    assert not GRID.covers(spot, at)
    assert np.isnan(GRID.at(spot, at).by_expiry).all()


def test_an_expiry_that_is_not_known_leaves_the_others() -> None:
    """NaN for its own row; the total is of what is known."""
    is_near = pl.col("expiry") == NEAR.expiry
    blind = BOTH.contracts.with_columns(forward=pl.when(~is_near).then("forward"))
    levels = LevelGrid(blind, RULES, SPOT, AS_OF).at(SPOT, AS_OF)
    assert np.isnan(levels.by_expiry[0]).all()
    assert levels.total == pytest.approx(levels.by_expiry[1])
