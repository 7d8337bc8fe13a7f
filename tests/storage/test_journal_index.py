"""A stretch of the journal is found by time: all of it, nothing else, and without reading all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import JournalError
from storage import segments as segments_module
from storage.journal import JournalWriter, prune
from storage.journal_index import between, epochs_between
from storage.sealing import seal_all
from storage.segments import segments

START = datetime(2026, 11, 24, 3, 45, tzinfo=UTC)
Stretch = tuple[int, int]


def at(microseconds: int) -> datetime:
    """An instant that long after the start."""
    return START + timedelta(microseconds=microseconds)


def write(folder: Path, epoch: int, times: Sequence[int], segment_bytes: int = 150) -> None:
    """One frame at each time, microseconds after the start; its frame tells epoch and place."""
    made = JournalWriter(folder, epoch, 3600.0, segment_bytes=segment_bytes)
    start_ns = int(START.timestamp()) * 10**9
    for number, time in enumerate(times):
        made.append(start_ns + time * 1000, b"%d/%d" % (epoch, number))
    made.close()


def told(folder: Path, stretch: Stretch) -> list[bytes]:
    """The frames of a stretch."""
    return [r.frame for r in between(folder, at(stretch[0]), at(stretch[1]))]


@given(
    own=st.lists(st.lists(st.integers(0, 60), max_size=25).map(sorted), max_size=4),
    ends=st.tuples(st.integers(-5, 65), st.integers(-5, 65)),
    is_sealed=st.booleans(),
)
def test_a_stretch_holds_what_was_received_in_it(
    tmp_path_factory: pytest.TempPathFactory,
    own: list[list[int]],
    ends: Stretch,
    is_sealed: bool,
) -> None:
    """Of all epochs, also of those that overlap, in order of receipt; raw and compressed."""
    folder = tmp_path_factory.mktemp("stretch")
    for epoch, times in enumerate(own, 1):
        write(folder, epoch, times)
    if is_sealed:
        seal_all(folder)
    wanted = [
        (time, epoch, number)
        for epoch, times in enumerate(own, 1)
        for number, time in enumerate(times)
        if ends[0] <= time < ends[1]
    ]
    assert told(folder, ends) == [b"%d/%d" % (e, n) for _, e, n in sorted(wanted)]
    found = epochs_between(folder, at(ends[0]), at(ends[1]))
    assert found == sorted({epoch for _, epoch, _ in wanted})


@given(times=st.lists(st.integers(0, 60), min_size=1, max_size=25), ends=st.integers(0, 60))
def test_a_clock_that_was_set_back_leaves_no_hole(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], ends: int
) -> None:
    """What is given of an epoch followed each other in it."""
    folder = tmp_path_factory.mktemp("back")
    write(folder, 1, times)
    found = [r.sequence for r in between(folder, at(ends), at(1000))]
    assert sorted(found) == list(range(min(found, default=0), max(found, default=-1) + 1))


def test_little_is_read_to_find_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred files only a few are opened for an instant in the last one."""
    write(tmp_path, 1, range(600), segment_bytes=150)
    assert len(segments(tmp_path)) >= 100
    seal_all(tmp_path)
    opened: list[Path] = []
    real = segments_module.SealedFile
    monkeypatch.setattr(
        segments_module, "SealedFile", lambda path: opened.append(path) or real(path)
    )
    assert told(tmp_path, (599, 600)) == [b"1/599"]
    assert len(opened) <= 15


def test_pruned_and_absent_is_not_there(tmp_path: Path) -> None:
    """A stretch begins with what is left of it."""
    assert told(tmp_path / "absent", (0, 10)) == []
    write(tmp_path, 1, range(40))
    prune(tmp_path, {1: 20}, 0)
    left = segments(tmp_path)[0].first_sequence
    assert told(tmp_path, (0, 40)) == [b"1/%d" % n for n in range(left - 1, 40)]


def test_damage_outside_is_not_met(tmp_path: Path) -> None:
    """Only that stretch is read; inside it damage is told."""
    write(tmp_path, 1, range(40))
    victim = segments(tmp_path)[-4].path
    found = bytearray(victim.read_bytes())
    found[60] ^= 1
    victim.write_bytes(found)
    assert told(tmp_path, (0, 10)) == [b"1/%d" % n for n in range(10)]
    with pytest.raises(JournalError, match=victim.name):
        told(tmp_path, (0, 40))
