"""The journal: nothing that was appended is lost, whatever is cut, pruned or followed."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.errors import JournalError
from storage import journal as module
from storage.journal import JournalReader, JournalWriter, epochs, prune, records, repair
from storage.sealing import seal_all
from storage.segments import segments

FRAMES = [f"frame {i}".encode() * (i % 7) for i in range(60)]


def writer(folder: Path, epoch: int = 1, segment_bytes: int = 300) -> JournalWriter:
    """A writer whose files are small, so that there are many."""
    return JournalWriter(folder, epoch, 3600.0, segment_bytes=segment_bytes)


def write(folder: Path, frames: list[bytes], epoch: int = 1, segment_bytes: int = 300) -> None:
    """Append and close."""
    journal = writer(folder, epoch, segment_bytes)
    for frame in frames:
        journal.append(1_000_000, frame)
    journal.close()


def read(folder: Path, after: int = 0, epoch: int = 1) -> list[bytes]:
    """The frames of an epoch."""
    return [r.frame for r in records(folder, epoch, after)]


def test_appended_frames_come_back_in_order(tmp_path: Path) -> None:
    """Over many files, from any record on, with sequence and time of receipt."""
    journal = writer(tmp_path)
    assert [journal.append(10 + i, f) for i, f in enumerate(FRAMES)] == list(range(1, 61))
    assert len(segments(tmp_path)) > 5
    assert [(r.sequence, r.received_at_ns) for r in records(tmp_path, 1)][:2] == [(1, 10), (2, 11)]
    for after in range(62):
        assert read(tmp_path, after) == FRAMES[after:]
    journal.close()
    journal.close()


def test_epochs_are_apart(tmp_path: Path) -> None:
    """Each has its own sequences."""
    write(tmp_path, [b"b"], epoch=20)
    write(tmp_path, [b"a", b"aa"], epoch=3)
    assert epochs(tmp_path) == [3, 20]
    assert (read(tmp_path, epoch=3), read(tmp_path, epoch=20)) == ([b"a", b"aa"], [b"b"])
    assert read(tmp_path, epoch=99) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), extra=st.binary(max_size=60))
def test_after_any_cut_a_new_writer_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int, extra: bytes
) -> None:
    """A crash that left any prefix, and rubbish after it, loses only what came after the cut."""
    folder = tmp_path_factory.mktemp("cut")
    write(folder, FRAMES[:20])
    newest = segments(folder)[-1].path
    newest.write_bytes(newest.read_bytes()[:cut] + extra[: 40 if cut >= 24 else 0])
    survivors = read(folder)
    assert survivors == FRAMES[: len(survivors)]
    assert len(survivors) >= segments(folder)[-1].first_sequence - 1
    write(folder, [b"after"])
    assert read(folder) == [*survivors, b"after"]
    assert repair(folder, 1) == 0


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    """File and offset; what stands before it is still given."""
    write(tmp_path, FRAMES)
    victim = segments(tmp_path)[2]
    found = bytearray(victim.path.read_bytes())
    found[24 + 10] ^= 0xFF
    victim.path.write_bytes(found)
    got = []
    with pytest.raises(JournalError, match=rf"{victim.path.name} is damaged at offset 24"):
        for record in records(tmp_path, 1):
            got.append(record.frame)
    assert got == FRAMES[: victim.first_sequence - 1]


def test_a_lost_file_is_damage(tmp_path: Path) -> None:
    """A hole between two files does not pass as the end."""
    write(tmp_path, FRAMES)
    segments(tmp_path)[3].path.unlink()
    with pytest.raises(JournalError, match="damaged"):
        read(tmp_path)


def test_damage_before_sound_records_is_not_cut(tmp_path: Path) -> None:
    """In the newest file too: cutting it would throw good frames away."""
    write(tmp_path, [b"one" * 9, b"two" * 9, b"three" * 9], segment_bytes=10**6)
    path = segments(tmp_path)[0].path
    found = bytearray(path.read_bytes())
    found[50] ^= 1
    path.write_bytes(found)
    for attempt in (lambda: read(tmp_path), lambda: repair(tmp_path, 1), lambda: writer(tmp_path)):
        with pytest.raises(JournalError, match="offset 24"):
            attempt()
    assert path.read_bytes() == bytes(found)


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    """Every frame once, in order, across files, while they are being written."""
    rng = random.Random(5)
    frames = [rng.randbytes(rng.randrange(200)) for _ in range(2000)]
    journal = writer(tmp_path, segment_bytes=5000)
    done = threading.Event()

    def run() -> None:
        for frame in frames:
            journal.append(0, frame)
        done.set()

    thread = threading.Thread(target=run)
    follower = JournalReader(tmp_path, 1)
    got: list[bytes] = []
    thread.start()
    while not done.is_set():
        got += [r.frame for r in follower.available()]
    thread.join()
    got += [r.frame for r in follower.available()]
    assert got == frames
    journal.close()


def test_a_follower_outlives_the_pruning_of_what_it_read(tmp_path: Path) -> None:
    """The file it stands in is landed and goes away; the next one follows."""
    journal = writer(tmp_path)
    follower = JournalReader(tmp_path, 1)
    got = []
    for frame in FRAMES:
        journal.append(0, frame)
        got += [r.frame for r in follower.available()]
        prune(tmp_path, {1: len(got)}, 0)
    assert got == FRAMES
    journal.close()


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """Without a sync or a close; its lock goes with it."""
    script = (
        "import os, pathlib, sys; from storage.journal import JournalWriter\n"
        "w = JournalWriter(pathlib.Path(sys.argv[1]), 1, 3600)\n"
        "[w.append(i, b'x' * i) for i in range(100)]\n"
        "os.kill(os.getpid(), 9)"
    )
    root = Path(module.__file__).parent.parent
    done = subprocess.run((sys.executable, "-c", script, tmp_path), cwd=root, check=False)
    assert done.returncode == -9
    write(tmp_path, [b"next"])
    assert read(tmp_path) == [*(b"x" * i for i in range(100)), b"next"]


def test_one_writer_per_epoch(tmp_path: Path) -> None:
    """The second is refused, and cuts nothing off the first."""
    first = writer(tmp_path)
    first.append(0, b"mine")
    with pytest.raises(JournalError, match="another process"):
        writer(tmp_path)
    writer(tmp_path, epoch=2).close()
    first.close()
    assert read(tmp_path) == [b"mine"]


@pytest.mark.parametrize(("sync_seconds", "times"), [(0.0, 6), (2.0, 2), (100.0, 0)])
def test_frames_are_forced_to_disk_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync_seconds: float, times: int
) -> None:
    """At each frame, or when the time is over, by the clock that was handed in."""
    now = [0.0]
    journal = JournalWriter(tmp_path, 1, sync_seconds, clock=lambda: now[0])
    synced: list[int] = []
    monkeypatch.setattr(module.os, "fdatasync", synced.append)
    for second in range(6):
        now[0] = float(second)
        journal.append(0, b"x")
    assert len(synced) == times
    journal.sync()
    journal.sync()
    assert len(synced) == times + (sync_seconds > 0)


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The append fails as a whole, with the reason, and the next one works."""
    journal = writer(tmp_path)
    journal.append(0, b"first")
    real = os.writev

    def cut_short(descriptor: int, parts: tuple[bytes, ...]) -> int:
        return real(descriptor, (parts[0][:10],))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "writev", cut_short)
        patched.setattr(module.os, "write", full)
        with pytest.raises(JournalError, match="No space left"):
            journal.append(0, b"second")
    assert journal.append(0, b"third") == 2
    assert read(tmp_path) == [b"first", b"third"]
    journal.close()


def test_a_short_write_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take part of it; the rest follows."""
    real = os.writev
    journal = writer(tmp_path)
    monkeypatch.setattr(module.os, "writev", lambda d, parts: real(d, (parts[0][:10],)))
    journal.append(0, b"whole")
    assert read(tmp_path) == [b"whole"]
    journal.close()


def _landed_up_to(folder: Path, sequence: int) -> list[int]:
    prune(folder, {1: sequence}, 0)
    return [s.first_sequence for s in segments(folder)]


def test_only_landed_files_are_pruned_oldest_first(tmp_path: Path) -> None:
    """Whatever the cap; a file with one record that is not landed stays whole."""
    write(tmp_path, FRAMES)
    firsts = [s.first_sequence for s in segments(tmp_path)]
    assert _landed_up_to(tmp_path, 0) == firsts
    assert _landed_up_to(tmp_path, firsts[2] - 2) == firsts[1:]
    assert _landed_up_to(tmp_path, firsts[2] - 1) == firsts[2:]
    assert read(tmp_path) == FRAMES[firsts[2] - 1 :]
    assert _landed_up_to(tmp_path, 60) == []


def test_pruning_stops_under_the_cap(tmp_path: Path) -> None:
    """Landed frames are kept as long as there is room: they can be replayed."""
    write(tmp_path, FRAMES)
    sizes = [s.path.stat().st_size for s in segments(tmp_path)]
    assert prune(tmp_path, {1: 60}, sum(sizes)) == 0
    assert prune(tmp_path, {1: 60}, sum(sizes) - 1) == sizes[0]
    assert prune(tmp_path, {1: 60}, sum(sizes) - sizes[0] - sizes[1] - 1) == sizes[1] + sizes[2]


def test_a_file_being_written_is_not_pruned(tmp_path: Path) -> None:
    """All its records are landed, but more will come."""
    journal = writer(tmp_path)
    journal.append(0, b"landed")
    assert prune(tmp_path, {1: 1}, 0) == 0
    journal.append(0, b"more")
    assert read(tmp_path) == [b"landed", b"more"]
    journal.close()


def test_a_damaged_end_of_an_old_epoch_is_not_pruned(tmp_path: Path) -> None:
    """What stands behind the damage has not been landed."""
    write(tmp_path, [b"one" * 9, b"two" * 9, b"three" * 9], segment_bytes=10**6)
    path = segments(tmp_path)[0].path
    found = bytearray(path.read_bytes())
    found[120] ^= 1
    path.write_bytes(found)
    assert prune(tmp_path, {1: 1}, 0) == 0


def _absent_parent(folder: Path) -> None:
    (folder / "file").touch()
    writer(folder / "file")


def _too_large(folder: Path) -> None:
    writer(folder).append(0, bytes(module.MAX_FRAME_BYTES + 1))


@pytest.mark.parametrize("attempt", [_absent_parent, _too_large])
def test_what_cannot_be_written_is_a_journal_error(
    tmp_path: Path, attempt: Callable[[Path], None]
) -> None:
    """Nothing else comes out."""
    with pytest.raises(JournalError):
        attempt(tmp_path)


def test_landed_files_expire_under_the_cap(tmp_path: Path) -> None:
    """Those whose records are all older, raw or compressed; never what is not landed."""
    write(tmp_path / "raw", FRAMES)
    old = [s.path for s in segments(tmp_path / "raw")[:3]]
    for path in old:
        os.utime(path, (500, 500))
    write(tmp_path / "sealed", FRAMES)  # received a millisecond after 1970
    seal_all(tmp_path / "sealed")
    for folder, left in ((tmp_path / "raw", 3), (tmp_path / "sealed", None)):
        firsts = [s.first_sequence for s in segments(folder)]
        expired_at = datetime.fromtimestamp(1000, UTC)
        assert prune(folder, {1: 60}, 10**9) == 0
        assert prune(folder, {1: 60}, 10**9, datetime.fromtimestamp(0, UTC)) == 0
        assert prune(folder, {1: firsts[1] - 2}, 10**9, expired_at) == 0
        assert prune(folder, {1: 60}, 10**9, expired_at) > 0
        assert [s.first_sequence for s in segments(folder)] == firsts[left or len(firsts) :]


def test_an_expired_file_that_is_written_stays(tmp_path: Path) -> None:
    """However long ago its last record came."""
    journal = writer(tmp_path)
    journal.append(0, b"landed")
    os.utime(segments(tmp_path)[0].path, (0, 0))
    assert prune(tmp_path, {1: 1}, 10**9, datetime.now(UTC)) == 0
    assert read(tmp_path) == [b"landed"]
    journal.close()


def test_a_new_file_that_is_pruned_at_once_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making and locking it; otherwise its frames would go into a file without a name."""
    real = module.fcntl.flock
    pruned: list[int] = []

    def flock(file: int, operation: int) -> None:
        if not pruned:
            pruned.append(1)
            prune(tmp_path, {1: 0}, 0)
        real(file, operation)

    monkeypatch.setattr(module.fcntl, "flock", flock)
    journal = writer(tmp_path)
    journal.append(0, b"kept")
    journal.close()
    assert pruned
    assert read(tmp_path) == [b"kept"]
