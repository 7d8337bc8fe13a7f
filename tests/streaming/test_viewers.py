"""A viewer's window, watch and patience."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import FrameError
from streaming.viewers import ACK_SECONDS, ACK_WINDOW, Now, Start, Viewer, read_request

NOW = Now("a1", 40, 3)


@given(st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=60))
def test_never_more_than_the_window_in_flight(happenings: list[int | None]) -> None:
    """None: a push is due. A number: an acknowledgement, sensible or not."""
    viewer, sent, acknowledged = Viewer(), 0, 0
    for now, happened in enumerate(happenings):
        if happened is None and viewer.has_room():
            sent = viewer.take(version=now, now=float(now))
        elif happened is not None:
            viewer.read(f'{{"type":"ack","sequence":{happened}}}')
            acknowledged = max(acknowledged, happened)
        assert sent - min(acknowledged, sent) <= ACK_WINDOW


def test_a_viewer_that_does_not_acknowledge_is_lost() -> None:
    """Half a minute without an acknowledgement is the end; with one it is not."""
    viewer = Viewer()
    viewer.take(1, 0.0)
    assert not viewer.is_lost(ACK_SECONDS - 1)
    assert viewer.is_lost(ACK_SECONDS)
    viewer.read('{"type":"ack","sequence":1}')
    assert not viewer.is_lost(ACK_SECONDS)


def test_a_new_watch_starts_from_nothing() -> None:
    """Rows of the new choice come whole, however old they are."""
    viewer = Viewer()
    viewer.take(9, 0.0)
    viewer.read('{"type":"watch","symbol":"NIFTY","expiry":"2026-12-01"}')
    assert (viewer.seen, viewer.groups) == (0, frozenset({("NIFTY", "2026-12-01")}))
    viewer.take(9, 0.0)
    viewer.read('{"type":"watch","symbol":"NIFTY","expiry":"2026-12-01"}')
    assert viewer.seen == 9
    viewer.read('{"type":"watch","all":true}')
    assert (viewer.seen, viewer.groups) == (0, None)


def test_who_has_everything_until_a_version_goes_on_from_there() -> None:
    """With its watch: the same watch again, as a script sends it, changes nothing."""
    query = "run=a1&version=37&catalogue=3&symbol=M%26M&expiry=2026-12-01"
    viewer = Viewer.welcome(read_request(query), NOW)
    assert (viewer.start, viewer.seen, viewer.held) == (Start.RESUMED, 37, 37)
    assert viewer.catalogue_version == 3
    viewer.read('{"type":"watch","symbol":"M&M","expiry":"2026-12-01"}')
    assert viewer.seen == 37


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("", Start.FIRST),
        ("symbol=TCS&expiry=2026-12-01", Start.FIRST),
        ("run=b2&version=37&catalogue=3", Start.OTHER_RUN),
        ("run=a1&version=41&catalogue=3", Start.UNKNOWN_VERSION),
        ("run=a1&version=0&catalogue=3", Start.UNKNOWN_VERSION),
        ("run=a1&version=-9&catalogue=3", Start.UNKNOWN_VERSION),
        ("run=a1&version=37&catalogue=4", Start.UNKNOWN_VERSION),
        ("run=a1&version=37&catalogue=-1", Start.UNKNOWN_VERSION),
    ],
)
def test_what_was_never_said_is_not_gone_on_from(query: str, start: Start) -> None:
    """A fresh viewer, and why."""
    viewer = Viewer.welcome(read_request(query), NOW)
    assert (viewer.start, viewer.seen, viewer.catalogue_version) == (start, 0, -1)


@pytest.mark.parametrize(
    "query",
    [
        "run=a1",
        "version=3",
        "run=a1&version=x&catalogue=3",
        "run=a1&version=3&catalogue=",
        "symbol=TCS",
        "expiry=2026-12-01",
    ],
)
def test_half_a_claim_is_refused(query: str) -> None:
    """It would otherwise be taken for one that says nothing."""
    with pytest.raises(FrameError, match="together"):
        read_request(query)


@given(st.text())
def test_an_address_raises_nothing_else(query: str) -> None:
    """Fuzz: whatever stands in it, and whatever it claims, a viewer is welcome or refused."""
    with suppress(FrameError):
        Viewer.welcome(read_request(query), NOW)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "null",
        '{"type":"shout"}',
        '{"type":"ack"}',
        '{"type":"ack","sequence":null}',
        '{"type":"watch","symbol":1,"expiry":2}',
        b"\xff",
    ],
)
def test_anything_else_is_refused(message: str | bytes) -> None:
    """What is neither a watch nor an ack is an error of the tree."""
    with pytest.raises(FrameError, match="expected a watch or an ack"):
        Viewer().read(message)


@given(st.one_of(st.text(), st.binary()))
def test_outside_bytes_raise_nothing_else(message: str | bytes) -> None:
    """Fuzz: no message can raise anything but FrameError."""
    with suppress(FrameError):
        Viewer().read(message)
