"""The walker against the protobuf library: it takes the market, and reads alike what it takes."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMNS
from brokers.upstox import walker
from brokers.upstox.codec import UpstoxCodec, decode, decode_by_library
from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from brokers.upstox.walker import walk
from tests.brokers.upstox.test_codec import LATEST_MS, responses, wild_frames
from tools import fuzz_frames

NOON_MS = 1_795_588_200_000
TICK = wire.Feed(ltpc=wire.LTPC(ltp=1.5))
ENTRY = wire.FeedResponse(feeds={"k": TICK}).SerializeToString()


CODEC = UpstoxCodec()


def _agrees(frame: bytes) -> None:
    """Without a book of keys, with one that may not know them yet, and with one that does."""
    expected = fuzz_frames.verdict(frame, decode_by_library)
    for read in (decode, CODEC.decode, CODEC.decode):
        assert fuzz_frames.verdict(frame, read) == expected


@given(responses)
def test_every_ordinary_frame_is_walked(response: Message) -> None:
    """Frames of each mode are read without the library, to the same columns."""
    frame = response.SerializeToString()
    assert walk(frame) is not None
    _agrees(frame)


@settings(max_examples=200)
@given(wild_frames)
def test_any_frame_reads_as_the_library_reads_it(frame: bytes) -> None:
    """Any message of this or a later schema, any value."""
    _agrees(frame)


def test_damaged_frames_read_as_the_library_reads_them() -> None:
    """Some thousand damaged frames: agreement on each, and many of them walked."""
    different, walked = fuzz_frames.disagreements(fuzz_frames.mutations(12_000, seed=1))
    assert [frame.hex() for frame in different] == []
    assert walked > 1_000


def test_the_search_finds_a_difference() -> None:
    """A reader that sees half of each frame is noticed."""
    frames = iter(fuzz_frames.seeds())
    found, _ = fuzz_frames.disagreements(
        frames, lambda frame: decode_by_library(frame[: len(frame) // 2])
    )
    assert found


def test_mutations_are_the_same_for_a_seed() -> None:
    """What was found can be found again."""
    assert list(fuzz_frames.mutations(50, 3)) == list(fuzz_frames.mutations(50, 3))


def test_full_mode_by_column() -> None:
    """Each column holds its own field: all values differ, deeper levels are left out."""
    market = wire.MarketFullFeed(
        ltpc=wire.LTPC(ltp=1.0, ltt=NOON_MS, ltq=3, cp=4.0),
        marketLevel=wire.MarketLevel(
            bidAskQuote=[
                wire.Quote(bidP=5.0, bidQ=6, askP=7.0, askQ=8),
                wire.Quote(bidP=50.0, bidQ=60, askP=70.0, askQ=80),
            ]
        ),
        vtt=9,
        oi=10.0,
        atp=11.0,
        iv=12.0,
        optionGreeks=wire.OptionGreeks(delta=13.0, gamma=14.0, theta=15.0, vega=16.0, rho=17.0),
        tbq=18.0,
        tsq=19.0,
        marketOHLC=wire.MarketOHLC(
            ohlc=[
                wire.OHLC(interval="I1", open=90.0, high=91.0, low=92.0),
                wire.OHLC(open=20.0, high=21.0, low=22.0, close=93.0, interval="1d"),
                wire.OHLC(interval="1d", open=94.0, high=95.0, low=96.0),
            ]
        ),
    )
    feeds = {"k": wire.Feed(fullFeed=wire.FullFeed(marketFF=market))}
    walked = walk(wire.FeedResponse(type=1, currentTs=NOON_MS, feeds=feeds).SerializeToString())
    assert walked is not None
    assert (walked.type_number, walked.published_at_ms, walked.keys) == (1, NOON_MS, ("k",))
    expected = np.arange(1.0, len(FEED_COLUMNS) + 1)
    expected[1] = NOON_MS
    assert walked.values.tolist() == [expected.tolist()]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ENTRY + ENTRY,
        wire.FeedResponse(feeds={"ü": TICK}).SerializeToString(),
        wire.FeedResponse(feeds={"k": wire.Feed()}).SerializeToString(),
        wire.FeedResponse(feeds={"k": TICK}, marketInfo=wire.MarketInfo()).SerializeToString(),
        wire.FeedResponse(feeds={"k": TICK}, currentTs=LATEST_MS).SerializeToString(),
        wire.FeedResponse(
            feeds={"k": wire.Feed(ltpc=wire.LTPC(ltp=1.0, ltq=-1))}
        ).SerializeToString(),
        b"\x12\x0a\x0a\x01k\x12\x05\x0a\x00\x12\x01\x0a",
        ENTRY[:-1],
    ],
    ids=[
        "empty",
        "key twice",
        "not ASCII",
        "no content",
        "market status",
        "no instant",
        "negative",
        "two contents",
        "cut",
    ],
)
def test_what_is_doubtful_is_left_to_the_library(frame: bytes) -> None:
    """The walker takes nothing that is rare or doubtful; the frame is read all the same."""
    assert walk(frame) is None
    _agrees(frame)


def test_later_fields_are_stepped_over() -> None:
    """A field of a later version costs nothing: the frame is still walked."""
    told = ENTRY + b"\xa2\x38\x03new" + b"\xa9\x38" + b"x" * 8
    walked = walk(told)
    assert walked is not None and walked.values[0, 0] == 1.5
    _agrees(told)


def test_warm_leaves_nothing_to_compile() -> None:
    """After it no frame waits for a compiler."""
    walker.warm()
    before = len(walker._walk.signatures)  # type: ignore[attr-defined]
    for frame in fuzz_frames.seeds():
        decode(frame)
    assert len(walker._walk.signatures) == before == 1  # type: ignore[attr-defined]


@given(st.integers(0, 2**63 - 1))
def test_integers_are_rounded_as_the_library_rounds(number: int) -> None:
    """Beyond 2^53 too."""
    frame = wire.FeedResponse(feeds={"k": wire.Feed(ltpc=wire.LTPC(ltq=number))})
    _agrees(frame.SerializeToString())
