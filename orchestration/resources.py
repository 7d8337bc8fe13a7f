"""What the assets are handed: scope, broker, budget, database, lake, dbt.

Everything is opened when a run asks for it, so that loading the code location reaches nothing.
Settings are read in ``definitions``; here they are already plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import dagster as dg
from dagster_dbt import DbtCliResource

from brokers.budget import Budget
from brokers.interface import Broker, Secret
from brokers.planner.chains import calls_for_chains
from brokers.upstox.auth import WatchedToken
from brokers.upstox.rest import Upstox
from market.rules import IST, Rules
from orchestration.dbt_project import DBT, PROJECT, prepare_profile
from orchestration.partitions import WindowPartitions, window_partitions
from storage.lake import Lake, LakeConfig
from storage.layout import Layout


@dataclass(frozen=True, slots=True)
class LocationConfig:
    """What a code location is made from.

    Attributes:
        dsn: gives the address of the database; asked only when a run needs it, since the embedded
            server may start after the code location.
        expiries: chains fetched for each symbol, nearest first.
        chain_calls_per_minute: calls that chains may use of the budget.
        first_day: first trading day that has partitions.
        window_minutes: length of a window, minutes.
        clock: our clock (aware UTC).
    """

    layout: Layout
    dsn: Callable[[], str]
    api_url: str
    assets_url: str
    access_token: Secret | None
    symbols: tuple[str, ...]
    expiries: int
    rules: Rules
    first_day: date
    window_minutes: int
    clock: Callable[[], datetime]
    chain_calls_per_minute: float = calls_for_chains()

    def partitions(self) -> WindowPartitions:
        """The windows that this location can materialise."""
        today = self.clock().astimezone(IST).date()
        return window_partitions(self.rules, self.first_day, today, self.window_minutes)

    def lake(self) -> LakeConfig:
        """Where the lake lies."""
        return LakeConfig(self.dsn(), self.layout.lake)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is followed, in which windows, and what time it is."""

    symbols: tuple[str, ...]
    expiries: int
    partitions: WindowPartitions
    clock: Callable[[], datetime]
    chain_calls_per_minute: float = calls_for_chains()

    @property
    def rules(self) -> Rules:
        """The calendar and the dated tables."""
        return self.partitions.rules


@dataclass(frozen=True, slots=True)
class Database:
    """The address of TimescaleDB."""

    dsn: str


def resources_of(config: LocationConfig) -> Mapping[str, object]:
    """The resources by key; a test replaces any of them in the mapping."""
    scope = Scope(
        config.symbols,
        config.expiries,
        config.partitions(),
        config.clock,
        config.chain_calls_per_minute,
    )
    return {
        "scope": scope,
        "budget": Budget(config.layout.budget_file),
        "broker": _resource(lambda: _open_broker(config)),
        "database": _resource(lambda: _open_database(config)),
        "lake": _resource(lambda: _open_lake(config)),
        "dbt": _resource(lambda: _open_dbt(config)),
    }


def _resource(opened: Callable[[], object]) -> dg.ResourceDefinition:
    """A resource that a run opens on first need and closes at its end."""

    @contextmanager
    def enter(_: dg.InitResourceContext) -> Iterator[object]:
        with opened() as resource:  # type: ignore[attr-defined]
            yield resource

    return dg.ResourceDefinition(enter)


@contextmanager
def _open_broker(config: LocationConfig) -> Iterator[Broker]:
    tokens = WatchedToken(config.access_token, config.layout.token_file, config.clock)
    budget = Budget(config.layout.budget_file)
    upstox = Upstox(
        config.api_url, config.assets_url, tokens, budget, config.symbols, clock=config.clock
    )
    with closing(upstox):
        yield upstox


@contextmanager
def _open_database(config: LocationConfig) -> Iterator[Database]:
    yield Database(config.dsn())


@contextmanager
def _open_lake(config: LocationConfig) -> Iterator[Lake]:
    with closing(Lake(config.lake())) as lake:
        # A no-op when nothing is missing, so that any run may be a lake's first.
        lake.ensure_tables()
        yield lake


@contextmanager
def _open_dbt(config: LocationConfig) -> Iterator[DbtCliResource]:
    folder = config.layout.dbt
    prepare_profile(folder, config.lake())
    yield DbtCliResource(
        project_dir=str(PROJECT), profiles_dir=str(folder), dbt_executable=str(DBT)
    )
