"""Places of strikes from the money, and buckets in standard deviations."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.books import book_of, books
from transforms import moneyness
from transforms.layout import Book
from transforms.moneyness import BUCKETS, at_the_money_rows, buckets, steps_from_the_money
from transforms.schemas import MONEYNESS

SUMMED = ("open_interest_units", "open_interest_change_units", "volume_units")


def listed(*strikes: float, spot: float | None = None) -> Book:
    """One expiry with calls only."""
    return book_of(
        {
            "strike": pl.Series(strikes, dtype=pl.Float64),
            "is_call": [True] * len(strikes),
            "spot": [spot] * len(strikes),
            "open_interest_units": [1.0] * len(strikes),
        }
    )


@pytest.mark.parametrize(
    ("forward", "spot", "expected"),
    [
        (104.0, None, [-1, 0, 1]),
        (106.0, None, [-2, -1, 0]),
        (95.0, None, [0, 1, 2]),
        (94.0, 100.0, [0, 1, 2]),
        (None, 100.0, [-1, 0, 1]),
        (math.nan, 100.0, [-1, 0, 1]),
        (0.0, 100.0, [-1, 0, 1]),
        (105.0, None, [-1, 0, 1]),
        (1e9, None, [-2, -1, 0]),
        (None, None, [None, None, None]),
        (math.inf, -5.0, [None, None, None]),
    ],
)
def test_steps(forward: float | None, spot: float | None, expected: list[int | None]) -> None:
    """The forward decides, else spot; of two equally near the lower is at the money."""
    book = listed(90.0, 100.0, 110.0)
    expiries = book.expiries.with_columns(
        forward=pl.lit(forward, pl.Float64), spot=pl.lit(spot, pl.Float64)
    )
    assert steps_from_the_money(book.strikes, expiries).to_list() == expected


@given(books())
def test_nearest(book: Book) -> None:
    """No other strike of the expiry is nearer, nor as near and lower."""
    rows = at_the_money_rows(book.strikes, book.expiries)
    assert len(rows) == len(book.expiries)
    for e, (row, spot) in enumerate(zip(rows, book.expiries["spot"], strict=True)):
        own = book.strikes.with_row_index("row").filter(pl.col("expiry_id") == e)
        if spot is None:
            assert row == -1
            continue
        ordered = sorted((abs(k - spot), k, i) for i, k in own.select("row", "strike").rows())
        assert row == ordered[0][2]


def bucket_of(m: float) -> str:
    """The table of buckets, written once more."""
    if abs(m) <= 0.25:
        return "at_the_money"
    size = next(i for i, bound in enumerate((1.0, 2.0, math.inf)) if abs(m) <= bound)
    return BUCKETS[4 + size] if m > 0 else BUCKETS[2 - size]


def known(values: list[float | int | None]) -> float | None:
    """The sum of what is known."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    return sum(finite) if finite else None


@given(books(), st.floats(0.01, 3.0), st.floats(0.0005, 2.0))
def test_buckets(book: Book, volatility: float, years: float) -> None:
    """Every contract is counted once, in the bucket of its own distance, and nothing else is."""
    expiries = book.expiries.with_columns(
        atm_implied_volatility=pl.lit(volatility), years_to_expiry=pl.lit(years)
    )
    expected: dict[tuple[object, ...], list[dict[str, object]]] = {}
    forwards = expiries["forward"].to_list()
    for row in book.contracts.iter_rows(named=True):
        if (forward := forwards[row["expiry_id"]]) is not None:
            m = math.log(row["strike"] / forward) / (volatility * math.sqrt(years))
            key = (row["expiry"], bucket_of(m), row["is_call"])
            expected.setdefault(key, []).append(row)
    answer = buckets(book.contracts, book.strikes, expiries)
    MONEYNESS.conform(answer.with_columns(formula_version=pl.lit("1")))
    keys = answer.select("expiry", "bucket", "is_call").rows()
    assert set(keys) == set(expected) and len(keys) == len(set(keys))
    assert keys == sorted(keys, key=lambda k: (k[0], BUCKETS.index(k[1]), k[2]))
    for key, row in zip(keys, answer.iter_rows(named=True), strict=True):
        assert row["contract_count"] == len(expected[key])
        for name in SUMMED:
            assert row[name] == pytest.approx(known([r[name] for r in expected[key]]))


@pytest.mark.parametrize(
    ("deviations", "bucket"),
    [
        (-2.1, "below_minus_2"),
        (-1.9, "minus_2_to_minus_1"),
        (-0.5, "minus_1_to_minus_0.25"),
        (-0.2, "at_the_money"),
        (0.0, "at_the_money"),
        (0.2, "at_the_money"),
        (0.3, "0.25_to_1"),
        (1.5, "1_to_2"),
        (2.5, "above_2"),
    ],
)
def test_names_of_buckets(deviations: float, bucket: str) -> None:
    """A strike that many standard deviations away, of 24 000 at 15 % in a week, is named so."""
    book = listed(24_000 * math.exp(deviations * 0.15 * math.sqrt(7 / 365)), spot=24_000.0)
    expiries = book.expiries.with_columns(atm_implied_volatility=0.15, years_to_expiry=7 / 365)
    assert buckets(book.contracts, book.strikes, expiries)["bucket"].to_list() == [bucket]


@pytest.mark.parametrize("bound", [-2.0, -1.0, -0.25, 1.0, 2.0])
def test_a_bound_is_nearer_to_the_money(bound: float) -> None:
    """A strike exactly on a bound is in the bucket towards the money."""
    book = listed(math.exp(bound), spot=1.0)
    expiries = book.expiries.with_columns(atm_implied_volatility=1.0, years_to_expiry=1.0)
    found = buckets(book.contracts, book.strikes, expiries)["bucket"].to_list()
    assert found == [bucket_of(0.999 * bound)]


@pytest.mark.parametrize(
    ("forward", "volatility", "years"),
    [
        (None, 0.2, 0.1),
        (100.0, None, 0.1),
        (100.0, 0.0, 0.1),
        (100.0, math.nan, 0.1),
        (100.0, 0.2, -0.1),
        (100.0, 0.2, 0.0),
        (-1.0, 0.2, 0.1),
    ],
)
def test_no_measure_no_bucket(
    forward: float | None, volatility: float | None, years: float
) -> None:
    """Without forward, volatility or time there is no distance, hence no row."""
    book = listed(90.0, 100.0)
    expiries = book.expiries.with_columns(
        forward=pl.lit(forward, pl.Float64),
        atm_implied_volatility=pl.lit(volatility, pl.Float64),
        years_to_expiry=pl.lit(years),
    )
    answer = buckets(book.contracts, book.strikes, expiries)
    assert MONEYNESS.conform(answer.with_columns(formula_version=pl.lit("1"))).is_empty()


def test_warm_compiles_what_is_called() -> None:
    """After it no kernel is compiled for the types that frames hand in."""
    moneyness.warm()
    before = len(moneyness.nearest_rows.signatures)
    test_steps(104.0, None, [-1, 0, 1])
    assert len(moneyness.nearest_rows.signatures) == before
