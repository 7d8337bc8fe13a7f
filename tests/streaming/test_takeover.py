"""Taking over from what the journal tells."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from storage.journal import JournalWriter
from streaming.takeover import Newest, newest_record


def write(folder: Path, epoch: int, *received_at_ns: int) -> None:
    """A journal of one connection."""
    writer = JournalWriter(folder, epoch, 3600.0, 10**9)
    for at_ns in received_at_ns:
        writer.append(at_ns, b"frame")
    writer.close()


def test_nothing_kept_is_a_beginning(tmp_path: Path) -> None:
    """Neither a connection nor an instant."""
    assert newest_record(tmp_path) == Newest(0, None)


def test_the_newest_instant_of_the_newest_connection(tmp_path: Path) -> None:
    """A connection on which nothing came still counts its number."""
    second = 10**9
    write(tmp_path, 1, 5 * second)
    write(tmp_path, 2, 7 * second, 9 * second, 8 * second)
    assert newest_record(tmp_path) == Newest(2, datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC))
    write(tmp_path, 3)
    found = newest_record(tmp_path)
    assert found.received_at == datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC)
