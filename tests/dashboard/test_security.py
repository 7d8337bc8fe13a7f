"""Foreign hosts and origins stay out; every answer carries the headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dashboard.security import HEADERS, is_known_host, is_same_origin
from tests.dashboard.conftest import Dashboard


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost:8050", True),
        ("127.0.0.1", True),
        ("[::1]:8050", True),
        ("desk.example:8050", True),
        ("DESK.example", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_name_must_be_known_and_an_address_is_always_right(host: str, is_ours: bool) -> None:
    """A foreign name that points to loopback is the attack that this stops."""
    assert is_known_host(host, {"desk.example"}) == is_ours


@given(st.text(max_size=40))
def test_no_host_header_breaks_the_check(host: str) -> None:
    """It decides, whatever comes."""
    assert is_known_host(host, ()) in (True, False)


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        (None, True),
        ("http://127.0.0.1:8050", True),
        ("https://127.0.0.1:8050", True),
        ("http://127.0.0.1:9999", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_only_our_own_page_or_a_program_may_open_the_socket(
    origin: str | None, is_ours: bool
) -> None:
    """Browsers always send an origin; programs send none."""
    assert is_same_origin(origin, "127.0.0.1:8050") == is_ours


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/api/v1/health", "/nowhere"])
def test_every_answer_carries_the_headers(dashboard: Dashboard, path: str) -> None:
    """Pages, files, JSON and refusals."""
    answer = dashboard.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_foreign_host_is_refused(dashboard: Dashboard) -> None:
    """With what was expected."""
    answer = dashboard.get("/", Host="evil.example")
    assert answer.status_code == 421
    assert "localhost" in answer.json()["error"]["expected"]


def test_a_foreign_origin_gets_no_socket(dashboard: Dashboard) -> None:
    """Refused before it is accepted."""
    with pytest.raises(InvalidStatus) as refused:
        connect(dashboard.live_url, origin="https://evil.example", proxy=None)
    assert refused.value.response.status_code == 403
