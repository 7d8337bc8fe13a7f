"""Merging a window: one price with its source, no tick from outside, nothing lost."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market.rules import Rules
from market.session import Window, windows
from transforms.schemas import TICK_BARS, UNDERLYING_ROLLUP, UNDERLYINGS
from transforms.snapshot import merge_window

WINDOW: Window = windows(Rules(), date(2026, 11, 25), 5)[10]
START, END = WINDOW.start_at, WINDOW.end_at
# Chains are answered a few seconds after the end that they are asked for.
LATE = END + timedelta(seconds=4)

instants = st.integers(-600, 900).map(lambda seconds: START + timedelta(seconds=seconds))
symbols = st.sampled_from(("NIFTY", "RELIANCE"))


def underlying(symbol: str, as_of: datetime, spot: float | None) -> dict[str, object]:
    """An analysed underlying."""
    row: dict[str, object] = dict.fromkeys(UNDERLYINGS.polars)
    known = {"symbol": symbol, "as_of": as_of, "spot": spot, "nearest_expiry": date(2026, 12, 1)}
    return row | known | {"contract_count": 2, "priced_count": 1, "formula_version": "1"}


def bar(symbol: str, last_tick_at: datetime | None, close: float | None) -> dict[str, object]:
    """A window's bar of ticks."""
    row: dict[str, object] = dict.fromkeys(TICK_BARS.polars)
    count = 0 if close is None else 3
    known = {"symbol": symbol, "last_tick_at": last_tick_at, "close_price": close}
    return row | known | {"tick_count": count, "gap_count": 1, "gap_seconds": 2.5}


def merge(*rows: dict[str, object]) -> pl.DataFrame:
    """Merge rows told apart by their columns."""
    analysed = [row for row in rows if "as_of" in row]
    bars = [row for row in rows if "tick_count" in row]
    return merge_window(
        pl.DataFrame(analysed, schema=UNDERLYINGS.polars),
        pl.DataFrame(bars, schema=TICK_BARS.polars),
        WINDOW,
    )


@pytest.mark.parametrize(
    ("chain_at", "spot", "tick_at", "close", "expected"),
    [
        (LATE, 100.0, START + timedelta(seconds=9), 101.0, (101.0, "socket")),
        (LATE, 100.0, START, 101.0, (101.0, "socket")),
        (LATE, 100.0, None, None, (100.0, "chain")),
        (LATE, None, START, 101.0, (101.0, "socket")),
        (LATE, 100.0, END, 101.0, (100.0, "chain")),  # the window is half-open
        (LATE, 100.0, START - timedelta(seconds=1), 101.0, (100.0, "chain")),
        (LATE, None, None, None, (None, None)),
    ],
)
def test_price(
    chain_at: datetime,
    spot: float | None,
    tick_at: datetime | None,
    close: float | None,
    expected: tuple[object, ...],
) -> None:
    """The window's last tick; the chain's spot only where there was none."""
    merged = merge(underlying("NIFTY", chain_at, spot), bar("NIFTY", tick_at, close))
    assert merged.select("price", "price_source").row(0) == expected


prices = st.one_of(st.none(), st.floats(1.0, 1e5))
answers = st.builds(underlying, symbols, st.just(LATE), prices)
window_rows = st.lists(
    st.one_of(
        answers,
        st.builds(bar, symbols, instants.filter(lambda at: START <= at < END), prices),
    ),
    max_size=8,
    unique_by=lambda row: (row["symbol"], "as_of" in row),
)
foreign_bars = st.lists(
    st.builds(bar, symbols, instants.filter(lambda at: not START <= at < END), prices), max_size=8
)


@given(window_rows, foreign_bars, st.randoms())
def test_ticks_from_outside_the_window_never_count(
    own: list[dict[str, object]], foreign: list[dict[str, object]], random: object
) -> None:
    """Neither earlier nor later ticks change the result, wherever they stand."""
    rows = [*own, *foreign]
    random.shuffle(rows)
    assert_frame_equal(merge(*rows), merge(*own), check_exact=True)


@given(window_rows)
def test_one_row_per_analysed_symbol(rows: list[dict[str, object]]) -> None:
    """Nothing is lost, nothing is doubled, and every price tells its own instant."""
    merged = merge(*rows)
    assert merged.schema == UNDERLYING_ROLLUP.polars
    assert merged["symbol"].to_list() == sorted({r["symbol"] for r in rows if "as_of" in r})
    for row in merged.iter_rows(named=True):
        at = {"socket": row["last_tick_at"], "chain": row["as_of"], None: None}
        assert row["price_at"] == at[row["price_source"]]


def test_as_of_stays_what_it_was() -> None:
    """When a chain was answered is not prettified: no row claims to have been known earlier."""
    merged = merge(underlying("NIFTY", LATE, 100.0), bar("NIFTY", START, 101.0))
    assert merged["as_of"].to_list() == [LATE]


def test_keeps_both_halves() -> None:
    """Analytics, bar and partition key stand side by side."""
    merged = merge(underlying("NIFTY", END, 100.0), bar("NIFTY", START, 101.0))
    row = merged.row(0, named=True)
    assert (row["trading_day"], row["slot"]) == (WINDOW.day, WINDOW.slot)
    assert (row["window_start_at"], row["window_end_at"]) == (START, END)
    assert (row["spot"], row["close_price"], row["gap_seconds"]) == (100.0, 101.0, 2.5)
    assert row["contract_count"] == 2


def test_a_window_without_feed() -> None:
    """No bar at all: no ticks, and nothing known of prices and gaps."""
    row = merge(underlying("NIFTY", END, 100.0)).row(0, named=True)
    assert (row["tick_count"], row["gap_count"], row["gap_seconds"]) == (0, None, None)
    assert row["close_price"] is None


def test_empty() -> None:
    """Nothing analysed, nothing merged."""
    assert_frame_equal(merge(bar("NIFTY", START, 101.0)), UNDERLYING_ROLLUP.empty())
