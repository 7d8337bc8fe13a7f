"""Constant maturity, rank and percentile, and the premium over realised volatility."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.test_realised import bars, walk
from transforms.columns import TERM
from transforms.context import DAILY_VOLATILITY, Context
from transforms.realised import realised_of_symbols
from transforms.term import (
    FEWEST_HISTORY_DAYS,
    HISTORY_DAYS,
    TERM_STATUSES,
    constant_maturity,
    ranks,
    ranks_of_symbols,
    volatilities_at,
    warm,
    with_term,
)

AS_OF = datetime(2026, 9, 29, 10, 0, tzinfo=UTC)
TODAY = date(2026, 9, 29)


def expiries(*points: tuple[float | None, float | None], symbol: str = "A") -> pl.DataFrame:
    """Expiries of one symbol: (days to settlement, volatility)."""
    rows = [
        (symbol, None if days is None else days / 365, volatility) for days, volatility in points
    ]
    floats = {"years_to_expiry": pl.Float64, "atm_implied_volatility": pl.Float64}
    return pl.DataFrame(rows, schema={"symbol": pl.String} | floats, orient="row")


def history(values: list[float], *, last: date = TODAY - timedelta(1)) -> pl.DataFrame:
    """One volatility a day, the last on ``last``."""
    days = [last - timedelta(len(values) - 1 - i) for i in range(len(values))]
    rows = [
        ("A", day, datetime(day.year, day.month, day.day, 10, tzinfo=UTC), value)
        for day, value in zip(days, values, strict=True)
    ]
    return DAILY_VOLATILITY.conform(
        pl.DataFrame(rows, schema=DAILY_VOLATILITY.polars, orient="row")
    )


def ranked(value: float | None, daily: pl.DataFrame) -> dict[str, object]:
    """Rank, percentile and days of today's volatility."""
    schema = {"symbol": pl.String, "implied_volatility_30_day": pl.Float64}
    current = pl.DataFrame([("A", value)], schema=schema, orient="row")
    return ranks(current, daily, AS_OF).row(0, named=True)


def test_variance_is_linear_in_time() -> None:
    """Worked by hand: 20 % for 20 days and 30 % for 50, at 30 days."""
    found = constant_maturity(expiries((20, 0.2), (50, 0.3)))
    total = 20 * 0.2**2 + 10 / 30 * (50 * 0.3**2 - 20 * 0.2**2)
    assert found["volatility"][0] == pytest.approx(math.sqrt(total / 30))
    assert found["term_status"][0] == "interpolated"


@given(
    st.lists(
        st.tuples(st.floats(0.01, 400), st.floats(0.01, 2)), min_size=2, unique_by=lambda p: p[0]
    ),
    st.floats(1, 300),
)
def test_total_variance_lies_between_the_neighbours(
    points: list[tuple[float, float]], days: float
) -> None:
    """For any maturity between expiries, whatever their order."""
    found = constant_maturity(expiries(*points), days)
    low = max((p for p in points if p[0] <= days), default=None)
    high = min((p for p in points if p[0] >= days), default=None)
    if low is None or high is None:
        assert found["term_status"][0] in {"nearest", "too_far"}
        return
    total = found["volatility"][0] ** 2 * days
    bounds = sorted(t * v * v for t, v in (low, high))
    assert found["term_status"][0] == "interpolated"
    assert bounds[0] * (1 - 1e-9) <= total <= bounds[1] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("frame", "volatility", "status"),
    [
        (expiries((30, 0.2)), 0.2, "interpolated"),
        (expiries((15, 0.2)), 0.2, "nearest"),
        (expiries((60, 0.2), (90, 0.3)), 0.2, "nearest"),
        (expiries((7, 0.3), (16, 0.2)), 0.2, "nearest"),
        (expiries((14, 0.2)), None, "too_far"),
        (expiries((61, 0.2)), None, "too_far"),
        (expiries((20, None), (40, 0.2)), 0.2, "nearest"),
        (expiries((20, math.nan), (40, None)), None, "no_volatility"),
        (expiries((None, 0.2), (-3, 0.2), (1e-5, 0.2)), None, "no_volatility"),
    ],
)
def test_one_side_only(frame: pl.DataFrame, volatility: float | None, status: str) -> None:
    """The nearest expiry stands for half to twice its own maturity, and none has to be there."""
    found = constant_maturity(frame)
    assert found["volatility"].to_list() == [pytest.approx(volatility)]
    assert found["term_status"].to_list() == [status]
    assert status in TERM_STATUSES


def test_symbols_do_not_mix() -> None:
    """Each has its own expiries only."""
    frame = pl.concat([expiries((20, 0.2)), expiries((40, 0.4), symbol="B")])
    assert constant_maturity(frame)["volatility"].to_list() == pytest.approx([0.2, 0.4])


def test_rank_and_percentile_by_hand() -> None:
    """Forty days of 10, 11, … 49 %: 25 % has 15 of them below."""
    found = ranked(0.25, history([0.10 + 0.01 * i for i in range(40)]))
    assert found["iv_rank"] == pytest.approx(15 / 39)
    assert found["iv_percentile"] == pytest.approx(15 / 40)
    assert found["iv_history_days"] == 40


@pytest.mark.parametrize(("value", "expected"), [(0.05, 0.0), (0.9, 1.0)])
def test_a_new_extreme_is_the_end_of_the_range(value: float, expected: float) -> None:
    """Today counts in the range, so a rank never leaves 0 … 1."""
    found = ranked(value, history([0.10 + 0.01 * i for i in range(40)]))
    assert found["iv_rank"] == found["iv_percentile"] == expected


def test_the_window_is_a_year() -> None:
    """Days before the newest 252 do not count."""
    found = ranked(0.25, history([0.9] * 30 + [0.2, 0.3] * 126))
    assert (found["iv_rank"], found["iv_percentile"]) == (pytest.approx(0.5), 0.5)
    assert found["iv_history_days"] == HISTORY_DAYS


def test_no_look_ahead() -> None:
    """Neither today's own rows nor later ones count, though they be handed in."""
    values = [0.10 + 0.01 * i for i in range(40)]
    later = history([9.0] * 5, last=TODAY + timedelta(4))
    assert ranked(0.25, pl.concat([history(values), later])) == ranked(0.25, history(values))


def test_the_last_row_of_a_day_counts() -> None:
    """Rows that the same day wrote before are not days of their own; order does not matter."""
    daily = history([0.10 + 0.01 * i for i in range(40)])
    before = daily.with_columns(
        as_of=pl.col("as_of") - timedelta(hours=1), implied_volatility_30_day=pl.lit(5.0)
    )
    mixed = pl.concat([daily, before]).sample(fraction=1.0, shuffle=True, seed=3)
    assert ranked(0.25, mixed) == ranked(0.25, daily)


@pytest.mark.parametrize(
    ("value", "days", "known"),
    [
        (0.25, FEWEST_HISTORY_DAYS, True),
        (0.25, FEWEST_HISTORY_DAYS - 1, False),
        (None, 40, False),
    ],
)
def test_no_rank_without_history(value: float | None, days: int, known: bool) -> None:
    """Too few days, or nothing to rank: null, and how many days there are."""
    found = ranked(value, history([0.2, 0.3] * 20).tail(days))
    assert (found["iv_rank"] is not None) == known
    assert (found["iv_percentile"] is not None) == known
    assert found["iv_history_days"] == days


def test_no_rank_where_nothing_moved() -> None:
    """The range is empty; the percentile still is what it is."""
    found = ranked(0.2, history([0.2] * 40))
    assert (found["iv_rank"], found["iv_percentile"]) == (None, 0.0)


def test_unusable_history_is_left_out() -> None:
    """Zeros, negatives and NaN are no volatilities."""
    found = ranked(0.25, history([0.2, 0.3] * 15 + [0.0, -1.0, math.nan, math.inf]))
    assert found["iv_history_days"] == 30
    assert found["iv_rank"] == pytest.approx(0.5)


def test_everything_of_an_underlying() -> None:
    """All columns, in the caller's row order; what is not known is null with a reason."""
    context = Context(
        daily_volatility=history([0.10 + 0.01 * i for i in range(40)]),
        spot_bars=bars(walk(21, 0.2), np.zeros(21)),
    )
    underlyings = pl.DataFrame({"symbol": ["B", "A"], "iv_rank": [9.0, 9.0]})
    frame = expiries((20, 0.25), (50, 0.25))
    found = with_term(underlyings, frame, context, AS_OF)
    assert found["symbol"].to_list() == ["B", "A"]
    others = {"zero_dte_gex_share", "gamma_acceleration"}
    assert {column.name for column in TERM} - others <= set(found.columns)
    unknown, known = found.rows(named=True)
    assert known["implied_volatility_30_day"] == pytest.approx(0.25)
    premium = 0.25 - known["realised_volatility"]
    assert known["variance_risk_premium"] == pytest.approx(premium)
    assert known["iv_percentile"] == pytest.approx(15 / 40)
    assert unknown == dict.fromkeys(unknown) | {
        "symbol": "B",
        "term_status": "no_volatility",
        "realised_status": "no_bars",
        "iv_history_days": 0,
    }


def test_without_context() -> None:
    """The volatility itself needs none."""
    underlyings = pl.DataFrame({"symbol": ["A"]})
    found = with_term(underlyings, expiries((30, 0.2)), Context(), AS_OF).row(0, named=True)
    assert found["implied_volatility_30_day"] == pytest.approx(0.2)
    assert found["iv_rank"] is None
    assert found["realised_status"] == "no_bars"


def test_warm_compiles_what_is_used() -> None:
    """No frame makes a kernel compile again, which would take seconds in the live path."""
    warm()
    test_everything_of_an_underlying()
    kernels = (volatilities_at, ranks_of_symbols, realised_of_symbols)
    assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)


def test_empty_frames() -> None:
    """Nothing in, nothing out."""
    assert with_term(
        pl.DataFrame(schema={"symbol": pl.String}), expiries(), Context(), AS_OF
    ).is_empty()
