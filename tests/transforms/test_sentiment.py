"""Put-call ratios and the sums behind them."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given

from tests.books import book_of, books
from transforms.layout import Book
from transforms.sentiment import (
    expiry_sums,
    more_put_call_ratios,
    open_interest_sums,
    put_call_ratios,
    strike_sums,
    volume_sums,
    with_sentiment_terms,
)

SUMMED = ("open_interest_units", "open_interest_change_units", "volume_units")


def ratios(
    rows: list[tuple[bool, float | None, int | None]],
) -> tuple[float | None, float | None]:
    """PCR by open interest and by volume of rows (is_call, open interest, volume)."""
    schema = {
        "is_call": pl.Boolean,
        "open_interest_units": pl.Float64,
        "volume_units": pl.Int64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(symbol=pl.lit("A"))
    sums = frame.group_by("symbol").agg(*open_interest_sums(), *volume_sums())
    return sums.select(put_call_ratios()).row(0)


def sums_of(book: Book, near_steps: int = 5) -> pl.DataFrame:
    """Sums and ratios of each expiry from its strikes, the strikes' volatility known."""
    terms = with_sentiment_terms(book.strikes, book.expiries, near_steps)
    priced = terms.with_columns(implied_volatility=pl.lit(0.15))
    sums = priced.group_by("expiry_id", maintain_order=True).agg(strike_sums())
    return sums.with_columns(*put_call_ratios(), *more_put_call_ratios())


def known(values: list[float | None]) -> float | None:
    """The sum of what is known and finite."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    return sum(finite) if finite else None


def quotient(puts: float | None, calls: float | None) -> float | None:
    """Null unless the calls sum to more than nothing."""
    return puts / calls if puts is not None and calls is not None and calls > 0 else None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(True, 10.0, 4), (False, 5.0, 8)], (0.5, 2.0)),
        ([(True, 0.0, 0), (False, 5.0, 8)], (None, None)),
        ([(True, None, None), (False, 5.0, 8)], (None, None)),
        ([(True, 10.0, 4), (False, None, None)], (None, None)),
        ([(False, 5.0, 8)], (None, None)),
        ([(True, 10.0, 4), (False, 0.0, 0)], (0.0, 0.0)),
        ([(True, 10.0, None), (True, None, 4), (False, 5.0, 8)], (0.5, 2.0)),
        ([(True, 10.0, None), (True, math.nan, 4), (False, 5.0, 8)], (0.5, 2.0)),
        ([(True, 10.0, None), (True, math.inf, 4), (False, 5.0, 8)], (0.5, 2.0)),
    ],
)
def test_null_is_not_zero(
    rows: list[tuple[bool, float | None, int | None]], expected: tuple[float | None, ...]
) -> None:
    """Null when the calls sum to nothing or a side is unknown; zero only when puts are zero."""
    assert ratios(rows) == expected


@given(books())
def test_sums_of_strikes(book: Book) -> None:
    """Sums over strikes and their ratios are those of the contracts, summed one by one."""
    for row in sums_of(book).iter_rows(named=True):
        own = book.contracts.filter(pl.col("expiry_id") == row["expiry_id"])
        for name in SUMMED:
            calls, puts = (
                known(own.filter(pl.col("is_call") == c)[name].to_list()) for c in (True, False)
            )
            assert (row[f"call_{name}"], row[f"put_{name}"]) == (calls, puts)
            ratio = row[f"pcr_{name.removesuffix('_units')}"]
            assert ratio == quotient(puts, calls)
        assert row["contract_count"] == row["priced_count"] == len(own)


@given(books())
def test_near(book: Book) -> None:
    """The strike at the money and so many listed ones on each side of it, at any width."""
    for steps in (0, 1, 5):
        for row in sums_of(book, steps).iter_rows(named=True):
            own = book.contracts.filter(pl.col("expiry_id") == row["expiry_id"])
            spot, strikes = own["spot"][0], own["strike"].unique().sort().to_list()
            chosen: list[float] = []
            if spot is not None:
                place = min(range(len(strikes)), key=lambda i: (abs(strikes[i] - spot), strikes[i]))
                chosen = strikes[max(place - steps, 0) : place + steps + 1]
            near = own.filter(pl.col("strike").is_in(chosen))
            calls, puts = (
                known(near.filter(pl.col("is_call") == c)["open_interest_units"].to_list())
                for c in (True, False)
            )
            assert row["pcr_near_open_interest"] == quotient(puts, calls)


@given(books())
def test_an_underlying_is_the_sum_of_its_expiries(book: Book) -> None:
    """Summed over expiries first, or over contracts at once: the same figures."""
    expiries = sums_of(book)
    total = expiries.select(expiry_sums()).with_columns(put_call_ratios())
    at_once = book.contracts.select(*open_interest_sums(), *volume_sums())
    assert total.select(at_once.columns).row(0) == at_once.row(0)
    assert total.select("pcr_open_interest", "pcr_volume").row(0) == at_once.select(
        put_call_ratios()
    ).row(0)
    assert total["contract_count"].item() == len(book.contracts)


def test_counts() -> None:
    """A strike counts for its listed legs, and as priced if it has a volatility."""
    book = book_of({"strike": [100.0, 100.0, 110.0], "is_call": [True, False, True]})
    strikes = with_sentiment_terms(book.strikes, book.expiries).with_columns(
        implied_volatility=pl.Series([0.2, None])
    )
    counts = strikes.group_by("expiry_id").agg(strike_sums())
    assert counts.select("contract_count", "priced_count").row(0) == (3, 2)


@pytest.mark.parametrize(
    ("calls", "puts", "expected"),
    [
        ((150.0, 100.0), (200.0, 100.0), 2.0),
        ((150.0, 100.0), (50.0, 100.0), -1.0),
        ((100.0, 100.0), (200.0, 100.0), None),
        ((50.0, 100.0), (200.0, 100.0), None),
        ((150.0, None), (200.0, 100.0), None),
    ],
)
def test_ratio_of_changes(
    calls: tuple[float, float | None], puts: tuple[float, float], expected: float | None
) -> None:
    """Null unless calls were added; both sums stay, from which the difference is taken."""
    held, before = zip(calls, puts, strict=True)
    book = book_of(
        {
            "strike": [100.0, 100.0],
            "is_call": [True, False],
            "open_interest_units": held,
            "previous_open_interest_units": before,
        }
    )
    row = sums_of(book).to_dicts()[0]
    assert row["pcr_open_interest_change"] == expected
    assert row["put_open_interest_change_units"] == puts[0] - puts[1]
