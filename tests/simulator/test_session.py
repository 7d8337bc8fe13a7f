"""One client's feed: what is asked for, what is told, when nothing is."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from market.rules import rules_for
from simulator.exchange import Market
from simulator.session import KEY_LIMITS, FeedSession

_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_MARKET = Market(7, rules_for("nse"), ["NIFTY"])
_ROWS = _MARKET.listing(_NOON).chain("NIFTY", date(2026, 12, 1))[30:50]
_KEYS = [_MARKET.listing(_NOON).rows[r].key for r in _ROWS]
_STEP = timedelta(milliseconds=200)


def _request(method: str, keys: list[str], mode: str | None = None) -> bytes:
    data = {"instrumentKeys": keys} | ({"mode": mode} if mode else {})
    return json.dumps({"guid": "g", "method": method, "data": data}).encode()


def _read(frame: bytes | None) -> official.FeedResponse:
    assert frame is not None
    return official.FeedResponse.FromString(frame)


def _updates(session: FeedSession, start: datetime, count: int) -> list[official.FeedResponse]:
    frames = [session.update(start + i * _STEP) for i in range(1, count + 1)]
    return [official.FeedResponse.FromString(f) for f in frames if f is not None]


def test_a_subscription_is_answered_with_its_snapshot() -> None:
    """All known keys at once, unknown ones in silence."""
    session = FeedSession(_MARKET)
    frame = _read(session.request(_request("sub", [*_KEYS, "NSE_FO|0"], "full"), _NOON))
    assert frame.type == official.initial_feed
    assert set(frame.feeds) == set(_KEYS)
    intervals = [b.interval for b in frame.feeds[_KEYS[0]].fullFeed.marketFF.marketOHLC.ohlc]
    assert intervals == ["1d", "I1"]


def test_updates_hold_only_what_changed() -> None:
    """Each entry is a new change; together they pass over no instrument; some are partial."""
    session = FeedSession(_MARKET)
    told = {
        key: feed.fullFeed.marketFF.ltpc.ltt
        for key, feed in _read(session.request(_request("sub", _KEYS, "full"), _NOON)).feeds.items()
    }
    first, partial = dict(told), 0
    for frame in _updates(session, _NOON, 100):
        assert frame.type == official.live_feed
        for key, feed in frame.feeds.items():
            full = feed.fullFeed.marketFF
            assert full.ltpc.ltt > told[key]
            told[key] = full.ltpc.ltt
            partial += not full.HasField("marketLevel")
            bar = full.marketOHLC.ohlc[0]
            assert bar.low <= full.ltpc.ltp <= bar.high
    assert all(told[key] > first[key] for key in _KEYS)
    assert partial > 0


def test_nothing_new_means_no_frame() -> None:
    """The same instant again, or an empty subscription."""
    session = FeedSession(_MARKET)
    assert session.update(_NOON) is None
    session.request(_request("sub", _KEYS), _NOON)
    assert session.update(_NOON) is None


def test_modes_change_and_end() -> None:
    """Default is ltpc; change_mode snapshots in the new mode; unsub ends in silence."""
    session = FeedSession(_MARKET)
    key = _KEYS[0]
    assert _read(session.request(_request("sub", [key]), _NOON)).feeds[key].HasField("ltpc")
    changed = _read(session.request(_request("change_mode", [key], "option_greeks"), _NOON))
    assert changed.feeds[key].HasField("firstLevelWithGreeks")
    assert session.request(_request("unsub", [key]), _NOON) is None
    assert session.subscribed == 0
    assert _updates(session, _NOON, 20) == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"method":"sub","data":{"mode":"full","instrumentKeys":7}}',
        _request("sub", _KEYS, "full_d5"),
        _request("jump", _KEYS, "full"),
    ],
)
def test_what_is_no_request_is_passed_over(message: bytes) -> None:
    """No answer, no error, no subscription."""
    session = FeedSession(_MARKET)
    assert session.request(message, _NOON) is None
    assert session.subscribed == 0


@given(st.binary(max_size=200))
def test_no_bytes_break_the_session(message: bytes) -> None:
    """Outside bytes never raise."""
    assert FeedSession(_MARKET).request(message, _NOON) is None


def test_keys_above_the_limit_are_dropped_in_silence() -> None:
    """Fifty instruments of thirty levels, over several requests."""
    session = FeedSession(_MARKET)
    every = [row.key for row in _MARKET.listing(_NOON).rows]
    for start in (0, 30, 60):
        session.request(_request("sub", every[start : start + 30], "full_d30"), _NOON)
    assert session.subscribed == KEY_LIMITS["full_d30"] == 50


def test_the_close_is_told_once_and_then_silence() -> None:
    """The last changes come, then nothing until the next open, across a change of listing."""
    session = FeedSession(_MARKET)
    closes = datetime(2026, 11, 25, 10, 10, tzinfo=UTC)
    session.request(_request("sub", _KEYS, "full"), closes - timedelta(seconds=5))
    final = _read(session.update(closes + timedelta(seconds=1)))
    assert final.feeds
    for hours in (0, 1, 9, 17):
        assert session.update(closes + timedelta(hours=hours, seconds=2)) is None
    opens = datetime(2026, 11, 26, 3, 45, tzinfo=UTC)
    frame = _read(session.update(opens))
    assert set(frame.feeds) <= set(_KEYS)
    volumes = {feed.fullFeed.marketFF.vtt for feed in frame.feeds.values()}
    assert volumes == {0}
