"""Black-76: exact arithmetic, limits and laws; published values are met in ``test_oracles``."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exact_black76 import exact_derivative
from tests.reference_black76 import precise_price
from tests.strategies import Option, options
from transforms import black76


@given(options())
def test_price_is_exact(option: Option) -> None:
    """Against 100-digit arithmetic, wings and last minutes included: no digit is cancelled."""
    assert black76.price(*option) == pytest.approx(float(precise_price(option)), rel=3e-12)


@given(options())
def test_parity(option: Option) -> None:
    """C − P = D(F − K) and Δ_C − Δ_P = D; gamma and vega do not know the right."""
    call, put = option._replace(is_call=True), option._replace(is_call=False)
    discount = math.exp(-option.rate * option.years)
    gap = discount * (option.forward - option.strike)
    assert black76.price(*call) - black76.price(*put) == pytest.approx(
        gap, rel=1e-12, abs=1e-12 * option.forward
    )
    assert black76.delta(*call) - black76.delta(*put) == pytest.approx(discount, rel=1e-13)


@given(options(deviations=4.0), st.floats(1e-3, 1e3))
def test_homogeneity(option: Option, scale: float) -> None:
    """Prices scale with the currency: V(cF, cK) = c·V(F, K)."""
    scaled = option._replace(forward=scale * option.forward, strike=scale * option.strike)
    once = black76.price(*option)
    # Scaling rounds F and K, which near the money moves ln(F/K) by more than a price's last digit.
    assert black76.price(*scaled) == pytest.approx(scale * once, rel=1e-9)


@given(options())
def test_symmetry(option: Option) -> None:
    """A call on F at K is a put on K at F."""
    call = option._replace(is_call=True)
    put = call._replace(forward=call.strike, strike=call.forward, is_call=False)
    assert black76.price(*call) == pytest.approx(black76.price(*put), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(options(deviations=4.0, volatility=(0.02, 1.5), years=(1e-4, 3.0)))
def test_greeks_are_derivatives(option: Option) -> None:
    """Each Greek, scalar and of rows, equals the derivative of the exact price."""
    both = option[:5]
    truth = {
        "delta": float(exact_derivative(option, forward=1)),
        "gamma": float(exact_derivative(option, forward=2)),
        "theta": -float(exact_derivative(option, years=1)),
        "vega": float(exact_derivative(option, volatility=1)),
        "rho": float(exact_derivative(option, rate=1)),
    }
    near = {"rel": 1e-11, "abs": 1e-14}
    assert black76.delta(*option) == pytest.approx(truth["delta"], **near)
    assert black76.gamma(*both) == pytest.approx(truth["gamma"], **near)
    assert black76.theta(*option) == pytest.approx(truth["theta"], rel=1e-9, abs=1e-9)
    assert black76.vega(*both) == pytest.approx(truth["vega"], **near)
    assert black76.rho(*option) == pytest.approx(truth["rho"], **near)
    units = (1.0, 1.0, 1 / 365, 0.01, 0.01)
    published = [value * unit for value, unit in zip(truth.values(), units, strict=True)]
    rows = black76.greeks_of_rows(*arrays(option))
    assert rows[:, 0] == pytest.approx(published, rel=1e-9, abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(options(deviations=4.0, volatility=(0.02, 1.5), years=(1e-4, 3.0)))
def test_cross_greeks_are_derivatives(option: Option) -> None:
    """Vanna and charm equal the exact delta's derivatives, discounting included."""
    vanna = float(exact_derivative(option, forward=1, volatility=1))
    charm = -float(exact_derivative(option, forward=1, years=1))
    size = abs(vanna) * option.volatility / option.years
    assert black76.vanna(*option[:5]) == pytest.approx(vanna, rel=1e-9, abs=1e-11)
    assert black76.charm(*option) == pytest.approx(charm, rel=1e-9, abs=1e-11 * (1 + size))
    rows = black76.cross_greeks_of_rows(*arrays(option))[:, 0]
    assert rows[0] == pytest.approx(vanna / 100, rel=1e-9, abs=1e-13)
    assert rows[1] == pytest.approx(charm / 365, rel=1e-9, abs=1e-11 * (1 + size))


def test_charm_without_rate_is_the_rule_of_thumb() -> None:
    """D·n(d1)·d2/(2T), the same for call and put, when nothing is discounted."""
    terms = (100.0, 110.0, 0.25, 0.0, 0.2)
    d1 = black76.first_distance(100.0, 110.0, 0.25, 0.2)
    expected = black76.normal_density(d1) * (d1 - 0.1) / 0.5
    assert black76.charm(*terms, True) == pytest.approx(expected, rel=1e-13)
    assert black76.charm(*terms, False) == pytest.approx(expected, rel=1e-13)


def arrays(*found: Option) -> list[np.ndarray]:
    """Options as the arguments of the kernels over rows."""
    numbers = [np.array(column, dtype=float) for column in list(zip(*found, strict=True))[:5]]
    return [*numbers, np.array([option.is_call for option in found])]


@given(options())
def test_rows_keep_the_laws(option: Option) -> None:
    """Over rows: gamma, vega and vanna do not know the right; deltas differ by the discount."""
    pair = arrays(option._replace(is_call=True), option._replace(is_call=False))
    discount = math.exp(-option.rate * option.years)
    call, put = black76.greeks_of_rows(*pair).T
    assert call[[1, 3]] == pytest.approx(put[[1, 3]], rel=1e-15, abs=0.0)
    assert call[0] - put[0] == pytest.approx(discount, rel=1e-13)
    call, put = black76.cross_greeks_of_rows(*pair).T
    assert call[0] == pytest.approx(put[0], rel=1e-15, abs=0.0)
    assert call[1] - put[1] == pytest.approx(option.rate * discount / 365, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(("volatility", "years_left"), [(0.0, 0.5), (0.2, 0.0), (1e-12, 1e-9)])
def test_limits(is_call: bool, volatility: float, years_left: float) -> None:
    """Without volatility or time the value is discounted intrinsic, delta a step, gamma none."""
    for strike in (90.0, 110.0):
        terms = (100.0, strike, years_left, 0.05, volatility)
        discount = math.exp(-0.05 * years_left)
        gap = 100.0 - strike if is_call else strike - 100.0
        sign = 1.0 if is_call else -1.0
        assert black76.price(*terms, is_call) == pytest.approx(discount * max(gap, 0.0))
        assert black76.delta(*terms, is_call) == pytest.approx(sign * discount * (gap > 0))
        assert black76.gamma(*terms) == 0.0
        assert black76.vega(*terms) == 0.0


@given(st.floats(0.0, 36.0))
def test_normal_tail(z: float) -> None:
    """The ratio N/n and its slope match erfc where that can be trusted, on both formulas."""
    ratio = black76.cdf_over_density(-z)
    assert ratio * black76.normal_density(z) == pytest.approx(black76.normal_cdf(-z), rel=1e-12)
    # 1/(z + 1/z) < Y(−z) < 1/z is Gordon's inequality (Annals of Math. Statistics 12, 1941).
    assert z / (1 + z * z) <= ratio * (1 + 1e-12)
    assert black76.tail_slope(z) == pytest.approx(1 - z * ratio, abs=3e-13 * (1 + z))
    assert black76.tail_slope(z) > 0


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0])
def test_rows_with_bad_input_stay_alone(place: int, bad: float) -> None:
    """A row that cannot be priced is NaN and leaves its neighbours alone."""
    good = Option(100.0, 100.0, 0.5, 0.02, 0.2, True)
    rows = arrays(good, good, good)
    rows[place][1] = bad
    for kernel in (black76.greeks_of_rows, black76.cross_greeks_of_rows):
        out = kernel(*rows)
        assert np.isfinite(out[:, [0, 2]]).all()
        if (place, bad) != (3, -1.0):
            assert np.isnan(out[:, 1]).all()


@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_rows_without_price_time_or_volatility(place: int) -> None:
    """Zero gives no Greek: NaN, never a number."""
    rows = arrays(Option(100.0, 100.0, 0.5, 0.02, 0.2, True))
    rows[place][0] = 0.0
    assert np.isnan(black76.greeks_of_rows(*rows)).all()
    assert np.isnan(black76.cross_greeks_of_rows(*rows)).all()
