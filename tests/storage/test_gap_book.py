"""The gap book: what was noted outlives the process, cut wherever it may be."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.errors import JournalError
from storage.gap_book import (
    ClosedGap,
    Entry,
    GapBook,
    Gaps,
    IdleSlot,
    LiveSlot,
    OpenGap,
    Recorded,
)

START = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)
KEYS = ("NSE_FO|1", "NSE_INDEX|Nifty 50")
# Few enough that gaps overlap, repeat and are recorded while they are wider already.
slots = st.integers(0, 2)
instants = st.integers(0, 5).map(lambda n: START + timedelta(seconds=n))
reasons = st.sampled_from(["reset", "restart"])
epochs = st.integers(1, 3)
keys = st.sampled_from([(), KEYS[:1], KEYS])
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(OpenGap, slots, instants, reasons, keys),
    st.builds(LiveSlot, slots, epochs, keys, st.none() | instants),
    st.builds(IdleSlot, slots),
    st.builds(ClosedGap, slots, instants, instants, reasons, epochs, keys),
    st.builds(Recorded, slots, instants, instants, reasons, epochs),
)
State = tuple[dict[int, OpenGap | LiveSlot], tuple[ClosedGap, ...]]
_each_its_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def at(seconds: float) -> datetime:
    """So long after the start."""
    return START + timedelta(seconds=seconds)


def closed(slot: int, from_s: float, to_s: float, epoch: int = 7) -> ClosedGap:
    """A gap of a slot, in seconds after the start."""
    return ClosedGap(slot, at(from_s), at(to_s), "reset", epoch, KEYS)


def recorded(gap: ClosedGap) -> Recorded:
    """The database's receipt."""
    return Recorded(gap.slot, gap.from_at, gap.to_at, gap.reason, gap.epoch)


def opened(path: Path, compact_bytes: int = 2**20, gap_limit: int = 100) -> GapBook:
    """The book as the next process finds it."""
    book = GapBook(path, compact_bytes, gap_limit)
    book.open()
    return book


def state(book: GapBook | Gaps) -> State:
    """All that it amounts to."""
    return dict(book.slots), book.waiting


def test_a_gap_from_its_beginning_to_the_database(tmp_path: Path) -> None:
    """Open, closed, recorded: each is what the next process finds."""
    path = tmp_path / "journal" / "gaps.book"
    gap = closed(0, 1, 5)
    begun = OpenGap(0, at(1), "reset", KEYS)
    for entry, slot, waiting in [
        (begun, begun, ()),
        (gap, LiveSlot(0, 7, KEYS, at(1)), (gap,)),
        (recorded(gap), LiveSlot(0, 7, KEYS, at(1)), ()),
    ]:
        book = opened(path)
        book.note(entry)
        book.close()
        again = opened(path)
        assert state(again) == ({0: slot}, waiting)
        again.close()


@_each_its_folder
@given(st.lists(entries, max_size=12), st.data())
def test_cut_anywhere_it_is_as_it_was_at_some_moment(
    tmp_path: Path, noted: list[Entry], data: st.DataObject
) -> None:
    """Any prefix of the file is the book after the entries that are whole in it."""
    path = tmp_path / "gaps.book"
    path.unlink(missing_ok=True)
    book = opened(path, gap_limit=3)
    expected, states, ends = Gaps(3), [state(Gaps())], [0]
    for entry in noted:
        expected.take(entry)
        book.note(entry)
        states.append(state(expected))
        ends.append(path.stat().st_size)
    book.close()
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    again = opened(path, gap_limit=3)
    assert state(again) == states[sum(end <= cut for end in ends) - 1]
    # And so it stays, written anew or not.
    again.close()
    third = opened(path, gap_limit=3)
    assert state(third) == state(again)
    third.close()


@_each_its_folder
@given(st.lists(entries, max_size=30), st.integers(0, 300))
def test_writing_it_anew_changes_nothing(
    tmp_path: Path, noted: list[Entry], compact_bytes: int
) -> None:
    """Whenever it happens, and with a disk that refuses in between."""
    path = tmp_path / "gaps.book"
    path.unlink(missing_ok=True)
    book, expected = opened(path, compact_bytes), Gaps(100)
    for entry in noted:
        book.note(entry)
        expected.take(entry)
    book.close()
    again = opened(path)
    assert state(again) == state(expected)
    again.close()


@given(st.lists(entries))
def test_no_gap_is_lost_before_the_database_has_it(noted: list[Entry]) -> None:
    """However few may wait: every closed instant stays inside one that waits, or is recorded."""
    gaps, receipts = Gaps(2), list[Recorded]()
    for entry in noted:
        if isinstance(entry, Recorded):
            receipts.append(entry)
        gaps.take(entry)
    if receipts:
        return
    for gap in noted:
        if isinstance(gap, ClosedGap):
            assert any(
                w.slot == gap.slot and w.from_at <= gap.from_at and gap.to_at <= w.to_at
                for w in gaps.waiting
            )


def test_a_gap_that_grew_meanwhile_is_recorded_again() -> None:
    """The database's receipt is for what it was told, not for what was added since."""
    gaps = Gaps(gap_limit=1)
    first = closed(0, 1, 2)
    gaps.take(first)
    gaps.take(closed(0, 5, 6, epoch=8))
    (wider,) = gaps.waiting
    assert (wider.from_at, wider.to_at, wider.epoch) == (at(1), at(6), 7)
    gaps.take(recorded(first))
    assert gaps.waiting == (wider,)
    gaps.take(recorded(wider))
    assert gaps.waiting == ()


def test_an_open_gap_keeps_its_beginning_and_gathers_keys() -> None:
    """Told again, it only grows."""
    gaps = Gaps()
    gaps.take(OpenGap(0, at(5), "restart", KEYS[:1]))
    gaps.take(OpenGap(0, at(3), "reset", ()))
    gaps.take(OpenGap(0, at(9), "reset", KEYS[1:]))
    assert gaps.slots == {0: OpenGap(0, at(3), "reset", KEYS)}


def test_the_file_stays_small(tmp_path: Path) -> None:
    """Thousands of gaps that come and go leave no more than the limit allows."""
    path = tmp_path / "gaps.book"
    book = opened(path, compact_bytes=4_000)
    for n in range(300):
        book.note(
            OpenGap(0, at(n), "reset", KEYS), closed(0, n, n + 0.5), recorded(closed(0, n, n + 0.5))
        )
        assert path.stat().st_size < 5_000
    book.close()


def test_a_full_disk_is_told_and_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry counts all the same, and is written once there is room."""
    path, written = tmp_path / "gaps.book", os.write
    book = opened(path)
    book.note(OpenGap(0, at(1), "reset", KEYS))
    before = path.read_bytes()

    def full(file: int, content: bytes) -> int:
        if len(content) > 10:
            return written(file, bytes(content)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for gap in (closed(0, 1, 2), closed(0, 3, 4)):
        with pytest.raises(JournalError, match="No space left"):
            book.note(gap)
    assert path.read_bytes() == before
    monkeypatch.undo()
    assert len(book.waiting) == 2
    book.note(IdleSlot(0))
    book.close()
    again = opened(path)
    assert state(again) == ({}, (closed(0, 1, 2), closed(0, 3, 4)))
    assert [p.name for p in tmp_path.iterdir()] == ["gaps.book"]
    again.close()


def test_a_second_process_does_not_touch_it(tmp_path: Path) -> None:
    """It is told, keeps its own in memory, and adds to the file once it is free."""
    path = tmp_path / "gaps.book"
    first = opened(path)
    first.note(closed(0, 1, 2))
    second = GapBook(path)
    with pytest.raises(JournalError, match="no other process"):
        second.open()
    with pytest.raises(JournalError):
        second.note(closed(1, 3, 4))
    first.note(closed(0, 5, 6))
    first.close()
    second.note(IdleSlot(1))
    assert second.waiting == (closed(0, 1, 2), closed(0, 5, 6), closed(1, 3, 4))
    second.close()


def test_what_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    """A folder in its place is told, every time."""
    path = tmp_path / "gaps.book"
    path.mkdir()
    book = GapBook(path)
    for _ in range(2):
        with pytest.raises(JournalError, match="cannot be kept"):
            book.note(closed(0, 1, 2))
    assert book.waiting == (closed(0, 1, 2),)
    book.sync_job()()
    book.close()


def test_forcing_to_disk_outlives_a_file_that_is_replaced(tmp_path: Path) -> None:
    """The job may run in a thread while the book goes on, and after its end."""
    book = opened(tmp_path / "gaps.book", compact_bytes=1)
    book.note(closed(0, 1, 2))
    job = book.sync_job()
    book.note(closed(0, 3, 4))
    book.close()
    job()


def test_damage_in_the_middle_is_counted(tmp_path: Path) -> None:
    """The rest is read, and a person can be told."""
    path = tmp_path / "gaps.book"
    book = opened(path)
    book.note(closed(0, 1, 2))
    book.note(closed(0, 3, 4))
    book.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"?" + lines[1] + lines[2])
    again = opened(path)
    assert (again.waiting, again.damaged_lines) == ((closed(0, 3, 4),), 1)
    again.close()
