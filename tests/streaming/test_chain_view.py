"""A chain laid out for the live state says what ``analyse`` says."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from streaming.chain_view import (
    EXPIRY_COLUMNS,
    GREEK_COLUMNS,
    QUOTE_COLUMNS,
    STRIKE_COLUMNS,
    UNDERLYING_COLUMNS,
    view_of,
)
from tests.strategies import AS_OF, RULES, Truth, quotes_of
from tests.streaming.listed import TRUTH, contracts
from transforms.chain import analyse
from transforms.forward import FORWARD_STATUSES

FAR = Truth("NIFTY", date(2026, 12, 29), 24_000.0, 24_150.0, 0.16, 100.0, 4)


def column(block: np.ndarray, names: tuple[str, ...], name: str) -> np.ndarray:
    """One named column of a block."""
    return block[:, names.index(name)]


def test_numbers_are_those_of_analyse() -> None:
    """One definition of each number: the view only lays out."""
    analysis = analyse(pl.concat([quotes_of(TRUTH), quotes_of(FAR)]), AS_OF, RULES)
    view = view_of(analysis.contracts, RULES)
    for block, names, frame in (
        (view.quotes, QUOTE_COLUMNS, analysis.contracts),
        (view.greeks, GREEK_COLUMNS, analysis.contracts),
        (view.strikes, STRIKE_COLUMNS, analysis.strikes),
        (view.expiries, EXPIRY_COLUMNS, analysis.expiries),
        (view.underlying, UNDERLYING_COLUMNS, analysis.underlyings),
    ):
        for name in names:
            if frame[name].dtype.is_numeric():
                want = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
                np.testing.assert_array_equal(column(block, names, name), want, err_msg=name)
    parity = float(FORWARD_STATUSES.index("parity"))
    assert set(column(view.expiries, EXPIRY_COLUMNS, "forward_status")) == {parity}
    assert set(column(view.expiries, EXPIRY_COLUMNS, "as_of")) == {AS_OF.timestamp() * 1000}
    assert (view.symbol, view.nearest_expiry) == ("NIFTY", TRUTH.expiry)


def test_rows_are_in_the_order_of_the_mark() -> None:
    """Contracts, strikes and expiries line up with what a re-mark gives, whatever came in."""
    both = pl.concat([contracts(), contracts(truth=FAR)]).sample(fraction=1.0, shuffle=True, seed=3)
    view = view_of(both, RULES)
    assert tuple(option.contract_id for option in view.options) == view.mark.contract_ids
    assert len(view.strikes) == len(view.mark.strikes)
    assert view.mark.expiries == (TRUTH.expiry, FAR.expiry)


def test_each_expiry_keeps_its_own_instant() -> None:
    """An expiry whose chain could not be fetched keeps its age beside a fresh one."""
    later = AS_OF + timedelta(minutes=5)
    view = view_of(pl.concat([contracts(), contracts(later, FAR)]), RULES)
    instants = [AS_OF.timestamp() * 1000, later.timestamp() * 1000]
    assert list(column(view.expiries, EXPIRY_COLUMNS, "as_of")) == instants
    assert column(view.underlying, UNDERLYING_COLUMNS, "as_of")[0] == instants[1]
    assert view.spot_at_ms == instants[1] - 1000


def test_a_chain_without_prices_is_nulls_with_statuses() -> None:
    """Nothing is invented: no price, no volatility, and a status that says so."""
    names = ("bid_price", "ask_price", "last_price", "spot")
    dark = quotes_of(TRUTH).with_columns(pl.lit(None, pl.Float64).alias(n) for n in names)
    view = view_of(analyse(dark, AS_OF, RULES).contracts, RULES)
    assert np.isnan(view.volatilities[:, 0]).all()
    assert not np.isnan(view.volatilities[:, 1]).any()
    assert np.isnan(view.spot)


def test_grid_is_of_the_same_chain() -> None:
    """It begins at the newest instant, about the chain's spot, with the expiries of the mark."""
    later = AS_OF + timedelta(minutes=5)
    held = 65.0 * (1 + (7 * pl.int_range(pl.len())) % 11)
    both = pl.concat([contracts(), contracts(later, FAR)]).with_columns(open_interest_units=held)
    view = view_of(both, RULES)
    assert view.grid.expiries == view.mark.expiries
    assert view.grid.covers(view.spot, later)
    assert not view.grid.covers(view.spot, AS_OF)
    exact, levels = view.mark.at(view.spot, later), view.grid.at(view.spot, later)
    np.testing.assert_allclose(levels.by_expiry[:, 0], exact.expiry_net_gex, rtol=1e-9)


def test_without_a_spot_there_is_no_grid() -> None:
    """A chain that tells no spot covers none, and nothing raises."""
    view = view_of(contracts().with_columns(spot=pl.lit(None, pl.Float64)), RULES)
    assert not view.grid.covers(TRUTH.spot, AS_OF)
    assert np.isnan(view.grid.at(TRUTH.spot, AS_OF).total).all()


def test_levels_are_those_of_the_nearest_expiry() -> None:
    """What alerts are crossed against; none where the chain tells none."""
    held = 65.0 * (1 + (7 * pl.int_range(pl.len())) % 11)
    rows = pl.concat([contracts(), contracts(truth=FAR)]).with_columns(open_interest_units=held)
    view = view_of(rows, RULES)
    near = view_of(rows.filter(pl.col("expiry") == view.nearest_expiry), RULES)
    assert view.levels.keys() == {"call_wall", "put_wall", "gamma_flip"}
    assert view.levels["call_wall"] == near.levels["call_wall"] >= view.levels["put_wall"] > 0
    nothing = view_of(contracts().with_columns(open_interest_units=0.0), RULES)
    assert np.isnan(list(nothing.levels.values())).all()
