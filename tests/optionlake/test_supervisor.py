"""Real child processes: order, restart, clear obituaries, nothing left behind."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from optionlake import processes
from optionlake.supervisor import Program, ProgramFailed, Supervisor, stop_group

WAIT_SECONDS = 20.0
FOREVER = "import signal,sys; signal.signal(15, lambda *_: sys.exit(0)); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
)


def program(name: str, code: str, is_ready: Callable[[], bool] | None = None) -> Program:
    """A Python one-liner as a program."""
    return Program(
        name, (sys.executable, "-c", code), is_ready=is_ready, ready_seconds=WAIT_SECONDS
    )


def eventually(condition: Callable[[], bool]) -> None:
    """Fail unless the condition comes true before a generous deadline."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def said() -> list[str]:
    """What the supervisor told the person."""
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    """A supervisor whose children are gone after the test, whatever happens."""
    running = Supervisor(tmp_path, tmp_path / "processes.json", said.append)
    yield running
    running.stop()


def test_starts_in_order_and_stops_in_reverse(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    """The last one started depends on the first, so it goes first."""
    supervisor.start(program("first", FOREVER))
    supervisor.start(program("second", FOREVER))
    record = processes.read(tmp_path / "processes.json")
    assert [s.name for s in record] == ["first", "second"]
    supervisor.stop()
    assert said == ["stopping second", "stopping first"]
    assert not any(s.is_alive() for s in record)
    assert not (tmp_path / "processes.json").exists()


def test_program_that_dies_at_start_is_explained(supervisor: Supervisor) -> None:
    """The message carries the exit code and the end of the log."""
    with pytest.raises(ProgramFailed, match=r"(?s)broken ended with code 3.*no such table"):
        supervisor.start(program("broken", "print('no such table'); exit(3)", lambda: False))


def test_dead_program_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """A killed child comes back under a new pid, and the record says so."""
    supervisor.start(program("stream", FOREVER))
    (before,) = processes.read(tmp_path / "processes.json")
    watcher = threading.Thread(target=supervisor.watch, args=(lambda: None, 0.02))
    watcher.start()
    psutil.Process(before.pid).kill()
    eventually(lambda: processes.read(tmp_path / "processes.json")[0].restarts == 1)
    (after,) = processes.read(tmp_path / "processes.json")
    assert after.pid != before.pid
    assert after.is_alive()
    supervisor.request_stop()
    watcher.join(WAIT_SECONDS)
    assert not watcher.is_alive()


def test_leftovers_of_a_killed_launcher_are_stopped(tmp_path: Path, said: list[str]) -> None:
    """A launcher that was killed leaves orphans; the next one ends exactly those."""
    killed = Supervisor(tmp_path, tmp_path / "processes.json", said.append)
    killed.start(program("orphan", FOREVER))
    (orphan,) = processes.read(tmp_path / "processes.json")
    Supervisor(tmp_path, tmp_path / "processes.json", said.append).stop_leftovers()
    eventually(lambda: not orphan.is_alive())
    assert any("orphan" in line for line in said)
    killed.stop()


def test_stubborn_program_is_forced(supervisor: Supervisor, tmp_path: Path) -> None:
    """One that ignores the request is killed after its time."""
    log = tmp_path / "stubborn.log"
    supervisor.start(program("stubborn", STUBBORN, lambda: "up" in log.read_text()))
    (started,) = processes.read(tmp_path / "processes.json")
    stop_group(started.pid, seconds=0.1)
    eventually(lambda: not started.is_alive())
