"""Black-76 against published values, parity and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.pricing import Priced, black76, normal_cdf

_FORWARD = st.floats(50, 100_000)
_RATIO = st.floats(0.7, 1.4)
_YEARS = st.floats(1e-3, 2.0)
_VOLATILITY = st.floats(0.05, 1.0)
_RATE = st.floats(0.0, 0.1)


def _price(forward: float, strike: float, years: float, volatility: float, **more: float) -> Priced:
    numbers = (np.array([x]) for x in (forward, strike, years, volatility))
    return black76(
        *numbers,
        rate=np.array([more.get("rate", 0.0)]),
        sign=np.array([more.get("sign", 1.0)]),
    )


def test_published_value() -> None:
    """py_vollib's own Black example."""
    priced = _price(100, 100, 0.5, 0.2, rate=0.02)
    assert priced.price[0] == pytest.approx(5.5811067246, abs=1e-9)


@given(_FORWARD, _RATIO, _YEARS, _VOLATILITY, _RATE)
def test_put_call_parity(
    forward: float, ratio: float, years: float, volatility: float, rate: float
) -> None:
    """Call less put is the discounted forward less strike; gamma and vega are shared."""
    strike = forward * ratio
    call = _price(forward, strike, years, volatility, rate=rate, sign=1.0)
    put = _price(forward, strike, years, volatility, rate=rate, sign=-1.0)
    expected = np.exp(-rate * years) * (forward - strike)
    assert call.price - put.price == pytest.approx(expected, abs=1e-9 * forward)
    assert call.gamma == put.gamma
    assert call.vega_per_vol_point == put.vega_per_vol_point


@given(_RATIO, st.floats(0.02, 1.0), st.floats(0.1, 0.6), _RATE, st.sampled_from([1.0, -1.0]))
def test_greeks_are_the_derivatives(
    ratio: float, years: float, volatility: float, rate: float, sign: float
) -> None:
    """Each Greek against a central difference of the price."""
    forward, strike, more = 100.0, 100.0 * ratio, {"rate": rate, "sign": sign}
    here = _price(forward, strike, years, volatility, **more)

    def at(df: float = 0.0, dt: float = 0.0, dv: float = 0.0) -> float:
        priced = _price(forward + df, strike, years + dt, volatility + dv, **more)
        return float(priced.price[0])

    assert here.delta[0] == pytest.approx((at(df=1e-3) - at(df=-1e-3)) / 2e-3, abs=1e-6)
    assert here.gamma[0] == pytest.approx(
        (at(df=0.01) - 2 * at() + at(df=-0.01)) / 0.01**2, abs=1e-4
    )
    assert here.theta_per_day[0] == pytest.approx(
        (at(dt=-1e-5) - at(dt=1e-5)) / 2e-5 / 365, abs=1e-5
    )
    assert here.vega_per_vol_point[0] == pytest.approx(
        (at(dv=1e-5) - at(dv=-1e-5)) / 2e-3, abs=1e-5
    )


def test_normal_tails() -> None:
    """Both tails keep their relative accuracy."""
    low, middle, high = normal_cdf(np.array([-10.0, 0.0, 10.0]))
    assert low == pytest.approx(7.61985302416e-24, rel=1e-9)
    assert (middle, high) == (0.5, 1.0)
