"""A strike's exposure over the moves of the spot."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.repriced import AS_OF, Expiry, chains, frames, gex_at, prepared
from transforms.bells import bells, lines, net_at, net_over, symbol_starts, symbols

MOVES = np.log(np.linspace(0.88, 1.12, 25))


def black(
    forward: mpmath.mpf, strike: float, years: float, rate: float, sigma: float
) -> mpmath.mpf:
    """Black's call price."""
    width = sigma * mpmath.sqrt(years)
    d1 = mpmath.log(forward / strike) / width + width / 2
    value = forward * mpmath.ncdf(d1) - strike * mpmath.ncdf(d1 - width)
    return mpmath.exp(-rate * years) * value


@pytest.mark.parametrize("move", [-0.1, -0.01, 0.0, 0.03])
@pytest.mark.parametrize(("strike", "sigma", "years"), [(950.0, 0.2, 0.1), (1000.0, 0.1, 0.002)])
def test_a_bell_is_the_price_s_second_derivative(
    move: float, strike: float, sigma: float, years: float
) -> None:
    """Γ·OI·s²·0.01/10⁷, Γ from the price alone by 40-digit differences."""
    expiry = Expiry([(strike, sigma, 3000.0, 1000.0)], years=years)
    _, found, _ = prepared(expiry)
    with mpmath.workdps(40):
        forward = mpmath.mpf(1002.0) * mpmath.exp(move)
        gamma = mpmath.diff(lambda f: black(f, strike, years, 0.065, sigma), forward, 2)
        level = 1000 * mpmath.exp(move)
        want = float(gamma * 2000 * level**2 * 0.01 / mpmath.mpf(1e7))
    got = net_at(move, lines(found.terms, 0.0), 0, 1) * np.exp(move)
    assert got == pytest.approx(want, rel=1e-11, abs=1e-300)


@given(chains(), st.sampled_from([0.0, 0.01, -0.01, -0.6]))
def test_repricing_agrees_with_the_textbook(expiry: Expiry, shift: float) -> None:
    """The sum of the bells is what NumPy makes of Hull's formula, volatilities shifted or not."""
    _, found, book = prepared(expiry)
    shapes = lines(found.terms, shift)
    got = net_over(MOVES, shapes, book[0], book[1]) * np.exp(MOVES)
    each = gex_at(expiry, np.exp(MOVES), shift)
    assert got == pytest.approx(each.sum(axis=0), rel=1e-9, abs=1e-12 * np.abs(each).max())
    one = [net_at(move, shapes, book[0], book[1]) for move in MOVES]
    assert one * np.exp(MOVES) == pytest.approx(got, rel=1e-9, abs=1e-12 * np.abs(each).max())


wild = st.one_of(
    st.none(),
    st.floats(),
    st.floats(1e-3, 1e3),
    st.sampled_from([0.0, -1.0, 1e-308, 1e300, float("inf"), float("nan")]),
)


@given(st.tuples(wild, wild, wild, wild), wild, wild, wild)
def test_no_input_spoils_the_others(
    row: tuple[float, float | None, float | None, float | None],
    spot: float | None,
    years: float | None,
    rate: float | None,
) -> None:
    """A senseless strike is unknown or finite, and never more than itself is lost."""
    strikes, _ = frames(Expiry([row, (1000.0, 0.2, 10.0, 20.0)]))
    columns = {"spot": spot, "years_to_expiry": years, "rate": rate}
    bad = strikes.head(1).with_columns(
        strikes[name].head(1).set(strikes[name].head(1).is_not_null(), value).alias(name)
        for name, value in columns.items()
    )
    found = bells(bad.vstack(strikes.tail(1)))
    assert found.is_known[1]
    total = net_over(MOVES, lines(found.terms, 0.0), 0, 2)
    assert np.isfinite(total).all()
    if not found.is_known[0]:
        assert net_over(MOVES, lines(found.terms, 0.0), 0, 1).tolist() == [0.0] * len(MOVES)


@pytest.mark.parametrize(
    "change",
    [{"spot": None}, {"carry": float("nan")}, {"years": 0.0}, {"years": -1.0}],
)
def test_without_a_forward_or_time_nothing_is_known(change: dict[str, float | None]) -> None:
    """No bell at all."""
    expiry = Expiry([(1000.0, 0.2, 10.0, 20.0)], **change)
    assert not prepared(expiry)[1].is_known.any()


def test_one_known_leg_makes_a_strike_known() -> None:
    """The leg that is not known does not count; without volatility or both legs nothing does."""
    rows = [(990.0, 0.2, None, 5.0), (1000.0, None, 5.0, 5.0), (1010.0, 0.2, None, None)]
    found = prepared(Expiry(rows))[1]
    assert found.is_known.tolist() == [True, False, False]
    assert found.open_interest_units.tolist() == [5.0, 10.0, 0.0]
    assert found.log_strike_over_spot == pytest.approx(np.log([0.99, 1.0, 1.01]))


def test_symbols_take_the_newest_spot_and_the_oldest_quote() -> None:
    """Expiries of one symbol stand together; an unknown spot is no newest one."""
    one = Expiry([(1000.0, 0.2, 1.0, 1.0)] * 2)
    later = AS_OF + timedelta(seconds=30)
    second = replace(one, spot=1001.0, quoted_at=later, day=date(2027, 1, 26), rows=one.rows[:1])
    third = replace(one, spot=None, quoted_at=later, day=date(2027, 2, 23))
    owners, _, book = prepared(one, second, third, replace(one, symbol="B"))
    found = symbols(owners)
    assert found["symbol"].to_list() == ["A", "B"]
    assert found["spot"].to_list() == [1001.0, 1000.0]
    assert found["quoted_at"].to_list() == [AS_OF, AS_OF]
    assert symbol_starts(owners, book).tolist() == [0, 5, 7]


def test_no_symbols_at_all() -> None:
    """An empty snapshot has one border and no owner."""
    owners, found, book = prepared()
    assert symbols(owners).is_empty()
    assert symbol_starts(owners, book).tolist() == [0]
    assert found.terms.shape == (7, 0)
