"""Starting, stopping and hanging the server."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import UTC, datetime

import pytest
import requests

from market.errors import ConfigurationError
from simulator.server import SimulatorConfig, serve
from tests.fix_simulator import DEADLINE_SECONDS, SimulatedExchange

_CONFIG = SimulatorConfig(symbols=("NIFTY",))


def _clock() -> datetime:
    return datetime(2026, 11, 25, 6, 0, tzinfo=UTC)


def test_a_free_port_is_chosen_and_given_back() -> None:
    """Port 0 means any; after the block nobody listens on it."""

    async def scene() -> int:
        async with serve(_CONFIG, _clock) as running:
            assert running.port > 0
            assert running.url == f"http://127.0.0.1:{running.port}"
            return running.port

    port = asyncio.run(scene())
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))


def test_equal_seeds_serve_equal_markets() -> None:
    """The server adds nothing of its own to the market."""

    async def scene(seed: int) -> float:
        config = SimulatorConfig(symbols=("NIFTY",), seed=seed)
        async with serve(config, _clock) as running:
            return running.market.truth(_clock()).spot["NIFTY"]

    first, second, other = (asyncio.run(scene(seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_an_unknown_symbol_stops_the_start() -> None:
    """With the error that names it."""

    async def scene() -> None:
        async with serve(SimulatorConfig(symbols=("NOPE",)), _clock):
            pass

    with pytest.raises(ConfigurationError, match="NOPE"):
        asyncio.run(scene())


def test_a_paused_server_hangs_until_resumed(simulator: SimulatedExchange) -> None:
    """A request during the pause is answered after it; the console still answers."""
    url = f"{simulator.url}/v2/market/timings/2026-11-25"
    requests.post(f"{simulator.url}/simulator/pause", timeout=10)
    with pytest.raises(requests.ReadTimeout):
        requests.get(url, timeout=0.2)
    answers: list[int] = []
    waiting = threading.Thread(
        target=lambda: answers.append(requests.get(url, timeout=DEADLINE_SECONDS).status_code)
    )
    waiting.start()
    requests.post(f"{simulator.url}/simulator/resume", timeout=10)
    waiting.join(DEADLINE_SECONDS)
    assert answers == [200]


def test_a_time_before_the_rules_is_refused() -> None:
    """At the start, with the day and what to do, not at the first call."""
    early = datetime(2020, 1, 2, 5, tzinfo=UTC)

    async def scene() -> None:
        async with serve(_CONFIG, lambda: early):
            pass

    with pytest.raises(ConfigurationError, match=r"2020-01-02.*start later"):
        asyncio.run(scene())
