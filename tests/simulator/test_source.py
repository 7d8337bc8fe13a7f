"""What a socket relies on, whether a market or a recording stands behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official_schema

from simulator.playback import RecordedSource
from simulator.recording import Recording
from simulator.session import MarketSource
from simulator.source import Source
from simulator.tokens import Account, TokenKind
from tests.simulator import feeds
from tests.simulator.recorded import START_MS, STOCK, info, last, write
from tests.simulator.recorded import feeds as recorded

_ACCOUNT = Account("SIM001", True, TokenKind.LOGIN, datetime(2030, 1, 1, tzinfo=UTC), "t")


def _market(_folder: Path) -> tuple[Source, datetime, str]:
    return MarketSource(feeds.market()), feeds.NOON, feeds.INDEX


def _recording(folder: Path) -> tuple[Source, datetime, str]:
    frames = [(0.0, info(0)), (1.0, recorded(1, is_snapshot=True, stock=last(1)))]
    source = RecordedSource(Recording(write(folder, frames)))
    return source, datetime.fromtimestamp(START_MS / 1000 + 2, UTC), STOCK


@pytest.fixture(params=[_market, _recording], ids=["market", "recording"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Source, datetime, str]:
    """A source, an instant that it can answer for, and a key that it knows."""
    make: Callable[[Path], tuple[Source, datetime, str]] = request.param
    return make(tmp_path)


def _request(method: str, key: str) -> bytes:
    data = {"mode": "ltpc", "instrumentKeys": [key]}
    return json.dumps({"guid": "g", "method": method, "data": data}).encode()


def test_the_state_is_the_same_while_nothing_changes(
    source: tuple[Source, datetime, str],
) -> None:
    """Its name compares equal, and its frame is the market's state."""
    known, now, _ = source
    first, again = known.state(now), known.state(now + timedelta(milliseconds=5))
    assert first[0] == again[0]
    assert hash(first[0]) == hash(again[0])
    frame = official_schema.FeedResponse.FromString(first[1])
    assert frame.type == official_schema.market_info


def test_a_subscription_is_answered_and_ended(source: tuple[Source, datetime, str]) -> None:
    """The first frames after a request carry the key; after its end, or a silent drop, none do."""
    known, now, key = source
    for end in (lambda feed: feed.request(_request("unsub", key), now), lambda f: f.drop([key])):
        feed = known.open(_ACCOUNT)
        frames = [*feed.request(_request("sub", key), now), *feed.update(now)]
        found = [official_schema.FeedResponse.FromString(frame) for frame in frames]
        assert any(key in frame.feeds for frame in found)
        end(feed)
        later = feed.update(now + timedelta(seconds=30))
        assert not any(
            key in official_schema.FeedResponse.FromString(frame).feeds for frame in later
        )
        feed.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_what_is_no_request_is_passed_over(
    source: tuple[Source, datetime, str], message: bytes
) -> None:
    """Any bytes at all, in silence."""
    known, now, _ = source
    feed = known.open(_ACCOUNT)
    assert list(feed.request(message, now)) == []
    feed.close()
