"""A frame is cut along its entries and put together again without a byte being changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator.recordings.slices import cut

KEYS = st.text(max_size=40)
FIGURES = st.floats(allow_nan=False)
ENTRIES = st.one_of(
    st.builds(lambda p: wire.Feed(ltpc=wire.LTPC(ltp=p)), FIGURES),
    st.builds(
        lambda p, v: wire.Feed(
            fullFeed=wire.FullFeed(marketFF=wire.MarketFullFeed(atp=p, vtt=v)),
            requestMode=wire.full_d5,
        ),
        FIGURES,
        st.integers(-(2**63), 2**63 - 1),
    ),
)
FRAMES = st.builds(
    lambda kind, entries, at_ms: wire.FeedResponse(type=kind, feeds=entries, currentTs=at_ms),
    st.sampled_from([0, 1, 2, 7]),
    st.dictionaries(KEYS, ENTRIES, max_size=6),
    st.integers(-(2**63), 2**63 - 1),
)


@given(FRAMES)
def test_pieces_are_the_frame(frame: wire.FeedResponse) -> None:
    """All keys together give the very bytes that came, unknown parts included."""
    content = frame.SerializeToString() + b"\xfa\x01\x02hi\x81\x02\x01\x02\x03\x04\x05\x06\x07\x08"
    sliced = cut(content)
    assert sliced.is_readable
    assert sliced.only(frame.feeds) == content
    assert sorted(sliced.keys) == sorted(frame.feeds)


@given(FRAMES, st.data())
def test_some_keys_are_those_entries(frame: wire.FeedResponse, data: st.DataObject) -> None:
    """The broker's schema reads the chosen entries, and type and time, as in the whole."""
    chosen = data.draw(st.sets(st.sampled_from(sorted(frame.feeds)))) if frame.feeds else set()
    found = cut(frame.SerializeToString()).only(chosen)
    wanted = wire.FeedResponse(type=frame.type, currentTs=frame.currentTs)
    for key in chosen:
        wanted.feeds[key].CopyFrom(frame.feeds[key])
    if frame.feeds and not chosen:
        assert found is None
    else:
        assert wire.FeedResponse.FromString(found or b"") == wanted


@given(st.binary(max_size=200))
def test_any_bytes_can_be_cut(content: bytes) -> None:
    """What is no message is one piece that everybody gets, as the exchange had sent it."""
    sliced = cut(content)
    assert b"".join(piece for _, piece in sliced.pieces) == content
    if not sliced.is_readable:
        assert sliced.only(()) == content


@given(FRAMES, st.data())
def test_cut_short_is_never_misread(frame: wire.FeedResponse, data: st.DataObject) -> None:
    """A truncated frame gives only entries that stand in it whole."""
    content = frame.SerializeToString()
    sliced = cut(content[: data.draw(st.integers(0, len(content)))])
    assert set(sliced.keys) <= set(frame.feeds)
