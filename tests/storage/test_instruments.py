"""The instrument dimension: one number per contract, for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import psycopg

from brokers.interface import Instrument
from market.contract import Contract, Kind, Right, Underlying
from storage.instruments import known, numbers_by_key, register

NIFTY = Underlying("NIFTY", Kind.INDEX, "NSE")
SPOT = Instrument(Contract("NIFTY", Kind.INDEX), NIFTY, "index|1")
OPTIONS = [
    Instrument(
        Contract("NIFTY", Kind.OPTION, date(2026, 12, 1), strike, right),
        NIFTY,
        f"opt|{strike}{right}",
        75,
        0.05,
    )
    for strike in (24000.0, 24050.5)
    for right in Right
]


def test_registering_twice_gives_the_same_numbers(database: str) -> None:
    """The numbers are in ticks already: they cannot move."""
    first = register(database, [SPOT, *OPTIONS])
    assert set(first) == {str(i.contract) for i in [SPOT, *OPTIONS]}
    assert register(database, [*reversed(OPTIONS), SPOT]) == first
    assert register(database, OPTIONS[:1]).items() <= first.items()


def test_only_what_is_new_uses_up_numbers(database: str) -> None:
    """A daily registration of the whole list does not eat four-byte numbers."""
    for _ in range(5):
        register(database, OPTIONS)
    assert register(database, [SPOT]) == {"NIFTY": len(OPTIONS) + 1}


def test_everything_about_the_contract_is_kept(database: str) -> None:
    """The dimension can be joined to ticks without asking the broker."""
    register(database, OPTIONS)
    register(database, [replace(OPTIONS[0], broker_key="new", lot_size_units=65)])
    with psycopg.connect(database) as connection:
        row = connection.execute(
            'SELECT broker_key, kind, symbol, exchange, expiry, strike, "right",'
            " lot_size_units, tick_size_rupees FROM instrument WHERE contract_id = %s",
            (str(OPTIONS[0].contract),),
        ).fetchone()
    day = date(2026, 12, 1)
    assert row == ("new", "OPTION", "NIFTY", "NSE", day, 24000.0, "CE", 65, 0.05)


def test_nothing_to_register_is_nothing(database: str) -> None:
    """An empty list is not an error."""
    assert register(database, []) == {}


def test_registering_at_once_agrees(database: str) -> None:
    """Two programs that start together see the same numbers."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(register, [database] * 4, [OPTIONS] * 4))
    assert all(numbers == found[0] for numbers in found)


def test_what_is_registered_can_be_read_back(database: str) -> None:
    """Old payloads are read with the listing of their day, without asking the broker."""
    register(database, [*OPTIONS, SPOT])
    in_order = sorted(OPTIONS, key=lambda i: (i.contract.strike, i.contract.right))
    assert known(database, ["NIFTY"], date(2026, 12, 1)) == (SPOT, *in_order)
    assert known(database, ["NIFTY"], date(2026, 12, 2)) == (SPOT,)
    assert known(database, ["SENSEX"], date(2026, 12, 1)) == ()


def test_a_key_means_the_contract_that_had_it_that_day(database: str) -> None:
    """The exchange gives a key to another contract after expiry; old frames keep their meaning."""
    old, new = (
        replace(OPTIONS[0], contract=replace(OPTIONS[0].contract, expiry=expiry))
        for expiry in (date(2026, 12, 1), date(2026, 12, 29))
    )
    numbers = register(database, [SPOT, old])
    numbers |= register(database, [new])
    for day, meant in ((1, old), (2, new)):
        found = numbers_by_key(database, date(2026, 12, day))
        assert found[OPTIONS[0].broker_key] == numbers[str(meant.contract)]
        assert found[SPOT.broker_key] == numbers["NIFTY"]
