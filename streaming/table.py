"""One table of the live state: last values, the instant of each field, a version for each row.

Merging by age and telling what changed belong here. Which source feeds which column, and what is
derived from what, stands in ``live``.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from market.live_frame import LiveTable

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)
_FIRST_CAPACITY = 64


class VersionedTable(Generic[Key]):
    """Rows found by key, columns found by name; NaN is null.

    A row has a public ``id`` (NaN until it is known: such rows are not shown) and a ``group``
    that viewers choose by (None: everyone sees it). Columns in ``hidden`` are kept but not shown.
    """

    def __init__(self, name: str, columns: Sequence[str], hidden: Sequence[str] = ()) -> None:
        self.name = name
        self.shown = tuple(columns)
        self._index = {column: i for i, column in enumerate((*columns, *hidden))}
        self._rows: dict[Key, int] = {}
        self._groups: list[Hashable] = []
        width = len(self._index)
        self._values = np.full((_FIRST_CAPACITY, width), np.nan)
        self._at_ms = np.full((_FIRST_CAPACITY, width), np.nan)
        self._ids = np.full(_FIRST_CAPACITY, np.nan)
        self._versions = np.zeros(_FIRST_CAPACITY, np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, key: Key) -> int | None:
        """The row of ``key``, if there is one."""
        return self._rows.get(key)

    def row(self, key: Key, public_id: float, group: Hashable) -> int:
        """The row of ``key``, made if it is new."""
        found = self._rows.get(key)
        if found is not None:
            return found
        made = len(self._rows)
        if made == len(self._ids):
            self._grow()
        self._rows[key] = made
        self._groups.append(group)
        self._ids[made] = public_id
        return made

    def identify(self, row: int, public_id: float, version: int) -> None:
        """Give a row its id, which shows it from now on."""
        self._ids[row] = public_id
        self._versions[row] = version

    def column(self, name: str, rows: Indices) -> Floats:
        """Values of one column."""
        picked: Floats = self._values[rows, self._index[name]]
        return picked

    def at_ms(self, name: str, rows: Indices) -> Floats:
        """Instants of one column's values, epoch ms; NaN where there never was one."""
        picked: Floats = self._at_ms[rows, self._index[name]]
        return picked

    def merge(
        self, rows: Indices, columns: Sequence[str], values: Floats, at_ms: Floats, version: int
    ) -> None:
        """Take observations: each field keeps its newest told value, whatever order they come in.

        Args:
            rows: each row at most once.
            values: shape (rows, columns); NaN is "not told" and never overwrites.
            at_ms: instant of each row's observation, shape (rows,).
        """
        cells = self._cells(rows, columns)
        old, old_at = self._values[cells], self._at_ms[cells]
        is_taken = ~np.isnan(values) & ~(at_ms[:, None] < old_at)
        self._values[cells] = np.where(is_taken, values, old)
        self._at_ms[cells] = np.where(is_taken, at_ms[:, None], old_at)
        self._touch(rows, (is_taken & (old != values)).any(axis=1), version)

    def put(self, rows: Indices, columns: Sequence[str], values: Floats, version: int) -> None:
        """Write computed values as they are, NaN included; unchanged rows keep their version."""
        cells = self._cells(rows, columns)
        old = self._values[cells]
        is_same = (old == values) | (np.isnan(old) & np.isnan(values))
        self._values[cells] = values
        self._touch(rows, ~is_same.all(axis=1), version)

    def changed(self, seen: int, groups: Collection[Hashable] | None) -> LiveTable | None:
        """Shown rows above version ``seen``, of these groups (None: of all); None if none."""
        count = len(self._rows)
        due = np.flatnonzero((self._versions[:count] > seen) & ~np.isnan(self._ids[:count]))
        if groups is not None:
            kept = [r for r in due.tolist() if self._groups[r] is None or self._groups[r] in groups]
            due = np.array(kept, np.int64)
        if not len(due):
            return None
        block = self._values[due]
        columns = {name: _packed(block[:, self._index[name]]) for name in self.shown}
        return LiveTable(self.name, _packed(self._ids[due]), columns)

    def value(self, key: Key, name: str) -> float:
        """One value; NaN if it is not known."""
        row = self._rows.get(key)
        return float("nan") if row is None else float(self._values[row, self._index[name]])

    def keys(self) -> Mapping[Key, int]:
        """Every key with its row."""
        return self._rows

    def public_id(self, row: int) -> float:
        """A row's id; NaN if it is not known yet."""
        return float(self._ids[row])

    def _cells(self, rows: Indices, columns: Sequence[str]) -> tuple[Indices, Indices]:
        places = np.array([self._index[name] for name in columns], np.int64)
        return rows[:, None], places[None, :]

    def _touch(self, rows: Indices, is_changed: NDArray[np.bool_], version: int) -> None:
        self._versions[rows[is_changed]] = version

    def _grow(self) -> None:
        self._values = np.vstack((self._values, np.full_like(self._values, np.nan)))
        self._at_ms = np.vstack((self._at_ms, np.full_like(self._at_ms, np.nan)))
        self._ids = np.concatenate((self._ids, np.full_like(self._ids, np.nan)))
        self._versions = np.concatenate((self._versions, np.zeros_like(self._versions)))


def _packed(values: Floats) -> array[float]:
    section = array("d")
    section.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
    return section
