"""The whole analysis: conformity, known truth, invariances, holes."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market.errors import SchemaMismatch
from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, chains, quotes_of, truths
from transforms.chain import FORMULA_VERSION, Analysis, analyse
from transforms.forward import FORWARD_STATUSES
from transforms.implied_vol import IV_STATUSES
from transforms.schemas import CONTRACTS, STRIKES, UNDERLYINGS
from transforms.schemas import EXPIRIES as EXPIRIES_SCHEMA
from transforms.volatility import ATM_STATUSES

NEAR = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_020.0, 0.15, 50.0, 10)
FAR = Truth("NIFTY", EXPIRIES[2], 24_000.0, 24_110.0, 0.17, 100.0, 10)
FRAMES = ("contracts", "strikes", "expiries", "underlyings")
SCHEMAS = (CONTRACTS, STRIKES, EXPIRIES_SCHEMA, UNDERLYINGS)


def assert_same(first: Analysis, second: Analysis) -> None:
    """Two analyses are the same to the last bit."""
    for name in FRAMES:
        assert_frame_equal(getattr(first, name), getattr(second, name), check_exact=True)


@given(truths())
def test_finds_the_truth(truth: Truth) -> None:
    """Volatility of each priced strike and the forward are those the quotes were made from."""
    found = analyse(quotes_of(truth), AS_OF, RULES)
    ok = found.contracts.filter(iv_status="ok")
    assert ok.height > 0
    liquid = ok.filter(pl.col("vega_per_vol_point") > 1.0)
    for strike, value in liquid.select("strike", "implied_volatility").iter_rows():
        assert value == pytest.approx(truth.smile(strike), abs=5e-4)
    assert found.expiries["forward"][0] == pytest.approx(truth.forward, abs=0.05)


@settings(max_examples=50)
@given(chains())
def test_conforms_whatever_is_missing(quotes: pl.DataFrame) -> None:
    """Every frame conforms, keeps its grain, and speaks only known statuses."""
    found = analyse(quotes, AS_OF, RULES)
    for name, schema in zip(FRAMES, SCHEMAS, strict=True):
        assert getattr(found, name).schema == schema.polars
    contracts, expiries = found.contracts, found.expiries
    assert contracts.height == quotes.height
    assert contracts["contract_id"].n_unique() == quotes.height
    assert found.strikes.height == quotes.select("symbol", "expiry", "strike").n_unique()
    assert expiries.height == quotes.select("symbol", "expiry").n_unique()
    assert found.underlyings.height == quotes["symbol"].n_unique()
    assert set(contracts["iv_status"]) <= set(IV_STATUSES)
    assert set(expiries["forward_status"]) <= set(FORWARD_STATUSES)
    assert set(expiries["atm_status"]) <= set(ATM_STATUSES)
    is_ok = contracts["iv_status"] == "ok"
    assert contracts["implied_volatility"].is_not_null().equals(is_ok, check_names=False)
    assert set(contracts["formula_version"]) == {FORMULA_VERSION}


@settings(max_examples=50)
@given(chains(), st.integers(0, 2**32))
def test_row_order_does_not_matter(quotes: pl.DataFrame, seed: int) -> None:
    """Any permutation of the rows gives the same frames."""
    shuffled = quotes.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_same(analyse(quotes, AS_OF, RULES), analyse(shuffled, AS_OF, RULES))


@settings(max_examples=50)
@given(chains())
def test_sums_add_up(quotes: pl.DataFrame) -> None:
    """Contracts, strikes, expiries and underlyings tell one total."""
    found = analyse(quotes, AS_OF, RULES)
    by_contract = found.contracts["gex_crore_per_percent"].sum()
    for frame in (found.strikes, found.expiries, found.underlyings):
        assert frame["net_gex_crore_per_percent"].sum() == pytest.approx(by_contract, abs=1e-6)
        calls = frame["call_open_interest_units"].sum()
        assert calls == quotes.filter("is_call")["open_interest_units"].sum()
    assert found.expiries["priced_count"].sum() == found.underlyings["priced_count"].sum()


def test_symbols_do_not_touch_each_other() -> None:
    """Analysed together or apart, a symbol's numbers are the same."""
    other = quotes_of(Truth("SENSEX", EXPIRIES[1], 80_000.0, 80_100.0, 0.14, 100.0, 12))
    own = quotes_of(NEAR)
    together = analyse(pl.concat([other, own]), AS_OF, RULES)
    apart = analyse(own, AS_OF, RULES)
    for name in FRAMES:
        mine = getattr(together, name).filter(symbol="NIFTY")
        assert_frame_equal(mine, getattr(apart, name), check_exact=True)


def test_nearest_expiry_speaks_for_the_underlying() -> None:
    """Forward and volatility of the nearest expiry, sums over all."""
    found = analyse(pl.concat([quotes_of(FAR), quotes_of(NEAR)]), AS_OF, RULES)
    row = found.underlyings.row(0, named=True)
    assert row["nearest_expiry"] == NEAR.expiry
    assert row["forward"] == pytest.approx(NEAR.forward, abs=0.05)
    assert row["contract_count"] == 2 * len(NEAR.strikes) + 2 * len(FAR.strikes)
    assert row["pcr_open_interest"] == 1.0


def test_an_expiry_that_has_settled_is_not_the_nearest() -> None:
    """After settlement the chain still holds the series, settling and without numbers."""
    late = RULES.settlement_at(NEAR.expiry) + timedelta(minutes=1)
    found = analyse(pl.concat([quotes_of(FAR), quotes_of(NEAR)]), late, RULES)
    assert found.underlyings["nearest_expiry"].to_list() == [FAR.expiry]
    settled = found.contracts.filter(expiry=NEAR.expiry)
    assert settled["iv_status"].unique().to_list() == ["settling"]
    assert settled["gamma_forward"].null_count() == settled.height
    assert found.expiries["atm_status"].to_list() == ["settling", "atm_ok"]


def test_empty() -> None:
    """No quotes: four empty frames that conform."""
    found = analyse(quotes_of(NEAR).clear(), AS_OF, RULES)
    for name, schema in zip(FRAMES, SCHEMAS, strict=True):
        assert_frame_equal(getattr(found, name), schema.empty())


def test_unknown_open_interest_is_not_zero() -> None:
    """A side, a strike or a chain without open interest has null sums."""
    found = analyse(quotes_of(NEAR, open_interest=None), AS_OF, RULES)
    for frame in (found.strikes, found.expiries, found.underlyings):
        assert frame["net_gex_crore_per_percent"].null_count() == frame.height
        assert frame["call_open_interest_units"].null_count() == frame.height
    assert found.expiries["pcr_open_interest"].null_count() == 1
    assert found.expiries["pcr_volume"].to_list() == [1.0]


def test_later_quote_wins() -> None:
    """Of two rows for a contract the later one counts, and spot is the newest one told."""
    old = quotes_of(NEAR)
    later = old.with_columns(
        quoted_at=pl.col("quoted_at") + timedelta(seconds=5),
        open_interest_units=pl.lit(130.0),
        spot=pl.lit(24_001.0),
    )
    found = analyse(pl.concat([later, old]), AS_OF, RULES)
    assert_same(found, analyse(later, AS_OF, RULES))
    assert found.expiries["spot"].to_list() == [24_001.0]
    silent = analyse(
        pl.concat([later.with_columns(spot=pl.lit(None, pl.Float64)), old]), AS_OF, RULES
    )
    assert silent.expiries["spot"].to_list() == [24_000.0]


def test_zone_of_as_of_does_not_matter() -> None:
    """The same instant in another zone gives the same frames."""
    elsewhere = AS_OF.astimezone(ZoneInfo("Asia/Kolkata"))
    quotes = quotes_of(NEAR)
    assert_same(analyse(quotes, AS_OF, RULES), analyse(quotes, elsewhere, RULES))


def test_wrong_frame() -> None:
    """The error names what is missing."""
    with pytest.raises(SchemaMismatch, match="bid_price"):
        analyse(quotes_of(NEAR).drop("bid_price"), AS_OF, RULES)
