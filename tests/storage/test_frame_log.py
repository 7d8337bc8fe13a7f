"""A folder as a log of frames: what a new process takes over, and tidying."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from market.errors import JournalError
from storage import frame_log
from storage.frame_log import FolderLog, Newest
from storage.journal import JournalWriter


def write(folder: Path, epoch: int, *received_at_ns: int) -> None:
    """A journal of one connection."""
    writer = JournalWriter(folder, epoch, 3600.0)
    for at_ns in received_at_ns:
        writer.append(at_ns, b"frame")
    writer.close()


def test_nothing_kept_is_a_beginning(tmp_path: Path) -> None:
    """Neither a connection nor an instant."""
    assert FolderLog(tmp_path).newest() == Newest(0, None)


def test_the_newest_instant_of_the_newest_connection(tmp_path: Path) -> None:
    """A connection on which nothing came still counts its number."""
    second = 10**9
    write(tmp_path, 1, 5 * second)
    write(tmp_path, 2, 7 * second, 9 * second, 8 * second)
    assert FolderLog(tmp_path).newest() == Newest(2, datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC))
    write(tmp_path, 3)
    found = FolderLog(tmp_path).newest()
    assert found.received_at == datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC)


def test_connections_that_live_side_by_side_count_together(tmp_path: Path) -> None:
    """The connection that was opened last need not be the one that told something last."""
    second = 10**9
    writers = [JournalWriter(tmp_path, epoch, 3600.0) for epoch in (1, 2)]
    writers[1].append(7 * second, b"frame")
    writers[0].append(9 * second, b"frame")
    for writer in writers:
        writer.close()
    assert FolderLog(tmp_path).newest() == Newest(2, datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC))


def test_each_connection_has_a_last_instant_of_its_own(tmp_path: Path) -> None:
    """A file that was begun and not written to does not hide the one before."""
    second = 10**9
    write(tmp_path, 1, 5 * second, 6 * second)
    write(tmp_path, 2, 9 * second)
    JournalWriter(tmp_path, 1, 3600.0).close()
    log = FolderLog(tmp_path)
    assert log.last_received_at(1) == datetime(1970, 1, 1, 0, 0, 6, tzinfo=UTC)
    assert log.last_received_at(2) == datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC)
    assert log.last_received_at(3) is None


def test_the_size_counts_all_connections(tmp_path: Path) -> None:
    """What the cap is compared with."""
    for epoch in (1, 2):
        write(tmp_path, epoch, 1, 2)
    assert FolderLog(tmp_path).size_bytes() == sum(p.stat().st_size for p in tmp_path.iterdir())


def test_a_full_disk_refuses_to_compress_but_room_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pruning is what helps then; the failure is told all the same."""

    def full(_: Path) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frame_log, "seal_all", full)
    write(tmp_path, 1, 1)
    write(tmp_path, 2, 2)
    with pytest.raises(JournalError, match="No space left"):
        FolderLog(tmp_path, cap_bytes=0).tidy({1: 1, 2: 0}, datetime.now(UTC))
    assert FolderLog(tmp_path).epochs() == [2]
