"""A book of keys against a dictionary, at its limits, and with several writers."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox import key_book
from brokers.upstox.key_book import CAPACITY, LONGEST_BYTES, KeyBook, place_of

# Short alphabets, so that keys share beginnings, ends and lengths.
texts = st.text("ab|\x00", max_size=20) | st.text("N1", min_size=56, max_size=LONGEST_BYTES + 3)


def found(book: KeyBook, key: str, before: bytes = b"x", behind: bytes = b"x" * 8) -> int:
    """Where compiled code finds a key that stands somewhere in a frame."""
    told = np.frombuffer(before + key.encode() + behind, np.uint8)
    begin = int(told.ctypes.data) + len(before)
    return place_of(book.slots, book.entries, begin, begin + len(key))


@given(st.lists(texts), st.lists(texts), st.binary(max_size=9), st.binary(max_size=9))
def test_finds_what_was_added(
    added: list[str], others: list[str], before: bytes, behind: bytes
) -> None:
    """Every key that is not too long at its own place, no other key, whatever stands around it."""
    book = KeyBook()
    places = {key: book.add(key) for key in added}
    short = list(dict.fromkeys(key for key in added if len(key) <= LONGEST_BYTES))
    assert book.names == short
    for key in (*added, *others):
        expected = short.index(key) if key in short else -1
        assert found(book, key, before, behind) == expected
        assert places.get(key) == (expected if key in short else None)
    assert not book.is_spent


def test_a_full_book_takes_nothing_more() -> None:
    """Made-up keys fill it and no more; the keys that it has are found all the same."""
    book = KeyBook()
    keys = [f"NSE_FO|{number}" for number in range(CAPACITY)]
    assert [book.add(key) for key in keys] == list(range(CAPACITY))
    assert not book.is_spent
    assert book.add("one more") is None
    assert book.is_spent
    assert len(book.names) == CAPACITY
    assert all(found(book, key) == place for place, key in enumerate(keys))
    assert book.add(keys[5]) == 5


def test_keys_without_a_slot_are_known_by_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys made up to share a slot: beyond the last probe each is asked for, and has one place."""
    book = KeyBook()
    monkeypatch.setattr(key_book, "_slot", lambda *_: -1)
    assert [book.add(key) for key in ("a", "b", "a")] == [0, 1, 0]
    assert found(book, "a") == -1
    assert book.names == ["a", "b"]


def test_crowded_slots_end_the_search() -> None:
    """A table whose slots are all taken by others costs a bounded number of looks."""
    book = KeyBook()
    book.add("another key")
    book._slots[:] = 1
    assert found(book, "a key") == -1
    assert book.add("a key") == 1
    assert found(book, "another key") == 0


def test_threads_agree() -> None:
    """Several writers and readers: one place for each key, and never a wrong one."""
    book = KeyBook()
    keys = [f"NSE_FO|{number % 500}" for number in range(2_000)]

    def place(key: str) -> int | None:
        at = found(book, key)
        return at if at >= 0 else book.add(key)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            places = list(pool.map(place, keys))
    finally:
        sys.setswitchinterval(interval)
    assert [book.names[place] for place in places if place is not None] == keys
    assert len(book.names) == 500
