"""The keys of a frame as places in a list of names, and numbers that a consumer gives to keys.

A codec that knows a key from an earlier frame tells its place, and whoever keeps something for each
key finds it with one array operation instead of a look into a dictionary for each tick. How a codec
finds the place belongs to the codec; what a key stands for, to the consumer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class FrameKeys(Sequence[str]):
    """Keys by their places in ``names``; equal to any sequence that holds the same text.

    Args:
        names: every key that the codec has met; it may grow at its end, and never changes.
        places: int64, one for each row of the frame.
    """

    __slots__ = ("names", "places")

    def __init__(self, names: Sequence[str], places: Indices) -> None:
        self.names, self.places = names, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> FrameKeys: ...
    def __getitem__(self, index: int | slice) -> str | FrameKeys:
        if isinstance(index, slice):
            return FrameKeys(self.names, self.places[index])
        return self.names[int(self.places[index])]

    def __iter__(self) -> Iterator[str]:
        return map(self.names.__getitem__, self.places.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameKeys | tuple | list) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def numbers_of(
    frames: Sequence[Sequence[str]], by_key: Mapping[str, int], absent: int = -1
) -> Indices:
    """The number of each key of some frames, one after the other; each key is looked up once."""
    told = [keys for keys in frames if isinstance(keys, FrameKeys)]
    if not told or len(told) < len(frames) or any(k.names is not told[0].names for k in told):
        every = (by_key.get(key, absent) for keys in frames for key in keys)
        return np.fromiter(every, np.int64, sum(map(len, frames)))
    names, places = told[0].names, np.concatenate([keys.places for keys in told])
    numbers = np.full(len(names), absent, np.int64)
    for place in np.flatnonzero(np.bincount(places)).tolist():
        numbers[place] = by_key.get(names[place], absent)
    found: Indices = numbers[places]
    return found


class KeyNumbers:
    """A number for each key that a consumer knows; one thread only.

    Args:
        absent: what an unknown key is told as.
    """

    def __init__(self, absent: int = -1) -> None:
        self._absent = absent
        self._by_key: dict[str, int] = {}
        # What is known of the names of one codec: frames of several in turns are right, but slow.
        self._names: Sequence[str] = ()
        self._by_place = np.empty(0, np.int64)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def add(self, numbers: Mapping[str, int]) -> None:
        """Give numbers to keys, in place of those that they may have had."""
        self._by_key.update(numbers)
        self._names = ()

    def of(self, keys: Sequence[str]) -> Indices:
        """The number of each key, int64, shape (len(keys),)."""
        if not isinstance(keys, FrameKeys):
            return self._looked_up(keys)
        if keys.names is not self._names or len(keys.names) != len(self._by_place):
            self._read(keys.names)
        numbers: Indices = self._by_place[keys.places]
        return numbers

    def _read(self, names: Sequence[str]) -> None:
        known = self._by_place if names is self._names else self._by_place[:0]
        self._names = names
        self._by_place = np.concatenate((known, self._looked_up(names[len(known) :])))

    def _looked_up(self, keys: Sequence[str]) -> Indices:
        number_of, absent = self._by_key.get, self._absent
        return np.array([number_of(key, absent) for key in keys], np.int64)
