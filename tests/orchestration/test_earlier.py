"""What an analysis is told of the past: the lake's earlier windows and nothing younger."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl

from market.rules import Rules
from market.session import Window, windows
from orchestration.earlier import context_before, previous_chain
from storage.lake import Lake
from transforms.columns import Schema
from transforms.schemas import CHAIN, EXPIRY_METRICS, UNDERLYING_ROLLUP

DAY, DAY_BEFORE = date(2026, 11, 20), date(2026, 11, 19)
EXPIRY = date(2026, 11, 24)
_FILL: dict[Any, object] = {
    pl.String: "x",
    pl.Float64: 1.0,
    pl.Int64: 1,
    pl.Boolean: True,
    pl.Date: EXPIRY,
}


def window(day: date, number: int) -> Window:
    """The n-th window of a day."""
    return windows(Rules(), day, 5)[number]


def row(schema: Schema, of: Window, **given: object) -> pl.DataFrame:
    """One row of a window, answered three seconds after its end."""
    answered_at = of.end_at + timedelta(seconds=3)
    values: dict[str, object] = {
        c.name: _FILL.get(c.dtype, answered_at) if c.is_required else None for c in schema.columns
    }
    values |= {
        "trading_day": of.day,
        "slot": of.slot,
        "window_start_at": of.start_at,
        "window_end_at": of.end_at,
        "as_of": answered_at,
        **given,
    }
    return pl.DataFrame([values], schema=schema.polars)


def store(lake: Lake, schema: Schema, of: Window, **given: object) -> None:
    """Store one row of a window."""
    lake.replace_window(of.day, of.slot, {schema.name: row(schema, of, **given)})


def test_an_empty_lake_tells_nothing(lake: Lake) -> None:
    """Empty frames, as on the first day."""
    context = context_before(lake, window(DAY, 3))
    assert context.previous.is_empty()
    assert context.forwards.is_empty()
    assert context.daily_volatility.is_empty()


def test_the_newest_earlier_chain_counts(lake: Lake) -> None:
    """Not an older one and not the window's own; the day's first window has the last day's last."""
    week_ago = window(DAY - timedelta(days=9), -1)
    for of in (week_ago, window(DAY_BEFORE, -1), *(window(DAY, n) for n in (0, 1, 3, 4))):
        store(lake, CHAIN, of, contract_id=f"{of.day}|{of.slot}")
    told = context_before(lake, window(DAY, 3)).previous
    assert told["contract_id"].to_list() == [f"{DAY}|09:20"]
    first = previous_chain(lake, window(DAY, 0))
    assert first["contract_id"].to_list() == [f"{DAY_BEFORE}|15:35"]
    assert previous_chain(lake, window(DAY_BEFORE, 0)).is_empty()


def test_each_chains_own_newest_counts(lake: Lake) -> None:
    """A chain that was not due in the last window has its own last one, if that is not too old."""
    far = EXPIRY + timedelta(days=7)
    for number in (0, 1, 2, 13, 14, 15):
        of = window(DAY, number)
        expiries = [far, EXPIRY] if number in {2, 13} else [EXPIRY]
        rows = [row(CHAIN, of, contract_id=f"{e}|{of.slot}", expiry=e) for e in expiries]
        lake.replace_window(of.day, of.slot, {CHAIN.name: pl.concat(rows)})
    told = previous_chain(lake, window(DAY, 16))["contract_id"].sort().to_list()
    assert told == [f"{EXPIRY}|10:30", f"{far}|10:20"]
    assert previous_chain(lake, window(DAY, 13))["contract_id"].sort().to_list() == [
        f"{EXPIRY}|09:25",
        f"{far}|09:25",
    ]


def test_forwards_are_the_last_quarter_hours(lake: Lake) -> None:
    """Of windows that had ended by then."""
    for number in range(6):
        store(lake, EXPIRY_METRICS, window(DAY, number), forward=100.0 + number)
    told = context_before(lake, window(DAY, 4)).forwards
    assert told["forward"].sort().to_list() == [101.0, 102.0, 103.0]


def test_a_day_has_its_last_volatility(lake: Lake) -> None:
    """Of earlier days only; one that is not known does not hide an earlier one of that day."""
    known: list[tuple[Window, float | None]] = [
        (window(DAY_BEFORE, 0), 0.11),
        (window(DAY_BEFORE, 7), 0.12),
        (window(DAY_BEFORE, 8), None),
        (window(DAY, 0), 0.13),
    ]
    for of, volatility in known:
        store(lake, UNDERLYING_ROLLUP, of, implied_volatility_30_day=volatility)
    told = context_before(lake, window(DAY, 3)).daily_volatility
    assert told.select("trading_day", "implied_volatility_30_day").rows() == [(DAY_BEFORE, 0.12)]


def test_all_of_it_was_known_then(lake: Lake) -> None:
    """The context's own check agrees: nothing in it is younger than the window's end."""
    for number in range(5):
        store(lake, CHAIN, window(DAY, number), contract_id=str(number))
        store(lake, EXPIRY_METRICS, window(DAY, number))
    of = window(DAY, 3)
    context_before(lake, of).known_at(of.end_at)
