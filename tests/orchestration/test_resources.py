"""Resources are opened by runs and not by loading; what a run opened, it closes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import dagster as dg
import pytest

from brokers.upstox.rest import Upstox
from market.errors import (
    AuthenticationError,
    BrokerUnavailable,
    ConfigurationError,
    StorageError,
)
from orchestration.resources import LocationConfig, Scope, resources_of
from simulator.access.tokens import mint
from storage.lake import Lake
from storage.layout import write_private
from tests.fix_orchestration import Clock

Configure = Callable[[str, str, Clock], LocationConfig]


@pytest.fixture
def config(configure: Configure) -> LocationConfig:
    """A location whose exchange nobody serves."""
    return configure("http://127.0.0.1:9", "", Clock())


def test_making_resources_reaches_nothing(config: LocationConfig) -> None:
    """The code location loads before the database is there."""

    def no_database() -> str:
        raise ConfigurationError("no database yet")

    made = resources_of(replace(config, dsn=no_database))
    assert set(made) == {"scope", "budget", "broker", "database", "lake", "dbt"}
    scope = made["scope"]
    assert isinstance(scope, Scope)
    assert scope.partitions.first_day == date(2026, 11, 1)


def test_a_run_gets_them_open_and_leaves_them_closed(config: LocationConfig) -> None:
    """The lake has its tables from the first run on; a broker without token says what to do."""
    made = resources_of(config)
    with dg.build_resources({key: made[key] for key in ("broker", "lake", "database")}) as opened:
        lake: Lake = opened.lake
        assert lake.query("SELECT count(*) FROM chain").item() == 0
        assert opened.database.dsn == config.dsn()
        broker: Upstox = opened.broker
        with pytest.raises(AuthenticationError, match="UPSTOX_ACCESS_TOKEN"):
            broker.market_status("NSE")
    with pytest.raises(StorageError):
        lake.query("SELECT 1")


def test_a_running_location_takes_up_a_new_token(config: LocationConfig) -> None:
    """A login while a run is on reaches its next call; the error is then the network's."""
    made = resources_of(replace(config, access_token=None))
    with dg.build_resources({"broker": made["broker"]}) as opened:
        broker: Upstox = opened.broker
        with pytest.raises(AuthenticationError):
            broker.authorize_feed()
        write_private(config.layout.token_file, mint(config.clock()))
        with pytest.raises(BrokerUnavailable):
            broker.authorize_feed()
