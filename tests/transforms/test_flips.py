"""Flips: an analytic case, brute-force repricing, laws, and each status from a made chain."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.repriced import AS_OF, Expiry, Row, chains, frames, gex_at, prepared, scaled, swapped
from transforms.bells import bells, symbol_starts, symbols
from transforms.flips import (
    FLIP_STATUSES,
    WRITERS_SHORT,
    coverage,
    crossings,
    nearest_crossing,
    search,
    strike_step,
    warm,
    with_flips,
    without_flips,
)
from transforms.layout import starts

FINE = np.exp(np.linspace(math.log(0.88), math.log(1.12), 6_001))
NEAR = (FINE >= 0.94) & (FINE <= 1.06)


def flip_of(*expiries: Expiry, **options: object) -> dict[str, object]:
    """The first expiry's flip, flips and status."""
    found = with_flips(*prepared(*expiries), **options)
    return found.select("gamma_flip", "gamma_flips", "gamma_flip_status").row(0, named=True)


def even(rows: dict[float, tuple[float, float]], volatility: float = 0.2) -> list[Row]:
    """Strikes from 850 to 1150 in steps of 10, with open interest at some of them."""
    return [(k, volatility, *rows.get(k, (0.0, 0.0))) for k in np.arange(850.0, 1151.0, 10.0)]


ONE_FLIP = {900.0 + 10 * i: (50.0 * i, 1000.0 - 50.0 * i) for i in range(21)}
"""Puts below and calls above, evenly: a flip at the spot that no single strike decides."""


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("days", [5.0, 30.0])
def test_two_strikes_have_an_analytic_flip(ratio: float, days: float) -> None:
    """A put and a call of one width w: the bells cross where their exponents differ by ln of sizes.

    u = (x₁ + x₂)/2 − w²/2 + w²·ln(a₁/a₂)/(x₂ − x₁).
    """
    expiry = Expiry(even({980.0: (0.0, 1000.0 * ratio), 1020.0: (1000.0, 0.0)}), years=days / 365)
    low, high = (math.log(k / 1002.0) for k in (980.0, 1020.0))
    square = 0.2**2 * days / 365
    move = 0.5 * (low + high) - 0.5 * square + square * math.log(ratio) / (high - low)
    found = flip_of(expiry)
    assert found["gamma_flips"] == pytest.approx([1000.0 * math.exp(move)], rel=1e-12)


def brute_roots(net: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moves of the sign changes near the spot, else those within 12 %, on the fine levels."""
    moves = np.log(FINE)
    for part in (NEAR, np.ones_like(NEAR)):
        at, value = moves[part], net[part]
        at, value = at[value != 0.0], value[value != 0.0]
        (i,) = np.nonzero(value[1:] * value[:-1] < 0)
        if len(i):
            return at[i] + value[i] / (value[i] - value[i + 1]) * (at[i + 1] - at[i])
    return np.empty(0)


@given(chains())
def test_roots_are_those_of_the_chain_repriced(expiry: Expiry) -> None:
    """All of NumPy's sign changes are found, none else, and G vanishes there exactly."""
    each = gex_at(expiry, FINE)
    want = 1000.0 * np.exp(brute_roots(each.sum(axis=0)))
    assume(len(want) < 2 or np.diff(want).min() > 5.0)
    found = flip_of(expiry)
    flips = found["gamma_flips"]
    assert flips == pytest.approx(want.tolist(), rel=1e-5)
    if flips:
        at_roots = gex_at(expiry, np.array(flips) / 1000.0)
        assert np.abs(at_roots.sum(axis=0)) == pytest.approx(
            np.zeros(len(flips)), abs=1e-9 * np.abs(each).max()
        )
        nearest = min(flips, key=lambda s: abs(math.log(s / 1000.0)))
        assert found["gamma_flip"] == nearest


def brute_moved(expiry: Expiry) -> float:
    """By how much the flip moves, in ln, under the worst of all perturbations; inf if it goes."""
    each = gex_at(expiry, FINE)

    def nearest(net: NDArray[np.float64], origin: float = 0.0) -> float:
        roots = brute_roots(net)
        return roots[np.argmin(np.abs(roots - origin))] if len(roots) else math.inf

    root = nearest(each.sum(axis=0))
    perturbed = [nearest(each.sum(axis=0), math.log(1 + shift)) for shift in (-0.0005, 0.0005)]
    perturbed += [nearest(gex_at(expiry, FINE, shift).sum(axis=0)) for shift in (0.01, -0.01)]
    rows = [np.delete(each, i, axis=0) for i in range(len(each))]
    perturbed += [nearest(left.sum(axis=0)) for left in rows]
    return max(abs(one - root) for one in perturbed)


@st.composite
def tilted(draw: st.DrawFn) -> Expiry:
    """Puts below a level and calls above, with some noise: flips of all degrees of trust."""
    level, noise = draw(st.floats(960.0, 1040.0)), draw(st.integers(0, 30))
    rows: list[Row] = []
    for strike in np.arange(860.0, 1141.0, 10.0):
        pull = (strike - level) * 10.0 + noise * draw(st.integers(-40, 40))
        rows.append((strike, 0.2, max(pull, 0.0), max(-pull, 0.0)))
    return Expiry(rows, years=draw(st.sampled_from([2 / 365, 9 / 365, 35 / 365])))


@given(tilted())
def test_sensitivity_is_that_of_the_chain_repriced(expiry: Expiry) -> None:
    """Every perturbation repriced in full and searched anew comes to the same verdict."""
    assume(len(brute_roots(gex_at(expiry, FINE).sum(axis=0))))
    moved = brute_moved(expiry)
    assume(abs(moved - math.log(1.01)) > 3e-5)
    status = flip_of(expiry)["gamma_flip_status"]
    assert (status == "sensitive") == (moved > math.log(1.01))


@given(chains(), st.sampled_from([0.5, 2.0, 1024.0]), st.floats(0.1, 10.0))
def test_laws(expiry: Expiry, power: float, factor: float) -> None:
    """Size and sides of open interest leave the flips alone; a change of currency scales them."""
    found = flip_of(expiry)
    assert flip_of(scaled(expiry, power)) == found
    assert flip_of(swapped(expiry)) == found
    rows = [(k * factor, v, c, p) for k, v, c, p in expiry.rows]
    dearer = flip_of(replace(expiry, rows=rows, spot=1000.0 * factor))
    assert np.array(dearer["gamma_flips"]) / factor == pytest.approx(found["gamma_flips"])


def test_available() -> None:
    """One firm flip."""
    found = flip_of(Expiry(even(ONE_FLIP)))
    assert found["gamma_flip_status"] == "available"
    assert found["gamma_flips"] == [found["gamma_flip"]]
    assert found["gamma_flip"] == pytest.approx(995.0, abs=10.0)


def band(low: float, high: float, **terms: float) -> Expiry:
    """Calls between two levels and puts outside: a firm flip near each."""
    levels = np.arange(850.0, 1151.0, 10.0)
    held = {k: (1000.0, 0.0) if low <= k <= high else (0.0, 1000.0) for k in levels}
    return Expiry(even(held, volatility=0.15), years=5 / 365, **terms)


def test_multiple() -> None:
    """Two firm flips: the one nearer to spot is published, both are listed."""
    found = flip_of(band(980.0, 1050.0))
    assert found["gamma_flip_status"] == "multiple"
    low, high = found["gamma_flips"]
    assert 1000.0 - low < high - 1000.0
    assert found["gamma_flip"] == low


def test_sensitive_to_spot() -> None:
    """Two flips as far from the spot: which one is nearer hangs on five basis points."""
    low, high = flip_of(band(960.0, 1040.0))["gamma_flips"]
    middle = math.sqrt(low * high)
    for away, status in ((1.0, "sensitive"), (1.0004, "sensitive"), (1.005, "multiple")):
        moved = band(960.0, 1040.0, spot=middle * away)
        assert flip_of(moved)["gamma_flip_status"] == status


def test_sensitive_to_one_strike() -> None:
    """Without its one call strike the chain has no flip."""
    rows = even(dict.fromkeys(np.arange(900.0, 1000.0, 10.0), (0.0, 300.0)) | {1020.0: (9e3, 0.0)})
    found = flip_of(Expiry(rows))
    assert found["gamma_flip_status"] == "sensitive"
    assert found["gamma_flip"] in found["gamma_flips"]


def test_no_crossing() -> None:
    """Calls only."""
    found = flip_of(Expiry(even(dict.fromkeys(np.arange(850.0, 1151.0, 10.0), (500.0, 0.0)))))
    assert found == {"gamma_flip": None, "gamma_flips": [], "gamma_flip_status": "no_crossing"}


def test_equal_sides_have_no_sign() -> None:
    """As many calls as puts at every strike: zero everywhere is no crossing."""
    found = flip_of(Expiry(even(dict.fromkeys(np.arange(850.0, 1151.0, 10.0), (500.0, 500.0)))))
    assert found["gamma_flip_status"] == "no_crossing"


def test_searched_farther_out_only_if_need_be() -> None:
    """A flip 9 % away is found, unless there is one within 6 %."""
    far = {k: (0.0, 500.0) if k < 905.0 else (500.0, 0.0) for k in np.arange(850.0, 1151.0, 10.0)}
    found = flip_of(Expiry(even(far), years=9 / 365))
    assert found["gamma_flip"] == pytest.approx(905.0, abs=5.0)
    near = far | dict.fromkeys(np.arange(1030.0, 1151.0, 10.0), (0.0, 500.0))
    assert flip_of(Expiry(even(near), years=9 / 365))["gamma_flips"] == pytest.approx(
        [1025.0], abs=5
    )


def test_stale() -> None:
    """Older than two intervals; the level is still given."""
    old = Expiry(even(ONE_FLIP), quoted_at=AS_OF - timedelta(seconds=601))
    found = flip_of(old)
    assert found["gamma_flip_status"] == "stale"
    assert found["gamma_flip"] == flip_of(Expiry(even(ONE_FLIP)))["gamma_flip"]
    assert flip_of(old, interval=timedelta(minutes=6))["gamma_flip_status"] == "available"
    just = replace(old, quoted_at=AS_OF - timedelta(seconds=600))
    assert flip_of(just)["gamma_flip_status"] == "available"


def test_insufficient_span() -> None:
    """Strikes end inside the levels that were searched; none is published, all are listed."""
    rows = [row for row in even(ONE_FLIP) if row[0] < 1060.0]
    found = flip_of(Expiry(rows))
    assert found["gamma_flip_status"] == "insufficient_coverage"
    assert found["gamma_flip"] is None
    assert len(found["gamma_flips"]) == 1
    # No flip within 6 %: strikes must then reach as far as was searched.
    calls = [(k, 0.2, 100.0, 0.0) for k in np.arange(920.0, 1081.0, 10.0)]
    assert flip_of(Expiry(calls))["gamma_flip_status"] == "insufficient_coverage"


@pytest.mark.parametrize(
    ("units", "status"), [(2_499.0, "available"), (2_600.0, "insufficient_coverage")]
)
def test_insufficient_volatilities(units: float, status: str) -> None:
    """More than 20 % of open interest without a volatility: 10 500 + 21 · 10 units have one."""
    rows = [*even(ONE_FLIP), (1200.0, None, units, 0.0)]
    priced = sum(c + p for _, v, c, p in rows if v is not None)
    rows[-1] = (1200.0, None, units / 10_000.0 * priced, 0.0)
    assert flip_of(Expiry(rows))["gamma_flip_status"] == status


@pytest.mark.parametrize(
    "expiry",
    [
        Expiry([]),
        Expiry(even(ONE_FLIP), spot=None),
        Expiry(even(ONE_FLIP), years=0.0),
        Expiry([(k, None, c, p) for k, _, c, p in even(ONE_FLIP)]),
        Expiry([(k, v, None, None) for k, v, _, _ in even(ONE_FLIP)]),
    ],
)
def test_nothing_known_is_not_covered(expiry: Expiry) -> None:
    """A reason and no level; the neighbour is not touched."""
    sound = replace(Expiry(even(ONE_FLIP)), day=date(2027, 1, 26))
    found = with_flips(*prepared(expiry, sound))
    assert found["gamma_flip_status"].to_list() == ["insufficient_coverage", "available"]
    assert found["gamma_flip"][0] is None


def test_writers_short_has_no_flip() -> None:
    """A convention of one sign never changes it."""
    found = flip_of(Expiry(even(ONE_FLIP)), convention=WRITERS_SHORT)
    assert found["gamma_flip_status"] == "undefined_for_convention"
    assert found["gamma_flip"] is found["gamma_flips"] is None


def test_all_expiries_together() -> None:
    """A symbol's flip is the root of the sum; with one expiry it is the expiry's."""
    one, other = Expiry(even(ONE_FLIP)), Expiry(even(ONE_FLIP), symbol="B")
    shifted = {k + 30.0: v for k, v in ONE_FLIP.items()}
    second = replace(one, rows=even(shifted), years=60 / 365, day=date(2027, 1, 26))
    owners, found, book = prepared(one, second, other)
    each = with_flips(owners, found, book)
    both = with_flips(symbols(owners), found, symbol_starts(owners, book))
    assert both["gamma_flip_status"].to_list() == ["available", "available"]
    assert both["gamma_flip"][1] == each["gamma_flip"][2]
    assert each["gamma_flip"][0] < both["gamma_flip"][0] < each["gamma_flip"][1]
    at_root = np.array([both["gamma_flip"][0] / 1000.0])
    parts = [gex_at(expiry, at_root).sum() for expiry in (one, second)]
    assert sum(parts) == pytest.approx(0.0, abs=1e-9 * abs(parts[0]))


def test_what_has_settled_is_no_longer_held() -> None:
    """An expiry that is over neither counts as unpriced nor makes its symbol stale."""
    live = replace(Expiry(even(ONE_FLIP)), day=date(2027, 1, 26))
    over = [(k, None, 9e6, 9e6) for k, *_ in even(ONE_FLIP)]
    settled = Expiry(over, years=-0.001, quoted_at=AS_OF - timedelta(hours=1))
    owners, found, book = prepared(settled, live)
    both = with_flips(symbols(owners), found, symbol_starts(owners, book))
    assert both["gamma_flip_status"].to_list() == ["available"]
    assert both["gamma_flip"][0] == flip_of(live)["gamma_flip"]


def test_kernels_are_compiled_once() -> None:
    """What is warmed is what runs: no call adds a signature of its own."""
    warm()
    flip_of(Expiry(even(ONE_FLIP)))
    strikes, owners = frames()
    with_flips(owners, bells(strikes), starts(strikes, "expiry_id", 0))
    assert [len(kernel.signatures) for kernel in (search, coverage)] == [1, 1]


def test_every_status_is_declared() -> None:
    """What is published stands in the tuple."""
    chains_of = [Expiry(even(ONE_FLIP)), Expiry([], day=date(2027, 1, 26))]
    found = with_flips(*prepared(*chains_of))["gamma_flip_status"]
    assert set(found) <= set(FLIP_STATUSES)
    assert without_flips(pl.DataFrame({"spot": [1.0]})).row(0) == (1.0, None, None, None)


def test_no_owner_at_all() -> None:
    """An empty snapshot has the columns and no row."""
    strikes, owners = frames()
    found = with_flips(owners, bells(strikes), starts(strikes, "expiry_id", 0))
    assert found.is_empty()
    assert found.schema["gamma_flips"] == pl.List(pl.Float64)


def test_many_roots_are_all_listed() -> None:
    """On expiry day the sides may alternate from strike to strike."""
    rows = [(950.0 + 10 * i, 0.1, 100.0 * (i % 2), 100.0 * (1 - i % 2)) for i in range(11)]
    wings = [(k, 0.1, 0.0, 0.0) for k in (860.0, 1150.0)]
    expiry = Expiry([wings[0], *rows, wings[1]], years=1 / (365 * 24), carry=1.0)
    assert flip_of(expiry)["gamma_flips"] == pytest.approx(
        [955.0 + 10 * i for i in range(10)], abs=0.1
    )


def test_a_change_across_zeros_is_one() -> None:
    """Zeros have no sign; touching zero is no crossing."""
    found = np.empty((9, 2), dtype=np.int64)
    assert crossings(np.array([0.0, 1.0, 0.0, 0.0, -1.0, 0.0, -2.0]), found) == 1
    assert found[0].tolist() == [1, 4]
    moves = np.arange(7.0)
    assert nearest_crossing(moves, np.array([0.0, 1.0, 0.0, 0.0, -1.0, 0.0, -2.0]), 0.0) == 2.5
    values = np.array([-1.0, 1.0, 2.0, 3.0, 1.0, -1.0, -1.0])
    assert [nearest_crossing(moves, values, origin) for origin in (0.0, 9.0)] == [0.5, 4.5]
    assert math.isnan(nearest_crossing(moves, np.abs(values), 0.0))


def test_strike_step_ignores_odd_strikes() -> None:
    """The median gap near the spot; wings and an adjusted strike in between do not matter."""
    strikes = np.log(np.array([0.5, 0.7, 0.95, 0.97, 0.99, 0.9901, 1.01, 1.03, 1.05, 1.5]))
    assert strike_step(strikes, 0, len(strikes)) == pytest.approx(0.02, rel=0.05)
    assert strike_step(strikes, 0, 1) == 0.01
