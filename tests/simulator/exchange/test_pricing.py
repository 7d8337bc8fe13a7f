"""Black-76 against published values, parity, bounds, finite differences and the distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange.pricing import greeks, normal_cdf, price_and_delta

_FORWARD = st.floats(50, 100_000)
_RATIO = st.floats(0.7, 1.4)
_YEARS = st.floats(1e-3, 2.0)
_VOLATILITY = st.floats(0.05, 1.0)
_RATE = st.floats(0.0, 0.1)
_SIGN = st.sampled_from([1.0, -1.0])


def _price(
    forward: float, strike: float, years: float, volatility: float, *, rate: float, sign: float
) -> float:
    deviation, discount = volatility * math.sqrt(years), math.exp(-rate * years)
    return price_and_delta(forward, strike, deviation, discount, sign)[0]


def test_published_value() -> None:
    """py_vollib's own Black example."""
    assert _price(100, 100, 0.5, 0.2, rate=0.02, sign=1.0) == pytest.approx(5.5811067246, abs=1e-9)


@given(_FORWARD, _RATIO, _YEARS, _VOLATILITY, _RATE)
def test_put_call_parity(
    forward: float, ratio: float, years: float, volatility: float, rate: float
) -> None:
    """Call less put is the discounted forward less strike; gamma and vega are shared."""
    strike, discount = forward * ratio, math.exp(-rate * years)
    call, put = (_price(forward, strike, years, volatility, rate=rate, sign=s) for s in (1.0, -1.0))
    assert call - put == pytest.approx(discount * (forward - strike), abs=1e-9 * forward)
    up, down = (greeks(forward, strike, years, volatility, rate, s) for s in (1.0, -1.0))
    assert (up.gamma, up.vega_per_vol_point) == (down.gamma, down.vega_per_vol_point)


@given(_FORWARD, st.floats(0.05, 20.0), st.floats(1e-4, 4.0), st.floats(0.8, 1.0), _SIGN)
def test_prices_keep_their_bounds(
    forward: float, ratio: float, deviation: float, discount: float, sign: float
) -> None:
    """Between what exercise would pay and the most that it can pay; delta between 0 and ±1."""
    strike = forward * ratio
    price, delta = price_and_delta(forward, strike, deviation, discount, sign)
    hair = 1e-12 * max(forward, strike)
    assert max(discount * sign * (forward - strike), 0.0) - hair <= price
    assert price <= discount * (forward if sign > 0 else strike) + hair
    assert 0.0 <= sign * delta <= discount


@given(_RATIO, st.floats(0.02, 1.0), st.floats(0.1, 0.6), _RATE, _SIGN)
def test_greeks_are_the_derivatives(
    ratio: float, years: float, volatility: float, rate: float, sign: float
) -> None:
    """Each Greek against a central difference of the price."""
    forward, strike = 100.0, 100.0 * ratio
    here = greeks(forward, strike, years, volatility, rate, sign)
    delta = price_and_delta(
        forward, strike, volatility * math.sqrt(years), math.exp(-rate * years), sign
    )[1]

    def at(df: float = 0.0, dt: float = 0.0, dv: float = 0.0, dr: float = 0.0) -> float:
        return _price(forward + df, strike, years + dt, volatility + dv, rate=rate + dr, sign=sign)

    assert delta == pytest.approx((at(df=1e-3) - at(df=-1e-3)) / 2e-3, abs=1e-6)
    assert here.gamma == pytest.approx((at(df=0.01) - 2 * at() + at(df=-0.01)) / 1e-4, abs=1e-4)
    assert here.theta_per_day == pytest.approx((at(dt=-1e-5) - at(dt=1e-5)) / 2e-5 / 365, abs=1e-5)
    assert here.vega_per_vol_point == pytest.approx(
        (at(dv=1e-5) - at(dv=-1e-5)) / 2e-5 / 100, abs=1e-6
    )
    assert here.rho_per_percent == pytest.approx(
        (at(dr=1e-5) - at(dr=-1e-5)) / 2e-5 / 100, abs=1e-6
    )


@given(_RATIO, st.floats(0.02, 1.0), st.floats(0.1, 0.6), _RATE, _SIGN)
def test_probability_of_profit_is_counted_in_the_distribution(
    ratio: float, years: float, volatility: float, rate: float, sign: float
) -> None:
    """The share of a lognormal's outcomes that pay more than the price with its interest."""
    forward, strike, deviation = 100.0, 100.0 * ratio, volatility * math.sqrt(years)
    quantiles = np.linspace(-6.0, 6.0, 20_001)
    weights = np.exp(-0.5 * quantiles**2)
    ends = forward * np.exp(deviation * quantiles - 0.5 * deviation**2)
    paid = np.maximum(sign * (ends - strike), 0.0)
    due = _price(forward, strike, years, volatility, rate=0.0, sign=sign)
    expected = weights[paid > due].sum() / weights.sum()
    found = greeks(forward, strike, years, volatility, rate, sign).profit_probability
    assert found == pytest.approx(expected, abs=1e-3)


def test_an_option_without_value_has_no_profit_in_it() -> None:
    """A put so deep that its break-even is nothing: arithmetic stays finite."""
    found = greeks(100.0, 1e-6, 0.01, 0.1, 0.0, -1.0)
    assert all(math.isfinite(number) for number in found)
    assert found.profit_probability == 0.0


def test_normal_tails() -> None:
    """Both tails keep their relative accuracy."""
    assert normal_cdf(-10.0) == pytest.approx(7.61985302416e-24, rel=1e-9)
    assert normal_cdf(-37.0) == pytest.approx(5.725571222524e-300, rel=1e-9)
    assert (normal_cdf(0.0), normal_cdf(10.0)) == (0.5, 1.0)


@given(st.floats(-30, 30), st.floats(0, 5))
def test_normal_is_a_distribution(x: float, more: float) -> None:
    """Rising, and its two tails make one."""
    assert normal_cdf(x) <= normal_cdf(x + more)
    assert normal_cdf(x) + normal_cdf(-x) == pytest.approx(1.0, abs=1e-15)
