"""The figures of a set, on answers whose errors are known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from benchmarks.accuracy import Measured, judge
from benchmarks.exact_roots import Roots


def _measured(name: str = "universe") -> Measured:
    volatility = np.array([0.1, 0.2, 0.3, np.nan])
    half_ulp = np.array([1e-16, 1e-16, 1e-3, np.nan])
    nothing = np.zeros(4)
    return Measured(
        name, pl.DataFrame(), Roots(volatility, nothing, half_ulp, volatility, volatility)
    )


def _solved(*volatility: float) -> pl.DataFrame:
    greeks = [0.1 * (1 + 1e-6), 0.2, 0.3, 1.0]
    return pl.DataFrame({"implied_volatility": volatility, "gamma": greeks, "vega": greeks})


def test_shares_and_maximum() -> None:
    """Of the rows with a root: shares within a distance, the largest, and an answer to no root."""
    found = judge(_measured(), _solved(0.1, 0.2 * (1 + 1e-9), 0.3 * (1 + 1e-6), 0.5))
    assert found["rows"] == 3
    assert found["within_1e_12"] == pytest.approx(1 / 3)
    assert found["within_1e_8"] == pytest.approx(2 / 3)
    assert found["max"] == pytest.approx(1e-6, rel=1e-6)
    assert found["made_up_share"] == 1.0
    assert found["gamma_p999"] == pytest.approx(1e-6, rel=1e-2)


def test_a_miss_counts_in_full() -> None:
    """No number where there is a root is an error of 1, and none where there is none is right."""
    found = judge(_measured(), _solved(0.1, np.nan, 0.3, np.nan))
    assert found["max"] == 1.0
    assert found["within_1e_12"] == pytest.approx(2 / 3)
    assert found["made_up_share"] == 0.0


def test_ill_conditioned_rows_stand_apart() -> None:
    """In the money, a row is forgiven what half an ulp of its premium does, sixteen times over."""
    found = judge(_measured("itm"), _solved(0.1, 0.2, 0.3 * (1 + 1e-2), np.nan))
    assert found["well_conditioned_rows"] == 2
    assert found["well_conditioned_max"] < 1e-15
    assert found["ill_conditioned_attained"] == 1.0
    assert found["ill_conditioned_wrong"] == 1.0
    found = judge(_measured("itm"), _solved(0.1, 0.2, 0.3 * (1 + 2e-2), np.nan))
    assert found["ill_conditioned_attained"] == 0.0
