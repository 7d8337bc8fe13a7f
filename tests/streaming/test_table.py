"""Laws of merging by age and of telling what changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.table import VersionedTable

COLUMNS = ("bid", "ask")
NAN = float("nan")

observations = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(st.just(NAN), st.floats(1, 9)),
        st.one_of(st.just(NAN), st.floats(1, 9)),
    ),
    max_size=20,
).map(lambda rows: [(at, *row) for at, row in enumerate(rows)])


def table() -> VersionedTable[int]:
    """Three rows, two columns, all shown."""
    made: VersionedTable[int] = VersionedTable("t", COLUMNS, ("secret",))
    for key in range(3):
        made.row(key, key + 1, None if key == 0 else key)
    return made


def told(made: VersionedTable[int]) -> list[tuple[float, ...]]:
    """Every value and its instant, NaN as None so that they compare."""
    rows = np.arange(3)
    parts = [f(c, rows) for c in COLUMNS for f in (made.column, made.at_ms)]
    return [tuple(None if math.isnan(v) else v for v in row) for row in np.column_stack(parts)]


Seen = tuple[int, int, float, float]


def merge(made: VersionedTable[int], seen: Seen, v: int) -> None:
    """One observation of one row: instant, row, bid, ask."""
    at, row, bid, ask = seen
    made.merge(np.array([row]), COLUMNS, np.array([[bid, ask]]), np.array([float(at)]), v)


@given(observations, st.randoms())
def test_order_does_not_matter(seen: list[Seen], random: object) -> None:
    """Late and stale observations change nothing: the newest told value of each field stays."""
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    in_order, mixed = table(), table()
    for made, sequence in ((in_order, seen), (mixed, shuffled)):
        for version, one in enumerate(sequence, 1):
            merge(made, one, version)
    assert told(in_order) == told(mixed)


@given(observations, st.randoms())
def test_nan_never_overwrites_and_ages_never_go_back(seen: list[Seen], random: object) -> None:
    """A field once told is told for ever, and its instant only rises."""
    made = table()
    random.shuffle(seen)  # type: ignore[attr-defined]
    before = told(made)
    for version, one in enumerate(seen, 1):
        merge(made, one, version)
        after = told(made)
        for old_row, new_row in zip(before, after, strict=True):
            for place in (0, 2):
                assert old_row[place] is None or new_row[place] is not None
                assert old_row[place + 1] is None or new_row[place + 1] >= old_row[place + 1]
        before = after


def test_changed_tells_each_change_once() -> None:
    """A viewer that has seen a version is told the rows above it, and no unchanged row."""
    made = table()
    merge(made, (1, 0, 5.0, NAN), 1)
    merge(made, (1, 1, 6.0, NAN), 2)
    merge(made, (2, 1, 6.0, NAN), 3)
    changed = made.changed(1, None)
    assert changed is not None
    assert list(changed.ids) == [2.0]
    assert list(changed.columns["bid"]) == [6.0]
    assert set(changed.columns) == set(COLUMNS)
    assert made.changed(2, None) is None


def test_groups_filter_all_but_the_common_rows() -> None:
    """Rows without a group go to everyone."""
    made = table()
    for row in range(3):
        merge(made, (1, row, 5.0, 5.0), 1)
    changed = made.changed(0, {2})
    assert changed is not None
    assert list(changed.ids) == [1.0, 3.0]


def test_rows_are_hidden_until_they_have_an_id() -> None:
    """A value whose contract has no number yet is kept, and told once it has."""
    made: VersionedTable[str] = VersionedTable("t", COLUMNS)
    row = made.row("x", NAN, None)
    made.merge(np.array([row]), COLUMNS, np.array([[1.0, 2.0]]), np.array([1.0]), 1)
    assert made.changed(0, None) is None
    made.identify(row, 77, 2)
    changed = made.changed(1, None)
    assert changed is not None
    assert list(changed.ids) == [77.0]


def test_put_writes_nulls_and_counts_only_changes() -> None:
    """Computed values may become unknown; the same value again is no change."""
    made = table()
    made.put(np.array([0]), COLUMNS, np.array([[1.0, NAN]]), 1)
    made.put(np.array([0]), COLUMNS, np.array([[1.0, NAN]]), 2)
    assert made.changed(1, None) is None
    made.put(np.array([0]), COLUMNS, np.array([[NAN, NAN]]), 3)
    changed = made.changed(1, None)
    assert changed is not None
    assert math.isnan(changed.columns["bid"][0])


def test_grows_without_losing_rows() -> None:
    """More rows than the first capacity keep their values."""
    made: VersionedTable[int] = VersionedTable("t", COLUMNS)
    for key in range(200):
        row = made.row(key, key, None)
        made.put(np.array([row]), COLUMNS, np.array([[float(key), 0.0]]), 1)
    assert [made.value(key, "bid") for key in range(200)] == [float(k) for k in range(200)]
    assert math.isnan(made.value(999, "bid"))
    assert made.find(999) is None


def test_one_value_may_stand_for_all_rows() -> None:
    """A column that is told once is written to each row; what fits no shape is refused."""
    made = table()
    rows = np.array([0, 1])
    made.put(rows, ("bid",), np.array([[5.0]]), 1)
    made.merge(rows, ("ask",), np.array([[6.0]]), np.array(3.0), 1)
    assert made.column("bid", rows).tolist() == [5.0, 5.0]
    assert made.column("ask", rows).tolist() == [6.0, 6.0]
    assert made.block(("ask", "bid"), rows)[1].tolist()[0][0] == 3.0
    with pytest.raises(ValueError, match="broadcast"):
        made.put(rows, ("bid",), np.zeros((3, 1)), 2)
