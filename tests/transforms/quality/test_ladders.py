"""Kernels over strikes: convex prices never conflict, one bumped quote is found and blamed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.quality import ladders
from transforms.quality.ladders import Floats, Rows

TICK = 0.05


@st.composite
def ladders_of_calls(draw: st.DrawFn) -> tuple[Floats, Floats, Floats]:
    """Strikes, uneven, and quotes around a price that falls, at most by 1 per ₹, and is convex."""
    widths = draw(st.lists(st.sampled_from([25.0, 50.0, 100.0, 500.0]), min_size=5, max_size=30))
    slopes = draw(
        st.lists(st.floats(0.0, 1.0), min_size=len(widths), max_size=len(widths)).map(sorted)
    )
    x = np.concatenate([[1_000.0], 1_000.0 + np.cumsum(widths)])
    falls = np.array(slopes[::-1]) * np.array(widths)
    price = draw(st.floats(1.0, 100.0)) + np.concatenate([np.cumsum(falls[::-1])[::-1], [0.0]])
    half = draw(st.floats(0.0, 2.0))
    return x, price - half, price + half


def of_one(x: Floats) -> Rows:
    """All rows are one group."""
    return np.array([0, len(x)], np.int64)


def conflicts(
    x: Floats, bid: Floats, ask: Floats, tolerance: float = TICK
) -> dict[str, ladders.Conflicts]:
    """What the three kernels find in one expiry without interest."""
    starts = of_one(x)
    return {
        "monotone": ladders.monotone_conflicts(bid, ask, starts, tolerance),
        "vertical": ladders.vertical_conflicts(x, bid, ask, np.ones(len(x)), starts, tolerance),
        "butterfly": ladders.butterfly_conflicts(x, bid, ask, starts, tolerance),
    }


@given(ladders_of_calls())
def test_convex_prices_never_conflict(ladder: tuple[Floats, Floats, Floats]) -> None:
    """Whatever the strikes' distances: no false alarm beyond rounding."""
    for excess, left, right in conflicts(*ladder, tolerance=1e-9).values():
        assert not excess.any()
        assert (left == -1).all() and (right == -1).all()


@given(ladders_of_calls(), st.data())
def test_a_bid_that_is_too_high_is_blamed(
    ladder: tuple[Floats, Floats, Floats], data: st.DataObject
) -> None:
    """Raised above every other ask, a bid between two strikes breaks all three shapes once."""
    x, bid, ask = (array.copy() for array in ladder)
    row = data.draw(st.integers(1, len(x) - 2))
    bid[row] = ask.max() + x[-1] + 1.0
    ask[row] = bid[row] + 1.0
    for found in conflicts(x, bid, ask).values():
        rows, is_ask, _, times, worst = ladders.blame(*found)
        assert (rows.tolist(), is_ask.tolist(), times.tolist()) == ([row], [False], [1])
        assert worst[0] > 1.0


@given(ladders_of_calls(), st.data())
def test_an_ask_that_is_too_low_is_found(
    ladder: tuple[Floats, Floats, Floats], data: st.DataObject
) -> None:
    """Every conflict names the one ask that is cheaper than free of arbitrage."""
    x, bid, ask = (array.copy() for array in ladder)
    row = data.draw(st.integers(0, len(x) - 1))
    bid[row], ask[row] = math.nan, 0.05
    for excess, left, right in conflicts(x, bid, ask).values():
        hit = excess > 0.0
        assert ((left[hit] == row) | (right[hit] == row)).all()


def test_all_pairs_count_and_not_neighbours_only() -> None:
    """Three strikes whose neighbours agree, while the outer two do not."""
    x, nan = np.array([100.0, 110.0, 120.0]), math.nan
    bid, ask = np.array([nan, 4.0, 6.0]), np.array([5.0, 9.0, nan])
    excess, left, _ = ladders.monotone_conflicts(bid, ask, of_one(x), TICK)
    assert excess.tolist() == [0.0, 0.0, 1.0]
    assert left[2] == 0


@pytest.mark.parametrize(("bid", "is_found"), [(8.05, False), (8.0501, True)])
def test_wings_are_weighted_by_distance(bid: float, is_found: bool) -> None:
    """At a quarter of the way from 10 to 2 the wings cost 8; beyond the tolerance it is told."""
    x = np.array([100.0, 110.0, 140.0])
    bids, asks = np.array([9.0, bid, 1.0]), np.array([10.0, 9.5, 2.0])
    excess, left, right = ladders.butterfly_conflicts(x, bids, asks, of_one(x), TICK + 1e-9)
    assert (excess[1] > 0.0) == is_found
    assert ((left[1], right[1]) == (0, 2)) == is_found


@pytest.mark.parametrize(("discount", "is_found"), [(1.0, False), (0.98, True)])
def test_verticals_pay_discounted(discount: float, is_found: bool) -> None:
    """A spread of 10 sold for 9.9 is dear once 10 at expiry is worth 9.8 today."""
    x = np.array([100.0, 110.0])
    bid, ask = np.array([19.9, 9.0]), np.array([20.5, 10.0])
    factors = np.full(2, discount)
    excess, *_ = ladders.vertical_conflicts(x, bid, ask, factors, of_one(x), TICK)
    assert (excess[0] > 0.0) == is_found


def test_groups_are_apart() -> None:
    """One expiry's quotes say nothing of the next one's."""
    x = np.array([100.0, 110.0, 100.0, 110.0])
    bid, ask = np.array([9.0, 8.0, 90.0, 89.0]), np.array([9.5, 8.5, 90.5, 89.5])
    starts = np.array([0, 2, 4], np.int64)
    assert not ladders.monotone_conflicts(bid, ask, starts, TICK)[0].any()
    assert not ladders.butterfly_conflicts(x, bid, ask, starts, TICK)[0].any()


def test_one_ask_against_many_bids() -> None:
    """An ask that several bids contradict is blamed itself, with the worst of them beside it."""
    bid, ask = np.array([8.0, 7.0, 6.0, 5.0]), np.array([2.0, 7.5, 6.5, 5.5])
    found = ladders.monotone_conflicts(bid, ask, np.array([0, 4], np.int64), TICK)
    rows, is_ask, other, times, worst = ladders.blame(*found)
    assert rows.tolist() == [0]
    assert (is_ask[0], other[0], times[0], worst[0]) == (True, 1, 3, 5.0)


NAN = math.nan


@pytest.mark.parametrize(
    ("low", "high", "far_x", "expected"),
    [
        (0.020, [0.021, 0.021], [-0.1, 0.1], 0.0),
        (0.022, [0.021, 0.021], [-0.1, 0.1], 0.001),
        (0.022, [0.021, 0.021], [0.05, 0.1], 0.0),
        (0.022, [0.021, NAN], [0.0, 0.1], 0.001),
        (0.022, [NAN, 0.021], [-0.1, 0.0], 0.001),
        (0.022, [0.011, 0.031], [-0.1, 0.1], 0.001),
        (NAN, [0.011, 0.011], [-0.1, 0.1], 0.0),
    ],
)
def test_calendar(low: float, high: list[float], far_x: list[float], expected: float) -> None:
    """Variance of the next expiry is taken between its strikes, never beyond them."""
    x = np.array([0.0, *far_x])
    lows, highs = np.array([low, NAN, NAN]), np.array([NAN, *high])
    starts, later = np.array([0, 1, 3], np.int64), np.array([1, -1], np.int64)
    excess, *_ = ladders.calendar_conflicts(x, lows, highs, starts, later, 1e-6)
    assert excess == pytest.approx([expected, 0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("strikes", "expected"),
    [
        ([80, 90, 95, 100, 105, 110, 120], {}),
        ([80, 90, 95, 100, 110, 115, 120], {3: 5.0}),
        ([80, 85, 95, 100, 105, 110, 120], {1: 5.0}),
        ([80, 90, 95, 100, 105, 125, 135, 145], {4: 10.0}),
        ([100], {}),
    ],
)
def test_holes(strikes: list[int], expected: dict[int, float]) -> None:
    """A wider scheme in the wings is none; a gap wider than one farther out is."""
    strike, starts = np.array(strikes, float), np.array([0, len(strikes)], np.int64)
    nearest = ladders.nearest_rows(strike, np.array([100.0]), starts)
    step = ladders.holes(strike, nearest, starts)
    assert {i: step[i] for i in np.flatnonzero(step)} == expected


def test_the_nearest_row() -> None:
    """The lower of two equally near; none for an unknown centre."""
    strike, starts = np.array([90.0, 100.0, 90.0, 100.0]), np.array([0, 2, 4], np.int64)
    assert ladders.nearest_rows(strike, np.array([95.0, NAN]), starts).tolist() == [0, -1]


def test_warm_compiles_what_the_rules_call() -> None:
    """One signature for each kernel, so that no live path compiles."""
    ladders.warm()
    kernels = (
        ladders.monotone_conflicts,
        ladders.vertical_conflicts,
        ladders.butterfly_conflicts,
        ladders.calendar_conflicts,
        ladders.blame,
        ladders.nearest_rows,
        ladders.holes,
    )
    for kernel in kernels:
        assert len(kernel.signatures) == 1  # type: ignore[attr-defined]
