"""Segments: sound records come back, damage is found, its place is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import JournalError
from storage.segments import (
    HEADER_BYTES,
    PREFIX_BYTES,
    Record,
    Segment,
    SegmentReader,
    header,
    prefix,
    segment_path,
    segments,
)

FRAMES = st.lists(st.binary(max_size=40), max_size=6)


def content(frames: list[bytes], epoch: int = 5, first: int = 3) -> bytes:
    """A whole segment's bytes."""
    parts = [prefix(first + i, 1000 + i, frame) + frame for i, frame in enumerate(frames)]
    return b"".join((header(epoch, first), *parts))


def reader_of(folder: Path, found: bytes) -> SegmentReader:
    """A reader of a file with these bytes."""
    path = segment_path(folder, 5, 3)
    path.write_bytes(found)
    return SegmentReader(Segment(5, 3, path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples; each writes its file anew."""
    return tmp_path_factory.mktemp("segments")


@given(frames=FRAMES)
def test_what_was_written_is_read(folder: Path, frames: list[bytes]) -> None:
    """Any frames, with nothing left over."""
    reader = reader_of(folder, content(frames))
    assert list(reader.read()) == [Record(5, 3 + i, 1000 + i, f) for i, f in enumerate(frames)]
    assert reader.tear() is None
    assert reader.next_sequence == 3 + len(frames)


@given(frames=FRAMES, cut=st.integers(0, 500))
def test_a_cut_loses_only_what_comes_after(folder: Path, frames: list[bytes], cut: int) -> None:
    """Wherever it falls; and the cut is told unless it falls between two records."""
    whole = content(frames)
    cut = min(cut, len(whole))
    reader = reader_of(folder, whole[:cut])
    got = [r.frame for r in reader.read()]
    ends = [HEADER_BYTES]
    for frame in frames:
        ends.append(ends[-1] + PREFIX_BYTES + len(frame))
    assert got == frames[: sum(end <= cut for end in ends[1:])]
    tear = reader.tear()
    assert (tear is None) is (cut in ends)
    if tear:
        assert not tear.is_middle
        assert tear.offset == max((end for end in ends if end <= cut), default=0)


@given(frames=st.lists(st.binary(max_size=40), min_size=1, max_size=6), data=st.data())
def test_one_altered_byte_never_passes(
    folder: Path, frames: list[bytes], data: st.DataObject
) -> None:
    """What is read is what was written, and damage before a sound record is told as such."""
    whole = bytearray(content(frames))
    at = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    reader = reader_of(folder, bytes(whole))
    got = [r.frame for r in reader.read()]
    assert got == frames[: len(got)]
    assert len(got) < len(frames)
    tear = reader.tear()
    assert tear is not None
    assert tear.is_middle is (len(got) < len(frames) - 1)


@given(found=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(folder: Path, found: bytes) -> None:
    """Nothing but the one error comes out, and no record out of nothing."""
    reader = reader_of(folder, found)
    try:
        assert list(reader.read()) == []
        reader.tear()
    except JournalError as error:
        assert "offset 0" in str(error)


def test_a_segment_under_a_false_name_is_refused(folder: Path) -> None:
    """Renamed files do not give their records to another epoch."""
    with pytest.raises(JournalError, match=r"00003\.journal is damaged at offset 0"):
        list(reader_of(folder, content([b"x"], epoch=6)).read())


def test_segments_are_listed_by_age(tmp_path: Path) -> None:
    """Foreign files are left alone; an absent folder is empty."""
    for epoch, first in ((10, 1), (9, 200), (9, 30)):
        segment_path(tmp_path, epoch, first).touch()
    (tmp_path / "notes.txt").touch()
    assert [(s.epoch, s.first_sequence) for s in segments(tmp_path)] == [(9, 30), (9, 200), (10, 1)]
    assert segments(tmp_path / "absent") == []
