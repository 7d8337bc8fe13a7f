"""The keys that a codec has met, found again from a frame's bytes by compiled code.

An open-addressed table: a key's hash tells where to begin, its length and all of its bytes decide.
A book never forgets and is never larger than ``CAPACITY``: what to do once it is full is decided in
``codec``. What a key names does not belong here.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from brokers.upstox.wire_format import byte_at, int_at, word_at
from transforms.kernel import compiled, inlined

# Four times the keys of a socket's plan: a stream of made-up keys fills a megabyte, and no more.
CAPACITY = 1 << 14
LONGEST_BYTES = 63
# Keys made up to share a slot find no further room: they are looked up by their text instead.
_SLOTS, _PROBES = 4 * CAPACITY, 32
_ENTRY_BYTES = LONGEST_BYTES + 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class KeyBook:
    """Keys in the order in which they came; a key's place never changes.

    Any number of threads may read while one adds: a key is written before a slot points to it, and
    whoever still finds the slot empty asks ``add``, where one at a time looks again.

    Attributes:
        names: the keys.
        is_spent: a key found no room; another book would serve better.
        slots, entries: addresses for ``place_of``, good as long as the book lives.
    """

    def __init__(self) -> None:
        self.is_spent = False
        self.names: list[str] = []
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()
        # Of a slot: 0, or one more than the place. Of an entry: its length and then its bytes.
        self._slots = np.zeros(_SLOTS, np.int32)
        self._entries = np.zeros((CAPACITY, _ENTRY_BYTES), np.uint8)
        self.slots, self.entries = self._slots.ctypes.data, self._entries.ctypes.data

    def add(self, key: str) -> int | None:
        """The place of an ASCII key, made if it is new; None if it is too long or the book full."""
        with self._lock:
            place = self._places.get(key)
            if place is not None or len(key) > LONGEST_BYTES:
                return place
            place = len(self.names)
            if place == CAPACITY:
                self.is_spent = True
                return None
            self._write(place, key.encode("ascii"))
            self.names.append(key)
            self._places[key] = place
            return place

    def _write(self, place: int, key: bytes) -> None:
        entry = np.frombuffer(bytes((len(key),)) + key, np.uint8)
        self._entries[place, : len(entry)] = entry
        begin = self.entries + place * _ENTRY_BYTES + 1
        slot = _slot(self.slots, self.entries, begin, begin + len(key))
        if slot >= 0:
            self._slots[slot] = place + 1


@compiled
def place_of(slots: int, entries: int, at: int, end: int) -> int:
    """The place of a key that ends before ``end``; −1 if it has to be asked for with ``add``."""
    if end - at > LONGEST_BYTES:
        return -1
    slot = _slot(slots, entries, at, end)
    return int_at(slots + 4 * slot) - 1 if slot >= 0 else -1


@compiled
def _slot(slots: int, entries: int, at: int, end: int) -> int:
    """The slot of a key, or the empty one where it belongs; −1 if neither is near."""
    slot: int = _hash(at, end) & (_SLOTS - 1)
    for _ in range(_PROBES):
        place = int_at(slots + 4 * slot) - 1
        if place < 0 or _is_key(entries + place * _ENTRY_BYTES, at, end):
            return slot
        slot = (slot + 1) & (_SLOTS - 1)
    return -1


@compiled
def _hash(at: int, end: int) -> Any:
    mixed = np.uint64(end - at)
    if end - at < 8:
        for i in range(at, end):
            mixed = mixed << np.uint64(8) | np.uint64(byte_at(i))
    else:
        for i in range(at, end - 8, 8):
            mixed = _stirred(mixed ^ word_at(i))
        mixed ^= word_at(end - 8)  # overlaps the word before it
    return np.int64(_stirred(_stirred(mixed)) >> np.uint64(40))


@inlined
def _stirred(word: Any) -> Any:
    """Each bit moves on those above it, and by the shift on those below."""
    product = word * _GOLDEN
    return product ^ product >> np.uint64(32)


@compiled
def _is_key(entry: int, at: int, end: int) -> bool:
    length, begin = end - at, entry + 1
    if byte_at(entry) != length:
        return False
    if length < 8:
        differing = 0
        for i in range(length):
            differing |= byte_at(begin + i) ^ byte_at(at + i)
        return differing == 0
    for i in range(0, length - 8, 8):
        if word_at(begin + i) != word_at(at + i):
            return False
    is_same: bool = word_at(begin + length - 8) == word_at(end - 8)
    return is_same
