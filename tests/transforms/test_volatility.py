"""At-the-money volatility."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given

from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, quotes_of, truths
from transforms.chain import analyse
from transforms.volatility import ATM_STATUSES, at_the_money


def contracts(
    points: list[tuple[float, float | None]], forward: float | None = 100.0, status: str = "ok"
) -> pl.DataFrame:
    """Priced rows of one expiry: (strike, volatility)."""
    rows = [
        {
            "symbol": "A",
            "expiry": EXPIRIES[1],
            "strike": strike,
            "forward": forward,
            "years_to_expiry": 0.1,
            "implied_volatility": value,
            "iv_status": status,
        }
        for strike, value in points
    ]
    floats = dict.fromkeys(("forward", "implied_volatility"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=floats)


def test_total_variance_is_linear_in_moneyness() -> None:
    """Worked by hand: strikes 95 and 110 around a forward of 100."""
    found = at_the_money(contracts([(90.0, 0.5), (95.0, 0.3), (110.0, 0.2), (120.0, 0.9)]))
    low, high = math.log(95 / 100), math.log(110 / 100)
    share = -low / (high - low)
    expected = math.sqrt((1 - share) * 0.3**2 + share * 0.2**2)
    assert found["atm_implied_volatility"][0] == pytest.approx(expected)
    assert found["atm_status"][0] == "atm_ok"


def test_a_strike_at_the_forward_is_taken_as_it_is() -> None:
    """No interpolation, and no neighbours needed."""
    found = at_the_money(contracts([(100.0, 0.25)]))
    assert found["atm_implied_volatility"][0] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (contracts([(95.0, 0.3), (99.0, 0.3)]), "no_bracket"),
        (contracts([(105.0, 0.3)]), "no_bracket"),
        (contracts([(95.0, None), (105.0, 0.3)]), "no_bracket"),
        (contracts([(95.0, None)], forward=None, status="invalid"), "no_forward"),
        (contracts([(95.0, None), (105.0, None)], status="settling"), "settling"),
    ],
)
def test_null_with_a_reason(frame: pl.DataFrame, status: str) -> None:
    """Never extrapolated, never zero."""
    found = at_the_money(frame)
    assert found["atm_implied_volatility"].to_list() == [None]
    assert found["atm_status"].to_list() == [status]
    assert status in ATM_STATUSES


@given(truths())
def test_finds_the_smile_at_the_forward(truth: Truth) -> None:
    """On a gentle smile the interpolated volatility is the true one to a basis point."""
    expiries = analyse(quotes_of(truth), AS_OF, RULES).expiries
    assert expiries["atm_implied_volatility"][0] == pytest.approx(truth.volatility, abs=1e-4)
