"""The last value of each row and its version."""

from __future__ import annotations

from math import isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from dashboard.rows import Rows
from market.live_frame import LiveTable
from tests.dashboard.strategies import table

GROUPS = {1: "a", 2: "a", 3: "b", 4: ""}
values = st.floats(allow_nan=True, width=32)
updates = st.lists(
    st.dictionaries(st.sampled_from([1, 2, 3, 4, 99]), st.fixed_dictionaries({"x": values}))
)


def as_dict(changed: LiveTable | None) -> dict[int, float]:
    """Id → value of the one column."""
    if changed is None:
        return {}
    return {int(i): x for i, x in zip(changed.ids, changed.columns["x"], strict=True)}


def same(a: float, b: float) -> bool:
    """Equal, or both null."""
    return a == b or (isnan(a) and isnan(b))


@given(updates, st.integers(0, 8))
def test_a_delta_holds_what_changed_since_and_nothing_else(
    frames: list[dict[int, dict[str, float]]], seen: int
) -> None:
    """Against a plain model: the last value wins, an unchanged row keeps its version."""
    rows = Rows("t", GROUPS)
    model: dict[int, tuple[float, int]] = {}
    for version, update in enumerate(frames, 1):
        rows.apply(table("t", update), version)
        for number, row in update.items():
            known = number in GROUPS
            if known and not (number in model and same(model[number][0], row["x"])):
                model[number] = (row["x"], version)
    delta = as_dict(rows.changed(seen, None))
    expected = {n: x for n, (x, version) in model.items() if version > seen}
    assert delta.keys() == expected.keys()
    assert all(same(delta[n], expected[n]) for n in expected)


@given(updates, st.sets(st.sampled_from(["a", "b", "", "nobody"])))
def test_only_rows_of_the_groups_asked_for(
    frames: list[dict[int, dict[str, float]]], groups: set[str]
) -> None:
    """A filter takes rows away and changes none."""
    rows = Rows("t", GROUPS)
    for version, update in enumerate(frames, 1):
        rows.apply(table("t", update), version)
    everything = as_dict(rows.changed(0, None))
    assert as_dict(rows.changed(0, groups)).keys() == {n for n in everything if GROUPS[n] in groups}


def test_rows_that_nobody_explained_are_counted_and_refused() -> None:
    """An id outside the catalogue cannot be shown."""
    rows = Rows("t", GROUPS)
    assert rows.apply(table("t", {1: {"x": 1.0}, 99: {"x": 2.0}}), 1) == 1
    assert len(rows) == 1
    assert rows.value(99) == {}


def test_a_column_that_comes_later_is_null_before() -> None:
    """Columns may be added while rows exist; a frame without a column makes it null."""
    rows = Rows("t", GROUPS)
    rows.apply(table("t", {1: {"x": 1.0}, 2: {"x": 2.0}}), 1)
    rows.apply(table("t", {1: {"x": 1.0, "y": 5.0}}), 2)
    assert rows.value(1) == {"x": 1.0, "y": 5.0}
    assert rows.value(2) == {"x": 2.0, "y": None}
    rows.apply(table("t", {1: {"y": nan}}), 3)
    assert rows.value(1) == {"x": None, "y": None}


def test_a_new_catalogue_forgets_rows_that_do_not_survive() -> None:
    """Survivors keep value and version under their new group."""
    rows = Rows("t", GROUPS)
    rows.apply(table("t", {n: {"x": float(n)} for n in GROUPS}), 1)
    rows.keep({2: "c", 3: "b"}, {2, 3})
    assert as_dict(rows.changed(0, None)) == {2: 2.0, 3: 3.0}
    assert as_dict(rows.changed(0, {"c"})) == {2: 2.0}
    assert as_dict(rows.changed(1, None)) == {}
