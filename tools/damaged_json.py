"""Damage to JSON bodies: to what they say, to how it is written down, and to the bytes.

Pure and repeatable: all chance comes from the ``random.Random`` that is handed in. Who has to bear
the damage is decided in ``tools.fuzz_bodies``.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

_DEEP = 100_000
_ODD_VALUES: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    -0.0,
    5e-324,
    1e308,
    1e309,
    float("nan"),
    float("inf"),
    float("-inf"),
    2**31,
    2**53 + 1,
    2**63,
    -(2**63) - 1,
    10**400,
    "",
    " ",
    "0",
    "12.5",
    "NaN",
    "1e999",
    "\ud800",
    "a\x00b",
    "line\r\nbreak",
    "\x1b[31m",
    "₹" * 50,
    "x" * 100_000,
    "NSE_FO|99999",
    "NSE_INDEX|Nifty 50",
    "2026-02-30",
    "ws://",
    [],
    {},
    [None],
    {"": None},
    [[[[[]]]]],
)
_WHOLE_BODIES = (
    b"",
    b"null",
    b"true",
    b"0",
    b'""',
    b"[]",
    b"{}",
    b"NaN",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"status":"success"}',
    b'{"status":"success","data":null}',
    b'{"status":"success","data":{}}',
    b'{"status":"success","data":[]}',
    b'{"status":"error","errors":[]}',
    b'{"status":"error","errors":[null]}',
    b'{"status":"error","errors":{"0":1}}',
    b'{"status":"error","errors":[{"errorCode":["UDAPI100050"],"message":{}}]}',
    b'{"data":' + b"[" * _DEEP,
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP,
    b'{"data":' + b"9" * 5_000 + b"}",
    b"<!DOCTYPE html><html><title>Just a moment...</title></html>",
    b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>",
    b"error code: 1015",
    b"upstream connect error or disconnect/reset before headers",
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    gzip.compress(b"[]" + b" " * 1_000_000, mtime=0),
)
_EDGES = bytes((0, 9, 10, 0x22, 0x2C, 0x2D, 0x30, 0x3A, 0x5B, 0x5C, 0x5D, 0x7B, 0x7D, 0x80, 0xFF))
_TWIN = "twin of "

_Place = tuple[Any, Any]
_Change = Callable[[random.Random, Any], Any]


def damaged(source: random.Random, body: bytes, *, is_zipped: bool = False) -> bytes:
    """One damaged form of ``body``, which is JSON, gzipped or not."""
    dice = source.random()
    if dice < 0.05:
        return source.choice(_WHOLE_BODIES)
    plain = gzip.decompress(body) if is_zipped else body
    if dice < 0.65:
        plain = _restructured(source, plain)
    elif dice < 0.85:
        plain = _bytes_damaged(source, plain)
    elif is_zipped:
        return _bytes_damaged(source, body)
    else:
        plain = _bytes_damaged(source, _restructured(source, plain))
    return gzip.compress(plain, 1, mtime=0) if is_zipped else plain


def _restructured(source: random.Random, body: bytes) -> bytes:
    """The same document with something else in one to three places."""
    tree = json.loads(body)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        tree = source.choice(_CHANGES)(source, tree)
    text = json.dumps(tree, ensure_ascii=source.random() < 0.7)
    # A key that comes twice cannot stand in a dict, only in what is written.
    return text.replace(f'"{_TWIN}', '"').encode("utf-8", "surrogatepass")


def _bytes_damaged(source: random.Random, body: bytes) -> bytes:
    damage = bytearray(body)
    for _ in range(source.choice((1, 1, 2, 4))):
        source.choice(_DAMAGES)(source, damage)
    return bytes(damage)


def _places(tree: Any) -> list[_Place]:
    """Every container with each of its keys."""
    found: list[_Place] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            found.append((node, key))
            if isinstance(child, dict | list):
                waiting.append(child)
    return found


def _place(source: random.Random, tree: Any) -> _Place | None:
    found = _places(tree) if isinstance(tree, dict | list) else []
    if not found:
        return None
    # The upper places are few, and decide the most.
    return source.choice(found[:40]) if source.random() < 0.4 else source.choice(found)


def _replace(source: random.Random, tree: Any) -> Any:
    if (place := _place(source, tree)) is None:
        return source.choice(_ODD_VALUES)
    place[0][place[1]] = source.choice(_ODD_VALUES)
    return tree


def _drop(source: random.Random, tree: Any) -> Any:
    if (place := _place(source, tree)) is not None:
        del place[0][place[1]]
    return tree


def _wrap(source: random.Random, tree: Any) -> Any:
    """One level too many, or the type that other services would send."""
    if (place := _place(source, tree)) is not None:
        node, key = place
        node[key] = source.choice(([node[key]], {"value": node[key]}, str(node[key])))
    return tree


def _swap(source: random.Random, tree: Any) -> Any:
    """Right values in wrong places."""
    one, other = _place(source, tree), _place(source, tree)
    if one is not None and other is not None:
        # A copy, since a part must not come to contain itself.
        one[0][one[1]] = json.loads(json.dumps(other[0][other[1]]))
    return tree


def _double(source: random.Random, tree: Any) -> Any:
    """An element, or a key with another value, a second time."""
    if (place := _place(source, tree)) is None:
        return tree
    node, key = place
    if isinstance(node, list):
        node.insert(source.randrange(len(node) + 1), json.loads(json.dumps(node[key])))
    else:
        node[f"{_TWIN}{key}"] = source.choice((node[key], *_ODD_VALUES))
    return tree


def _rename(source: random.Random, tree: Any) -> Any:
    place = _place(source, tree)
    if place is not None and isinstance(place[0], dict):
        node, key = place
        node[source.choice((key.upper(), f"{key} ", key[:-1], "", "\ud800"))] = node.pop(key)
    return tree


def _flip(source: random.Random, body: bytearray) -> None:
    if body:
        body[source.randrange(len(body))] ^= 1 << source.randrange(8)


def _edge(source: random.Random, body: bytearray) -> None:
    if body:
        body[source.randrange(len(body))] = source.choice(_EDGES)


def _put(source: random.Random, body: bytearray) -> None:
    place = source.randint(0, len(body))
    body[place:place] = bytes(source.choice(_EDGES) for _ in range(source.randint(1, 8)))


def _take(source: random.Random, body: bytearray) -> None:
    place = source.randint(0, len(body))
    del body[place : place + source.randint(1, 40)]


def _cut(source: random.Random, body: bytearray) -> None:
    del body[source.randint(0, len(body)) :]


def _repeat(source: random.Random, body: bytearray) -> None:
    begin = source.randint(0, len(body))
    body[begin:begin] = body[begin : begin + source.randint(1, 200)]


_CHANGES: Sequence[_Change] = (_replace, _replace, _replace, _drop, _wrap, _swap, _double, _rename)
_DAMAGES: Sequence[Callable[[random.Random, bytearray], None]] = (
    _flip,
    _edge,
    _put,
    _take,
    _cut,
    _repeat,
)
