"""The made-up market: the same from the same seed, and free of arbitrage up to its ticks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from benchmarks import universe
from transforms.schemas import QUOTES

TICK = universe.TICK_RUPEES


@pytest.fixture(scope="module")
def market() -> pl.DataFrame:
    """All contracts."""
    return universe.market()


def test_seed_decides(market: pl.DataFrame) -> None:
    """The same seed gives the same market, another one does not."""
    assert universe.market().equals(market)
    assert not universe.market(seed=1).equals(market)


def test_size_and_reach(market: pl.DataFrame) -> None:
    """Some 215 underlyings and 110 000 contracts, from minutes to two months."""
    assert market["symbol"].n_unique() == 215
    assert 100_000 <= len(market) <= 115_000
    minutes = market["years_to_expiry"] * 525_600
    assert minutes.min() < 10
    assert 50 * 1440 < minutes.max() < 62 * 1440


def test_prices_lie_on_the_tick(market: pl.DataFrame) -> None:
    """Each premium is the double nearest to a multiple of ₹0.05, zero among them."""
    premium = market["premium"].to_numpy()
    assert (np.round(premium / TICK) / 20 == premium).all()
    assert (premium == 0.0).any()


def test_parity(market: pl.DataFrame) -> None:
    """Call less put is the discounted F − K, to a tick's rounding of each."""
    strike = ["symbol", "expiry", "strike", "forward", "rate", "years_to_expiry"]
    legs = market.pivot("is_call", index=strike, values="premium")
    discount = np.exp(-legs["rate"] * legs["years_to_expiry"])
    gap = legs["true"] - legs["false"] - discount * (legs["forward"] - legs["strike"])
    assert gap.abs().max() <= TICK * (1 + 1e-6)


def test_no_butterfly_and_no_rise_in_strike(market: pl.DataFrame) -> None:
    """Calls fall with the strike, by no more than its step, ever more slowly: to two ticks."""
    calls = market.filter("is_call").sort("symbol", "expiry", "strike")
    for slice_ in calls.partition_by("symbol", "expiry"):
        steps = np.diff(slice_["premium"].to_numpy())
        assert (steps <= TICK).all()
        assert (-steps <= np.diff(slice_["strike"].to_numpy()) + TICK).all()
        assert (np.diff(steps) >= -2 * TICK * (1 + 1e-6)).all()


def test_chain_is_around_the_money() -> None:
    """A chain of 200 rows is 100 strikes with both rights, half of them above the forward."""
    chain = universe.chain(200)
    assert chain["strike"].n_unique() == 100
    assert chain["is_call"].sum() == 100
    assert 98 <= (chain["strike"] > chain["forward"]).sum() <= 102


def test_quotes_conform() -> None:
    """Quotes are what the analysis takes; a bid below the first tick is none."""
    quotes = universe.quotes(1_000)
    assert quotes.schema == QUOTES.polars
    assert len(quotes) == 1_000
    assert quotes["bid_price"].null_count() > 0
    assert (quotes["bid_price"].drop_nulls() > 0).all()
    assert quotes["contract_id"].n_unique() == 1_000
