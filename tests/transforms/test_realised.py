"""Realised volatility: by hand, on simulated paths, with jumps, gaps and bad bars."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from market.rules import IST
from transforms.context import SPOT_BARS
from transforms.realised import FEWEST_DAYS, REALISED_STATUSES, realised

Floats = NDArray[np.float64]
SESSION = 375
DAYS = [day for i in range(60) if (day := date(2026, 9, 1) + timedelta(i)).weekday() < 5]
DAY_AFTER = datetime.combine(DAYS[-1] + timedelta(1), time(0), IST)


def bars(returns: Floats, nights: Floats, symbol: str = "A") -> pl.DataFrame:
    """Minute bars of days of log returns, shape (days, minutes), and of the nights before them."""
    rows = []
    level = math.log(100.0)
    for day, path, night in zip(DAYS, returns, nights, strict=False):
        opens_at = datetime.combine(day, time(9, 15), IST).astimezone(UTC)
        level += night
        for minute, step in enumerate(path, 1):
            rows.append(
                (symbol, day, opens_at + timedelta(minutes=minute), level, level := level + step)
            )
    frame = pl.DataFrame(rows, schema=list(SPOT_BARS.polars), orient="row")
    prices = [pl.col(name).exp() for name in ("open_price", "close_price")]
    return SPOT_BARS.conform(frame.with_columns(prices))


def walk(days: int, volatility: float, seed: int = 1, minutes: int = SESSION) -> Floats:
    """Returns of a random walk that has this volatility over 252 days without nights."""
    scale = volatility / math.sqrt(252 * minutes)
    return np.random.default_rng(seed).normal(0.0, scale, (days, minutes))


def of(frame: pl.DataFrame, as_of: datetime | None = None, **terms: int) -> dict[str, object]:
    """The answer for the only symbol; at its newest bar unless told otherwise."""
    newest = frame["bar_end_at"].max()
    assert isinstance(newest, datetime)
    return realised(frame, as_of or newest, **terms).row(0, named=True)


def test_by_hand() -> None:
    """Six short days: returns of 1 % each minute, nights of 2 %; five-minute returns are 5 %."""
    frame = bars(np.full((6, 10), 0.01), np.full(6, 0.02))
    found = of(frame)
    # Five whole days after the first: two returns of 5 % in each, and five nights.
    squares = 5 * (2 * 0.05**2 + 0.02**2)
    assert found["realised_status"] == "realised_ok"
    assert found["realised_volatility"] == pytest.approx(math.sqrt(252 / 5 * squares))
    # A pair each day; of ten returns in five stretches, five have a neighbour.
    pairs = math.pi / 2 * 10 / 5 * 5 * 0.05**2 + 5 * 0.02**2
    assert found["bipower_volatility"] == pytest.approx(math.sqrt(252 / 5 * pairs))


def test_by_hand_each_minute() -> None:
    """The same with every minute."""
    found = of(bars(np.full((6, 10), 0.01), np.full(6, 0.02)), sampling_minutes=1)
    squares = 5 * (10 * 0.01**2 + 0.02**2)
    assert found["realised_volatility"] == pytest.approx(math.sqrt(252 / 5 * squares))


@pytest.mark.parametrize("sampling", [1, 5])
@pytest.mark.parametrize("minutes", [40, 200, SESSION])
def test_finds_the_volatility_of_a_walk(sampling: int, minutes: int) -> None:
    """Both estimators, at any time of the newest day."""
    frame = bars(walk(21, 0.2), np.zeros(21))
    midnight = datetime.combine(DAYS[20], time(9, 15), IST)
    found = of(frame, midnight + timedelta(minutes=minutes), sampling_minutes=sampling)
    assert found["realised_volatility"] == pytest.approx(0.2, rel=0.05)
    assert found["bipower_volatility"] == pytest.approx(0.2, rel=0.06)


def test_bipower_leaves_a_jump_out() -> None:
    """A jump of 5 % within a minute shows in the one and hardly in the other."""
    returns = walk(21, 0.15)
    calm = of(bars(returns, np.zeros(21)))
    returns[10, 200] += 0.05
    found = of(bars(returns, np.zeros(21)))
    jump = 252 / 20 * 0.05**2
    assert found["realised_volatility"] == pytest.approx(math.sqrt(0.15**2 + jump), rel=0.05)
    assert found["bipower_volatility"] == pytest.approx(calm["bipower_volatility"], rel=0.1)


def test_each_hour_counts_equally_often() -> None:
    """Mornings ten times as wild as afternoons: the answer is the same at any time of the day."""
    returns = np.tile(np.r_[np.full(75, 0.001), np.full(300, 0.0001)], (12, 1))
    frame = bars(returns, np.full(12, 0.01))
    opens_at = datetime.combine(DAYS[11], time(9, 15), IST)
    found = [
        of(frame, opens_at + timedelta(minutes=minutes))["realised_volatility"]
        for minutes in (5, 75, 200, 375)
    ]
    assert found == pytest.approx([found[0]] * 4)


def test_looks_back_no_further_than_told() -> None:
    """Wild days before the window do not matter."""
    returns = np.vstack([walk(10, 0.9), walk(11, 0.1)])
    frame = bars(returns, np.zeros(21))
    assert of(frame, lookback_days=10)["realised_volatility"] == pytest.approx(0.1, rel=0.1)
    assert of(frame, lookback_days=20)["realised_volatility"] == pytest.approx(0.64, rel=0.1)


@given(st.integers(7, 20), st.integers(1, SESSION))
def test_no_look_ahead(day: int, minute: int) -> None:
    """Bars of later minutes change nothing, though they be handed in."""
    returns = walk(21, 0.2, minutes=30)
    opens_at = datetime.combine(DAYS[day], time(9, 15), IST).astimezone(UTC)
    as_of = opens_at + timedelta(minutes=minute)
    whole = bars(returns, np.full(21, 0.01))
    known = whole.filter(pl.col("bar_end_at") <= as_of)
    assert of(whole, as_of) == of(known, as_of)


@given(st.integers(0, 10**6))
def test_order_and_repetition_do_not_matter(seed: int) -> None:
    """Any row order, bars told twice, and bars without a usable price among them."""
    frame = bars(walk(8, 0.2, minutes=30), np.zeros(8))
    bad = frame.with_columns(symbol=pl.lit("B"), close_price=pl.lit(0.0))
    other = frame.head(40).with_columns(symbol=pl.lit("C"))
    mixed = pl.concat([frame, frame.head(50), bad, other])
    found = realised(mixed.sample(fraction=1.0, shuffle=True, seed=seed), DAY_AFTER)
    assert found["symbol"].to_list() == ["A", "C"]
    assert found.row(0, named=True) == of(frame)
    assert found["realised_status"].to_list() == ["realised_ok", "too_few"]


def test_too_few_days() -> None:
    """So many earlier days are needed, not one less."""
    enough = bars(walk(FEWEST_DAYS + 1, 0.2), np.zeros(9))
    assert of(enough)["realised_status"] == "realised_ok"
    found = of(bars(walk(FEWEST_DAYS, 0.2), np.zeros(9)))
    assert found["realised_status"] == "too_few"
    assert found["realised_volatility"] is None
    assert found["bipower_volatility"] is None


@pytest.mark.parametrize(
    ("missing", "status"),
    [
        (pl.col("trading_day") == DAYS[5], "realised_ok"),
        (pl.col("trading_day").is_in(DAYS[4:11]), "gaps"),
        (pl.col("bar_end_at").dt.minute() % 2 == 0, "realised_ok"),
        (
            (pl.col("bar_end_at").dt.hour() > 5) & (pl.col("trading_day") > DAYS[3]),
            "gaps",
        ),
    ],
)
def test_gaps(missing: pl.Expr, status: str) -> None:
    """A day, or every other minute, may be missing; a week or most afternoons may not."""
    frame = bars(walk(21, 0.2), np.zeros(21)).filter(~missing)
    newest = datetime.combine(DAYS[20], time(15, 30), IST)
    found = of(frame, newest)
    assert found["realised_status"] == status
    assert (found["realised_volatility"] is None) == (status != "realised_ok")


def test_no_bars() -> None:
    """An empty frame, and one that lies in the future, name no symbol."""
    frame = bars(walk(8, 0.2, minutes=3), np.zeros(8))
    assert realised(SPOT_BARS.empty(), DAY_AFTER).is_empty()
    assert realised(frame, datetime(2026, 1, 1, tzinfo=UTC)).is_empty()
    assert set(realised(frame, DAY_AFTER)["realised_status"]) <= set(REALISED_STATUSES)
