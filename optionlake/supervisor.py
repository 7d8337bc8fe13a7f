"""Starting programs, watching them, starting them again, stopping them in order.

Which programs there are is decided in ``launch``. Each program runs in a session of its own, so
that Ctrl-C reaches the supervisor alone, and is stopped by its process group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from market.errors import OptionlakeError
from optionlake import processes
from optionlake.processes import Started

log = structlog.get_logger()

STOP_SECONDS = 15.0
MAX_RESTARTS = 5
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """One program to run.

    Attributes:
        arguments: what is executed.
        environment: added to the launcher's own.
        is_ready: asked until it says yes; None: ready at once.
        ready_seconds: how long it may take.
        address: shown to people, and kept in the record.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    address: str = ""


class ProgramFailed(OptionlakeError):
    """A program died or did not get ready."""


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    record: Started
    ready_at: float = 0.0


class Supervisor:
    """Runs programs in the order given and stops them in reverse.

    Args:
        logs: folder for one log file per program.
        record: the processes file.
        report: told of each step, for a person.
    """

    def __init__(self, logs: Path, record: Path, report: Callable[[str], None]) -> None:
        self._logs = logs
        self._record = record
        self._report = report
        self._children: list[_Child] = []
        self._is_stopping = False

    def stop_leftovers(self) -> None:
        """Stop what an earlier launcher of this home left running when it was killed."""
        for started in reversed(processes.read(self._record)):
            if started.is_alive():
                self._report(f"stopping {started.name} (pid {started.pid}) of an earlier start")
                stop_group(started.pid, STOP_SECONDS)
        self._record.unlink(missing_ok=True)

    def start(self, *programs: Program) -> None:
        """Start programs that do not need each other and wait until all are ready.

        Raises:
            ProgramFailed: if one dies or is not ready in time; its last log lines are in the text.
        """
        begun = [self._spawn(program, restarts=0) for program in programs]
        self._children += begun
        self._save()
        for child in begun:
            self._await_ready(child)
            child.ready_at = time.monotonic()

    def watch(self, tend: Callable[[], None], poll_seconds: float = 0.5) -> None:
        """Start dead programs again, until ``request_stop`` is called by a signal or a thread.

        Args:
            tend: called each time as well, for what is kept alive in another way.

        Raises:
            ProgramFailed: if one dies for the sixth time without having run steadily in between.
        """
        while not self._is_stopping:
            for index, child in enumerate(self._children):
                if child.process.poll() is not None and not self._is_stopping:
                    self._children[index] = self._restart(child)
                    self._save()
            if not self._is_stopping:
                tend()
            time.sleep(poll_seconds)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._is_stopping

    def request_stop(self) -> None:
        """Make ``watch`` return; safe in a signal handler."""
        self._is_stopping = True

    def stop(self) -> None:
        """Stop everything that was started, last first."""
        self._is_stopping = True
        for child in reversed(self._children):
            self._report(f"stopping {child.program.name}")
            stop_group(child.process.pid, STOP_SECONDS)
            child.process.wait()
        self._children.clear()
        self._record.unlink(missing_ok=True)

    def _spawn(self, program: Program, restarts: int) -> _Child:
        with (self._logs / f"{program.name}.log").open("ab") as output:
            process = subprocess.Popen(
                list(program.arguments),
                env=inherited(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record = processes.describe(program.name, process.pid, program.address, restarts)
        return _Child(program, process, record)

    def _restart(self, child: _Child) -> _Child:
        name, code = child.program.name, child.process.returncode
        ran_steadily = child.ready_at and time.monotonic() - child.ready_at > STEADY_SECONDS
        restarts = 0 if ran_steadily else child.record.restarts
        if restarts >= MAX_RESTARTS:
            raise ProgramFailed(self._obituary(child))
        self._report(f"{name} ended with code {code}; starting it again")
        time.sleep(min(0.5 * 2**restarts, 10.0))
        fresh = self._spawn(child.program, restarts + 1)
        fresh.ready_at = time.monotonic()
        return fresh

    def _await_ready(self, child: _Child) -> None:
        deadline = time.monotonic() + child.program.ready_seconds
        while child.program.is_ready is not None and not child.program.is_ready():
            if self._is_stopping:
                raise ProgramFailed(f"stopped while {child.program.name} was starting")
            if child.process.poll() is not None or time.monotonic() > deadline:
                raise ProgramFailed(self._obituary(child))
            time.sleep(0.1)

    def _obituary(self, child: _Child) -> str:
        code = child.process.poll()
        state = f"ended with code {code}" if code is not None else "did not get ready in time"
        path = self._logs / f"{child.program.name}.log"
        tail = "\n    ".join(last_lines(path, 15))
        return f"{child.program.name} {state}; the end of {path}:\n    {tail}"

    def _save(self) -> None:
        processes.write(self._record, [child.record for child in self._children])


def inherited(added: Mapping[str, str]) -> dict[str, str]:
    """The launcher's own environment with what a program is given, and our commands on the path.

    Dagster looks for ``dbt`` there.
    """
    beside_python = str(Path(sys.executable).parent)
    path = f"{beside_python}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, **added}


def stop_group(pid: int, seconds: float) -> None:
    """End a process and its children: ask, wait, then force what is left.

    Args:
        pid: leader of its own process group, as ``Supervisor`` starts them.
        seconds: how long it may take to end by itself.
    """
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        os.killpg(pid, signal.SIGTERM)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for process in alive:
        log.warning("a program did not stop when asked", pid=process.pid, after_seconds=seconds)
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a text file; empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except OSError:
        return []
