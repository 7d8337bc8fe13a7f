"""What ``demo`` and ``up`` start, in which order, and what they tell the person who typed it.

How programs are started, watched and stopped stands in ``supervisor``.
"""

from __future__ import annotations

import contextlib
import fcntl
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import requests
from pydantic import SecretStr

from market.errors import ConfigurationError
from market.rules import IST
from optionlake import compose
from optionlake.settings import Settings
from optionlake.supervisor import Program, ProgramFailed, Supervisor, inherited
from simulator.access.tokens import mint
from storage.embedded import EmbeddedServer
from storage.layout import Layout, write_private
from storage.timescale import ensure_database, migrate, wait_until_ready

ROOT = Path(__file__).resolve().parent.parent
DEMO_HOME = Path(".optionlake/demo")
# Partitions of the demo: it never closes, so each day has 1,440 one-minute windows.
DEMO_HISTORY_DAYS = 2
DEMO_TOKEN_LIFETIME = timedelta(days=365)
DATABASE_DELAYS = (0.5, 1, 2, 4, 8, 15, 15, 15)

Report = Callable[[str], None]


def demo_settings(settings: Settings) -> Settings:
    """The settings with the exchange replaced by the simulated one that never closes."""
    address = f"http://{settings.host}:{settings.simulator_port}"
    today = compose.now().astimezone(IST).date()
    chosen = settings.model_fields_set
    return settings.model_copy(
        update={
            "home": settings.home if "home" in chosen else DEMO_HOME,
            "access_token": SecretStr(mint(compose.now(), DEMO_TOKEN_LIFETIME)),
            "api_url": address,
            "assets_url": address,
            "session": "always",
            "window_minutes": settings.window_minutes if "window_minutes" in chosen else 1,
            "history_start": f"{today - timedelta(days=DEMO_HISTORY_DAYS):%Y-%m-%d}",
        }
    )


def run(settings: Settings, *, is_demo: bool, report: Report, on_ready: Callable[[], None]) -> None:
    """Start everything, watch it until Ctrl-C or SIGTERM, stop it in order.

    Raises:
        AuthenticationError: on the real broker without a living token, before anything starts.
        ConfigurationError: if a port is taken or another launcher uses this home.
        ProgramFailed: if a program cannot be kept alive.
    """
    if not is_demo:
        compose.tokens(settings).token()
    layout = settings.layout
    layout.create()
    supervisor = Supervisor(layout.logs, layout.processes_file, report)
    with _only_launcher(layout), contextlib.ExitStack() as cleanup:
        supervisor.stop_leftovers()
        _require_free_ports(settings, is_demo=is_demo)
        _stop_on_signals(supervisor)
        try:
            settings, tend_database = _with_database(settings, report, cleanup)
            cleanup.callback(supervisor.stop)
            _prepare_stores(settings, report)
            for group in programs(settings, is_demo=is_demo):
                report("starting " + ", ".join(p.name for p in group))
                supervisor.start(*group)
            on_ready()
            supervisor.watch(tend_database)
        except ProgramFailed:
            if not supervisor.is_stopping:
                raise


def programs(settings: Settings, *, is_demo: bool) -> Iterator[tuple[Program, ...]]:
    """The programs, in groups that may start together."""
    environment = _environment(settings)
    host, python = settings.host, sys.executable
    if is_demo:
        address = settings.api_url
        yield (
            Program(
                "simulate",
                (python, "-m", "optionlake", "simulate"),
                environment,
                lambda: _answers(f"{address}/v2/market/holidays"),
                address=address,
            ),
        )
    live, page = settings.live_url("http"), f"http://{host}:{settings.page_port}"
    dagster = f"http://{host}:{settings.dagster_port}"
    workspace = str(ROOT / "workspace.yaml")
    yield (
        Program(
            "stream",
            (python, "-m", "optionlake", "stream"),
            environment,
            lambda: _answers(f"{live}/api/v1/health"),
            address=live,
        ),
        Program(
            "dashboard",
            (python, "-m", "optionlake", "dashboard"),
            environment,
            lambda: _answers(f"{page}/api/v1/health"),
            address=page,
        ),
        Program(
            "dagster-daemon",
            (python, "-m", "dagster._daemon", "run", "-w", workspace),
            environment,
        ),
        Program(
            "dagster-webserver",
            (
                *(python, "-m", "dagster_webserver", "-w", workspace),
                *("-h", host, "-p", str(settings.dagster_port)),
            ),
            environment,
            lambda: _answers(f"{dagster}/server_info"),
            ready_seconds=120,
            address=dagster,
        ),
    )


def _environment(settings: Settings) -> dict[str, str]:
    """The settings, and what Dagster and dbt need to find themselves and each other."""
    return {
        **settings.model_copy(update={"home": settings.layout.home}).as_environment(),
        "DAGSTER_HOME": str(settings.layout.dagster),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONUNBUFFERED": "1",
    }


def _with_database(
    settings: Settings, report: Report, cleanup: contextlib.ExitStack
) -> tuple[Settings, Callable[[], None]]:
    """The settings with a database that answers, and what keeps it alive.

    The database is the one that was set, which others look after, or an embedded server of ours.
    """
    tend: Callable[[], None] = _nothing_to_tend
    if settings.database_url is None:
        server = EmbeddedServer(settings.layout.home, settings.database_port)
        report("starting the database")
        cleanup.callback(report, "database stopped")
        cleanup.callback(server.stop)
        address = ensure_database(server.start(report), "optionlake")
        tend = partial(_tend, server, report)
    else:
        address = settings.database_url.get_secret_value()
        wait_until_ready(address, DATABASE_DELAYS, report)
    write_private(settings.layout.database_url_file, address)
    return settings.model_copy(update={"database_url": SecretStr(address)}), tend


def _tend(server: EmbeddedServer, report: Report) -> None:
    if not server.is_running():
        report("the database has died; starting it again")
        server.start(report)


def _nothing_to_tend() -> None:
    """A database that was set is looked after by whoever set it."""


def _prepare_stores(settings: Settings, report: Report) -> None:
    applied = migrate(settings.dsn())
    report(
        f"database schema: {len(applied)} migrations applied" if applied else "schema is current"
    )
    lake = compose.lake(settings)
    try:
        lake.ensure_tables()
    finally:
        lake.close()
    prepare_dagster(settings)


def prepare_dagster(settings: Settings) -> None:
    """Write Dagster's instance file and dbt's manifest for this home.

    A process of its own, since nobody imports ``orchestration``.

    Raises:
        ConfigurationError: with the process's output if it fails.
    """
    done = subprocess.run(
        (sys.executable, "-m", "orchestration.instance"),
        env=inherited(_environment(settings)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError(f"cannot prepare Dagster: {(done.stderr or done.stdout)[-2000:]}")


@contextlib.contextmanager
def _only_launcher(layout: Layout) -> Iterator[None]:
    with (layout.run / "launcher.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"optionlake is already running in {layout.home}: see optionlake status, "
                "or set OPTIONLAKE_HOME to another folder"
            ) from error
        yield


def _require_free_ports(settings: Settings, *, is_demo: bool) -> None:
    wanted = {"page_port", "dagster_port", "live_port"} | ({"simulator_port"} if is_demo else set())
    for name in sorted(wanted):
        port = getattr(settings, name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} is taken: stop what uses it or set OPTIONLAKE_{name.upper()}"
                ) from error


def _stop_on_signals(supervisor: Supervisor) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.request_stop())


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def welcome(settings: Settings) -> str:
    """What a person sees when everything runs: where to look, what to try, how to stop."""
    host = settings.host
    return "\n".join(
        (
            "",
            f"  page         http://{host}:{settings.page_port}",
            f"  Dagster      http://{host}:{settings.dagster_port}",
            f"  API          http://{host}:{settings.page_port}/api/v1/openapi.json",
            "",
            "  try, in another terminal:",
            "    .venv/bin/optionlake status",
            "    .venv/bin/optionlake sql "
            '"select symbol, spot, net_gex_crore_per_percent from underlying_rollup'
            ' order by window_end_at desc limit 15"',
            "  and in Dagster: Assets → underlying_rollup → a window → Materialize",
            "",
            f"  windows of {settings.window_minutes} min; logs in {settings.layout.logs}",
            "  Ctrl-C stops everything; the data stay for the next start",
            "",
        )
    )
