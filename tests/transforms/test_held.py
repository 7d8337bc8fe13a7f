"""What is held in the money: prefix sums against the full sums, trapped writers, totals."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.books import AS_OF, book_of, books, is_held
from transforms import held
from transforms.build_up import with_build_up
from transforms.context import PREVIOUS
from transforms.held import HeldInTheMoney, held_totals, with_held
from transforms.layout import Book

spots = st.one_of(
    st.integers(0, 42).map(lambda n: 2.5 * n), st.sampled_from([math.nan, math.inf, -1.0])
)


def full(legs: list[tuple[float, bool, float | None]], spot: float | None) -> tuple[float, ...]:
    """In the money, in all (units) and intrinsic value (₹ crore), leg by leg; NaN without."""
    counted = [(k, c, u) for k, c, u in legs if u is not None and is_held(u)]
    if not counted or spot is None or not 0 < spot < math.inf:
        return math.nan, math.nan, math.nan
    worth = [(max(spot - k, 0.0) if c else max(k - spot, 0.0), u) for k, c, u in counted]
    inside = sum(u for value, u in worth if value > 0)
    return inside, sum(u for _, u in worth), sum(value * u for value, u in worth) / 1e7


def legs_of(book: Book, expiry_id: int) -> list[tuple[float, bool, float | None]]:
    """Strike, side and open interest of an expiry's contracts."""
    own = book.contracts.filter(pl.col("expiry_id") == expiry_id)
    return own.select("strike", "is_call", "open_interest_units").rows()


def share(inside: float, whole: float) -> float:
    """NaN if nothing is held."""
    return inside / whole if whole > 0 else math.nan


def with_words(book: Book) -> pl.DataFrame:
    """The contracts with a build-up, from any prices: every third fell and every seventh is new."""
    number = pl.int_range(pl.len())
    priced = book.contracts.with_columns(
        last_price=pl.when(number % 3 == 0).then(5.0).otherwise(15.0),
        previous_close_price=pl.when(number % 7 != 6).then(10.0),
    )
    return worded(priced)


def worded(contracts: pl.DataFrame) -> pl.DataFrame:
    """With the day's build-up; nothing earlier is known."""
    terms = ("premium", "forward", "delta_forward", "gamma_forward", "theta_per_day")
    unknown = contracts.with_columns(pl.lit(None, pl.Float64).alias(name) for name in terms)
    return with_build_up(unknown, PREVIOUS.empty(), AS_OF, 0.05)


@given(books(), spots)
def test_any_spot(book: Book, spot: float) -> None:
    """Prefix sums say what summing every leg says, for each expiry and for all of them."""
    count = len(book.expiries)
    now = HeldInTheMoney.of(book.strikes, count).at(spot)
    expected = np.array([full(legs_of(book, e), spot) for e in range(count)]).reshape(count, 3)
    shares = [share(inside, whole) for inside, whole, _ in expected]
    assert now.itm_open_interest_share == pytest.approx(shares, nan_ok=True)
    assert now.intrinsic_value_crore == pytest.approx(expected[:, 2], nan_ok=True, abs=1e-12)
    known = expected[~np.isnan(expected[:, 2])].sum(axis=0) if count else np.zeros(3)
    is_known = not np.isnan(expected).all()
    assert now.total_itm_open_interest_share == pytest.approx(
        share(known[0], known[1]) if is_known else math.nan, nan_ok=True
    )
    assert now.total_intrinsic_value_crore == pytest.approx(
        known[2] if is_known else math.nan, nan_ok=True, abs=1e-12
    )


@given(books())
def test_frame(book: Book) -> None:
    """Each expiry at its own spot; null, not NaN, where nothing is known."""
    found = with_held(with_words(book), book.strikes, book.expiries)
    for e, row in enumerate(found.iter_rows(named=True)):
        inside, whole, crore = full(legs_of(book, e), row["spot"])
        pairs = [
            ("itm_open_interest_share", share(inside, whole)),
            ("intrinsic_value_crore", crore),
        ]
        for name, expected in pairs:
            assert row[name] == (None if math.isnan(expected) else pytest.approx(expected))


@given(books())
def test_trapped(book: Book) -> None:
    """Added while the price fell and in the money now; null without a build-up or a spot."""
    words = with_words(book)
    found = with_held(words, book.strikes, book.expiries)
    for e, spot in enumerate(found["spot"]):
        for side in (True, False):
            own = words.filter(
                (pl.col("expiry_id") == e)
                & (pl.col("is_call") == side)
                & pl.col("build_up").is_not_null()
            ).to_dicts()
            trapped = [
                row["open_interest_change_units"]
                for row in own
                if spot is not None
                and row["build_up"] == "short_build_up"
                and ((row["strike"] < spot) if side else (row["strike"] > spot))
            ]
            name = f"trapped_{'call' if side else 'put'}_writer_units"
            assert found[name][e] == (sum(trapped) if own and spot is not None else None)


def test_by_hand() -> None:
    """Spot 110: the 100 call, written by 400 while its price fell, is trapped; no other leg is.

    The 110 legs are written too, but at the money and not in it; the 120 put was bought.
    """
    book = book_of(
        {
            "strike": [100.0, 110.0, 110.0, 120.0, 120.0],
            "is_call": [True, True, False, True, False],
            "spot": [110.0] * 5,
            "last_price": [10.5, 4.0, 4.0, 1.0, 9.0],
            "previous_close_price": [11.0, 5.0, 5.0, 2.0, 8.0],
            "open_interest_units": [1000.0, 900.0, 900.0, 500.0, 2500.0],
            "previous_open_interest_units": [600.0, 0.0, 0.0, 100.0, 1000.0],
        }
    )
    words = worded(book.contracts)
    row = with_held(words, book.strikes, book.expiries).to_dicts()[0]
    assert row["trapped_call_writer_units"] == 400.0
    assert row["trapped_put_writer_units"] == 0.0
    assert row["itm_open_interest_share"] == 3500 / 5800
    assert row["intrinsic_value_crore"] == pytest.approx((10 * 1000 + 10 * 2500) / 1e7)


@given(books())
def test_totals(book: Book) -> None:
    """An underlying's share is that of all its open interest, not a mean of shares."""
    expiries = with_held(with_words(book), book.strikes, book.expiries)
    total = expiries.group_by("symbol").agg(held_totals()).to_dicts()
    if not total:
        assert expiries.is_empty()
        return
    figures = [full(legs_of(book, e), spot) for e, spot in enumerate(expiries["spot"])]
    known = [f for f in figures if not math.isnan(f[2])]
    expected = share(sum(f[0] for f in known), sum(f[1] for f in known))
    found = total[0]["itm_open_interest_share"]
    assert found == (None if math.isnan(expected) else pytest.approx(expected))
    crore = total[0]["intrinsic_value_crore"]
    assert crore == (pytest.approx(sum(f[2] for f in known)) if known else None)


def test_warm_compiles_what_is_called() -> None:
    """After it no kernel is compiled for the types that frames and ticks hand in."""
    held.warm()
    kernels = (held.prefix_sums, held.held_at, held.held_of_expiries)
    before = [len(kernel.signatures) for kernel in kernels]
    test_by_hand()
    book = book_of({"strike": [100.0], "is_call": [True], "open_interest_units": [5.0]})
    HeldInTheMoney.of(book.strikes, 1).at(101)
    assert [len(kernel.signatures) for kernel in kernels] == before
