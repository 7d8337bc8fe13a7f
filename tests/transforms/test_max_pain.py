"""Max pain: a published case, and the definition evaluated strike by strike."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.books import book_of, books, is_held
from transforms.layout import Book
from transforms.max_pain import payout_curve, warm, with_max_pain

RUPEES_PER_CRORE = 10_000_000

# Strike: call, put open interest; the payouts that the same source prints, ₹.
PUBLISHED = {7700: (1823400, 5783025), 7800: (3448575, 4864125), 7900: (5367450, 2559375)}
PUBLISHED_PAYOUTS = [998287500, 438277500, 709537500]


def chain(rows: dict[float, tuple[float | None, float | None]]) -> Book:
    """One expiry with open interest of call and put by strike."""
    return book_of(
        {
            "strike": [float(k) for k in rows for _ in range(2)],
            "is_call": [True, False] * len(rows),
            "open_interest_units": [value for pair in rows.values() for value in pair],
        }
    )


def found(
    rows: dict[float, tuple[float | None, float | None]], forward: float | None = None
) -> tuple[float | None, float | None]:
    """Max pain and payout of one expiry."""
    book = chain(rows)
    expiries = book.expiries.with_columns(forward=pl.lit(forward, pl.Float64))
    both = with_max_pain(book.strikes, expiries).select("max_pain", "max_pain_payout_crore")
    return both.row(0)


def payout(rows: list[tuple[float, float, float]], level: float) -> float:
    """The definition, ₹: what writers pay if it settles there."""
    calls = sum(max(level - k, 0) * c for k, c, _ in rows)
    return calls + sum(max(k - level, 0) * p for k, _, p in rows)


def test_published_payouts() -> None:
    """The payouts at each strike, and the least of them (owaiswiz/OptionMaxPain's own test)."""
    strike, call, put = (
        np.array(a) for a in zip(*((k, *v) for k, v in PUBLISHED.items()), strict=True)
    )
    curve = payout_curve(strike, call, put) * RUPEES_PER_CRORE
    assert curve == pytest.approx(PUBLISHED_PAYOUTS, rel=1e-15)
    assert found(dict(PUBLISHED)) == (7800.0, pytest.approx(43.82775, rel=1e-15))


@given(books(), st.lists(st.integers(0, 42), min_size=3, max_size=3))
def test_definition(book: Book, levels: list[int]) -> None:
    """The least payout over listed strikes; ties go to the nearest to the forward, then lower."""
    forwards = pl.Series([2.5 * n if n else None for n in levels], dtype=pl.Float64)
    expiries = book.expiries.with_columns(forward=forwards.head(len(book.expiries)))
    answers = with_max_pain(book.strikes, expiries)
    names = ("strike", "call_open_interest_units", "put_open_interest_units")
    for e, answer in enumerate(answers.iter_rows(named=True)):
        rows = [
            (k, c if is_held(c) else 0.0, p if is_held(p) else 0.0)
            for k, c, p in book.strikes.filter(pl.col("expiry_id") == e).select(names).rows()
        ]
        if sum(c + p for _, c, p in rows) == 0:
            assert answer["max_pain"] is None
            assert answer["max_pain_payout_crore"] is None
            continue
        forward = answer["forward"] or 0.0
        best = min((payout(rows, k), abs(k - forward), k) for k, _, _ in rows)
        assert answer["max_pain"] == best[2]
        assert answer["max_pain_payout_crore"] == pytest.approx(best[0] / RUPEES_PER_CRORE)


@given(books())
def test_curve(book: Book) -> None:
    """The curve is the definition at every strike, and as long as there are strikes."""
    strikes = book.strikes.filter(pl.col("expiry_id") == 0)
    names = ("strike", "call_open_interest_units", "put_open_interest_units")
    strike, call, put = (strikes[name].to_numpy() for name in names)
    rows = [
        (k, c if is_held(c) else 0.0, p if is_held(p) else 0.0)
        for k, c, p in zip(strike, call, put, strict=True)
    ]
    expected = [payout(rows, k) / RUPEES_PER_CRORE for k in strike]
    assert payout_curve(strike, call, put) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("rows", "forward", "expected"),
    [
        ({100: (0, 9), 110: (0, 0), 120: (9, 0)}, 111.0, 110.0),
        ({100: (0, 9), 110: (0, 0), 120: (9, 0)}, 119.0, 120.0),
        ({100: (0, 9), 110: (0, 0), 120: (9, 0)}, 105.0, 100.0),
        ({100: (0, 9), 110: (0, 0), 120: (9, 0)}, None, 100.0),
        ({100: (5, None), 110: (None, None)}, None, 100.0),
        ({100: (0, 0), 110: (0, 0)}, 105.0, None),
        ({100: (None, None), 110: (None, None)}, 105.0, None),
    ],
)
def test_ties_and_nothing(
    rows: dict[float, tuple[float | None, float | None]],
    forward: float | None,
    expected: float | None,
) -> None:
    """A flat bottom is decided by the forward, then downwards; no open interest gives none."""
    assert found(rows, forward)[0] == expected


def test_empty() -> None:
    """No strikes, no expiries: no rows, and the columns all the same."""
    book = chain({})
    answer = with_max_pain(book.strikes, book.expiries)
    assert answer.is_empty()
    assert {"max_pain", "max_pain_payout_crore"} < set(answer.columns)


def test_warm_compiles_what_is_called() -> None:
    """After it no kernel is compiled for the types that frames and curves hand in."""
    from transforms import max_pain

    warm()
    kernels = (max_pain.max_pain_of_expiries, max_pain._payouts)
    before = [len(kernel.signatures) for kernel in kernels]
    found(dict(PUBLISHED), 7800.0)
    test_published_payouts()
    assert [len(kernel.signatures) for kernel in kernels] == before
