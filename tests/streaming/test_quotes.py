"""One pass over a frame against its steps one by one: merge, derive, put."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS
from streaming import quotes
from streaming.derived import CONTRACT_DERIVED, CONTRACT_SOURCES, contract_columns
from streaming.quotes import ABSENT, take_quotes
from streaming.table import Floats, VersionedTable

NAN = math.nan
COLUMNS = tuple(dict.fromkeys((*CONTRACT_SOURCES, *CONTRACT_DERIVED)))
TOLD = ("last_price", "bid_price", "ask_price", "volume_units", "open_interest_units")
NAMES = ("socket_price", *TOLD[1:])
figures = st.sampled_from([NAN, 1.0, 2.0])
entries = st.tuples(st.integers(-3, 3), st.sampled_from([NAN, 3.0, 7.0]), *[figures] * 5)
frames = st.tuples(
    st.lists(entries, max_size=5, unique_by=lambda entry: entry[0]),
    st.integers(0, 9),
    st.booleans(),
)


def made() -> VersionedTable[str]:
    """Four rows; two have a price of the chain and an open interest of the day before."""
    table: VersionedTable[str] = VersionedTable("contract", COLUMNS)
    rows = np.array([table.row(str(n), float(n), None) for n in range(4)])
    names = ("chain_price", "previous_open_interest_units")
    table.merge(rows[:2], names, np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([4.0, 5.0]), 1)
    return table


def values_of(told: list[tuple[float, ...]]) -> Floats:
    """A frame's columns."""
    values = np.full((len(told), len(FEED_COLUMNS)), NAN)
    for i, (_, traded_at, *rest) in enumerate(told):
        values[i, FEED_COLUMN_INDEX["traded_at_ms"]] = traded_at
        values[i, [FEED_COLUMN_INDEX[name] for name in TOLD]] = rest
    return values


def step_by_step(
    table: VersionedTable[str], told: list[tuple[float, ...]], at: float, snapshot: bool, v: int
) -> None:
    """The same by the table's own operations, row by row."""
    for row, traded_at, *figures in told:
        if row < 0:
            continue
        here = np.array([int(row)])
        price_at = np.fmin(at, traded_at) if snapshot else at
        instants = (price_at, at, at, at, at)
        for name, figure, instant in zip(NAMES, figures, instants, strict=True):
            table.merge(here, (name,), np.array([[figure]]), np.array([instant]), v)
        shown = contract_columns(*table.block(CONTRACT_SOURCES, here))
        table.put(here, CONTRACT_DERIVED, shown, v)


@given(st.lists(frames, max_size=6))
def test_one_pass_is_its_steps(
    told: list[tuple[list[tuple[float, ...]], int, bool]],
) -> None:
    """Every value, instant and version, and whether other tables are spoken of."""
    found, expected = made(), made()
    for version, (rows, at, is_snapshot) in enumerate(told, 2):
        numbers = np.array([row[0] for row in rows], np.int64)
        has_others = take_quotes(found, numbers, values_of(rows), float(at), is_snapshot, version)
        step_by_step(expected, rows, float(at), is_snapshot, version)
        assert has_others == bool((numbers < ABSENT).any())
    for mine, theirs in zip(found.cells(), expected.cells(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_refuses_columns_of_another_frame() -> None:
    """The compiled pass counts on one row of columns for each key."""
    with pytest.raises(ValueError, match="broadcast"):
        take_quotes(made(), np.array([0, 1]), values_of([(0, NAN, *[1.0] * 5)] * 3), 0.0, False, 2)


def test_reads_any_layout() -> None:
    """Columns that are read-only, or a part of other columns, are the same columns."""
    told = values_of([(1, NAN, *[1.0] * 5)])
    apart = np.asfortranarray(np.vstack((told, told)))[1:]
    apart.flags.writeable = False
    table = made()
    take_quotes(table, np.array([1]), apart, 9.0, False, 2)
    assert table.value("1", "socket_price") == 1.0


def test_warm_leaves_nothing_to_compile() -> None:
    """One signature serves every frame."""
    quotes.warm()
    take_quotes(made(), np.empty(0, np.int64), values_of([]), 0, False, 2)
    take_quotes(made(), np.array([1]), values_of([(1, NAN, *[1.0] * 5)]), 1.5, True, 2)
    assert len(quotes._take.signatures) == 1  # type: ignore[attr-defined]
