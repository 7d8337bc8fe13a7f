"""Leaving a level or a corridor: published tables, exact arithmetic, simulation and laws.

The published cases with all their figures are run in ``test_oracles``.
"""

from __future__ import annotations

import functools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transforms import barriers
from transforms.barriers import (
    IMAGES_FROM_WIDTH,
    exit_probability,
    touch_probability,
    up_first_probability,
    warm,
)

NAN, INF = math.nan, math.inf
ERROR = 1e-14
# −ζ(1/2)/√(2π), the mean overshoot of a normal walk (Broadie, Glasserman & Kou 1997).
OVERSHOOT = 0.5826

distances = st.floats(0.01, 6.0)
drifts = st.floats(-4.0, 4.0)
deviations = st.floats(0.2, 5.0)
shares = st.floats(1e-6, 1.0 - 1e-6)


def exact_exit(up: float, down: float, drift: float, deviation: float) -> float:
    """The complement of the stay, integrated over the images of the start in 150 digits.

    Stay = Σ e^{2kwm}[N(a − 2kw − m) − N(−b − 2kw − m)] less the same about 2a (domain of images,
    Kunitomo & Ikeda 1992, flat boundaries): not the form that the kernel sums.
    """
    with mpmath.workdps(150):
        a, b, m = (mpmath.mpf(x) / mpmath.mpf(deviation) for x in (up, down, drift))
        stay = mpmath.mpf(0)
        reach = int(12 / (a + b)) + 3
        for k in range(-reach, reach + 1):
            for start, sign in ((2 * k * (a + b), 1), (2 * a + 2 * k * (a + b), -1)):
                inside = mpmath.ncdf(a - start - m) - mpmath.ncdf(-b - start - m)
                stay += sign * mpmath.exp(m * start) * inside
        return float(1 - stay)


def exact_up_first(up: float, down: float, deviation: float) -> float:
    """b/w less the sines, in 150 digits with as many terms as those need."""
    with mpmath.workdps(150):
        a, b = (mpmath.mpf(x) / mpmath.mpf(deviation) for x in (up, down))
        w = a + b
        total = b / w
        for k in range(1, int(6 * w) + 12):
            q = k * mpmath.pi / w
            total += 2 * (-1) ** k / (k * mpmath.pi) * mpmath.sin(q * b) * mpmath.exp(-q * q / 2)
        return float(total)


@pytest.mark.parametrize(
    ("low", "high", "volatility", "knock_in"),
    [
        (80.0, 120.0, 0.1, 0.0042),
        (80.0, 120.0, 0.2, 0.9450),
        (80.0, 120.0, 0.3, 3.5486),
        (80.0, 120.0, 0.5, 7.9663),
        (90.0, 110.0, 0.1, 0.9704),
        (90.0, 110.0, 0.2, 6.2006),
        (90.0, 110.0, 0.3, 9.0798),
        (90.0, 110.0, 0.5, 9.8699),
    ],
)
def test_published_corridors(low: float, high: float, volatility: float, knock_in: float) -> None:
    """Haug, "Complete Guide" 2nd ed. (2007) p. 181: S 100, r 5 %, q 2 %, T 0.25, cash 10."""
    drift = (0.05 - 0.02 - 0.5 * volatility**2) * 0.25
    ends = math.log(high / 100.0), math.log(100.0 / low)
    found = exit_probability(*ends, drift, volatility * math.sqrt(0.25))
    assert 10.0 * math.exp(-0.05 * 0.25) * found == pytest.approx(knock_in, abs=1e-4)


def test_published_touch() -> None:
    """Haug (1998) p. 95: S 105, H 100, r 10 %, T 0.5, σ 20 %, cash 15 at expiry."""
    terms = math.log(100.0 / 105.0), (0.1 - 0.5 * 0.2**2) * 0.5, 0.2 * math.sqrt(0.5)
    worth = 15.0 * math.exp(-0.1 * 0.5)
    assert worth * touch_probability(*terms) == pytest.approx(9.3604, abs=1e-4)
    assert worth * (1.0 - touch_probability(*terms)) == pytest.approx(4.9081, abs=1e-4)


@given(distances, drifts, deviations)
@example(30.0, 1.0, 1.0)
@example(30.0, -4.0, 1.0)
@example(4.0, 4.0, 0.2)
def test_touch_is_exact(distance: float, drift: float, deviation: float) -> None:
    """N((m − c)) + e^{2mc}·N(−m − c), tails included: no digit is lost far out."""
    with mpmath.workdps(60):
        c, m = (mpmath.mpf(x) / mpmath.mpf(deviation) for x in (distance, drift))
        exact = float(mpmath.ncdf(m - c) + mpmath.exp(2 * m * c) * mpmath.ncdf(-m - c))
    near = pytest.approx(exact, rel=1e-11, abs=1e-300)
    assert touch_probability(distance, drift, deviation) == near
    assert touch_probability(-distance, -drift, deviation) == near


@given(st.floats(0.5, 12.0), shares, drifts, deviations)
@example(IMAGES_FROM_WIDTH, 0.5, 0.0, 1.0)
@example(math.nextafter(IMAGES_FROM_WIDTH, 0.0), 1e-6, 4.0, 1.0)
@example(math.nextafter(IMAGES_FROM_WIDTH, 0.0), 1.0 - 1e-6, 4.0, 1.0)
@example(IMAGES_FROM_WIDTH, 1.0 - 1e-6, 2.0, 1.0)
def test_exit_is_exact(width: float, share: float, tilt: float, deviation: float) -> None:
    """Either series, wide or narrow, whatever the drift: within 1e-14."""
    up, down = share * width * deviation, (1.0 - share) * width * deviation
    drift = tilt * deviation
    exact = exact_exit(up, down, drift, deviation)
    assert exit_probability(up, down, drift, deviation) == pytest.approx(exact, rel=0, abs=ERROR)


@given(st.floats(0.5, 12.0), shares, deviations)
@example(IMAGES_FROM_WIDTH, 1e-6, 1.0)
@example(math.nextafter(IMAGES_FROM_WIDTH, 0.0), 1e-6, 1.0)
def test_up_first_is_exact(width: float, share: float, deviation: float) -> None:
    """Either series, within 1e-14."""
    up, down = share * width * deviation, (1.0 - share) * width * deviation
    exact = exact_up_first(up, down, deviation)
    assert up_first_probability(up, down, deviation) == pytest.approx(exact, rel=0, abs=ERROR)


@given(st.floats(1.97, 2.03), shares, st.floats(-3.0, 3.0))
def test_both_series_agree_at_the_switch(width: float, share: float, m: float) -> None:
    """Images and eigenfunctions say the same on both sides of the width where one takes over."""
    a, b = share * width, (1.0 - share) * width
    images = barriers._top_by_images(a, b, m) + barriers._top_by_images(b, a, -m)
    assert 1.0 - barriers._stay_by_eigenfunctions(a, b, m) == pytest.approx(images, abs=ERROR)
    sines = b / width - barriers._not_yet_at_the_top(a, b)
    assert sines == pytest.approx(barriers._top_by_images(a, b, 0.0), rel=0, abs=ERROR)


@functools.cache
def walks(drift: float) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Highest and lowest of seeded walks with deviation 1 over horizon 1, and their steps."""
    random, paths, steps = np.random.default_rng(1997), 60_000, 150
    level, high, low = np.zeros(paths), np.zeros(paths), np.zeros(paths)
    for _ in range(steps):
        level += drift / steps + random.standard_normal(paths) / math.sqrt(steps)
        np.maximum(high, level, out=high)
        np.minimum(low, level, out=low)
    return high, low, steps


@pytest.mark.parametrize("drift", [-0.6, 0.0, 0.9])
@pytest.mark.parametrize(("up", "down"), [(0.7, 0.9), (1.5, 0.6), (1.2, 2.5)])
def test_agrees_with_simulation(up: float, down: float, drift: float) -> None:
    """Walks looked at 150 times leave levels that are nearer by 0.5826/√150: within 4 errors."""
    high, low, steps = walks(drift)
    shift = OVERSHOOT / math.sqrt(steps)
    error = 4.0 * math.sqrt(0.25 / len(high))
    touched = float(np.mean(high >= up))
    assert touch_probability(up + shift, drift, 1.0) == pytest.approx(touched, abs=error)
    left = float(np.mean((high >= up) | (low <= -down)))
    found = exit_probability(up + shift, down + shift, drift, 1.0)
    assert found == pytest.approx(left, abs=error)


def test_up_first_agrees_with_simulation() -> None:
    """Which end a walk reaches first, by the step at which it does."""
    random, paths, steps = np.random.default_rng(1992), 60_000, 150
    up, down, shift = 0.7, 1.1, OVERSHOOT / math.sqrt(steps)
    level, state = np.zeros(paths), np.zeros(paths, dtype=np.int8)
    for _ in range(steps):
        level += random.standard_normal(paths) / math.sqrt(steps)
        inside = state == 0
        state[inside & (level >= up)] = 1
        state[inside & (level <= -down)] = -1
    error = 4.0 * math.sqrt(0.25 / paths)
    found = up_first_probability(up + shift, down + shift, 1.0)
    assert found == pytest.approx(float(np.mean(state == 1)), abs=error)


@given(distances, distances, st.floats(1e-3, 10.0), st.floats(1.0, 3.0))
def test_more_deviation_leaves_sooner(up: float, down: float, deviation: float, c: float) -> None:
    """Without drift each probability grows with the deviation, and falls with a distance."""
    for found in (
        lambda s: touch_probability(up, 0.0, s),
        lambda s: exit_probability(up, down, 0.0, s),
        lambda s: up_first_probability(up, c * up + down, s),
    ):
        assert found(deviation) <= found(c * deviation) + ERROR
    nearer = exit_probability(up, down, 0.0, deviation)
    assert exit_probability(c * up, down, 0.0, deviation) <= nearer + ERROR
    assert touch_probability(c * up, 0.0, deviation) <= touch_probability(up, 0.0, deviation)


@pytest.mark.parametrize("drift", [-0.04, 0.0, 0.04])
def test_no_deviation_no_exit(drift: float) -> None:
    """As the deviation goes to nothing so does the probability, if the drift stays inside."""
    falling = [exit_probability(0.05, 0.05, drift, s) for s in (1e-2, 3e-3, 1e-3, 1e-4, 1e-60, 0.0)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] > 0.0
    assert falling[-3:] == [0.0, 0.0, 0.0]
    assert touch_probability(0.05, drift, 0.0) == touch_probability(-0.05, drift, 1e-9) == 0.0
    assert up_first_probability(0.05, 0.05, 0.0) == up_first_probability(0.05, 0.05, 1e-9) == 0.0


@pytest.mark.parametrize("deviation", [0.0, 1e-120, 1e-9])
def test_the_drift_alone(deviation: float) -> None:
    """A drift through a level reaches it without any deviation, and only on its own side."""
    assert touch_probability(0.05, 0.06, deviation) == 1.0
    assert touch_probability(-0.05, -0.06, deviation) == 1.0
    assert touch_probability(-0.05, 0.06, deviation) == 0.0
    assert exit_probability(0.05, 0.2, 0.06, deviation) == 1.0
    assert exit_probability(0.2, 0.05, -0.06, deviation) == 1.0
    assert exit_probability(0.2, 0.05, 0.06, deviation) == 0.0


@given(distances, distances, drifts, deviations)
def test_symmetry(up: float, down: float, drift: float, deviation: float) -> None:
    """Seen in a mirror, and in other units of length, nothing changes."""
    found = exit_probability(up, down, drift, deviation)
    assert exit_probability(down, up, -drift, deviation) == pytest.approx(found, rel=0, abs=ERROR)
    scaled = exit_probability(up / deviation, down / deviation, drift / deviation, 1.0)
    assert scaled == pytest.approx(found, rel=0, abs=ERROR)


@given(distances, distances, drifts, deviations)
def test_one_end_or_the_other(up: float, down: float, drift: float, deviation: float) -> None:
    """P_up + P_down ≥ P_any ≥ max(P_up, P_down)."""
    ends = touch_probability(up, drift, deviation), touch_probability(-down, drift, deviation)
    either = exit_probability(up, down, drift, deviation)
    assert max(ends) - ERROR <= either <= min(sum(ends), 1.0) + ERROR


@given(distances, distances, deviations)
def test_first_at_one_end_or_the_other(up: float, down: float, deviation: float) -> None:
    """Whoever leaves does so at one end first; at the top no oftener than that is touched."""
    top, bottom = (up_first_probability(*e, deviation) for e in ((up, down), (down, up)))
    either = exit_probability(up, down, 0.0, deviation)
    assert top + bottom == pytest.approx(either, rel=0, abs=ERROR)
    assert top <= touch_probability(up, 0.0, deviation) + ERROR


@given(distances, drifts, deviations, st.sampled_from([60.0, 1e9, 1e300, INF]))
def test_a_far_level_is_none(reach: float, drift: float, deviation: float, far: float) -> None:
    """With one end far away the corridor is one level; with both, nothing is left."""
    speed = drift * deviation / 4.0
    distant = far * deviation
    up = touch_probability(reach, speed, deviation)
    assert exit_probability(reach, distant, speed, deviation) == pytest.approx(up, rel=0, abs=ERROR)
    down = touch_probability(-reach, speed, deviation)
    found = exit_probability(distant, reach, speed, deviation)
    assert found == pytest.approx(down, rel=0, abs=ERROR)
    assert exit_probability(distant, distant, speed, deviation) < 1e-290
    free = touch_probability(reach, 0.0, deviation)
    assert up_first_probability(reach, distant, deviation) == pytest.approx(free, rel=0, abs=ERROR)


def test_symmetric_move_of_two_and_a_half_deviations() -> None:
    """4·Σ(−1)ᵏ·N(−2.5(2k + 1)) (reflection) is 0.0248: a driftless move of 2.5√w either way."""
    normal = [0.5 * math.erfc(2.5 * (2 * k + 1) / math.sqrt(2.0)) for k in range(3)]
    assert exit_probability(2.5, 2.5, 0.0, 1.0) == pytest.approx(
        4.0 * (normal[0] - normal[1] + normal[2]), rel=1e-12
    )
    assert exit_probability(2.5, 2.5, 0.0, 1.0) == pytest.approx(0.0248, abs=5e-5)


@pytest.mark.parametrize("through", [0.0, -0.0, -0.1, -INF])
def test_at_or_through(through: float) -> None:
    """Out already, whatever comes; at which end is known unless it is both."""
    for drift, deviation in ((0.0, 0.0), (0.3, 0.1), (-9.0, 0.1)):
        assert touch_probability(0.0, drift, deviation) == 1.0
        assert exit_probability(through, 0.1, drift, deviation) == 1.0
        assert exit_probability(0.1, through, drift, deviation) == 1.0
    assert up_first_probability(through, 0.1, 0.2) == 1.0
    assert up_first_probability(0.1, through, 0.2) == 0.0
    assert math.isnan(up_first_probability(through, through, 0.2))


@pytest.mark.parametrize("bad", [NAN, INF, -INF, -1.0, 1e7])
def test_senseless_input(bad: float) -> None:
    """A deviation below zero or without end, a drift without end, NaN anywhere: NaN."""
    values = [
        touch_probability(0.1, 0.0, bad),
        exit_probability(0.1, 0.1, 0.0, bad),
        up_first_probability(0.1, 0.1, bad),
    ]
    if bad != -1.0:
        values += [touch_probability(0.1, bad, 0.1), exit_probability(0.1, 0.1, bad, 0.1)]
    if math.isnan(bad):
        values += [touch_probability(bad, 0.0, 0.1), exit_probability(0.1, bad, 0.0, 0.1)]
        values += [exit_probability(bad, -0.1, 0.0, 0.1), up_first_probability(bad, 0.1, 0.1)]
        values += [up_first_probability(-0.1, bad, 0.1)]
    assert np.isnan(values).all()


@given(st.floats(), st.floats(), st.floats(), st.floats())
@example(5e-324, 5e-324, 1e6, 1e6)
@example(1e300, 1e-300, -1e6, 1e-99)
@example(1e6, 1e6, 1e6, 1e-99)
@example(1e-300, 1e-320, 1e6, 1e-100)
def test_any_numbers(up: float, down: float, drift: float, deviation: float) -> None:
    """Whatever comes in: a probability, or NaN for what makes no sense, and for nothing else."""
    makes_sense = abs(drift) <= 1e6 and 0.0 <= deviation <= 1e6
    one = touch_probability(up, drift, deviation)
    both = exit_probability(up, down, drift, deviation)
    first = up_first_probability(up, down, deviation)
    assert math.isnan(one) == (not makes_sense or math.isnan(up))
    known = makes_sense and not (math.isnan(up) or math.isnan(down))
    assert math.isnan(both) == (not known)
    for value in (one, both, first):
        assert math.isnan(value) or 0.0 <= value <= 1.0


def test_warm_compiles_what_is_called() -> None:
    """After it no kernel compiles for the floats of a tick."""
    warm()
    kernels = (touch_probability, exit_probability, up_first_probability)
    before = [len(kernel.signatures) for kernel in kernels]  # type: ignore[attr-defined]
    exit_probability(0.01, 0.02, 0.0, 0.01)
    assert [len(kernel.signatures) for kernel in kernels] == before  # type: ignore[attr-defined]
    assert before == [1, 1, 1]
