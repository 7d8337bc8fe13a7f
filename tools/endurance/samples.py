"""What the processes use while they run: memory and processor time, read every second.

Reading only; what becomes of the numbers stands with each run.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import psutil

from tools.endurance.figures import slope

_SECONDS = 1.0
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading.

    Attributes:
        at: seconds of the monotonic clock.
        memory_mb: resident memory of the streaming process, children included; 0: it is gone.
        cpu_seconds: processor time so far, by process.
    """

    at: float
    memory_mb: float
    cpu_seconds: Mapping[str, float]


@dataclass(slots=True)
class Samples:
    """Every reading so far, oldest first."""

    taken: list[Sample] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[Sample]:
        """Readings of a stretch of time (monotonic seconds) in which the process was there."""
        return [s for s in list(self.taken) if begin <= s.at <= end and s.memory_mb]

    def memory_slope(self, begin: float, end: float) -> float:
        """MB a minute."""
        found = self.between(begin, end)
        return slope([s.at / 60 for s in found], [s.memory_mb for s in found])

    def most_memory(self, begin: float, end: float) -> float:
        """MB."""
        return max((s.memory_mb for s in self.between(begin, end)), default=float("nan"))

    def mean_memory(self, begin: float, end: float) -> float:
        """MB."""
        found = self.between(begin, end)
        return sum(s.memory_mb for s in found) / len(found) if found else float("nan")

    def cpu_shares(self, begin: float, end: float) -> Mapping[str, float]:
        """Share of one core that each process used."""
        found = self.between(begin, end)
        if len(found) < 2:
            return {}
        first, last = found[0], found[-1]
        return {
            name: (used - first.cpu_seconds.get(name, 0.0)) / (last.at - first.at)
            for name, used in last.cpu_seconds.items()
        }


@contextlib.contextmanager
def sampling(pids: Mapping[str, Callable[[], int | None]], memory_of: str) -> Iterator[Samples]:
    """Read until the block ends.

    Args:
        pids: by name, who is who now; a process is counted with its children.
        memory_of: the name whose memory is read.
    """
    samples, stop = Samples(), threading.Event()
    used: dict[str, dict[tuple[int, float], float]] = {name: {} for name in pids}

    def read() -> None:
        while not stop.wait(_SECONDS):
            memory = 0.0
            for name, pid in pids.items():
                family = _family(pid())
                used[name].update(_cpu_seconds(family))
                memory += _memory_mb(family) if name == memory_of else 0.0
            told = {name: sum(one.values()) for name, one in used.items()}
            samples.taken.append(Sample(time.monotonic(), memory, told))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _family(pid: int | None) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        if pid:
            head = psutil.Process(pid)
            return [head, *head.children(recursive=True)]
    return []


def _memory_mb(family: list[psutil.Process]) -> float:
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / _MB


def _cpu_seconds(family: list[psutil.Process]) -> Iterator[tuple[tuple[int, float], float]]:
    # A child that has ended keeps what it had used when it was last seen.
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            yield (process.pid, process.create_time()), times.user + times.system
