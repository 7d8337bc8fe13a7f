"""Rules of spot, volatility and Greeks, on both sides of their borders."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from tests.transforms.quality.sound import (
    TRUTH,
    chain_of,
    later,
    previous_of,
    put_in,
    series_in,
    told,
)
from tests.transforms.quality.test_arbitrage import NEXT
from transforms.quality import model
from transforms.quality.interest import with_earlier

SOUND = chain_of(TRUTH).contracts
MONEY, UPPER = 24_100.0, 24_200.0


@pytest.mark.parametrize(
    ("row", "is_told"),
    [
        ((3.0, None, None, None), False),
        ((3.1, None, None, None), True),
        ((1.0, 0.01, -0.02, 0.01), False),
        ((1.0, 0.011, -0.02, 0.01), True),
        ((1.0, -0.021, -0.02, 0.01), True),
        ((None, None, -0.02, 0.01), False),
    ],
)
def test_stale_spots(row: tuple[float | None, ...], is_told: bool) -> None:
    """Q23: an old tick, or a move that no constituent made."""
    spots = pl.DataFrame([("NIFTY", *row)], schema=model.SPOTS.polars, orient="row")
    assert told(model.stale_spots(spots)) == ([("Q23", "E", None)] if is_told else [])


@pytest.mark.parametrize(("share", "is_told"), [(0.0049, False), (-0.0049, False), (0.0051, True)])
def test_spot_against_forward(share: float, is_told: bool) -> None:
    """Q23: the carried spot may be half a per cent off the forward."""
    row = SOUND.row(0, named=True)
    carried = row["forward"] * (1 + share)
    spot = carried * math.exp(-row["rate"] * row["years_to_expiry"])
    found = model.spot_against_forward(series_in(SOUND.with_columns(spot=pl.lit(spot))))
    assert told(found) == ([("Q23", "E", None)] if is_told else [])


def test_only_the_nearest_forward_judges_the_spot() -> None:
    """Q23: later forwards carry dividends; the nearest one that has not settled counts."""
    far = replace(later(TRUTH, NEXT), forward=TRUTH.forward * 0.97)
    two = chain_of(TRUTH, far).contracts
    assert model.spot_against_forward(series_in(two)).is_empty()
    settled = two.with_columns(
        years_to_expiry=pl.when(pl.col("expiry") == NEXT).then("years_to_expiry").otherwise(0.0)
    )
    found = model.spot_against_forward(series_in(settled))
    assert found.select("rule", "expiry").rows() == [("Q23", NEXT)]
    assert "unpriced dividend" in found["detail"][0]


def test_no_spot_no_judgement() -> None:
    """Q23: null and zero are no spot, and no forward."""
    for name in ("spot", "forward"):
        for value in (None, 0.0):
            frame = SOUND.with_columns(pl.lit(value, pl.Float64).alias(name))
            assert model.spot_against_forward(series_in(frame)).is_empty()


@pytest.mark.parametrize(("value", "count"), [(0.009, 1), (0.01, 0), (3.0, 0), (3.1, 1), (None, 0)])
def test_volatility_range(value: float | None, count: int) -> None:
    """Q24: outside 1 % to 300 %."""
    found = model.volatility_range(put_in(SOUND, MONEY, True, implied_volatility=value))
    assert told(found) == [("Q24", "W", MONEY)] * count


@pytest.mark.parametrize(
    ("strike", "jump", "move", "is_told"),
    [
        (UPPER, 0.10, 0.0, False),
        (UPPER, 0.101, 0.0, True),
        (UPPER, -0.101, 0.0, True),
        (UPPER, 0.101, 0.002, True),
        (UPPER, 0.101, 0.003, False),
        (25_300.0, 0.101, 0.0, False),
    ],
)
def test_volatility_jumps(strike: float, jump: float, move: float, is_told: bool) -> None:
    """Q24: ten points at a delta of 0.2, while the forward stands still; once for both legs."""
    is_strike = pl.col("strike") == strike
    then = SOUND.with_columns(
        implied_volatility=pl.col("implied_volatility")
        + pl.when(is_strike).then(jump).otherwise(0),
        forward=pl.col("forward") * (1 + move),
    )
    found = model.volatility_jumps(with_earlier(SOUND, previous_of(then)))
    assert told(found) == ([("Q24", "W", strike)] if is_told else [])


def test_a_night_may_change_volatility() -> None:
    """Q24: the last snapshot of the day before is not an interval ago."""
    then = SOUND.with_columns(pl.col("implied_volatility") + 0.2)
    for age, is_told in ((timedelta(minutes=5), True), (timedelta(days=1), False)):
        found = model.volatility_jumps(with_earlier(SOUND, previous_of(then, age)))
        assert bool(len(found)) == is_told


@pytest.mark.parametrize(
    ("strike", "delta_off", "points_off", "is_told"),
    [
        (MONEY, 0.05, 1.0, False),
        (MONEY, 0.051, 0.0, True),
        (MONEY, -0.051, 0.0, True),
        (MONEY, 0.0, 1.1, True),
        (25_300.0, 0.051, 1.1, False),
    ],
)
def test_vendor_greeks(strike: float, delta_off: float, points_off: float, is_told: bool) -> None:
    """Q25: delta by 0.05, volatility by a point, near the money."""
    frame = put_in(
        SOUND,
        strike,
        True,
        vendor_delta=pl.col("delta_forward") + delta_off,
        vendor_implied_volatility=pl.col("implied_volatility") + points_off / 100,
    )
    assert told(model.vendor_greeks(frame)) == ([("Q25", "W", strike)] if is_told else [])


def test_vendor_trend_is_one_finding() -> None:
    """Q25: many strikes are told as the worst one and their number; a flipped unit is Q33's."""
    off = SOUND.with_columns(vendor_delta=pl.col("delta_forward") + 0.06)
    worst = put_in(off, UPPER, True, vendor_delta=pl.col("delta_forward") + 0.2)
    found = model.vendor_greeks(worst)
    assert told(found) == [("Q25", "W", UPPER)]
    near = SOUND.filter(pl.col("delta_forward").abs().is_between(0.35, 0.65)).height
    assert f"worst of {near}" in found["detail"][0]
    per_cent = SOUND.with_columns(vendor_implied_volatility=100 * pl.col("implied_volatility"))
    assert model.vendor_greeks(per_cent).is_empty()


@pytest.mark.parametrize(("scale", "count"), [(100.0, 1), (0.01, 1), (1.1, 0), (5.0, 0)])
def test_vendor_unit(scale: float, count: int) -> None:
    """Q33: per cent for a fraction, either way; an honest difference of opinion is none."""
    vendor = SOUND.with_columns(vendor_implied_volatility=scale * pl.col("implied_volatility"))
    assert told(model.vendor_unit(vendor)) == [("Q33", "E", None)] * count
