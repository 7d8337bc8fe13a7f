"""Tiles: the scalar code's numbers, whatever stands beside a row, and by packed machine code."""

from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.strategies import Option, options
from transforms import black76, tiles
from transforms.black76 import cross_greeks_of_rows, greeks_of_rows
from transforms.implied_vol import (
    implied_volatility,
    implied_volatility_and_greeks_of_rows,
    implied_volatility_of_rows,
)
from transforms.kernel import compiled

Rows = list[NDArray[np.float64]]
NAN, INF = math.nan, math.inf
# Fast rows for the short and the long series, and rows that no tile can take.
SHORT = Option(24_000.0, 24_500.0, 0.02, 0.065, 0.15, True)
LONG = Option(24_000.0, 20_000.0, 1.5, 0.065, 0.5, False)
WIDE = Option(100.0, 150.0, 3.0, 0.0, 2.0, True)
DEEP = Option(100.0, 400.0, 0.1, 0.05, 0.3, True)
KINDS = (SHORT, LONG, WIDE, DEEP)


def columns(found: list[Option]) -> Rows:
    """Options as forward, strike, years, rate, volatility and whether calls."""
    numbers = [np.array(column, dtype=float) for column in list(zip(*found, strict=True))[:5]]
    return [*numbers, np.array([option.is_call for option in found])]


def quotes(found: list[Option]) -> Rows:
    """Options with their premiums, as the kernels that imply take them."""
    terms = columns(found)
    premium = np.array([black76.price(*option) for option in found])
    return [premium, *terms[:4], terms[5].astype(np.int8)]


def many(count: int, seed: int = 1, deviations: float = 8.0, widest: float = 1.0) -> list[Option]:
    """Options out of the money with σ√T from 1e-4 up."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        years = 10.0 ** random.uniform(-5, 0.4)
        s = 10.0 ** random.uniform(-4, math.log10(widest))
        forward = 10.0 ** random.uniform(1, 5)
        away = random.uniform(-deviations, deviations) * s
        terms = (forward, forward * math.exp(away), years, random.uniform(-0.01, 0.1))
        found.append(Option(*terms, s / math.sqrt(years), away >= 0))
    return found


def test_tile_implies_what_the_scalar_code_does() -> None:
    """Both are within a few units of the exact root, and the status is the same."""
    rows = quotes(many(3000))
    volatility, status = implied_volatility_of_rows(*rows)
    alone = [implied_volatility(*row) for row in zip(*rows, strict=True)]
    assert (status == [code for _, code in alone]).all()
    assert volatility == pytest.approx([value for value, _ in alone], rel=4e-15)


def test_tile_prices_what_the_scalar_code_does() -> None:
    """Greeks at a given volatility: those of the scalar functions, in published units."""
    found = many(3000, seed=2)
    out = greeks_of_rows(*columns(found))
    cross = cross_greeks_of_rows(*columns(found))
    for i, option in enumerate(found):
        both = option[:5]
        expected = (
            black76.delta(*option),
            black76.gamma(*both),
            black76.theta(*option) / 365,
            black76.vega(*both) / 100,
            black76.rho(*option) / 100,
        )
        assert out[:, i] == pytest.approx(expected, rel=1e-13, abs=0.0), option
        assert cross[0, i] == pytest.approx(black76.vanna(*both) / 100, rel=1e-11, abs=1e-300)
        charm = black76.charm(*option) / 365
        assert cross[1, i] == pytest.approx(charm, rel=1e-11, abs=1e-14), option


def test_one_pass_gives_the_greeks_at_its_answer() -> None:
    """Volatility and Greeks together are what the two kernels give one after the other."""
    found = many(2000, seed=3, widest=3.0)
    premium, *terms, right = quotes(found)
    volatility, status, greeks = implied_volatility_and_greeks_of_rows(premium, *terms, right)
    apart, status_apart = implied_volatility_of_rows(premium, *terms, right)
    assert np.array_equal(volatility, apart)
    assert np.array_equal(status, status_apart)
    at = greeks_of_rows(*terms, volatility, right == 1)
    assert greeks == pytest.approx(at, rel=2e-13, abs=0.0)


def same(left: object, right: object) -> None:
    """Equal to the last bit, NaN for NaN."""
    for one, other in zip(left, right, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8), st.integers(0, 300))
def test_rows_do_not_see_each_other(kinds: list[Option], before: int) -> None:
    """A row beside others, of any kind and at any place, is the row alone to the last bit."""
    found = [SHORT] * before + kinds
    together = implied_volatility_and_greeks_of_rows(*quotes(found))
    at_given = greeks_of_rows(*columns(found)), cross_greeks_of_rows(*columns(found))
    for i, option in enumerate(kinds, before):
        alone = implied_volatility_and_greeks_of_rows(*quotes([option]))
        same([part[..., i] for part in together], [part[..., 0] for part in alone])
        alone_given = greeks_of_rows(*columns([option])), cross_greeks_of_rows(*columns([option]))
        same([part[..., i] for part in at_given], [part[..., 0] for part in alone_given])


def test_series_length_is_not_seen() -> None:
    """Beside a row that needs the long series, rows that do not keep every bit."""
    found = many(255, seed=4, widest=0.19)
    alone = implied_volatility_of_rows(*quotes(found))
    beside = implied_volatility_of_rows(*quotes([*found, LONG]))
    same(alone, [part[:-1] for part in beside])


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 512, 600])
def test_any_number_of_rows(count: int) -> None:
    """Full tiles and rests alike."""
    rows = quotes(many(600, seed=5))
    whole = implied_volatility_and_greeks_of_rows(*rows)
    part = implied_volatility_and_greeks_of_rows(*[column[:count].copy() for column in rows])
    same([values[..., :count] for values in whole], part)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 0.0, -1.0, 1e300, 1e-300])
@pytest.mark.parametrize("place", range(6))
def test_bad_rows_touch_no_other(bad: float, place: int) -> None:
    """Whatever stands in one row of a tile, the others keep every bit."""
    rows = quotes(many(40, seed=6))
    before = implied_volatility_and_greeks_of_rows(*rows)
    rows[place][17] = -1 if place == 5 else bad
    after = implied_volatility_and_greeks_of_rows(*rows)
    others = np.arange(40) != 17
    same([part[..., others] for part in before], [part[..., others] for part in after])


@given(options(deviations=8.0))
def test_fast_domain_is_a_matter_of_speed(option: Option) -> None:
    """In the tile or out of it, the answer is the scalar one."""
    row = [column[0] for column in quotes([option])]
    (volatility,), (status,) = implied_volatility_of_rows(*quotes([option]))
    alone, code = implied_volatility(*row)
    assert status == code
    attainable = math.ulp(row[0]) / max(black76.vega(*option[:5]) * option.volatility, 1e-300)
    assert volatility == pytest.approx(alone, rel=4e-15 + attainable, nan_ok=True)


@compiled
def first_guess(distance: float, beta: float, y: float) -> tuple[float, float]:
    """The inlined guess, for the test below."""
    return tiles._guess(distance, beta, y)


@pytest.mark.parametrize(("widest", "bound"), [(0.05, 1e-6), (0.2, 5e-5), (1.05, 2e-2)])
def test_guess_is_near(widest: float, bound: float) -> None:
    """The error that the docstring names, on a grid over the fast domain."""
    for s in np.geomspace(1e-4, widest, 60):
        for z in np.linspace(0.0, 9.15, 60):
            x = z * s
            found, _ = first_guess(x, black76.time_value(x, s), 2.0 * math.sinh(0.5 * x))
            assert abs(found / s - 1.0) <= bound


@pytest.mark.parametrize("loop", [tiles.guess, tiles.value, tiles.fill_greeks])
def test_loops_vectorise(loop: Callable[..., object]) -> None:
    """The machine code takes roots and quotients of several rows by one instruction."""
    # Not cached: machine code from the cache cannot be looked at.
    fresh = numba.njit(error_model="numpy", fastmath={"contract", "nsz"})(loop.py_func)
    fresh.compile((numba.float64[::1],))
    code = "".join(fresh.inspect_asm().values())
    assert "divpd" in code or "fdiv\tv" in code
    assert code.count("sqrtsd") <= code.count("sqrtpd") or "fsqrt\tv" in code
