"""A recording is given again: the same entries, in order, to whom they concern."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator.access.tokens import Account, TokenKind
from simulator.recordings import playback
from simulator.recordings.playback import RecordedFeed, RecordedSource
from simulator.recordings.recording import Recording
from tests.simulator.recorded import (
    INDEX,
    OPTION,
    START_MS,
    STOCK,
    at,
    decoded,
    feeds,
    full,
    info,
    last,
    whole,
    write,
)

FRAMES = [
    (0.0, info(0)),
    (1.0, feeds(1, is_snapshot=True, option=whole(10, 9), stock=last(1))),
    (2.0, feeds(2, option=full(11))),
    (3.0, feeds(3, stock=last(2), option=full(12))),
    (3.5, info(3.5, wire.NORMAL_CLOSE)),
    (4.0, feeds(4, stock=last(3))),
]


def _request(method: str, keys: Sequence[str], mode: str | None = "full") -> bytes:
    data = {"instrumentKeys": keys} | ({"mode": mode} if mode else {})
    return json.dumps({"guid": "g", "method": method, "data": data}).encode()


@pytest.fixture
def feed(tmp_path: Path) -> RecordedFeed:
    """A connection to the recording above."""
    return RecordedFeed(Recording(write(tmp_path, FRAMES)))


def test_frames_come_when_they_came(feed: RecordedFeed) -> None:
    """From the first on, each once, cut down to the client's keys, the market's state apart."""
    assert list(feed.request(_request("sub", [STOCK]), at(0))) == []
    assert list(feed.update(at(0.9))) == []
    assert decoded(feed.update(at(1))) == decoded([feeds(1, is_snapshot=True, stock=last(1))])
    assert list(feed.update(at(2.9))) == []
    assert decoded(feed.update(at(99))) == decoded(
        [feeds(3, stock=last(2)), feeds(4, stock=last(3))]
    )
    assert list(feed.update(at(999))) == []


def test_untouched_frames_are_the_recorded_bytes(feed: RecordedFeed) -> None:
    """A client of every key gets what was received, byte for byte."""
    feed.request(_request("sub", [STOCK, OPTION, INDEX]), at(0))
    assert list(feed.update(at(99))) == [f for _, f in FRAMES if f[:2] != info(0)[:2]]


def test_a_later_subscription_gets_the_state(feed: RecordedFeed) -> None:
    """The snapshot is merged from what had come, in the recorded mode, at the recorded time."""
    (snapshot,) = decoded(feed.request(_request("sub", [OPTION, STOCK, INDEX], "ltpc"), at(3.2)))
    assert snapshot.type == wire.initial_feed
    assert snapshot.currentTs == START_MS + 3000
    wanted = whole(12, 9)
    wanted.fullFeed.marketFF.marketOHLC.ohlc[0].close = 10
    assert dict(snapshot.feeds) == {OPTION: wanted, STOCK: last(2)}
    assert decoded(feed.update(at(9))) == decoded([feeds(4, stock=last(3))])


def test_a_request_does_not_overtake_what_is_due(feed: RecordedFeed) -> None:
    """Frames of keys that were followed before come first, and none is told twice."""
    feed.request(_request("sub", [STOCK]), at(0))
    answer = decoded(feed.request(_request("sub", [OPTION]), at(3)))
    assert [sorted(frame.feeds) for frame in answer] == [[STOCK], [STOCK], [OPTION]]
    assert decoded(feed.update(at(4))) == decoded([feeds(4, stock=last(3))])


def test_unsubscribed_keys_stay_silent(feed: RecordedFeed) -> None:
    """By request, or dropped without a word."""
    feed.request(_request("sub", [STOCK, OPTION]), at(0))
    feed.request(_request("unsub", [STOCK], None), at(0))
    assert feed.followed() == [OPTION]
    feed.drop([OPTION])
    assert list(feed.update(at(99))) == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        _request("sub", [STOCK], "full_d5"),
        _request("follow", [STOCK]),
        b'{"method": "sub", "data": {"mode": "full"}}',
        b'{"method": "sub", "data": {"instrumentKeys": [1, null]}}',
    ],
)
def test_wrong_requests_are_passed_over(feed: RecordedFeed, message: bytes) -> None:
    """In silence, as the broker does."""
    assert list(feed.request(message, at(2))) == []
    assert list(feed.update(at(99))) == []


def test_faults_are_part_of_a_recording(tmp_path: Path) -> None:
    """Bytes that are no frame reach whoever follows anything, as they did."""
    frames = [(0.0, feeds(0, stock=last(1))), (1.0, b"\xff\xff\xff\xffno frame")]
    feed = RecordedFeed(Recording(write(tmp_path, frames)))
    feed.request(_request("sub", [STOCK]), at(0))
    assert list(feed.update(at(1))) == [b"\xff\xff\xff\xffno frame"]


def test_the_state_is_the_recorded_one(tmp_path: Path) -> None:
    """It changes when the recorded one did; a recording without one tells an empty state."""
    source = RecordedSource(Recording(write(tmp_path / "full", FRAMES)))
    states = [source.state(at(seconds)) for seconds in (0, 3, 3.5, 50)]
    assert [frame for _, frame in states] == [info(0)] * 2 + [info(3.5, wire.NORMAL_CLOSE)] * 2
    assert len({key for key, _ in states}) == 2
    bare = RecordedSource(Recording(write(tmp_path / "bare", [(0, feeds(0, stock=last(1)))])))
    (told,) = decoded([bare.state(at(0))[1]])
    assert (told.type, dict(told.marketInfo.segmentStatus)) == (wire.market_info, {})


def test_every_connection_starts_where_the_clock_is(tmp_path: Path) -> None:
    """A second client is given the same, whatever the first one has had."""
    source = RecordedSource(Recording(write(tmp_path, FRAMES)))
    account = Account("SIM001", True, TokenKind.LOGIN, at(9999))
    one, other = source.open(account), source.open(account)
    one.request(_request("sub", [STOCK]), at(0))
    one.update(at(99))
    answer = decoded(other.request(_request("sub", [STOCK]), at(3)))
    assert [dict(frame.feeds) for frame in answer] == [{STOCK: last(2)}]


@given(st.lists(st.floats(0, 6), max_size=8), st.integers(1, 200))
def test_any_pace_gives_the_same_frames(
    tmp_path_factory: pytest.TempPathFactory, steps: list[float], most_bytes: int
) -> None:
    """However often a client is served, however little at a time: nothing twice, nothing lost."""
    recording = Recording(write(tmp_path_factory.mktemp("pace"), FRAMES))
    feed = RecordedFeed(recording)
    feed.request(_request("sub", [STOCK, OPTION]), at(0))
    found: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playback, "_MOST_BYTES", most_bytes)
        for seconds in sorted(steps):
            found += feed.update(at(seconds))
        for _ in range(len(FRAMES) + 1):
            found += feed.update(at(6) + timedelta(hours=1))
    assert found == [f for _, f in FRAMES if wire.FeedResponse.FromString(f).type != 2]
