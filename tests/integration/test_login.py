"""A token that dies while the feed runs: told loudly, replaced by the command, live again.

Real programs: the simulated broker, the feed process and the command line, each as users start it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from optionlake import compose
from simulator.access.login import DEFAULT_CLIENT
from simulator.access.tokens import mint
from simulator.server import SimulatorConfig
from storage.layout import Layout, write_private
from tests.fix_simulator import running_simulator
from tests.streaming.webhook_receiver import Receiver, receiving

WAIT_SECONDS = 60.0


@contextmanager
def program(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, ended by SIGTERM at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-m", "optionlake", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=WAIT_SECONDS)
        finally:
            process.kill()


def health_when(url: str, is_enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The feed's health as soon as it is what is waited for."""
    deadline, told = time.monotonic() + WAIT_SECONDS, dict[str, Any]()
    while time.monotonic() < deadline:
        try:
            told = requests.get(f"{url}/api/v1/health", timeout=5).json()
        except requests.RequestException:
            told = {}
        if told and is_enough(told):
            return told
        time.sleep(0.1)
    raise AssertionError(f"not within {WAIT_SECONDS:g} s: {told}")


def test_dead_token_is_replaced_without_a_restart(
    database: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    """From an expired token to a live feed by one command; the process stays the same."""
    live_port, login_port = free_ports(2)
    layout = Layout(tmp_path / "home")
    layout.create()
    dead = mint(compose.now() - timedelta(days=2), timedelta(days=1))
    write_private(layout.token_file, dead)
    config = SimulatorConfig(symbols=("NIFTY",), frame_seconds=0.1)
    with running_simulator(config) as exchange, receiving() as user:
        environment = {
            "PATH": os.defpath,
            "OPTIONLAKE_HOME": str(layout.home),
            "OPTIONLAKE_API_URL": exchange.url,
            "OPTIONLAKE_ASSETS_URL": exchange.url,
            "OPTIONLAKE_SESSION": "always",
            "OPTIONLAKE_SYMBOLS": "NIFTY",
            "OPTIONLAKE_LIVE_PORT": str(live_port),
            "OPTIONLAKE_WEBHOOK_URL": f"http://127.0.0.1:{user.server_port}/",
            "DATABASE_URL": database,
            "UPSTOX_CLIENT_ID": DEFAULT_CLIENT.client_id,
            "UPSTOX_CLIENT_SECRET": DEFAULT_CLIENT.client_secret,
            "UPSTOX_REDIRECT_URI": f"http://127.0.0.1:{login_port}/",
        }
        url = f"http://127.0.0.1:{live_port}"
        with program(environment, "stream") as feed:
            waiting = health_when(url, lambda h: h["state"] == "waiting_for_token")
            assert (waiting["token_level"], waiting["token_minutes_left"]) == ("alarm", 0)
            assert "optionlake login" in waiting["token_detail"]
            done = _command(environment, "status")
            assert done.returncode == 1
            assert "token: the access token expired" in done.stdout
            with program(environment, "login", "--no-browser") as login:
                _agree(login)
                assert login.wait(WAIT_SECONDS) == 0
            live = health_when(url, lambda h: h["state"] == "live" and h["ticks_received"] > 0)
            assert live["token_level"] != "alarm"
            assert feed.poll() is None
            _told(user, "token_alarm", live["token_level"])
        token = layout.token_file.read_text().strip()
        assert token != dead
        shown = _command(environment, "login", "--status")
        assert shown.returncode == 0
        assert "token of SIM001" in shown.stdout
        assert token not in shown.stdout + shown.stderr


def _told(user: Receiver, first: str, level: str) -> None:
    """The alarm, then its end, each once; near 03:30 IST a new login token warns at once."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(user.bodies) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [body["kind"] for body in user.bodies] == [first, f"token_{level}"]


def _agree(login: subprocess.Popen[str]) -> None:
    """Open the address that the command tells, as the user's browser would."""
    assert login.stdout is not None
    line = login.stdout.readline()
    found = re.search(r"http\S+dialog\S+", line)
    assert found, line
    assert requests.get(found[0], timeout=10).status_code == 200


def _command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "optionlake", *arguments],
        env=environment | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
    )
