"""The website's volatility: Black-Scholes on spot, from another formula than ours."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.nse_compat import nse_compatible_volatility


def black_scholes(spot: float, strike: float, years: float, sigma: float, is_call: bool) -> float:
    """Black-Scholes-Merton on spot at 10 % (Hull, eq. 15.20 and 15.21), by the error function."""
    rate, sign = 0.10, 1.0 if is_call else -1.0
    d1 = (math.log(spot / strike) + (rate + 0.5 * sigma**2) * years) / (sigma * math.sqrt(years))
    d2 = d1 - sigma * math.sqrt(years)
    n1, n2 = (0.5 * (1.0 + math.erf(sign * d / math.sqrt(2.0))) for d in (d1, d2))
    return sign * (spot * n1 - strike * math.exp(-rate * years) * n2)


@given(
    st.floats(100.0, 50_000.0),
    st.floats(-2.0, 2.0),
    st.floats(1 / 365, 0.5),
    st.floats(0.05, 1.0),
    st.booleans(),
)
def test_nse_column_is_black_scholes_on_spot(
    spot: float, deviations: float, years: float, sigma: float, is_call: bool
) -> None:
    """From a Black-Scholes price of another formula comes back the volatility put in."""
    strike = spot * math.exp(deviations * sigma * math.sqrt(years))
    last = black_scholes(spot, strike, years, sigma, is_call)
    row = {
        "last_price": last,
        "spot": spot,
        "strike": strike,
        "years_to_expiry": years,
        "is_call": is_call,
    }
    found = nse_compatible_volatility(pl.DataFrame([row]))
    assert found["nse_implied_volatility"][0] == pytest.approx(sigma, rel=1e-7)


@pytest.mark.parametrize("last", [None, 0.0, math.nan, 1e-9, 1e9])
def test_nse_column_is_null_without_an_answer(last: float | None) -> None:
    """No price, or an impossible one."""
    row = {"last_price": last, "spot": 100.0, "strike": 90.0, "years_to_expiry": 0.1}
    schema = dict.fromkeys(row, pl.Float64)
    frame = pl.DataFrame([row], schema=schema).with_columns(is_call=pl.lit(True))
    assert nse_compatible_volatility(frame)["nse_implied_volatility"].to_list() == [None]
