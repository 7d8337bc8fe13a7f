"""Fixtures of a code location on real servers: simulated exchange, TimescaleDB, lake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from brokers.budget import Budget
from brokers.interface import Secret
from brokers.upstox.auth import StaticToken
from brokers.upstox.rest import RetryPolicy, Upstox
from market.rules import IST, Rules
from orchestration.dbt_project import prepare_manifest
from orchestration.resources import LocationConfig
from simulator.access.tokens import mint
from simulator.server import SimulatorConfig
from storage.lake import Lake
from storage.layout import Layout
from tests.fix_simulator import SimulatedExchange, running_simulator

SYMBOLS = ("NIFTY", "BANKNIFTY", "SENSEX", "RELIANCE", "TCS")
# A Friday, two seconds after the window 10:00 has closed.
KEY, AT = "2026-11-20|10:00", datetime(2026, 11, 20, 10, 5, 2, tzinfo=IST)


@dataclass(slots=True)
class Clock:
    """A clock that stands still until a test sets it; the exchange reads it too."""

    at: datetime = AT

    def __call__(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Location:
    """A code location and the world around it."""

    config: LocationConfig
    exchange: SimulatedExchange
    clock: Clock
    broker: Upstox
    lake: Lake
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def definitions(self) -> dg.Definitions:
        """The definitions, with a broker that does not wait before it gives up."""
        from orchestration.definitions import build_definitions

        return build_definitions(self.config, {"broker": self.broker})

    def run(self, job: str = "window", key: str | None = KEY) -> dg.ExecuteInProcessResult:
        """Execute a job in this process; a failure is a result like any other."""
        resolved = self.definitions().resolve_job_def(job)
        return resolved.execute_in_process(
            partition_key=key, instance=self.instance, raise_on_error=False
        )

    def rows(self, table: str, key: str = KEY) -> pl.DataFrame:
        """What the lake holds of a window."""
        day, slot = key.split("|")
        return self.lake.window(table, date.fromisoformat(day), slot)


@pytest.fixture(scope="session")
def parsed_dbt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's folder of a home, with the manifest: parsing takes ten seconds, so once."""
    folder = tmp_path_factory.mktemp("home") / "dbt"
    prepare_manifest(folder)
    return folder


@pytest.fixture
def configure(
    tmp_path: Path, parsed_dbt: Path, database: str
) -> Callable[[str, str, Clock], LocationConfig]:
    """Makes the configuration of a home of the test's own."""

    def make(url: str, token: str, clock: Clock) -> LocationConfig:
        layout = Layout(tmp_path)
        layout.create()
        shutil.copytree(parsed_dbt, layout.dbt, dirs_exist_ok=True)
        return LocationConfig(
            layout=layout,
            dsn=lambda: database,
            api_url=url,
            assets_url=url,
            access_token=Secret(token),
            symbols=SYMBOLS,
            expiries=1,
            rules=Rules(),
            first_day=date(2026, 11, 1),
            window_minutes=5,
            clock=clock,
        )

    return make


@pytest.fixture
def location(
    configure: Callable[[str, str, Clock], LocationConfig], lake: Lake
) -> Iterator[Location]:
    """A location that has not run anything yet, two seconds after a window closed."""
    clock = Clock()
    with running_simulator(
        SimulatorConfig(session="nse", symbols=SYMBOLS, limits=()), clock
    ) as exchange:
        config = configure(exchange.url, mint(clock(), timedelta(days=30)), clock)
        tokens = StaticToken(config.access_token, clock)
        budget = Budget(config.layout.budget_file)
        once = RetryPolicy(attempts=1)
        broker = Upstox(
            exchange.url, exchange.url, tokens, budget, SYMBOLS, retries=once, clock=clock
        )
        yield Location(config, exchange, clock, broker, lake)
        broker.close()
