"""Confirmation, hysteresis and cool-down, by hand and on any series."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.signals.minutes import OPEN_AT, SCALES
from transforms.signals.gates import Crossing, CrossingRule, Gate
from transforms.signals.record import Direction

NO_REST = timedelta(0)
PRICES = st.lists(st.floats(90, 110), max_size=60)


def opened(gate: Gate, scores: Sequence[float], seconds: int = 60) -> list[int]:
    """Places at which a gate opens."""
    found = enumerate(scores)
    return [i for i, s in found if gate.see(OPEN_AT + timedelta(seconds=seconds * i), s)]


def crossed(
    crossing: Crossing, values: Sequence[float], level: float = 100.0, seconds: int = 60
) -> list[int]:
    """Places at which a level is crossed for good."""
    at = [OPEN_AT + timedelta(seconds=seconds * i) for i in range(len(values))]
    return [i for i, v in enumerate(values) if crossing.see(at[i], v, level) is not None]


def test_gate_needs_to_fall_before_it_opens_again() -> None:
    """Hysteresis: between the two limits nothing happens, and NaN changes nothing."""
    scores = [1.0, 4.0, 5.0, 3.0, 4.0, float("nan"), 1.9, 4.0]
    assert opened(Gate(4.0, 2.0, NO_REST), scores) == [1, 7]


def test_gate_rests() -> None:
    """An opening within the cool-down is swallowed; one at its end is not."""
    scores = [4.0, 0.0, 4.0, 0.0, 0.0, 4.0]
    assert opened(Gate(4.0, 2.0, timedelta(minutes=5)), scores) == [0, 5]


@given(st.lists(st.floats(-10, 10, allow_nan=False), max_size=60), st.integers(0, 12))
def test_gate_never_opens_twice_within_its_rest(scores: list[float], minutes: int) -> None:
    """Whatever the scores; and between two openings the score was below the lower limit."""
    places = opened(Gate(4.0, 2.0, timedelta(minutes=minutes)), scores)
    for one, other in pairwise(places):
        assert other - one >= minutes
        assert min(scores[one:other]) < 2.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([99, 101, 101], [2]),
        ([99, 101, 99, 101], [3]),
        ([99, 101, 99, 99, 101], []),
        ([99, 101, 101, 101, 101], [2]),
        ([101, 101], [1]),
        ([99, 100.01, 100.01], []),
        ([101, 101, 99.99, 101, 101], [1]),
        ([101, 101, 99.9, 101, 101], [1, 4]),
    ],
)
def test_two_of_three_closes(values: list[float], expected: list[int]) -> None:
    """Confirmed by two of three, beyond a margin, and again only after coming back by another."""
    rule = CrossingRule(cool_down=NO_REST)
    assert crossed(Crossing(Direction.UP, rule), values) == expected
    mirrored = [200 - value for value in values]
    assert crossed(Crossing(Direction.DOWN, rule), mirrored) == expected


def test_hold_time_instead_of_closes() -> None:
    """Fed with ticks: every price for so long must be beyond, and one back inside starts anew."""
    rule = CrossingRule(needed=1, of=1, hold=timedelta(seconds=3))
    assert crossed(Crossing(Direction.UP, rule), [99, 101, 101, 101, 101], seconds=1) == [4]
    values = [99, 101, 101, 99, 101, 101, 101, 101]
    assert crossed(Crossing(Direction.UP, rule), values, seconds=1) == [7]


def test_other_side_first() -> None:
    """A line is not crossed by a price that was never on its other side."""
    rule = CrossingRule(is_armed_at_first=False)
    assert crossed(Crossing(Direction.UP, rule), [101, 101, 101]) == []
    assert crossed(Crossing(Direction.UP, rule), [101, 99, 101, 101]) == [3]


def test_the_first_broken_level_is_the_one_that_counts() -> None:
    """A channel that follows the price does not undo its breakout."""
    crossing = Crossing(Direction.UP, CrossingRule())
    assert crossing.see(OPEN_AT, 101.0, 100.0) is None
    assert crossing.see(OPEN_AT + timedelta(minutes=1), 100.5, 101.0) == 100.0


@given(PRICES, SCALES, st.integers(0, 20))
def test_crossings_know_no_unit_and_rest(prices: list[float], scale: float, minutes: int) -> None:
    """Alike for any unit of price, and never two within the cool-down."""
    rule = CrossingRule(cool_down=timedelta(minutes=minutes))
    places = crossed(Crossing(Direction.UP, rule), prices)
    scaled = [price * scale for price in prices]
    assert crossed(Crossing(Direction.UP, rule), scaled, 100.0 * scale) == places
    assert all(b - a >= minutes for a, b in pairwise(places))


@given(st.floats(1e-3, 1e6), st.integers(1, 40))
def test_standing_still_is_no_crossing(price: float, count: int) -> None:
    """Of one's own level, whatever it is."""
    assert crossed(Crossing(Direction.UP, CrossingRule()), [price] * count, price) == []


def test_what_is_not_known_changes_nothing() -> None:
    """Neither a price nor a level that is NaN."""
    crossing = Crossing(Direction.UP, CrossingRule())
    nan = float("nan")
    assert crossed(crossing, [101.0, nan]) == []
    assert crossing.see(OPEN_AT + timedelta(minutes=2), 101.0, nan) is None
    assert crossed(crossing, [101.0]) == [0]
