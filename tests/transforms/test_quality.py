"""Data-quality rules: each fires on its defect, and none on a sound chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from tests.strategies import AS_OF, EXPIRIES, RULES, TICK, Truth, quotes_of, truths
from transforms import quality
from transforms.chain import Analysis, analyse
from transforms.schemas import VIOLATIONS

TRUTH = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_020.0, 0.15, 100.0, 8)
SOUND = analyse(quotes_of(TRUTH), AS_OF, RULES)
CALL = pl.col("is_call") & (pl.col("strike") == 24_000)


def changed(**columns: object) -> pl.DataFrame:
    """The sound contracts with one call's columns changed."""
    return SOUND.contracts.with_columns(
        pl.when(CALL)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(name)
        .alias(name)
        for name, value in columns.items()
    )


def rows(violations: pl.DataFrame) -> list[tuple[object, ...]]:
    """Rule, severity and strike of each violation."""
    assert violations.schema == VIOLATIONS.polars
    return violations.select("rule", "severity", "strike").rows()


@settings(max_examples=30)
@given(truths())
def test_a_sound_chain_is_clean(truth: Truth) -> None:
    """No rule cries at quotes around exact prices."""
    found = analyse(quotes_of(truth), AS_OF, RULES)
    assert_frame_equal(quality.check_analysis(found, TICK, ["NIFTY"]), VIOLATIONS.empty())


@pytest.mark.parametrize(("bid", "severity"), [(10.05, "E"), (10.0, "W")])
def test_crossed_and_locked(bid: float, severity: str) -> None:
    """Q03."""
    found = quality.crossed_quotes(changed(bid_price=bid, ask_price=10.0))
    assert rows(found) == [("Q03", severity, 24_000.0)]
    assert "call bid" in found["detail"][0]


def test_price_bounds() -> None:
    """Q07: an ask below intrinsic value and a bid above the forward, each by more than a tick."""
    deep = (pl.col("strike") == 23_500) & pl.col("is_call")
    low = SOUND.contracts.with_columns(
        ask_price=pl.when(deep).then(100.0).otherwise("ask_price"),
        bid_price=pl.when(deep).then(None).otherwise("bid_price"),
    )
    assert rows(quality.price_bounds(low, TICK)) == [("Q07", "E", 23_500.0)]
    high = changed(bid_price=30_000.0, ask_price=30_001.0)
    assert rows(quality.price_bounds(high, TICK)) == [("Q07", "E", 24_000.0)]


def test_price_bounds_allow_a_tick() -> None:
    """Q07: less than a tick outside is no violation; without a forward nothing is said."""
    intrinsic = (-pl.col("rate") * pl.col("years_to_expiry")).exp() * (pl.col("forward") - 24_000)
    assert rows(quality.price_bounds(changed(ask_price=intrinsic - 0.9 * TICK), TICK)) == []
    assert rows(quality.price_bounds(changed(ask_price=intrinsic - 1.1 * TICK), TICK)) != []
    blind = changed(ask_price=0.05).with_columns(forward=pl.lit(None, pl.Float64))
    assert rows(quality.price_bounds(blind, TICK)) == []


@pytest.mark.parametrize(
    ("units", "expected"),
    [(-65.0, "E"), (66.0, "W"), (65.0, None), (0.0, None), (None, None)],
)
def test_open_interest(units: float | None, expected: str | None) -> None:
    """Q15: negative, or no multiple of the lot."""
    found = rows(quality.open_interest(changed(open_interest_units=units)))
    assert found == ([("Q15", expected, 24_000.0)] if expected else [])


def test_open_interest_without_a_lot() -> None:
    """Q15: an unknown lot cannot be broken, a negative count still is."""
    unknown = changed(open_interest_units=-1.0).with_columns(lot_size_units=pl.lit(None, pl.Int64))
    assert rows(quality.open_interest(unknown)) == [("Q15", "E", 24_000.0)]


def test_expired_series() -> None:
    """Q20: one violation for each series that has settled."""
    late = RULES.settlement_at(TRUTH.expiry) + timedelta(minutes=1)
    found = analyse(quotes_of(TRUTH), late, RULES)
    assert rows(quality.expired_series(found.contracts)) == [("Q20", "E", None)]


@pytest.mark.parametrize(("value", "count"), [(0.009, 1), (0.01, 0), (3.0, 0), (3.1, 1)])
def test_volatility_range(value: float, count: int) -> None:
    """Q24: outside 1 % to 300 %."""
    assert quality.volatility_range(changed(implied_volatility=value)).height == count


@pytest.mark.parametrize("name", ["call_open_interest_units", "pcr_open_interest", "pcr_volume"])
@pytest.mark.parametrize("value", [1.5, None])
def test_sums_agree(name: str, value: float | None) -> None:
    """Q26: a published sum or ratio that the contracts do not give."""
    wrong = SOUND.expiries.with_columns(pl.lit(value, pl.Float64).alias(name))
    assert rows(quality.sums_agree(SOUND.contracts, wrong)) == [("Q26", "E", None)]


def test_lost_rows_break_the_sums() -> None:
    """Q26: contracts that went missing after publication."""
    assert quality.sums_agree(SOUND.contracts.filter(~CALL), SOUND.expiries).height == 1
    assert quality.sums_agree(SOUND.contracts.clear(), SOUND.expiries).height == 1


@pytest.mark.parametrize(("missing", "severity"), [(0, None), (1, None), (2, "W"), (5, "E")])
def test_coverage(missing: int, severity: str | None) -> None:
    """Q27: at 95 % all is well, below it a warning, below 80 % an error; each gap is named."""
    expected = [f"S{i}" for i in range(20)]
    found = quality.coverage(expected[missing:], expected)
    assert found.height == (missing if severity else 0)
    assert set(found["severity"]) == ({severity} if severity else set())
    assert found["symbol"].to_list() == (sorted(expected[:missing]) if severity else [])


def test_nothing_expected_is_covered() -> None:
    """Q27: an empty list of underlyings is complete."""
    assert quality.coverage([], []).is_empty()


@pytest.mark.parametrize(("scale", "count"), [(100.0, 1), (0.01, 1), (1.1, 0), (5.0, 0)])
def test_vendor_unit(scale: float, count: int) -> None:
    """Q33: per cent for a fraction, either way; an honest difference of opinion is none."""
    vendor = SOUND.contracts.with_columns(
        vendor_implied_volatility=scale * pl.col("implied_volatility")
    )
    assert quality.vendor_unit(vendor).height == count


def test_everything_at_once() -> None:
    """All rules together, in the order of their numbers; empty input breaks none."""
    broken = changed(bid_price=20.0, ask_price=10.0, open_interest_units=-1.0)
    found = quality.check_analysis(replace(SOUND, contracts=broken), TICK, ["NIFTY", "SENSEX"])
    assert found["rule"].to_list() == sorted(found["rule"])
    assert {"Q03", "Q15", "Q26", "Q27"} <= set(found["rule"])
    empty = Analysis(*(getattr(SOUND, n).clear() for n in Analysis.__dataclass_fields__))
    assert quality.check_analysis(empty, TICK, []).is_empty()
