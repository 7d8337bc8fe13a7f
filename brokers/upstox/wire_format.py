"""The bytes of protobuf messages, field by field, for compiled code.

Nothing here knows a message of ours. A place of −1 says "not to be read here": the bytes may be
wrong, or right and so rare that the protobuf library may read them. No byte is read before its
place was compared with the end that the caller gave. Places are addresses: an array that is handed
from function to function has its references counted each time, which took half of all the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from transforms.kernel import inlined

# The shapes of a field's bytes; 3 and 4 are groups, which proto3 does not have.
VARINT, EIGHT_BYTES, PART, FOUR_BYTES = 0, 1, 2, 5


def _loader(stored: Any, result: Any) -> Any:
    """A function for compiled code: the little-endian integer at an address, aligned or not."""

    @intrinsic
    def load(_typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            kind = context.get_value_type(stored)
            place = builder.inttoptr(arguments[0], kind.as_pointer())
            value = builder.load(place, align=1)
            wide = context.get_value_type(result)
            return value if value.type == wide else builder.zext(value, wide)

        return result(address), generate

    return load


byte_at = _loader(types.uint8, types.int64)
int_at = _loader(types.uint32, types.int64)
word_at = _loader(types.uint64, types.uint64)


@inlined
def varint(at: int, end: int) -> tuple[int, int]:
    """A number of at most nine bytes, so not a negative one, and the place behind it."""
    value = 0
    for shift in range(0, 63, 7):
        if at >= end:
            break
        byte = byte_at(at)
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return value, -1


@inlined
def tag(at: int, end: int) -> tuple[int, int]:
    """Number and shape of a field, in one byte or two as short as can be, and the place behind."""
    if at >= end:
        return 0, -1
    first = byte_at(at)
    if first < 0x80:
        return first, at + 1 if first >= 8 else -1
    if at + 1 >= end or byte_at(at + 1) >= 0x80 or byte_at(at + 1) == 0:
        return first, -1
    return first & 0x7F | byte_at(at + 1) << 7, at + 2


@inlined
def part(at: int, end: int) -> tuple[int, int]:
    """Where a part with a length before it begins and ends; end −1 if it leaves its parent."""
    length, begin = varint(at, end)
    if begin < 0 or length > end - begin:
        return begin, -1
    return begin, begin + length


@inlined
def skip(shape: int, at: int, end: int) -> int:
    """The place behind the value of a field that nobody asks for."""
    if shape == VARINT:
        return varint(at, end)[1]
    if shape == PART:
        return part(at, end)[1]
    size = 8 if shape == EIGHT_BYTES else 4
    return at + size if shape in (EIGHT_BYTES, FOUR_BYTES) and size <= end - at else -1


@inlined
def double_bits(at: int, end: int) -> tuple[Any, int]:
    """A double as the integer of its bits, and the place behind it."""
    if end - at < 8:
        return np.uint64(0), -1
    return word_at(at), at + 8


@inlined
def is_ascii(begin: int, end: int) -> bool:
    """Whether text needs no check of its UTF-8."""
    high = 0
    for at in range(begin, end):
        high |= byte_at(at)
    return high < 0x80


@inlined
def count(at: int, end: int, wanted: int) -> int:
    """How often a tag comes in a message, its parts not opened; −1 if it cannot be told."""
    found = 0
    while at < end:
        number, at = tag(at, end)
        if at >= 0:
            at = skip(number & 7, at, end)
        if at < 0:
            return -1
        found += number == wanted
    return found
