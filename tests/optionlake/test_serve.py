"""Programs run alone, as their commands do, and end cleanly on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from market.errors import AuthenticationError
from optionlake import serve
from optionlake.settings import Settings

WAIT_SECONDS = 40.0


@contextlib.contextmanager
def running(tmp_path: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own; killed if it is still there at the end."""
    base = {"PATH": "/usr/bin:/bin", "OPTIONLAKE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "optionlake", *arguments],
        env=base | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answered(url: str, process: subprocess.Popen[str]) -> requests.Response:
    """The first answer of a program that is starting."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read()
        with contextlib.suppress(requests.RequestException):
            return requests.get(url, timeout=5)
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer")


def test_simulate_serves_alone(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> None:
    """One command, one port, the broker's own paths; SIGTERM ends it with code 0."""
    (port,) = free_ports(1)
    arguments = ("simulate", "--port", str(port), "--seed", "5", "--session", "always")
    with running(tmp_path, *arguments) as process:
        answer = answered(f"http://127.0.0.1:{port}/v2/market/holidays", process)
        assert answer.json()["status"] == "success"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0


def test_dashboard_without_a_feed_says_so(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    """The page is there before the feed is, and its health tells that nothing arrives."""
    page, live = free_ports(2)
    ports = {"OPTIONLAKE_PAGE_PORT": str(page), "OPTIONLAKE_LIVE_PORT": str(live)}
    with running(tmp_path, "dashboard", **ports) as process:
        answer = answered(f"http://127.0.0.1:{page}/api/v1/health", process)
        assert "live" not in str(answer.json().get("state"))
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 0


def test_stream_without_token_does_not_start(tmp_path: Path) -> None:
    """The feed process refuses before it connects to anything."""
    settings = Settings(home=tmp_path, access_token=None)  # type: ignore[call-arg]
    with pytest.raises(AuthenticationError):
        asyncio.run(serve.stream(settings))
