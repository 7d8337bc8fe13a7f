"""Real processes for tools that watch them: started, asked, killed, waited for.

Every wait is for a condition and has a deadline; everything that was started is ended by its own
number. Which processes make a world stands with each tool.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from optionlake.supervisor import inherited, last_lines

DEADLINE_SECONDS = 90.0
CALL_SECONDS = 5
_POLL_SECONDS = 0.03


class NoSuchTime(AssertionError):
    """A condition was not met by its deadline."""


def now_ms() -> int:
    """The clock that all processes here share, epoch ms."""
    return time.time_ns() // 1_000_000


def until(
    is_true: Callable[[], bool],
    what: str,
    seconds: float = DEADLINE_SECONDS,
    log: Path | None = None,
) -> None:
    """Wait for a condition.

    Raises:
        NoSuchTime: naming ``what`` was waited for, with the end of ``log``.
    """
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            tail = "\n".join(last_lines(log, 15)) if log else ""
            raise NoSuchTime(f"waited {seconds:g} s in vain until {what}\n{tail}")
        time.sleep(_POLL_SECONDS)


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Process = subprocess.Popen[bytes]


def launch(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start a program that writes into ``log``; whoever starts it ends it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(arguments),
            env=inherited(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@dataclass(slots=True)
class Stream:
    """The streaming process of one home, which may be started more than once.

    Attributes:
        journal: its frames, as this process sees them.
        before: what is put before the command, e.g. to enter a namespace.
    """

    environment: dict[str, str]
    journal: Path
    log: Path
    url: str
    before: tuple[str, ...] = ()
    process: Process | None = None

    def start(self) -> None:
        """Start it; ready or not."""
        command = (*self.before, sys.executable, "-m", "optionlake", "stream")
        self.process = launch(command, self.environment, self.log)

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: the orderly end."""
        self._end(signal.SIGTERM)

    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def health(self) -> dict[str, Any]:
        """Its own health answer; empty while it does not answer."""
        try:
            found: dict[str, Any] = requests.get(
                f"{self.url}/api/v1/health", timeout=CALL_SECONDS
            ).json()
        except (requests.RequestException, ValueError):
            return {}
        return found

    def is_live(self) -> bool:
        """Whether data come in."""
        return self.health().get("state") == "live"

    def is_well(self) -> bool:
        """Whether data come in and nothing that came waits for the database."""
        told = self.health()
        return (
            told.get("state") == "live" and told["database"] == "up" and not told["is_catching_up"]
        )

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_SECONDS)


def answers(url: str) -> bool:
    """Whether a server is there and well."""
    try:
        return requests.get(url, timeout=CALL_SECONDS).ok
    except requests.RequestException:
        return False
