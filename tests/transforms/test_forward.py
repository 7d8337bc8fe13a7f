"""The parity forward: published chains, robustness, stand-ins."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import AS_OF, RULES, TICK, Truth, quotes_of, truths
from transforms.forward import (
    FORWARD_STATUSES,
    Forward,
    Pairs,
    estimate,
    weighted_median,
    with_forward,
)
from transforms.tenor import with_tenor


def pairs_of(rows: list[tuple[float, float, float]], half_spread: float) -> Pairs:
    """Strike, call and put mid, quoted around."""
    strike, call, put = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(
        strike, call - half_spread, call + half_spread, put - half_spread, put + half_spread
    )


def forward_of(quotes: pl.DataFrame) -> dict[str, object]:
    """The forward of a chain of one expiry."""
    return with_forward(with_tenor(quotes, AS_OF, RULES), TICK).row(0, named=True)


def test_three_published_strikes() -> None:
    """NIFTY, 5.62 days left, spot 23 659: parity says 23 700, not spot."""
    rows = [(23_600.0, 256.35, 156.10), (23_650.0, 226.20, 176.25), (23_700.0, 199.10, 199.00)]
    found = estimate(pairs_of(rows, 0.25), 23_659.0, 5.6199 / 365, 0.0, TICK)
    assert found.status == "parity"
    assert found.count == 3
    assert 23_699.9 <= found.price <= 23_700.4
    assert found.mad_bp < 0.1


def test_nse_2010(oracle_path: Callable[[str], Path]) -> None:
    """Real quotes of 2010: parity sits at 5464–5470 while spot with carry says 5492."""
    with oracle_path("nifty_2010-09-01_near_raw.csv").open() as file:
        rows = list(csv.DictReader(file))
    legs = {
        (row["type"], float(row["strike"])): (float(row["bid"]), float(row["ask"])) for row in rows
    }
    both = sorted({k for t, k in legs if t == "c"} & {k for t, k in legs if t == "p"})
    sides = [[legs[t, k][i] for k in both] for t in "cp" for i in (0, 1)]
    pairs = Pairs(np.array(both), *map(np.array, sides))
    found = estimate(pairs, 5464.75, 0.07945205479, 0.0629, TICK)
    assert found.status == "crossed_parity"
    assert 5464.0 <= found.price <= 5470.0
    assert found.mad_bp < 10.0


@given(truths())
def test_finds_the_true_forward(truth: Truth) -> None:
    """On exact quotes the forward is the one they were made from."""
    found = forward_of(quotes_of(truth))
    assert found["forward_status"] == "parity"
    assert found["forward"] == pytest.approx(truth.forward, abs=0.05)
    assert found["forward_mad_bp"] < 0.1


@given(truths(), st.floats(5.0, 400.0), st.booleans())
def test_one_stale_leg_is_dropped(truth: Truth, error: float, is_call: bool) -> None:
    """A leg quoted far off contradicts the others and cannot move the forward."""
    strike = truth.strikes[truth.count]
    is_stale = (pl.col("strike") == strike) & (pl.col("is_call") == is_call)
    moved = [
        pl.when(is_stale).then(pl.col(name) + error).otherwise(name).alias(name)
        for name in ("bid_price", "ask_price")
    ]
    found = forward_of(quotes_of(truth).with_columns(moved))
    assert found["forward_status"] == "crossed_parity"
    assert found["forward"] == pytest.approx(truth.forward, abs=0.1)


@given(truths())
def test_stays_inside_every_executable_interval(truth: Truth) -> None:
    """No strike offers an arbitrage against the published forward."""
    quotes = with_tenor(quotes_of(truth, half_spread=0.4), AS_OF, RULES)
    found = with_forward(quotes, TICK).row(0, named=True)
    discount = math.exp(-quotes["rate"][0] * quotes["years_to_expiry"][0])
    calls, puts = quotes.filter("is_call"), quotes.filter(~pl.col("is_call"))
    both = calls.join(puts, on="strike", suffix="_put")
    low = both["strike"] + (both["bid_price"] - both["ask_price_put"]) / discount
    high = both["strike"] + (both["ask_price"] - both["bid_price_put"]) / discount
    assert low.max() - 1e-6 <= found["forward"] <= high.min() + 1e-6


@pytest.mark.parametrize("spoiled", ["bid_price", "ask_price"])
def test_without_two_sided_quotes_spot_is_carried(spoiled: str) -> None:
    """S·exp(rT), labelled as such; nothing at all without a spot."""
    truth = Truth("NIFTY", AS_OF.date().replace(day=30), 24_000.0, 24_050.0, 0.15, 50.0, 8)
    dark = quotes_of(truth).with_columns(pl.lit(None, pl.Float64).alias(spoiled))
    found = forward_of(dark)
    quoted = with_tenor(dark, AS_OF, RULES)
    growth = math.exp(quoted["rate"][0] * quoted["years_to_expiry"][0])
    assert found["forward_status"] == "spot_carry"
    assert found["forward"] == pytest.approx(24_000.0 * growth)
    assert (found["forward_mad_bp"], found["forward_count"]) == (None, 0)
    lost = forward_of(dark.with_columns(spot=pl.lit(None, pl.Float64)))
    assert (lost["forward_status"], lost["forward"]) == ("no_forward", None)


def test_parity_needs_no_spot() -> None:
    """The money is found where call and put cost the same."""
    truth = Truth("NIFTY", AS_OF.date().replace(day=30), 24_000.0, 24_050.0, 0.15, 50.0, 8)
    found = forward_of(quotes_of(truth).with_columns(spot=pl.lit(None, pl.Float64)))
    assert found["forward_status"] == "parity"
    assert found["forward"] == pytest.approx(24_050.0, abs=0.05)


finite = st.floats(0.05, 500.0)
quote = st.one_of(st.just(math.nan), st.just(0.0), finite)


@given(
    st.lists(st.tuples(quote, quote, quote, quote), max_size=12),
    st.one_of(st.none(), st.floats(50.0, 200.0)),
)
def test_any_quotes_give_a_status(rows: list[tuple[float, ...]], spot: float | None) -> None:
    """Whatever is quoted: a known status, and a finite price exactly if there is one."""
    values = np.array(rows, dtype=float).reshape(-1, 4).T
    strikes = 100.0 + np.arange(len(rows), dtype=float)
    found = estimate(Pairs(strikes, *values), spot, 0.1, 0.05, TICK)
    assert found.status in FORWARD_STATUSES
    assert (found.price is None) == (found.status == "no_forward")
    assert found.price is None or math.isfinite(found.price)


def test_no_expiries() -> None:
    """An empty chain has no forwards."""
    empty = with_tenor(quotes_of(Truth("A", AS_OF.date(), 1.0, 1.0, 0.2, 1.0, 1)), AS_OF, RULES)
    assert with_forward(empty.clear(), TICK).is_empty()
    assert estimate(Pairs(*[np.array([])] * 5), None, 0.1, 0.0, TICK) == Forward(None, "no_forward")


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.1, 10.0)), min_size=1, max_size=30))
def test_weighted_median_halves_the_weight(points: list[tuple[float, float]]) -> None:
    """At most half of the weight lies strictly on either side."""
    values, weights = (np.array(column) for column in zip(*points, strict=True))
    middle = weighted_median(values, weights)
    half = 0.5 * weights.sum() * (1 + 1e-12)
    assert weights[values < middle].sum() <= half
    assert weights[values > middle].sum() <= half
