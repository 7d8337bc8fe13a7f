"""The broker's units become ours, exactly once and without surprises."""

from __future__ import annotations

import math
from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox.units import expiry_from_ms, fraction_from_percent, known, rupees_from_paise
from market.rules import IST


def test_documented_figures() -> None:
    """5 paise are ₹0.05; 12.77 percent are 0.1277."""
    assert rupees_from_paise(5.0) == 0.05
    assert fraction_from_percent(12.77) == pytest.approx(0.1277, rel=1e-15)


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_expiry_is_the_indian_date(day: date) -> None:
    """The last second of the day in India is that day, although UTC calls it so too early."""
    last_second = datetime.combine(day, time(23, 59, 59), IST)
    first_second = datetime.combine(day, time(0, 0, 0), IST)
    assert expiry_from_ms(int(last_second.timestamp()) * 1000) == day
    assert expiry_from_ms(int(first_second.timestamp()) * 1000) == day


@pytest.mark.parametrize("epoch_ms", [10**18, -(10**18)])
def test_impossible_expiry(epoch_ms: int) -> None:
    """A number that no date can hold is a ``ValueError``, the readers' own kind."""
    with pytest.raises(ValueError, match="not epoch milliseconds"):
        expiry_from_ms(epoch_ms)


@given(st.none() | st.floats())
def test_known_is_never_zero_nor_infinite(value: float | None) -> None:
    """What passes is unchanged; zero, NaN and infinity are nothing."""
    result = known(value)
    if result is None:
        assert value is None or value == 0 or not math.isfinite(value)
    else:
        assert result == value and abs(result) > 0
