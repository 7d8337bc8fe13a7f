"""The strikes next to the money: a chain worked by hand, and the definition row by row."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.books import book_of, books
from transforms.itm import DEPTHS, known_running_sum, next_to_the_money, weighted_running_mean
from transforms.layout import Book
from transforms.schemas import ITM

SUMMED = ("open_interest_units", "open_interest_change_units", "volume_units")


def priced(book: Book) -> Book:
    """Any volatility and delta for each contract, some unknown."""
    number = pl.int_range(pl.len())
    contracts = book.contracts.with_columns(
        implied_volatility=pl.when(number % 4 != 3).then(0.1 + 0.01 * number),
        delta_forward=0.5 - 0.01 * number,
    )
    return Book(contracts, book.strikes, book.expiries)


# Seven strikes, 100 at the money; calls hold 1 … 7 units and puts ten times as many.
BY_HAND = priced(
    book_of(
        {
            "strike": [70.0 + 10 * i for i in range(7) for _ in range(2)],
            "is_call": [True, False] * 7,
            "spot": [101.0] * 14,
            "open_interest_units": [u for i in range(1, 8) for u in (float(i), 10.0 * i)],
            "previous_open_interest_units": [1.0] * 14,
            "volume_units": [u for i in range(1, 8) for u in (i, 100 * i)],
        }
    )
)


def test_by_hand() -> None:
    """Calls below 100: 90 holds 3, 80 holds 2, 70 holds 1; puts above: 110 holds 50, 60, 70."""
    found = next_to_the_money(BY_HAND.contracts, BY_HAND.strikes, BY_HAND.expiries)
    calls, puts = found.filter("is_call"), found.filter(~pl.col("is_call"))
    assert calls["open_interest_units"].to_list() == [3.0, 5.0, 6.0, 6.0, 6.0]
    assert calls["open_interest_change_units"].to_list() == [2.0, 3.0, 3.0, 3.0, 3.0]
    assert calls["volume_units"].to_list() == [3, 5, 6, 6, 6]
    assert puts["open_interest_units"].to_list() == [50.0, 110.0, 180.0, 180.0, 180.0]
    assert puts["volume_units"].to_list() == [500, 1100, 1800, 1800, 1800]
    # The two nearest calls are contracts 5 (volatility 0.15) and 3 (unknown); deltas 0.45 and 0.47.
    assert calls["weighted_implied_volatility"][1] == pytest.approx(0.15)
    assert calls["weighted_delta_forward"][1] == pytest.approx((3 * 0.45 + 2 * 0.47) / 5)


def test_shape() -> None:
    """Ten rows for each expiry, by depth, put before call; conforming."""
    found = next_to_the_money(BY_HAND.contracts, BY_HAND.strikes, BY_HAND.expiries)
    keys = [(depth, is_call) for depth in DEPTHS for is_call in (False, True)]
    assert found.select("depth", "is_call").rows() == keys
    assert len(ITM.conform(found.with_columns(formula_version=pl.lit("1")))) == 10


def expected(rows: list[dict[str, float | None]], name: str) -> float | None:
    """The sum of what is known."""
    values = [v for row in rows if (v := row[name]) is not None and math.isfinite(v)]
    return sum(values) if values else None


def expected_mean(rows: list[dict[str, float | None]], name: str) -> float | None:
    """Weighted by what is held of the contracts that have the figure."""
    pairs = [(row["open_interest_units"], row[name]) for row in rows]
    used = [(w, v) for w, v in pairs if w is not None and 0 < w < math.inf and v is not None]
    return sum(w * v for w, v in used) / sum(w for w, _ in used) if used else None


@given(books())
def test_definition(book: Book) -> None:
    """Of the n strikes below the money the calls, of the n above it the puts, as listed."""
    contracts = priced(book).contracts
    found = next_to_the_money(contracts, book.strikes, book.expiries)
    assert len(found) == 10 * len(book.expiries)
    for row in found.iter_rows(named=True):
        own = contracts.filter(pl.col("expiry") == row["expiry"])
        spot, strikes = own["spot"][0], own["strike"].unique().sort().to_list()
        chosen: list[float] = []
        if spot is not None:
            money = min(strikes, key=lambda k: (abs(k - spot), k))
            below = [k for k in reversed(strikes) if k < money]
            above = [k for k in strikes if k > money]
            chosen = (below if row["is_call"] else above)[: row["depth"]]
        is_chosen = pl.col("strike").is_in(chosen) & (pl.col("is_call") == row["is_call"])
        rows = own.filter(is_chosen).to_dicts()
        for name in SUMMED:
            assert row[name] == expected(rows, name)
        for name in ("implied_volatility", "delta_forward"):
            mean = expected_mean(rows, name)
            assert row[f"weighted_{name}"] == (None if mean is None else pytest.approx(mean))


@given(st.lists(st.one_of(st.just(math.nan), st.floats(-9, 9)), min_size=1, max_size=6))
def test_running_figures(row: list[float]) -> None:
    """Deeper sums hold shallower ones; with equal weights the mean is the sum over the count."""
    values = np.array([row])
    total = known_running_sum(values)[0]
    counts = np.cumsum(~np.isnan(values[0]))
    assert np.array_equal(np.isnan(total), counts == 0)
    mean = weighted_running_mean(values, np.full(values.shape, 3.0))[0]
    assert mean[counts > 0] == pytest.approx(total[counts > 0] / counts[counts > 0])
    assert np.isnan(weighted_running_mean(values, np.zeros(values.shape))).all()
