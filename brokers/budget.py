"""The broker's rate limits as a budget that all processes of one user share.

The rule is a pure function over past call times; ``Budget`` keeps those times in a file that every
process locks. Nobody sleeps "to be nice": a call waits exactly until each window has room.
Which calls are worth making belongs to ``planner``; how a call is made belongs to the adapters.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from market.errors import ConfigurationError, RateLimited


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``calls`` in any stretch of ``seconds``."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one limit is spent: ``used`` of ``calls`` in the last ``seconds``."""

    seconds: float
    used: int
    calls: int


@dataclass(frozen=True, slots=True)
class Permit:
    """One counted call, so that exactly it can be given back; ``at``: epoch seconds."""

    at: float


# The broker's documentation of 2026; the last one binds in steady state (66 calls a minute).
UPSTOX_LIMITS = (Limit(50, 1), Limit(500, 60), Limit(2000, 1800))


def seconds_to_wait(now: float, calls: Sequence[float], limits: Sequence[Limit]) -> float:
    """How long until one more call breaks no limit; 0 if it may be made now.

    Args:
        now: epoch seconds.
        calls: times of past calls, epoch seconds, ascending.
    """
    waits = (
        calls[-limit.calls] + limit.seconds - now for limit in limits if len(calls) >= limit.calls
    )
    return max((0.0, *waits))


def recent_calls(now: float, calls: Sequence[float], limits: Sequence[Limit]) -> list[float]:
    """The calls that still count, ascending.

    A call "in the future" means that the clock was set back. It counts as made now, so that a wrong
    clock can delay by one window at most.
    """
    oldest = now - max(limit.seconds for limit in limits)
    return sorted(min(call, now) for call in calls if call > oldest)


class Budget:
    """Call times in a locked file; safe for threads and processes, not fair between them.

    Args:
        path: the shared file; its folder is made if missing.
        limits: all of them hold at once.
        spread_seconds: by how much later one call may arrive at the broker than another. It counts
            arrivals, we count departures: so our windows are longer by that.
        clock: epoch seconds; the wall clock, because the file outlives a boot.
    """

    def __init__(
        self,
        path: Path,
        limits: Sequence[Limit] = UPSTOX_LIMITS,
        *,
        spread_seconds: float = 0.1,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._limits = tuple(limits)
        self._kept = tuple(Limit(x.calls, x.seconds + spread_seconds) for x in limits)
        self._clock = clock
        self._sleep = sleep

    def acquire(self, patience_seconds: float = math.inf) -> Permit:
        """Wait until one more call is allowed, and count it.

        Raises:
            RateLimited: at once, if the wait would be longer than ``patience_seconds``.
            ConfigurationError: if the file cannot be used.
        """
        while not isinstance(taken := self._try_to_take(), Permit):
            if taken > patience_seconds:
                raise RateLimited(
                    f"the budget of calls is spent ({self._described()}); the next one is free in "
                    f"{taken:.0f} s: follow fewer symbols or expiries"
                )
            self._sleep(taken)
            patience_seconds -= taken
        return taken

    def give_back(self, permit: Permit) -> None:
        """Take a call off the count that provably never reached the broker; once for each permit.

        Calls of the very same instant are worth the same. A count that was moved, because the clock
        was set back since, is no longer known to be this call's: it stays, which errs by waiting.
        """
        with self._locked() as handle:
            calls = _read(handle)
            if permit.at in calls:
                calls.remove(permit.at)
                _write(handle, calls)

    def usage(self) -> tuple[Usage, ...]:
        """What is spent of each limit now, in the order of the limits."""
        with self._locked() as handle:
            now = self._clock()
            calls = recent_calls(now, _read(handle), self._kept)
        return tuple(
            Usage(x.seconds, sum(call > now - x.seconds for call in calls), x.calls)
            for x in self._limits
        )

    def _try_to_take(self) -> Permit | float:
        """The permit, or the seconds to wait for one."""
        with self._locked() as handle:
            now = self._clock()
            calls = recent_calls(now, _read(handle), self._kept)
            wait = seconds_to_wait(now, calls, self._kept)
            if wait == 0:
                calls.append(now)
            _write(handle, calls)
        return wait or Permit(now)

    def _described(self) -> str:
        return ", ".join(f"{x.used} of {x.calls} in {x.seconds:g} s" for x in self.usage())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        # flock, not lockf: a lock of the open file also keeps threads of one process apart.
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"the file of the call budget cannot be opened: {error}; check the home folder"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)


def _read(handle: int) -> list[float]:
    content = os.pread(handle, os.fstat(handle).st_size, 0)
    # A process killed while writing leaves a torn last number; it is dropped.
    calls = array("d", content[: len(content) // 8 * 8])
    return [call for call in calls if math.isfinite(call)]


def _write(handle: int, calls: Sequence[float]) -> None:
    content = array("d", calls).tobytes()
    os.pwrite(handle, content, 0)
    os.ftruncate(handle, len(content))
