"""What a socket may rely on, whoever serves it: a market, and the recording of one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from simulator.recordings.playback import RecordedSource
from simulator.recordings.recording import Recording
from simulator.socket.session import MarketSource
from simulator.socket.source import Source
from tests.simulator import feeds
from tests.simulator.feeds import option_keys, read, request
from tests.simulator.recorded import START, at, write

_BEGIN = START + timedelta(minutes=20)
_SECONDS = 30


@pytest.fixture(scope="module")
def market() -> Source:
    """A market."""
    return MarketSource(feeds.market())


@pytest.fixture(scope="module")
def recording(market: Source, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """What the market told half a minute long, recorded."""
    client, first = market.open(feeds.account()), (_BEGIN - START).total_seconds()
    told = [(first - 1, market.state(_BEGIN)[1])]
    told += [(first, f) for f in client.request(request("sub", option_keys(), "full"), _BEGIN)]
    for second in range(1, _SECONDS):
        told += [(first + second, f) for f in client.update(at(first + second))]
    client.close()
    return RecordedSource(Recording(write(tmp_path_factory.mktemp("recording"), told)))


@pytest.fixture(params=["market", "recording"])
def source(request: pytest.FixtureRequest) -> Source:
    """Either of them."""
    found: Source = request.getfixturevalue(request.param)
    return found


def test_the_state_is_told_by_a_key_and_a_frame(source: Source) -> None:
    """The same key while nothing changes; the frame is a market_info."""
    states = [source.state(_BEGIN + timedelta(seconds=second)) for second in range(3)]
    assert len({key for key, _ in states}) == 1
    for _, frame in states:
        told = official.FeedResponse.FromString(frame)
        assert told.type == official.market_info
        assert told.marketInfo.segmentStatus["NSE_FO"] == official.NORMAL_OPEN


def test_a_feed_tells_what_is_followed(source: Source) -> None:
    """A snapshot of the keys asked for, then updates of these and of no others."""
    client, keys = source.open(feeds.account()), option_keys()[:5]
    begin = _BEGIN + timedelta(seconds=1)
    snapshot = read(client.request(request("sub", keys, "full"), begin)[-1:])
    assert snapshot.type == official.initial_feed
    assert set(snapshot.feeds) == set(client.followed()) == set(keys)
    told: set[str] = set()
    for second in range(1, _SECONDS - 1):
        for frame in client.update(begin + timedelta(seconds=second)):
            update = official.FeedResponse.FromString(frame)
            assert update.type == official.live_feed
            told |= set(update.feeds)
    assert told == set(keys)


@pytest.mark.parametrize("message", [b"", b"\xff", request("sub", option_keys(), "full_d5")])
def test_wrong_requests_are_passed_over(source: Source, message: bytes) -> None:
    """No frame, nothing followed."""
    client = source.open(feeds.account())
    assert not client.request(message, _BEGIN)
    assert not client.followed()


def test_what_is_dropped_is_told_no_more(source: Source) -> None:
    """Without a word; keys that nobody follows may be dropped too; closing twice is no error."""
    client, keys = source.open(feeds.account()), option_keys()
    client.request(request("sub", keys[:4], "full"), _BEGIN)
    client.drop(keys[1:])
    assert list(client.followed()) == keys[:1]
    for second in range(1, 20):
        for frame in client.update(_BEGIN + timedelta(seconds=second)):
            assert set(official.FeedResponse.FromString(frame).feeds) == {keys[0]}
    client.drop(keys)
    assert not client.update(_BEGIN + timedelta(seconds=25))
    client.close()
    client.close()
