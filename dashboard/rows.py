"""The last value of each row of one table, with the version at which it last changed.

A client that has seen version ``n`` is owed the rows above ``n``: its whole state is one integer,
so a slow client costs nothing. Clients, windows and time do not belong here but in ``hub``.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence, Set
from math import isnan

import numpy as np
from numpy.typing import NDArray

from market.live_frame import LiveTable

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


class Rows:
    """Rows of one table; NaN is null. Rows whose id the catalogue does not know are refused."""

    def __init__(self, name: str, groups: Mapping[int, str]) -> None:
        self.name = name
        self._columns: tuple[str, ...] = ()
        self._index: dict[int, int] = {}
        self._groups = groups
        self._ids: _Floats = np.empty(0)
        self._values: _Floats = np.empty((0, 0))
        self._versions: _Integers = np.empty(0, np.int64)
        self._codes: dict[str, int] = {}
        self._members: _Integers = np.empty(0, np.int64)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns seen so far."""
        return self._columns

    def __len__(self) -> int:
        return len(self._index)

    def apply(self, table: LiveTable, version: int) -> int:
        """Take the rows of a frame; returns how many had an unknown id.

        A row whose values are what they were keeps its version: it is not sent again.
        """
        self._widen(table.columns)
        ids = np.frombuffer(table.ids, np.float64).astype(np.int64)
        is_known = np.fromiter((i in self._groups for i in ids.tolist()), bool, len(ids))
        known = ids[is_known]
        incoming = np.full((len(known), len(self._columns)), np.nan)
        for name, column in table.columns.items():
            incoming[:, self._columns.index(name)] = np.frombuffer(column, np.float64)[is_known]
        self._store(known, incoming, version)
        return len(ids) - len(known)

    def changed(self, seen: int, groups: Set[str] | None) -> LiveTable | None:
        """The rows above ``seen`` in these groups (None: in all), or None if there are none."""
        due = np.flatnonzero(self._versions > seen)
        if groups is not None:
            wanted = [self._codes[group] for group in groups if group in self._codes]
            due = due[np.isin(self._members[due], wanted)]
        if not len(due):
            return None
        values = self._values[due]
        columns = {name: _array(values[:, i]) for i, name in enumerate(self._columns)}
        return LiveTable(self.name, _array(self._ids[due]), columns)

    def value(self, number: int) -> Mapping[str, float | None]:
        """One row as column → value, nulls as None; empty if it never came."""
        at = self._index.get(number)
        if at is None:
            return {}
        row = self._values[at].tolist()
        return {n: None if isnan(v) else v for n, v in zip(self._columns, row, strict=True)}

    def keep(self, groups: Mapping[int, str], survivors: Collection[int]) -> None:
        """Change the catalogue: rows outside ``survivors`` are forgotten."""
        kept = [(n, at) for n, at in self._index.items() if n in survivors]
        at = np.array([at for _, at in kept], np.int64)
        self._groups = groups
        self._index = {number: i for i, (number, _) in enumerate(kept)}
        self._ids, self._values = self._ids[at], self._values[at]
        self._versions = self._versions[at]
        self._members = self._coded([number for number, _ in kept])

    def _widen(self, columns: Mapping[str, array[float]]) -> None:
        new = tuple(name for name in columns if name not in self._columns)
        if new:
            empty = np.full((len(self._ids), len(new)), np.nan)
            self._values = np.hstack((self._values, empty))
            self._columns += new

    def _store(self, ids: _Integers, incoming: _Floats, version: int) -> None:
        self._insert([i for i in dict.fromkeys(ids.tolist()) if i not in self._index])
        at = np.fromiter((self._index[i] for i in ids.tolist()), np.int64, len(ids))
        old = self._values[at]
        is_same = ((old == incoming) | (np.isnan(old) & np.isnan(incoming))).all(axis=1)
        is_new = self._versions[at] == 0
        self._values[at] = incoming
        self._versions[at[~is_same | is_new]] = version

    def _insert(self, ids: Sequence[int]) -> None:
        if not ids:
            return
        self._index.update({number: len(self._index) + i for i, number in enumerate(ids)})
        empty = np.full((len(ids), len(self._columns)), np.nan)
        self._ids = np.concatenate((self._ids, np.array(ids, np.float64)))
        self._values = np.vstack((self._values, empty))
        self._versions = np.concatenate((self._versions, np.zeros(len(ids), np.int64)))
        self._members = np.concatenate((self._members, self._coded(ids)))

    def _coded(self, ids: Sequence[int]) -> _Integers:
        names = (self._groups[number] for number in ids)
        return np.array([self._codes.setdefault(n, len(self._codes)) for n in names], np.int64)


def _array(column: _Floats) -> array[float]:
    made = array("d")
    made.frombytes(np.ascontiguousarray(column).tobytes())
    return made
