"""Requests as clients write them, and everything that is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.socket.feed_requests import FeedRequest, parse
from tests.simulator.feeds import request

_NONE = FeedRequest("", (), "")


def test_a_request() -> None:
    """Method, keys in their order and once each, mode."""
    assert parse(request("sub", ["b", "a", "b"], "full")) == FeedRequest("sub", ("b", "a"), "full")


@pytest.mark.parametrize(("method", "mode"), [("sub", "ltpc"), ("change_mode", ""), ("unsub", "")])
def test_only_a_sub_has_a_default_mode(method: str, mode: str) -> None:
    """ltpc, as documented."""
    assert parse(request(method, ["a"])).mode == mode


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"null",
        b"[1]",
        b"{}",
        b'{"method":"sub"}',
        b'{"method":"sub","data":[]}',
        b'{"method":"sub","data":{}}',
        b'{"method":"sub","data":{"instrumentKeys":"abc"}}',
        b'{"method":["sub"],"data":{"instrumentKeys":[]}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_request(message: bytes) -> None:
    """No error, an empty request."""
    assert parse(message) == _NONE


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_mode_and_keys(value: object) -> None:
    """Only strings are keys, only a string is a mode."""
    data = {"instrumentKeys": [value, "a"], "mode": value}
    found = parse(json.dumps({"method": "sub", "data": data}).encode())
    assert set(found.keys) == {"a"} | ({value} if isinstance(value, str) else set())
    wanted = value if isinstance(value, str) else ("ltpc" if value is None else "")
    assert found.mode == wanted
