"""Fixtures of the simulated exchange: the real server, in a thread and loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from simulator.access.tokens import mint
from simulator.exchange.market import Market
from simulator.faults.control import Control
from simulator.proxy import Proxy
from simulator.server import Running, SimulatorConfig, serve

DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """A running exchange as a test sees it; ``control`` may be used from the test's thread."""

    url: str
    port: int
    token: str = field(repr=False)
    market: Market
    control: Control
    clock: Callable[[], datetime]
    proxy: Proxy | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a client that is let in."""
        return {"Authorization": f"Bearer {self.token}"}


def wall_clock() -> datetime:
    """The real time."""
    return datetime.now(UTC)


@contextmanager
def running_simulator(
    config: SimulatorConfig, clock: Callable[[], datetime] = wall_clock
) -> Iterator[SimulatedExchange]:
    """Run an exchange until the block ends."""
    started: Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_run(config, clock, started)))
    thread.start()
    running, loop, stop = started.result(DEADLINE_SECONDS)
    try:
        token = mint(clock(), timedelta(days=1))
        yield SimulatedExchange(
            running.url, running.port, token, running.market, running.control, clock, running.proxy
        )
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_SECONDS)


async def _run(
    config: SimulatorConfig,
    clock: Callable[[], datetime],
    started: Future[tuple[Running, asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    stop = asyncio.Event()
    try:
        async with serve(config, clock) as running:
            started.set_result((running, asyncio.get_running_loop(), stop))
            await stop.wait()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise


@pytest.fixture
def simulator() -> Iterator[SimulatedExchange]:
    """An exchange that is always open, in real time, with all symbols and lively frames."""
    with running_simulator(SimulatorConfig(frame_seconds=0.05, ping_seconds=0.5)) as exchange:
        yield exchange
