"""Unusual open interest: planted changes, standing still, gaps and added rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.signals.minutes import OPEN_AT, SCALES
from transforms.signals.interest import Floats, InterestChange, InterestWatch, interest_signal
from transforms.signals.record import Direction, Kind


def noisy(seed: int, samples: int = 40, rows: int = 5) -> Floats:
    """Open interest of about 100 000 units that changes by up to 0.2 % a minute."""
    steps = np.random.default_rng(seed).uniform(-200, 200, (samples, rows))
    return 100_000.0 + np.cumsum(steps, axis=0)


def told(samples: Floats | Sequence[Floats], seconds: int = 60) -> list[tuple[int, InterestChange]]:
    """What a fresh watch says, with the number of the sample."""
    watch = InterestWatch()
    at = [OPEN_AT + timedelta(seconds=seconds * i) for i in range(len(samples))]
    return [(i, c) for i, held in enumerate(samples) for c in watch.take(at[i], held)]


@given(st.integers(0, 1000), st.integers(17, 39), st.sampled_from((-1, 1)))
@settings(max_examples=40)
def test_planted_change_is_found(seed: int, place: int, sign: int) -> None:
    """In its row and sample, with the change; nowhere else."""
    samples = noisy(seed)
    samples[place:, 2] += sign * 8000.0
    found = told(samples)
    assert [(i, c.row) for i, c in found] == [(place, 2)]
    change = found[0][1]
    assert change.change_units == pytest.approx(samples[place, 2] - samples[place - 1, 2])
    assert change.score >= 6.0


@given(st.just(0.0) | st.floats(1, 1e9), st.integers(0, 80))
def test_standing_still_is_not_unusual(units: float, count: int) -> None:
    """Whatever is held, and nothing held."""
    assert told(np.full((count, 3), units)) == []


@given(st.integers(0, 1000), SCALES)
@settings(max_examples=40)
def test_open_interest_has_no_unit(seed: int, scale: float) -> None:
    """Lots or units."""
    samples = noisy(seed)
    samples[30:, 1] += 5000.0
    one, other = told(samples), told(samples * scale)
    assert [(i, c.row, c.score) for i, c in one] == [(i, c.row, c.score) for i, c in other]
    assert one


def test_changes_follow_each_other_in_silence() -> None:
    """The first of a run speaks; the next ones are the same event or within the cool-down."""
    samples = noisy(3)
    for place in (20, 21, 24):
        samples[place:, 0] += 9000.0
    assert [i for i, _ in told(samples)] == [20]


def test_a_gap_is_no_change() -> None:
    """What changed while nobody watched did not change in a minute."""
    samples = noisy(4)
    samples[30:, 0] += 9000.0
    assert told(samples, seconds=120) == []
    samples = noisy(4)
    samples[30:, 0] = np.nan
    assert told(samples) == []


def test_rows_may_be_added() -> None:
    """A contract that is followed from now on must show what is usual first."""
    samples: list[Floats] = [row[:2] for row in noisy(5)]
    wide = noisy(5)
    wide[25:, 0] += 9000.0
    wide[25:, 2] += 9000.0
    samples[20:] = list(wide[20:])
    assert [(i, c.row) for i, c in told(samples)] == [(25, 0)]


def test_a_day_begins_with_nothing() -> None:
    """Changes of another session are not usual today."""
    watch = InterestWatch()
    for i, held in enumerate(noisy(6)):
        watch.take(OPEN_AT + timedelta(minutes=i), held)
    watch.begin_day()
    assert watch.take(OPEN_AT + timedelta(minutes=40), noisy(6)[-1] * 2) == []


@pytest.mark.parametrize(("change", "way"), [(5.0, Direction.UP), (-5.0, Direction.DOWN)])
def test_signal_names_the_contract(change: float, way: Direction) -> None:
    """With the change as its value and the numbers beside it."""
    found = InterestChange(3, 100.0, change, 1.0, 7.0)
    signal = interest_signal(found, OPEN_AT, "NIFTY", "NIFTY-20261201-24000-CE")
    assert (signal.kind, signal.direction, signal.value) == (Kind.OPEN_INTEREST, way, change)
    assert signal.key == f"unusual_open_interest:NIFTY-20261201-24000-CE:{way}:20261125T0345"
    assert dict(signal.inputs)["open_interest_units"] == 100.0
