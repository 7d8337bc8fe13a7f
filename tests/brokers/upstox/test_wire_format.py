"""The wire's parts against the protobuf library's own encoders, and against their limits."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from google.protobuf.internal import decoder, encoder
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox import wire_format
from transforms.kernel import compiled


@compiled
def _at(data: np.ndarray) -> int:
    return np.int64(data.ctypes.data)


def _encoded(number: int) -> bytes:
    parts: list[bytes] = []
    encoder._VarintEncoder()(parts.append, number, None)
    return b"".join(parts)


class Bytes:
    """Bytes at an address, followed by bytes that no one may read."""

    def __init__(self, told: bytes, behind: bytes = b"\x01" * 16) -> None:
        self._held = np.frombuffer(told + behind, np.uint8)
        self.at = _at(self._held)
        self.end = self.at + len(told)


@given(st.integers(0, 2**63 - 1))
def test_varint_is_the_librarys(number: int) -> None:
    """Every number of at most nine bytes is read, as the library encodes it."""
    told = Bytes(_encoded(number))
    assert wire_format.varint(told.at, told.end) == (number, told.end)


@given(st.integers(0, 2**63 - 1))
def test_varint_does_not_read_behind_the_end(number: int) -> None:
    """Cut by a byte it is no number, whatever stands behind."""
    told = Bytes(_encoded(number)[:-1])
    assert wire_format.varint(told.at, told.end)[1] == -1


def test_negative_varint_is_left_alone() -> None:
    """Ten bytes are the library's."""
    told = Bytes(b"\xff" * 9 + b"\x01")
    assert wire_format.varint(told.at, told.end)[1] == -1


@given(st.integers(1, 2047), st.sampled_from([0, 1, 2, 5]))
def test_tag_is_the_librarys(number: int, shape: int) -> None:
    """Field numbers of one and two bytes."""
    told = Bytes(encoder.TagBytes(number, shape))
    assert wire_format.tag(told.at, told.end) == (number << 3 | shape, told.end)


@pytest.mark.parametrize("told", [b"", b"\x02", b"\x80", b"\x88\x00", b"\x88\x80\x01"])
def test_odd_tags_are_left_alone(told: bytes) -> None:
    """None, the field 0, cut, longer than needed, longer than two bytes."""
    held = Bytes(told)
    assert wire_format.tag(held.at, held.end)[1] == -1


@given(st.binary(max_size=300), st.integers(0, 3))
def test_part_stays_in_its_parent(content: bytes, missing: int) -> None:
    """A part is found where all of it stands, and nowhere else."""
    whole = _encoded(len(content)) + content
    told = Bytes(whole[: len(whole) - missing] if missing else whole)
    found = wire_format.part(told.at, told.end)
    if missing:
        assert found[1] == -1
    else:
        assert found == (told.end - len(content), told.end)


@pytest.mark.parametrize("size", [2**31, 2**62, 2**63 - 1])
def test_absurd_lengths_are_refused(size: int) -> None:
    """A length that would overflow an address."""
    told = Bytes(_encoded(size) + b"abc")
    assert wire_format.part(told.at, told.end)[1] == -1


@given(st.floats())
def test_double_bits(number: float) -> None:
    """The bits of the double, at any alignment; cut, nothing."""
    told = Bytes(b"\x00" + struct.pack("<d", number))
    bits, place = wire_format.double_bits(told.at + 1, told.end)
    assert place == told.end
    assert struct.pack("<Q", bits) == struct.pack("<d", number)
    assert wire_format.double_bits(told.at + 2, told.end)[1] == -1


@pytest.mark.parametrize(
    ("shape", "size"),
    [(0, 1), (1, 8), (2, 1), (5, 4)],
)
def test_skip(shape: int, size: int) -> None:
    """Each shape's size; a byte less is refused, and so are groups and shapes unheard of."""
    told = Bytes(b"\x00" * size)
    assert wire_format.skip(shape, told.at, told.end) == told.end
    assert wire_format.skip(shape, told.at + 1, told.end) == -1
    for unknown in (3, 4, 6, 7):
        assert wire_format.skip(unknown, told.at, told.end) == -1


@given(st.text(max_size=20))
def test_is_ascii(text: str) -> None:
    """As Python says of the same bytes."""
    told = Bytes(text.encode())
    assert wire_format.is_ascii(told.at, told.end) == text.isascii()


@given(st.lists(st.sampled_from([b"\x08\x05", b"\x12\x02ab", b"\x1d1234", b"\x21" + b"x" * 8])))
def test_count(fields: list[bytes]) -> None:
    """How often a tag comes; −1 as soon as a field does not fit."""
    told = Bytes(b"".join(fields))
    assert wire_format.count(told.at, told.end, 0x12) == fields.count(b"\x12\x02ab")
    if fields:
        assert wire_format.count(told.at, told.end - 1, 0x12) == -1


@given(st.binary(max_size=12))
def test_any_bytes_stay_within(told: bytes) -> None:
    """A reader ends within the bytes or refuses; the number that it accepts is the library's."""
    held = Bytes(told)
    readers: tuple[Callable[[int, int], tuple[object, int]], ...] = (
        wire_format.varint,
        wire_format.tag,
        wire_format.part,
    )
    for reader in readers:
        place = reader(held.at, held.end)[1]
        assert place == -1 or held.at <= place <= held.end
    number, place = wire_format.varint(held.at, held.end)
    if place >= 0:
        assert decoder._DecodeVarint(told, 0) == (number, place - held.at)
