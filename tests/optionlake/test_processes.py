"""The record of started programs: a pid alone is never believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from optionlake import processes


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_round_trip(tmp_path: Path) -> None:
    """What was written is read back."""
    path = tmp_path / "processes.json"
    with _sleeper() as child:
        started = processes.describe("stream", child.pid, "http://127.0.0.1:1", restarts=2)
        processes.write(path, [started])
        assert processes.read(path) == (started,)
        child.communicate(b"\n")


def test_alive_while_it_runs_and_not_after() -> None:
    """An ended process is not alive, and neither is a later process with its pid."""
    with _sleeper() as child:
        started = processes.describe("stream", child.pid)
        reused = processes.Started("stream", child.pid, started.started_at - 100)
        assert started.is_alive()
        assert not reused.is_alive()
        child.communicate(b"\n")
    assert not started.is_alive()


def test_unreadable_record_is_empty(tmp_path: Path) -> None:
    """A torn or foreign file must not stop a status."""
    path = tmp_path / "processes.json"
    assert processes.read(path) == ()
    path.write_text('[{"name": "stream"')
    assert processes.read(path) == ()
    path.write_text('[{"unknown": 1}]')
    assert processes.read(path) == ()
