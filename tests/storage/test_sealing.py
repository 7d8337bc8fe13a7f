"""Compressing the journal: every record is there once, whoever reads, writes or dies meanwhile."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import JournalError
from storage import journal as journal_module
from storage import sealed, sealing
from storage.journal import JournalReader, JournalWriter, prune, records, repair
from storage.sealing import seal, seal_all
from storage.segments import SegmentReader, segments, summary_of

FRAMES = [f"frame {i}".encode() * (i % 7) for i in range(60)]
ROOT = Path(journal_module.__file__).parent.parent


def write(folder: Path, frames: list[bytes], epoch: int = 1, segment_bytes: int = 300) -> None:
    """Append and close; received 1 000 ns apart."""
    made = JournalWriter(folder, epoch, 3600.0, segment_bytes=segment_bytes)
    for number, frame in enumerate(frames):
        made.append(1_000 * (number + 1), frame)
    made.close()


def read(folder: Path, after: int = 0) -> list[bytes]:
    """The frames of epoch 1."""
    return [r.frame for r in records(folder, 1, after)]


def names(folder: Path) -> list[str]:
    """How the files end."""
    return sorted({path.name.partition(".")[2] for path in folder.iterdir()})


def test_compressed_records_are_the_same(tmp_path: Path) -> None:
    """From any one on; sizes and summaries are told, and doing it again does nothing."""
    write(tmp_path, FRAMES)
    before = list(records(tmp_path, 1))
    size = sum(s.size_bytes for s in segments(tmp_path))
    freed = seal_all(tmp_path)
    assert names(tmp_path) == ["journal.zst"]
    assert list(records(tmp_path, 1)) == before
    for after in range(62):
        assert read(tmp_path, after) == FRAMES[after:]
    assert sum(s.size_bytes for s in segments(tmp_path)) == size - freed
    for segment in segments(tmp_path):
        told = summary_of(segment)
        assert told is not None
        assert told.first_received_at_ns == segment.first_sequence * 1_000
        assert told.latest_received_at_ns == told.last_sequence * 1_000
    assert seal_all(tmp_path) == 0
    assert repair(tmp_path, 1) == 0


def test_a_writer_goes_on_after_compressed_files(tmp_path: Path) -> None:
    """With the next sequence; the file that it writes stays raw."""
    write(tmp_path, FRAMES[:20])
    seal_all(tmp_path)
    made = JournalWriter(tmp_path, 1, 3600.0)
    assert made.append(0, b"next") == 21
    seal_all(tmp_path)
    assert names(tmp_path) == ["journal", "journal.zst"]
    assert made.append(0, b"more") == 22
    assert read(tmp_path) == [*FRAMES[:20], b"next", b"more"]
    made.close()


def test_feed_frames_get_smaller(tmp_path: Path) -> None:
    """Repetitive bytes shrink; what it freed is what is told."""
    write(tmp_path, [b"NSE_FO|12345 " * 50] * 100, segment_bytes=10**6)
    size = segments(tmp_path)[0].size_bytes
    assert seal_all(tmp_path) == size - segments(tmp_path)[0].size_bytes > size * 0.8


def test_a_reader_in_the_middle_goes_on(tmp_path: Path) -> None:
    """The file that it stands in is compressed between two of its records, then read further."""
    for stop in range(0, 60, 7):
        folder = tmp_path / f"{stop}"
        write(folder, FRAMES, segment_bytes=10**6)
        reader = SegmentReader(segments(folder)[0])
        source = reader.read()
        got = [next(source).frame for _ in range(stop)]
        source.close()
        assert seal_all(folder) != 0
        got += [r.frame for r in reader.read()]
        assert got == FRAMES
        assert reader.tear() is None


def test_followers_writer_and_sealer_do_not_mind_each_other(tmp_path: Path) -> None:
    """Every frame once, in order, for one who follows while files are compressed and pruned."""
    rng = random.Random(5)
    frames = [rng.randbytes(rng.randrange(200)) for _ in range(2000)]
    made = JournalWriter(tmp_path, 1, 3600.0, segment_bytes=5000)
    done = threading.Event()
    got: list[bytes] = []

    def append() -> None:
        for frame in frames:
            made.append(0, frame)
        done.set()

    def seal_and_prune() -> None:
        while not done.is_set():
            seal_all(tmp_path)
            prune(tmp_path, {1: len(got)}, 20_000)

    threads = [threading.Thread(target=action) for action in (append, seal_and_prune)]
    follower = JournalReader(tmp_path, 1)
    for thread in threads:
        thread.start()
    while not done.is_set():
        got += [r.frame for r in follower.available()]
    for thread in threads:
        thread.join()
    got += [r.frame for r in follower.available()]
    assert got == frames
    made.close()


def test_a_torn_end_is_left_out_and_damage_left_alone(tmp_path: Path) -> None:
    """The end that a crash left has no record; what a person must see stays as it is."""
    write(tmp_path / "torn", FRAMES[:5], segment_bytes=10**6)
    raw = segments(tmp_path / "torn")[0].path
    raw.write_bytes(raw.read_bytes() + b"half a record")
    seal_all(tmp_path / "torn")
    assert read(tmp_path / "torn") == FRAMES[:5]
    write(tmp_path / "bad", [b"one" * 9, b"two" * 9, b"three" * 9], segment_bytes=10**6)
    raw = segments(tmp_path / "bad")[0].path
    found = bytearray(raw.read_bytes())
    found[50] ^= 1
    raw.write_bytes(found)
    assert seal_all(tmp_path / "bad") == 0
    assert raw.read_bytes() == bytes(found)
    raw.write_bytes(b"not a header, but as long as one")
    assert seal_all(tmp_path / "bad") == 0


def test_a_torn_file_before_another_is_left_alone(tmp_path: Path) -> None:
    """Its end was not torn by a crash of the writer, who went on: it is damage."""
    write(tmp_path, FRAMES)
    first = segments(tmp_path)[0]
    first.path.write_bytes(first.path.read_bytes()[:-1])
    assert seal(first, is_newest=False) == 0
    assert first.path.exists()


def test_empty_files_stay(tmp_path: Path) -> None:
    """There is nothing to tell of them."""
    write(tmp_path, [])
    assert seal_all(tmp_path) == 0
    assert names(tmp_path) == ["journal"]


def test_a_folder_that_is_absent_is_nothing_to_do(tmp_path: Path) -> None:
    """As for every other reader of the journal."""
    assert seal_all(tmp_path / "absent") == 0


@pytest.mark.parametrize("step", ["fsync", "replace", "sync_folder", "unlink"])
def test_a_crash_between_any_two_steps_leaves_the_records_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Readers see them before and after the next attempt, which leaves the compressed file only."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    write(tmp_path, FRAMES, segment_bytes=10**6)
    target = {"fsync": sealed.os, "sync_folder": sealing}.get(step, Path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(target, step, die)
        seal_all(tmp_path)
    assert read(tmp_path) == FRAMES
    assert len(segments(tmp_path)) == 1
    seal_all(tmp_path)
    assert read(tmp_path) == FRAMES
    assert names(tmp_path) == ["journal.zst"]


def test_half_made_files_of_pruned_ones_are_removed(tmp_path: Path) -> None:
    """Nobody else would."""
    write(tmp_path, FRAMES, segment_bytes=10**6)
    raw = segments(tmp_path)[0].raw_path
    raw.with_name(raw.name + sealed.PART_SUFFIX).write_bytes(b"half")
    raw.unlink()
    seal_all(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_both_files_are_pruned(tmp_path: Path) -> None:
    """A crash left the raw one beside the compressed one: neither comes back."""
    write(tmp_path, FRAMES, segment_bytes=10**6)
    raw = segments(tmp_path)[0].path
    content = raw.read_bytes()
    seal_all(tmp_path)
    raw.write_bytes(content)
    prune(tmp_path, {1: 60}, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw file stays, the half-made one goes, and the reason is told."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write(tmp_path, FRAMES, segment_bytes=10**6)
    monkeypatch.setattr(sealed.os, "fsync", full)
    with pytest.raises(JournalError, match="No space left"):
        seal_all(tmp_path)
    assert names(tmp_path) == ["journal"]
    assert read(tmp_path) == FRAMES


def test_a_compressed_file_under_a_false_name_is_refused(tmp_path: Path) -> None:
    """Renamed files do not give their records to another epoch."""
    write(tmp_path, FRAMES, segment_bytes=10**6)
    seal_all(tmp_path)
    found = segments(tmp_path)[0].path
    found.rename(found.with_name(found.name.replace("1-", "2-", 1)))
    with pytest.raises(JournalError, match="another epoch"):
        list(records(tmp_path, 2))


@pytest.fixture(scope="module")
def sealed_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """One compressed file of several blocks, and its bytes."""
    folder = tmp_path_factory.mktemp("sealed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealed, "BLOCK_BYTES", 300)
        write(folder, FRAMES, segment_bytes=10**6)
        seal_all(folder)
    return folder, segments(folder)[0].path.read_bytes()


@given(at=st.integers(0, 10**6), flip=st.integers(1, 255), is_cut=st.booleans())
def test_damage_never_passes(
    sealed_folder: tuple[Path, bytes], at: int, flip: int, is_cut: bool
) -> None:
    """One altered byte or a cut anywhere: a beginning comes back, then file and offset are told.

    A byte may also be of no account to zstd: then all comes back.
    """
    folder, genuine = sealed_folder
    found = bytearray(genuine)
    found[at % len(genuine)] ^= flip
    path = segments(folder)[0].path
    path.write_bytes(found[: at % len(genuine)] if is_cut else found)
    try:
        got, error = read_until_damage(folder)
        assert got == FRAMES[: len(got)]
        assert error is not None or (got == FRAMES and not is_cut)
        if error is not None:
            assert re.search(rf"{path.name} is damaged at offset \d+", error)
            with pytest.raises(JournalError):
                repair(folder, 1)
    finally:
        path.write_bytes(genuine)


def read_until_damage(folder: Path) -> tuple[list[bytes], str | None]:
    """The frames, and what is told where they end before their time."""
    got: list[bytes] = []
    try:
        for record in records(folder, 1):
            got.append(record.frame)
    except JournalError as error:
        return got, str(error)
    return got, None


_VICTIM = """
import os, pathlib, sys, threading
from storage import sealed
from storage.journal import JournalWriter
from storage.sealing import seal_all
folder = pathlib.Path(sys.argv[1])
def tidy():
    while True:
        seal_all(folder)
threading.Thread(target=tidy, daemon=True).start()
for epoch in range(1, 10**6):
    writer = JournalWriter(folder, epoch, 3600, segment_bytes=20_000)
    for n in range(1, 2_001):
        writer.append(n, b'%d ' % n * (n % 90))
        os.write(1, b'%d %d\\n' % (epoch, n))
    writer.close()
"""


@pytest.mark.parametrize("lines", [1, 700, 2_500, 4_321])
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, lines: int) -> None:
    """Of what was appended, also while files are being compressed; each record is there once."""
    victim = subprocess.Popen(
        (sys.executable, "-c", _VICTIM, tmp_path), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    told = [victim.stdout.readline() for _ in range(lines)]
    os.kill(victim.pid, signal.SIGKILL)
    told += victim.stdout.read().splitlines(keepends=True)
    victim.wait()
    victim.stdout.close()
    epoch, last = map(int, [line for line in told if line.endswith(b"\n")][-1].split())
    for _ in range(2):
        for number in range(1, epoch + 1):
            got = [(r.sequence, r.frame) for r in records(tmp_path, number)]
            assert got == [(n, b"%d " % n * (n % 90)) for n in range(1, len(got) + 1)]
            assert len(got) in ((2_000,) if number < epoch else (last, last + 1))
        seal_all(tmp_path)
    assert set(names(tmp_path)) <= {"journal.zst", "journal"}
