"""Running one program in this process: what the commands simulate, stream and dashboard do.

What ``simulate`` takes is read in ``simulation``, ``record`` stands in ``recording``. Starting them
together, as processes, stands in ``launch``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from itertools import chain

from rich.progress import track

from brokers.upstox import walker
from brokers.upstox.codec import UpstoxCodec
from dashboard.app import DashboardConfig, run
from market.errors import ConfigurationError
from market.rules import rules_for
from optionlake import compose
from optionlake.settings import Settings
from optionlake.simulation import Typed, prepared, welcome
from simulator import warming as simulator_warming
from simulator.server import serve
from storage.provision import cache_folder, provision
from streaming import alerts, live, pipeline
from transforms import warming

Report = Callable[[str], None]


def simulator(settings: Settings, typed: Typed, report: Report) -> None:
    """Serve the simulated exchange until a signal.

    Raises:
        ConfigurationError: for what was typed, a symbol that the exchange does not list, or a port
            that is taken.
    """
    if typed.replay is not None:
        report(f"reading {typed.replay}")
    run = prepared(settings, typed)
    config = run.config

    async def until_stopped() -> None:
        async with serve(config, run.clock) as running:
            run.begin()
            for line in welcome(run, running, has_token=sys.stdout.isatty()):
                report(line)
            await signalled().wait()

    try:
        asyncio.run(until_stopped())
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror}; choose another --port"
        ) from error


async def stream(settings: Settings) -> None:
    """Run the feed process until a signal.

    A token that has died is waited for, so that a restart at night is no end; one that was never
    there is a mistake of whoever starts it.

    Raises:
        AuthenticationError: if there is no token at all, or it cannot be read.
    """
    tokens = compose.tokens(settings)
    if tokens.expires_at() is None:
        tokens.token()
    # Before the socket opens: compiled in the loop, it would keep the first frames waiting.
    await asyncio.to_thread(_warm_frames)
    await pipeline.run(
        compose.stream_config(settings),
        compose.broker(settings),
        UpstoxCodec(),
        tokens,
        rules_for(settings.session),
        compose.now,
        signalled(),
    )


def dashboard(settings: Settings) -> None:
    """Serve the page and the API until a signal."""
    config = DashboardConfig(
        live_url=settings.live_url() + "/api/v1/live",
        host=settings.host,
        port=settings.page_port,
    )
    # The server ends in order by itself, and passes Ctrl-C on when nothing is left to be done.
    with contextlib.suppress(KeyboardInterrupt):
        run(config, settings.log_level)


def prepare(settings: Settings, report: Report) -> None:
    """Compile the kernels and fetch the database's programs, unless a database is set."""
    steps = chain(warming.steps(), simulator_warming.steps())
    total = warming.COUNT + simulator_warming.COUNT
    for _ in track(steps, "compiling kernels, once", total=total):
        pass
    _warm_frames()
    if settings.database_url is None:
        provision(cache_folder() / "timescaledb", report)


def _warm_frames() -> None:
    """Compile what a frame of the feed runs through."""
    walker.warm()
    live.warm()
    alerts.warm()


def signalled() -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets; call it inside a running loop."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    return event
