"""Hashed randomness: pure, spread evenly, Brownian where it should be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange import noise

_MS = st.integers(0, 4_000_000_000_000)
_STREAM = st.integers(0, 2**64 - 1)
_INDEX = st.integers(-(2**62), 2**62)
_DRAWS = 20_000


def _streams(value: int) -> noise.Streams:
    return np.array([value], np.uint64)


def _normals(stream: int, count: int) -> noise.Floats:
    return np.array([noise.normal_at(np.uint64(stream), i) for i in range(count)])


def _bridges(stream: int, fraction: float, count: int = 4_000) -> noise.Floats:
    return np.array([noise.bridge_at(np.uint64(stream), key, fraction) for key in range(count)])


def test_streams_are_stable() -> None:
    """A seed means the same market in every process and on every machine."""
    assert noise.stream(7, "spot", "NIFTY") == 15_676_751_826_664_364_896
    assert noise.stream(7, "spot", "NIFTY") != noise.stream(8, "spot", "NIFTY")


def test_numbers_are_stable() -> None:
    """So do the numbers that are drawn from it."""
    stream = np.uint64(15_676_751_826_664_364_896)
    assert noise.hashed(stream, 3) == _splitmix(int(stream), 3)
    assert noise.uniform_at(stream, 3) == (_splitmix(int(stream), 3) >> 11) * 2.0**-53


def _splitmix(stream: int, index: int) -> int:
    """The same arithmetic in Python's own integers."""
    whole = 2**64 - 1
    x = (stream ^ (stream >> 32)) * 0x94D049BB133111EB + index * 0x9E3779B97F4A7C15 & whole
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & whole
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & whole
    return x ^ (x >> 31)


@given(_STREAM, _INDEX)
def test_draws_lie_in_their_ranges(stream: int, index: int) -> None:
    """Uniform in [0, 1), nearly normal within ±2·√3."""
    assert 0.0 <= noise.uniform_at(np.uint64(stream), index) < 1.0
    assert abs(noise.normal_at(np.uint64(stream), index)) <= math.sqrt(12.0)


@given(_STREAM, st.lists(_INDEX, min_size=1, max_size=20))
def test_uniform_broadcasts(stream: int, indices: list[int]) -> None:
    """Arrays give what single calls give, in the shape that both make together."""
    found = noise.uniform(np.array([[stream], [stream ^ 1]], np.uint64), np.array(indices))
    alone = [[noise.uniform_at(np.uint64(s), i) for i in indices] for s in (stream, stream ^ 1)]
    assert found.tolist() == alone


@pytest.mark.parametrize("other", [11 ^ 12, 12 ^ 13, 1, 1 << 9])
def test_uniform_is_uniform(other: int) -> None:
    """Mean, variance, neighbours and sister streams are those of independent draws."""
    draws = noise.uniform(_streams(1), np.arange(_DRAWS))
    sister = noise.uniform(_streams(1 ^ other), np.arange(_DRAWS))
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.var() == pytest.approx(1 / 12, abs=0.003)
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03
    assert abs(np.corrcoef(draws, sister)[0, 1]) < 0.03
    assert np.histogram(draws, 20, (0, 1))[0] == pytest.approx(_DRAWS / 20, rel=0.15)


def test_normal_is_nearly_normal() -> None:
    """Mean 0, variance 1, kurtosis of four uniforms (3 − 1.2/4), independent neighbours."""
    draws = _normals(3, _DRAWS)
    assert draws.mean() == pytest.approx(0.0, abs=0.03)
    assert draws.var() == pytest.approx(1.0, abs=0.04)
    assert (draws**3).mean() == pytest.approx(0.0, abs=0.08)
    assert (draws**4).mean() == pytest.approx(2.7, abs=0.15)
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03


@given(_STREAM, st.lists(_MS, min_size=1, max_size=20), st.sampled_from([0, noise.SLOW, 20]))
def test_walk_is_pure(stream: int, instants: list[int], first: int) -> None:
    """The value at an instant does not depend on what else is asked with it."""
    together = noise.walk(_streams(stream), np.array(instants, np.float64), first)
    alone = [noise.walk_at(np.uint64(stream), float(t), first) for t in instants]
    assert together.tolist() == alone


@given(_STREAM, _MS, st.sampled_from([noise.SLOW, 20]))
def test_a_slow_walk_is_the_walk_without_its_quick_part(stream: int, at: int, first: int) -> None:
    """What is left out swings by no more than the octaves left out can: the others are the same."""
    whole = noise.walk_at(np.uint64(stream), float(at), 0)
    slow = noise.walk_at(np.uint64(stream), float(at), first)
    scale = math.sqrt(12.0 / 5.6 / noise.MS_PER_YEAR)
    most = sum(0.5 * scale * math.sqrt(250.0 * 2.0**octave) for octave in range(first))
    assert abs(whole - slow) <= most


@pytest.mark.parametrize("step_ms", [1_000, 60_000, 3_600_000])
def test_walk_has_unit_variance_per_year(step_ms: int) -> None:
    """From seconds to hours the path moves as a Brownian motion of volatility 1 would."""
    at = 1.79e12 + step_ms * np.arange(4_000, dtype=np.float64)
    moves = np.diff(noise.walk(_streams(11), at))
    assert moves.std() * np.sqrt(noise.MS_PER_YEAR / step_ms) == pytest.approx(1.0, abs=0.2)


def test_walk_comes_back() -> None:
    """Over decades it stays about zero: the longest octave is 48 days."""
    at = 86_400_000.0 * np.arange(0, 20_000, 7, dtype=np.float64)
    path = noise.walk(_streams(5), at)
    assert abs(path.mean()) < 0.1
    assert np.abs(path).max() < 1.0


@given(_STREAM, st.integers(0, 2**40))
def test_a_bridge_is_pinned_at_both_ends(stream: int, key: int) -> None:
    """It begins and ends at zero, and is straight below 1/256."""
    own = np.uint64(stream)
    assert noise.bridge_at(own, key, 0.0) == 0.0
    assert noise.bridge_at(own, key, 1.0) == 0.0
    left, middle, right = (noise.bridge_at(own, key, (40 + part) / 256) for part in (0, 0.5, 1))
    assert middle == pytest.approx((left + right) / 2, abs=1e-12)


@pytest.mark.parametrize("fraction", [1 / 256, 1 / 8, 0.3125, 0.5, 0.75, 0.9])
def test_a_bridge_has_variance_t_times_one_less_t(fraction: float) -> None:
    """And zero mean, over many bridges."""
    drawn = _bridges(21, fraction)
    expected = fraction * (1.0 - fraction)
    assert drawn.mean() == pytest.approx(0.0, abs=4 * math.sqrt(expected / drawn.size))
    assert drawn.var() == pytest.approx(expected, rel=0.1)


def test_a_bridge_covers_as_brownian_ones_do() -> None:
    """Covariance s(1 − t) of two fractions; none between neighbouring bridges."""
    early, late = _bridges(22, 0.25), _bridges(22, 0.75)
    assert np.cov(early, late)[0, 1] == pytest.approx(0.25 * 0.25, rel=0.2)
    assert abs(np.corrcoef(early[1:], early[:-1])[0, 1]) < 0.05
