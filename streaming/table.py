"""One table of the live state: last values, the instant of each field, a version for each row.

Merging by age and telling what changed belong here. Which source feeds which column, and what is
derived from what, stands in ``live``. Both ways to write are compiled: a frame of fifty entries is
too short for the start of a dozen array operations.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arrays by position.

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from market.live_frame import LiveTable
from transforms.kernel import compiled, inlined

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
        self._places: dict[Sequence[str], Indices] = {}
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

    def block(self, names: tuple[str, ...], rows: Indices) -> tuple[Floats, Floats]:
        """Values and instants of several columns, each of shape (rows, names)."""
        cells = rows[:, None], self.places(names)
        return self._values[cells], self._at_ms[cells]

    def merge(
        self, rows: Indices, columns: tuple[str, ...], values: Floats, at_ms: Floats, version: int
    ) -> None:
        """Take observations: each field keeps its newest told value, whatever order they come in.

        Args:
            rows: each row at most once.
            values: shape (rows, columns); NaN is "not told" and never overwrites.
            at_ms: instant of each row's observation, shape (rows,).
        """
        places, versions = self.places(columns), self._versions
        told, at = plain(values, (len(rows), len(places))), plain(at_ms, (len(rows),))
        _merge(self._values, self._at_ms, versions, rows, places, told, at, version)

    def put(self, rows: Indices, columns: tuple[str, ...], values: Floats, version: int) -> None:
        """Write computed values as they are, NaN included; unchanged rows keep their version."""
        places = self.places(columns)
        computed = plain(values, (len(rows), len(places)))
        _put(self._values, self._versions, rows, places, computed, version)

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

    def cells(self) -> tuple[Floats, Floats, Indices]:
        """Values, instants (epoch ms) and row versions, for kernels; good until a row is added."""
        return self._values, self._at_ms, self._versions

    def places(self, columns: tuple[str, ...]) -> Indices:
        """Where columns stand in ``cells``."""
        found = self._places.get(columns)
        if found is None:
            found = np.array([self._index[name] for name in columns], np.int64)
            self._places[columns] = found
        return found

    def public_id(self, row: int) -> float:
        """A row's id; NaN if it is not known yet."""
        return float(self._ids[row])

    def _grow(self) -> None:
        self._values = np.vstack((self._values, np.full_like(self._values, np.nan)))
        self._at_ms = np.vstack((self._at_ms, np.full_like(self._at_ms, np.nan)))
        self._ids = np.concatenate((self._ids, np.full_like(self._ids, np.nan)))
        self._versions = np.concatenate((self._versions, np.zeros_like(self._versions)))


def warm() -> None:
    """Compile both ways to write, or read them from the cache."""
    table: VersionedTable[str] = VersionedTable("warm", ("value",))
    rows, value = np.array([table.row("row", 0.0, None)]), np.zeros((1, 1))
    table.merge(rows, ("value",), value, np.zeros(1), 1)
    table.put(rows, ("value",), value, 1)


@inlined
def merge_cell(
    values: Any, instants: Any, versions: Any, row: int, place: int, told: float, at: float, v: int
) -> None:
    """Take one observation of one field, made at ``at`` (epoch ms)."""
    # A comparison with an instant that is not known is false: the value is taken.
    if np.isnan(told) or at < instants[row, place]:
        return
    if values[row, place] != told:
        versions[row] = v
    values[row, place], instants[row, place] = told, at


@inlined
def put_cell(values: Any, versions: Any, row: int, place: int, computed: float, v: int) -> None:
    """Write one field as it is, NaN included."""
    old = values[row, place]
    if old != computed and not (np.isnan(old) and np.isnan(computed)):
        versions[row] = v
    values[row, place] = computed


@compiled
def _merge(
    values: Any,
    instants: Any,
    versions: Any,
    rows: Any,
    places: Any,
    told: Any,
    at_ms: Any,
    version: int,
) -> None:
    for i in range(len(rows)):
        for j in range(len(places)):
            cell = rows[i], places[j], told[i, j], at_ms[i]
            merge_cell(values, instants, versions, *cell, version)


@compiled
def _put(values: Any, versions: Any, rows: Any, places: Any, computed: Any, version: int) -> None:
    for i in range(len(rows)):
        for j in range(len(places)):
            put_cell(values, versions, rows[i], places[j], computed[i, j], version)


def plain(values: Floats, shape: tuple[int, ...]) -> Floats:
    """The one layout that the kernels are compiled for, of the size that they count on."""
    if values.shape != shape:
        values = np.broadcast_to(values, shape)
    laid_out = np.ascontiguousarray(values, np.float64)
    return laid_out if laid_out.flags.writeable else laid_out.copy()


def _packed(values: Floats) -> array[float]:
    section = array("d")
    section.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
    return section
