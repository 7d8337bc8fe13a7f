"""Running one program in this process: what the commands simulate, stream and dashboard do.

Starting them together, as processes, stands in ``launch``.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta

import uvicorn

from brokers.upstox.codec import UpstoxCodec
from dashboard.app import DashboardConfig, create_app
from market.errors import ConfigurationError
from market.rules import rules_for
from optionlake import compose
from optionlake.settings import Settings
from simulator.server import SimulatorConfig, serve
from simulator.tokens import mint
from storage import provision
from streaming import pipeline
from transforms.implied_vol import warm

Report = Callable[[str], None]


def simulator(settings: Settings, *, port: int, seed: int, session: str, report: Report) -> None:
    """Serve the simulated exchange until a signal.

    Raises:
        ConfigurationError: if ``session`` is not known or the port is taken.
    """
    if session not in {"always", "nse"}:
        raise ConfigurationError(f"session {session!r} is not known, expected always or nse")
    config = SimulatorConfig(settings.host, port, seed, session, settings.symbol_list)

    async def until_stopped() -> None:
        async with serve(config, compose.now) as running:
            token = mint(compose.now(), timedelta(days=1))
            report(f"simulated exchange on {running.url}, session {session}, seed {seed}")
            report(f"token: {token}")
            await _signalled().wait()

    asyncio.run(until_stopped())


async def stream(settings: Settings) -> None:
    """Run the feed process until a signal.

    Raises:
        AuthenticationError: if no living token is set.
    """
    tokens = compose.tokens(settings)
    tokens.token()
    await pipeline.run(
        compose.stream_config(settings),
        compose.broker(settings),
        UpstoxCodec(),
        tokens,
        rules_for(settings.session),
        compose.now,
        _signalled(),
    )


def dashboard(settings: Settings) -> None:
    """Serve the page and the API until a signal."""
    config = DashboardConfig(
        live_url=settings.live_url() + "/api/v1/live",
        host=settings.host,
        port=settings.page_port,
    )
    uvicorn.run(
        create_app(config),
        host=settings.host,
        port=settings.page_port,
        log_level=settings.log_level,
        access_log=False,
    )


def prepare(settings: Settings, report: Report) -> None:
    """Compile the kernels and fetch the database's programs, unless a database is set."""
    report("compiling pricing kernels")
    warm()
    if settings.database_url is None:
        provision.ensure(report)


def _signalled() -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets; call it inside a running loop."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    return event
