"""The live feed's frame: round trips bit for bit, and garbage is refused by type."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import live_frame
from market.errors import FrameError
from market.live_frame import LiveFrame, LiveTable, decode, encode

FLOATS = st.floats(width=64)
NAMES = st.text(min_size=1, max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> LiveTable:
    """A table of any shape, NaN and infinities included."""
    rows = draw(st.integers(0, 5))
    section = st.lists(FLOATS, min_size=rows, max_size=rows).map(lambda v: array("d", v))
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    return LiveTable(draw(NAMES), draw(section), {name: draw(section) for name in names})


FRAMES = st.builds(
    LiveFrame,
    st.integers(0, 2**50),
    st.floats(0, 1e14),
    st.lists(tables(), max_size=3),
    st.integers(0, 2**50),
    st.integers(0, 2**50),
)


@given(FRAMES)
def test_round_trip(frame: LiveFrame) -> None:
    """What is sent arrives, bit for bit."""
    back = decode(encode(frame))
    assert (back.sequence, back.sent_at_ms) == (frame.sequence, frame.sent_at_ms)
    assert (back.since, back.version) == (frame.since, frame.version)
    assert [t.name for t in back.tables] == [t.name for t in frame.tables]
    for sent, got in zip(frame.tables, back.tables, strict=True):
        assert got.ids.tobytes() == sent.ids.tobytes()
        assert list(got.columns) == list(sent.columns)
        assert all(got.columns[n].tobytes() == sent.columns[n].tobytes() for n in sent.columns)


@given(FRAMES)
def test_sections_start_on_eight_byte_borders(frame: LiveFrame) -> None:
    """So that a browser can lay typed arrays over the message without a copy."""
    (length,) = struct.unpack_from("<I", encode(frame))
    assert (4 + length) % 8 == 0


@given(FRAMES, st.data())
def test_cut_frames_are_refused(frame: LiveFrame, data: st.DataObject) -> None:
    """A frame that lost its tail is an error, never fewer rows."""
    message = encode(frame)
    cut = data.draw(st.integers(0, len(message) - 1))
    try:
        decode(message[:cut])
    except FrameError:
        return
    # Only padding may be lost unseen: the header must still be whole and no section cut.
    assert all(len(t.ids) == 0 for t in frame.tables)


@given(st.binary(max_size=200))
def test_garbage_raises_frame_error_only(message: bytes) -> None:
    """Outside bytes never raise anything outside the error tree."""
    with contextlib.suppress(FrameError):
        decode(message)


def test_other_version_is_refused() -> None:
    """A reader of this version says so instead of misreading."""
    header = json.dumps({"v": 99, "sequence": 1, "sent_at_ms": 0, "tables": []}).encode()
    with pytest.raises(FrameError, match="version 99"):
        decode(struct.pack("<I", len(header)) + header)


@pytest.mark.parametrize(
    "columns",
    [
        live_frame.UNDERLYING_COLUMNS,
        live_frame.EXPIRY_COLUMNS,
        live_frame.STRIKE_COLUMNS,
        live_frame.CONTRACT_COLUMNS,
    ],
)
def test_every_value_has_its_instant(columns: tuple[str, ...]) -> None:
    """Names are unique, and each table tells when what it says was so."""
    assert len(set(columns)) == len(columns)
    assert any(name.endswith("_at_ms") for name in columns)


def test_null_is_nan() -> None:
    """The one spelling of null on this wire."""
    table = LiveTable("underlying", array("d", [1]), {"spot": array("d", [math.nan])})
    (back,) = decode(encode(LiveFrame(1, 2.0, [table]))).tables
    assert math.isnan(back.columns["spot"][0])
