"""The listings are registered as the broker tells them."""

from __future__ import annotations

from datetime import date

from storage.instruments import known
from tests.fix_orchestration import SYMBOLS, Location


def test_listings_are_registered_once(location: Location) -> None:
    """Every listed contract has its number, and a second run gives none a new one."""
    assert location.run("instruments", key=None).success
    first = known(location.config.dsn(), SYMBOLS, date(2026, 11, 20))
    assert {str(i.contract) for i in first} == {
        str(i.contract) for i in location.broker.instruments()
    }
    result = location.run("instruments", key=None)
    assert known(location.config.dsn(), SYMBOLS, date(2026, 11, 20)) == first
    told = result.asset_materializations_for_node("instrument_master")[0].metadata
    assert told["dagster/row_count"].value == len(first)
    assert told["symbols"].value == len(SYMBOLS)


def test_an_outage_of_the_broker_is_not_an_empty_listing(location: Location) -> None:
    """A run that cannot read the master fails and leaves what is registered alone."""
    location.broker._assets_url = "http://127.0.0.1:9"
    result = location.run("instruments", key=None)
    assert not result.success
    assert known(location.config.dsn(), SYMBOLS, date(2026, 11, 20)) == ()
