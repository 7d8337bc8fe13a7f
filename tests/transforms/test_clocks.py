"""Volatilities and forwards between snapshots."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import Rules
from transforms.clocks import Clocks
from transforms.settlement import remaining_variance
from transforms.tenor import variance_time

RULES = Rules()
# The first settles at the average of its last half hour, the second at an auction's price.
AVERAGED, AUCTIONED = date(2026, 7, 28), date(2026, 8, 25)
SETTLES_AT = RULES.settlement_at(AVERAGED)
THEN = SETTLES_AT - timedelta(hours=3)
CLOCKS = Clocks(pl.DataFrame({"expiry": [AVERAGED, AUCTIONED], "as_of": [THEN, THEN]}), RULES)
FORWARDS, SPOTS = np.array([24_020.0, 24_100.0]), np.array([24_000.0, 24_000.0])
MINUTES_PER_YEAR = 525_600


def test_at_the_snapshot_nothing_changes() -> None:
    """Same volatility, same forward."""
    now = CLOCKS.at(THEN)
    assert now.volatility_ratio == pytest.approx([1.0, 1.0], abs=1e-12)
    assert CLOCKS.forwards(FORWARDS, SPOTS, 24_000.0, now).tolist() == FORWARDS.tolist()


@given(st.floats(31.0, 180.0), st.floats(0.9, 1.1))
def test_outside_an_averaging_forwards_keep_their_ratio(left: float, move: float) -> None:
    """To spot, for both kinds of settlement."""
    now = CLOCKS.at(SETTLES_AT - timedelta(minutes=left))
    moved = CLOCKS.forwards(FORWARDS, SPOTS, 24_000.0 * move, now)
    assert moved == pytest.approx(FORWARDS * move)


@given(st.floats(2.0, 180.0))
def test_variance_runs_out_by_the_averaging_clock(left: float) -> None:
    """σ²T after scaling is the variance that the settlement can still gather."""
    now = CLOCKS.at(SETTLES_AT - timedelta(minutes=left))
    variance = now.volatility_ratio[0] ** 2 * now.years[0] * MINUTES_PER_YEAR
    then = variance_time(180.0, 30.0)
    assert variance == pytest.approx(
        remaining_variance(180.0, then, variance_time(left, 30.0)), rel=1e-6
    )


def test_an_auctioned_settlement_keeps_its_volatility() -> None:
    """Its variance accrues with the plain clock."""
    now = CLOCKS.at(SETTLES_AT)
    assert now.volatility_ratio[1] == pytest.approx(1.0)


def test_inside_an_averaging_the_forward_moves_less_and_less() -> None:
    """With a minute left hardly at all."""
    moves = [
        CLOCKS.forwards(FORWARDS, SPOTS, 24_240.0, CLOCKS.at(SETTLES_AT - timedelta(minutes=m)))[0]
        for m in (30.0, 20.0, 10.0, 2.0)
    ]
    assert moves == sorted(moves, reverse=True)
    assert moves[0] == pytest.approx(FORWARDS[0] * 1.01)


def test_the_last_minute_has_no_volatility() -> None:
    """The other expiry goes on."""
    now = CLOCKS.at(SETTLES_AT - timedelta(seconds=30))
    assert np.isnan(now.volatility_ratio).tolist() == [True, False]


def test_each_expiry_counts_from_its_own_snapshot() -> None:
    """Chains are taken seconds or minutes apart."""
    early = datetime(2026, 7, 27, 6, 0, tzinfo=UTC)
    clocks = Clocks(pl.DataFrame({"expiry": [AVERAGED, AUCTIONED], "as_of": [early, THEN]}), RULES)
    assert clocks.at(early).volatility_ratio[0] == pytest.approx(1.0, abs=1e-12)
    assert clocks.at(THEN).volatility_ratio[1] == pytest.approx(1.0, abs=1e-12)
