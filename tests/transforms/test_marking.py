"""Re-marking: equal to the analysis at its own spot and instant, and lawful away from it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, chains, quotes_of
from transforms.chain import analyse
from transforms.marking import ChainMark

NEAR = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_020.0, 0.15, 50.0, 10)
FAR = Truth("NIFTY", EXPIRIES[2], 24_000.0, 24_110.0, 0.17, 100.0, 10)
PER_CONTRACT = ("delta_forward", "gamma_forward", "theta_per_day", "vega_per_vol_point")
BOTH = pl.concat([quotes_of(NEAR), quotes_of(FAR)]).with_columns(
    open_interest_units=65.0 * (1 + pl.int_range(pl.len()) % 7)
)
ANALYSIS = analyse(BOTH, AS_OF, RULES)


def column(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A column with NaN for null."""
    return frame[name].cast(pl.Float64).to_numpy()


def assert_equal(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Equal up to rounding, nulls in the same places."""
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, equal_nan=True)


@settings(max_examples=50)
@given(chains())
def test_equals_the_analysis(quotes: pl.DataFrame) -> None:
    """At the snapshot's own spot and instant every number is the analysis' own."""
    symbol = quotes["symbol"][0]
    # A symbol has one spot at an instant: the strategy draws one for each expiry.
    own = quotes.filter(symbol=symbol, expiry=quotes["expiry"][0])
    analysis = analyse(own, AS_OF, RULES)
    mark = ChainMark(analysis.contracts, RULES)
    marked = mark.at(own["spot"][0], AS_OF)
    assert mark.contract_ids == tuple(analysis.contracts["contract_id"])
    for name in PER_CONTRACT:
        assert_equal(getattr(marked, name), column(analysis.contracts, name))
    assert mark.strikes == tuple(analysis.strikes.select("expiry", "strike").iter_rows())
    for side in ("call", "put", "net"):
        expected = column(analysis.strikes, f"{side}_gex_crore_per_percent")
        assert_equal(getattr(marked, f"{side}_gex"), expected)
    assert mark.expiries == tuple(analysis.expiries["expiry"])
    assert_equal(marked.forward, column(analysis.expiries, "forward"))
    assert_equal(marked.years_to_expiry, column(analysis.expiries, "years_to_expiry"))
    net = "net_gex_crore_per_percent"
    assert_equal(marked.expiry_net_gex, column(analysis.expiries, net))
    assert_equal(np.array([marked.total_net_gex]), column(analysis.underlyings, net))


def test_two_expiries() -> None:
    """Expiries keep their own forward and sum to the total."""
    mark = ChainMark(ANALYSIS.contracts, RULES)
    marked = mark.at(24_000.0, AS_OF)
    assert mark.expiries == (NEAR.expiry, FAR.expiry)
    assert_equal(marked.forward, column(ANALYSIS.expiries, "forward"))
    assert_equal(marked.net_gex, column(ANALYSIS.strikes, "net_gex_crore_per_percent"))
    assert marked.total_net_gex == pytest.approx(marked.expiry_net_gex.sum())
    assert marked.total_net_gex != 0.0


@given(st.floats(0.9, 1.1), st.integers(0, 5))
def test_moves_like_a_fresh_analysis(move: float, days: int) -> None:
    """Away from the snapshot: forward in proportion to spot, Greeks of the same volatility."""
    mark = ChainMark(ANALYSIS.contracts, RULES)
    later = AS_OF + timedelta(days=days)
    marked = mark.at(24_000.0 * move, later)
    snapshot = mark.at(24_000.0, AS_OF)
    assert_equal(marked.forward, snapshot.forward * move)
    assert_equal(marked.years_to_expiry, snapshot.years_to_expiry - days / 365)
    # The same gamma for call and put of a strike, deltas apart by the discount factor.
    calls = column(ANALYSIS.contracts, "is_call") > 0
    assert_equal(marked.gamma_forward[calls], marked.gamma_forward[~calls])


def test_handed_open_interest_replaces_the_snapshots() -> None:
    """Twice the open interest, twice the exposure; unknown interest, unknown exposure."""
    mark = ChainMark(ANALYSIS.contracts, RULES)
    held = column(ANALYSIS.contracts, "open_interest_units")
    once, twice = mark.at(24_000.0, AS_OF), mark.at(24_000.0, AS_OF, 2 * held)
    assert_equal(twice.net_gex, 2 * once.net_gex)
    unknown = mark.at(24_000.0, AS_OF, np.full_like(held, np.nan))
    assert np.isnan(unknown.total_net_gex)
    assert np.isnan(unknown.net_gex).all()


def test_settling() -> None:
    """In the last minute the near expiry has no Greeks and no exposure; the far one has."""
    marked = ChainMark(ANALYSIS.contracts, RULES).at(
        24_000.0, RULES.settlement_at(NEAR.expiry) - timedelta(seconds=30)
    )
    assert np.isnan(marked.expiry_net_gex).tolist() == [True, False]
    near = column(ANALYSIS.contracts.with_columns(n=pl.col("expiry") == NEAR.expiry), "n") > 0
    assert np.isnan(marked.gamma_forward[near]).all()
    assert marked.total_net_gex == marked.expiry_net_gex[1]


def test_row_order_does_not_matter() -> None:
    """The order of arrays is the mark's own."""
    shuffled = ChainMark(ANALYSIS.contracts.sample(fraction=1.0, shuffle=True, seed=3), RULES)
    mark = ChainMark(ANALYSIS.contracts, RULES)
    assert shuffled.contract_ids == mark.contract_ids
    assert_equal(shuffled.at(24_000.0, AS_OF).net_gex, mark.at(24_000.0, AS_OF).net_gex)


def test_empty() -> None:
    """A chain without contracts marks to nothing."""
    marked = ChainMark(ANALYSIS.contracts.clear(), RULES).at(24_000.0, AS_OF)
    assert marked.net_gex.size == 0
    assert np.isnan(marked.total_net_gex)
