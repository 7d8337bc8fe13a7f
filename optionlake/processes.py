"""The record of what a launcher has started, so that any command can look and none guesses.

Reading, writing and judging the record; starting and stopping stand in ``supervisor``. A process is
known by its pid *and* its start time, since pids are re-used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Started:
    """One running program of ours.

    Attributes:
        name: the program's short name, e.g. ``stream``.
        pid: leader of its own process group.
        started_at: the kernel's start time, epoch seconds; with ``pid`` it is unique.
        address: where it answers, or an empty text.
        restarts: how often it has been started again after dying.
    """

    name: str
    pid: int
    started_at: float
    address: str = ""
    restarts: int = 0

    def is_alive(self) -> bool:
        """Whether this very process, and not a later one with its pid, still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def describe(name: str, pid: int, address: str = "", restarts: int = 0) -> Started:
    """The record of a process that was just started."""
    return Started(name, pid, psutil.Process(pid).create_time(), address, restarts)


def write(path: Path, started: Sequence[Started]) -> None:
    """Replace the record atomically."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps([asdict(s) for s in started], indent=1), encoding="utf-8")
    fresh.replace(path)


def read(path: Path) -> tuple[Started, ...]:
    """The record as it stands; empty if there is none or it is unreadable."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Started(**row) for row in rows)
    except (OSError, ValueError, TypeError):
        return ()
