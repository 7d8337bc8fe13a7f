"""Keys by place against the text that they stand for; numbers of keys against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brokers.keys import FrameKeys, KeyNumbers, numbers_of

NAMES = ["a", "b", "c", "d", "e"]
places = st.lists(st.integers(0, len(NAMES) - 1), max_size=8)
books = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)


def keys(told: list[int], names: list[str] = NAMES) -> FrameKeys:
    """Keys by their places in ``names``."""
    return FrameKeys(names, np.array(told, np.int64))


@given(places, st.slices(8))
def test_read_as_a_tuple(told: list[int], part: slice) -> None:
    """Length, order, parts, text, equality and hash are those of the tuple of the text."""
    found, expected = keys(told), tuple(NAMES[place] for place in told)
    assert (len(found), tuple(found), hash(found)) == (len(expected), expected, hash(expected))
    assert [found[i] for i in range(len(found))] == list(expected)
    assert found == expected
    assert expected == found
    assert found == list(expected)
    assert found[part] == expected[part]
    assert repr(found) == repr(expected)
    assert all(key in found for key in expected)


def test_differs_from_other_text() -> None:
    """Other keys, another order, and what is no sequence of keys."""
    assert keys([0, 1]) != ("b", "a")
    assert keys([0]) != ("a", "b")
    assert keys([0]) != "a"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9))),
            st.tuples(st.just("grow"), st.sampled_from(NAMES)),
            st.tuples(st.just("ask"), st.integers(0, 1)),
        )
    )
)
def test_numbers_are_the_dictionarys(steps: list[tuple[str, object]]) -> None:
    """However keys are numbered, met and asked for, by two codecs in turns, or as plain text."""
    numbers, expected = KeyNumbers(-7), dict[str, int]()
    lists: list[list[str]] = [[], []]
    for what, told in steps:
        if what == "add":
            numbers.add(told)  # type: ignore[arg-type]
            expected.update(told)  # type: ignore[call-overload]
        elif what == "grow":
            lists[len(str(expected)) % 2].append(str(told))
        else:
            names = lists[int(str(told))]
            asked = keys(list(range(len(names))), names)
            wanted = [expected.get(key, -7) for key in names]
            assert numbers.of(asked).tolist() == wanted
            assert numbers.of(tuple(names)).tolist() == wanted
    assert all((key in numbers) == (key in expected) for key in NAMES)


@given(
    st.lists(st.tuples(places, st.booleans(), st.booleans())),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)),
)
def test_numbers_of_several_frames(
    frames: list[tuple[list[int], bool, bool]], by_key: dict[str, int]
) -> None:
    """Frames of one codec, of two, and of plain text, one after the other."""
    other = list(reversed(NAMES))
    told = [
        tuple(NAMES[p] for p in at) if is_text else keys(at, other if is_other else NAMES)
        for at, is_text, is_other in frames
    ]
    expected = [by_key.get(key, -1) for one in told for key in one]
    assert numbers_of(told, by_key).tolist() == expected


@given(places, st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)))
def test_each_key_is_looked_up_once(told: list[int], by_key: dict[str, int]) -> None:
    """However often it comes in the frames of one codec."""
    asked: list[str] = []

    class Asked(dict[str, int]):
        def get(self, key: str, default: int = -1) -> int:  # type: ignore[override]
            asked.append(key)
            return super().get(key, default)

    frames = [keys(told), keys(told)]
    expected = [by_key.get(NAMES[place], -1) for place in told * 2]
    assert numbers_of(frames, Asked(by_key)).tolist() == expected
    assert sorted(asked) == sorted({NAMES[place] for place in told})


def test_numbers_are_read_again_only_for_what_is_new() -> None:
    """A name that was met is not looked up for each frame, nor when another is met."""
    looked_up: list[int] = []

    class Names(list[str]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            looked_up.append(len(range(len(self))[index]))
            return super().__getitem__(index)

    names, numbers = Names(["a", "b"]), KeyNumbers()
    numbers.add({"a": 4, "c": 5})
    assert [numbers.of(keys([1, 0], names)).tolist() for _ in range(3)] == [[-1, 4]] * 3
    names.append("c")
    assert numbers.of(keys([2, 0], names)).tolist() == [5, 4]
    assert looked_up == [2, 1]
