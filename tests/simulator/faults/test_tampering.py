"""What a fault does to a frame, read back with the official SDK's schema."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from simulator.faults.catalogue import CATALOGUE, Place, kind_of
from simulator.faults.tampering import Outgoing, tampered, unknown_type, unread, without_keys

_EDITED = ("partial", "unknown_enum", "unknown_field", "clock_skew", "stale_ltt")


def _feeds(*, is_snapshot: bool = False) -> official.FeedResponse:
    """One entry of every shape: full, index, first level, bare."""
    kind = official.initial_feed if is_snapshot else official.live_feed
    frame = official.FeedResponse(type=kind, currentTs=1_000_000)
    full = frame.feeds["full"].fullFeed.marketFF
    full.ltpc.ltt = full.ltpc.ltq = 900_000
    full.marketLevel.bidAskQuote.add(bidP=1.0)
    full.optionGreeks.delta = 0.5
    full.marketOHLC.ohlc.add(open=2.0)
    full.vtt = 7
    frame.feeds["index"].fullFeed.indexFF.ltpc.ltt = 900_000
    frame.feeds["index"].fullFeed.indexFF.marketOHLC.ohlc.add(open=2.0)
    first = frame.feeds["first"].firstLevelWithGreeks
    first.ltpc.ltt, first.firstDepth.bidP, first.optionGreeks.delta = 900_000, 1.0, 0.5
    frame.feeds["bare"].ltpc.ltt = 900_000
    return frame


def _sent(name: str, frame: official.FeedResponse, **arguments: object) -> list[bytes]:
    checked = kind_of(name).checked(arguments)
    return [out.data for out in tampered(name, checked, frame.SerializeToString())]


def _edited(name: str, frame: official.FeedResponse, **arguments: object) -> official.FeedResponse:
    (sent,) = _sent(name, frame, **arguments)
    return official.FeedResponse.FromString(sent)


def test_partial_frames_lack_blocks() -> None:
    """Absent, not empty, and nothing else is lost; a snapshot stays whole."""
    left = _edited("partial", _feeds())
    full = left.feeds["full"].fullFeed.marketFF
    assert not full.HasField("marketLevel")
    assert not full.HasField("optionGreeks")
    assert full.HasField("ltpc")
    assert full.HasField("marketOHLC")
    assert full.vtt == 7
    assert not left.feeds["first"].firstLevelWithGreeks.HasField("firstDepth")
    assert left.feeds["bare"] == _feeds().feeds["bare"]
    bare = _edited("partial", _feeds(), blocks=("ltpc", "ohlc")).feeds["index"].fullFeed.indexFF
    assert not bare.HasField("ltpc")
    assert not bare.HasField("marketOHLC")
    assert _edited("partial", _feeds(is_snapshot=True)) == _feeds(is_snapshot=True)


def test_clocks_and_last_trades_are_shifted() -> None:
    """currentTs alone, or every entry's last trade time alone; never below zero."""
    skewed = _edited("clock_skew", _feeds(), shift_ms=-5_000)
    assert skewed.currentTs == 995_000
    assert skewed.feeds == _feeds().feeds
    assert _edited("clock_skew", _feeds(), shift_ms=-(10**12)).currentTs == 0
    stale = _edited("stale_ltt", _feeds(), shift_ms=-800_000)
    assert stale.currentTs == 1_000_000
    assert stale.feeds["full"].fullFeed.marketFF.ltpc.ltt == 100_000
    assert stale.feeds["index"].fullFeed.indexFF.ltpc.ltt == 100_000
    assert stale.feeds["first"].firstLevelWithGreeks.ltpc.ltt == 100_000
    assert stale.feeds["bare"].ltpc.ltt == 100_000
    assert stale.feeds["full"].fullFeed.marketFF.ltpc.ltq == 900_000


def test_what_the_schema_does_not_know() -> None:
    """Enum values, fields and a type that a reader of today must pass over."""
    assert {f.requestMode for f in _edited("unknown_enum", _feeds()).feeds.values()} == {99}
    info = official.FeedResponse(type=official.market_info)
    info.marketInfo.segmentStatus["NSE_FO"] = official.NORMAL_OPEN
    assert dict(_edited("unknown_enum", info).marketInfo.segmentStatus) == {"NSE_FO": 99}
    read = _edited("unknown_field", _feeds())
    assert len(read.SerializeToString()) > len(_feeds().SerializeToString())
    read.DiscardUnknownFields()
    assert read == _feeds()
    first, second = _sent("unknown_type", _feeds())
    assert official.FeedResponse.FromString(first).type == 7
    assert second == _feeds().SerializeToString()
    assert official.FeedResponse.FromString(unknown_type(5)).currentTs == 5


def test_frames_that_no_decoder_reads() -> None:
    """Garbage of the length asked for, and a torn frame."""
    for size in (1, 64, 1_000):
        assert len(unread(size)) == size
        with pytest.raises(DecodeError):
            official.FeedResponse.FromString(unread(size))
    (torn,) = _sent("truncated", _feeds())
    assert _feeds().SerializeToString().startswith(torn)
    with pytest.raises(DecodeError):
        official.FeedResponse.FromString(torn)
    assert _sent("truncated", _feeds(), keeps=0.0) == [b""]


def test_more_and_other_frames() -> None:
    """Twice, and a text frame before it."""
    frame = _feeds().SerializeToString()
    assert _sent("duplicate", _feeds()) == [frame, frame]
    sent = tampered("text_frame", kind_of("text_frame").checked({"text": "hello"}), frame)
    assert list(sent) == [Outgoing(b"hello", is_text=True), Outgoing(frame)]


def test_snapshots_pass_a_mebibyte() -> None:
    """Padded with what a reader passes over; other frames stay as they are."""
    (padded,) = _sent("big_snapshot", _feeds(is_snapshot=True))
    assert 1_310_720 <= len(padded) < 1_310_740
    read = official.FeedResponse.FromString(padded)
    read.DiscardUnknownFields()
    assert read == _feeds(is_snapshot=True)
    assert _sent("big_snapshot", _feeds()) == [_feeds().SerializeToString()]


def test_hidden_keys_leave_no_entry() -> None:
    """And no frame, if there is nothing else in it."""
    frame = _feeds().SerializeToString()
    (kept,) = without_keys(frame, lambda key: key != "bare")
    assert list(official.FeedResponse.FromString(kept.data).feeds) == ["bare"]
    assert list(without_keys(frame, lambda _key: True)) == []
    info = official.FeedResponse(type=official.market_info).SerializeToString()
    assert list(without_keys(info, lambda _key: True)) == [Outgoing(info)]


@given(st.binary(max_size=60))
def test_anything_else_passes_as_it_is(frame: bytes) -> None:
    """Somebody's bytes that are no frame go through every edit; nothing raises."""
    for kind in CATALOGUE.values():
        if kind.place is Place.FRAME and kind.name not in ("out_of_order", "never_seen"):
            tampered(kind.name, kind.checked({}), frame)
    try:
        official.FeedResponse.FromString(frame)
    except DecodeError:
        for name in _EDITED:
            assert tampered(name, kind_of(name).checked({}), frame)[0].data == frame
