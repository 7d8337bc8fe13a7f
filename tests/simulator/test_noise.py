"""Hashed randomness: pure, spread evenly, Brownian where it should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import noise

_MS = st.integers(0, 4_000_000_000_000)
_STREAM = st.integers(0, 2**64 - 1)


def _streams(value: int) -> noise.Streams:
    return np.array([value], np.uint64)


@given(_STREAM, st.lists(_MS, min_size=1, max_size=20))
def test_walk_is_pure(stream: int, instants: list[int]) -> None:
    """The value at an instant does not depend on what else is asked with it."""
    together = noise.walk(_streams(stream), np.array(instants, np.float64))
    alone = [noise.walk(_streams(stream), np.array([float(t)]))[0] for t in instants]
    assert together.tolist() == pytest.approx(alone, abs=1e-15)


@given(_STREAM, st.integers(1, 100_000), _MS)
def test_changes_are_ordered_and_stand(stream: int, period: int, at: int) -> None:
    """The last change is never ahead, never older than two periods, and is its own last change."""
    periods = np.array([period])
    change = noise.last_change_ms(_streams(stream), periods, np.array([at]))
    assert at - 2 * period < change[0] <= at
    assert noise.last_change_ms(_streams(stream), periods, change) == change


@given(_STREAM, st.lists(st.integers(0, 86_400_000), min_size=2, max_size=30))
def test_progress_never_turns_back(stream: int, elapsed: list[int]) -> None:
    """An uneven clock still runs forward, from zero."""
    passed = noise.progress(_streams(stream), np.array([0, *sorted(elapsed)], np.float64))
    assert passed[0] == 0
    assert (np.diff(passed) >= 0).all()


def test_streams_are_stable() -> None:
    """A seed means the same market in every process and on every machine."""
    assert noise.stream(7, "spot", "NIFTY") == 15_676_751_826_664_364_896
    assert noise.stream(7, "spot", "NIFTY") != noise.stream(8, "spot", "NIFTY")


def test_uniform_is_uniform() -> None:
    """Mean, variance and neighbours of a long stretch are those of independent draws."""
    draws = noise.uniform(_streams(1), np.arange(20_000))
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.var() == pytest.approx(1 / 12, abs=0.005)
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03


@pytest.mark.parametrize("step_ms", [1_000, 60_000, 3_600_000])
def test_walk_has_unit_variance_per_year(step_ms: int) -> None:
    """From seconds to hours the path moves as a Brownian motion of volatility 1 would."""
    at = 1.79e12 + step_ms * np.arange(4_000, dtype=np.float64)
    moves = np.diff(noise.walk(_streams(11), at))
    assert moves.std() * np.sqrt(noise.MS_PER_YEAR / step_ms) == pytest.approx(1.0, abs=0.2)
