"""Plans: around the money, nearest first, within the socket's limit."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Instrument, Mode
from brokers.planner import ChainRequest, chain_plan, feed_plan, near_futures
from market.contract import Contract, Kind, Right, Underlying
from market.errors import ConfigurationError

TODAY = date(2026, 11, 25)
WEEKS = tuple(TODAY + timedelta(days=6 + 7 * n) for n in range(3))


def _spot(symbol: str) -> Instrument:
    underlying = Underlying(symbol, Kind.INDEX, "NSE")
    return Instrument(Contract(symbol, Kind.INDEX), underlying, f"NSE_INDEX|{symbol}")


def _option(symbol: str, expiry: date, strike: float, right: Right) -> Instrument:
    contract = Contract(symbol, Kind.OPTION, expiry, strike, right)
    return Instrument(contract, Underlying(symbol, Kind.INDEX, "NSE"), str(contract), 65, 0.05)


def _future(symbol: str, expiry: date) -> Instrument:
    contract = Contract(symbol, Kind.FUTURE, expiry)
    return Instrument(contract, Underlying(symbol, Kind.INDEX, "NSE"), str(contract), 65, 0.1)


def _listing(
    symbol: str, expiries: tuple[date, ...] = WEEKS, strikes: tuple[float, ...] = (90, 100, 110)
) -> list[Instrument]:
    options = [_option(symbol, e, k, r) for e in reversed(expiries) for k in strikes for r in Right]
    return [_future(symbol, WEEKS[0]), *options, _spot(symbol)]


def test_feed_plan_is_spot_and_money_of_nearest_expiry() -> None:
    """Spot, its future, then both rights of the strikes around the money, all in full mode."""
    listing = _listing("NIFTY", strikes=(80, 90, 100, 110, 120))
    plan = feed_plan(listing, {"NIFTY": 101.0}, 1, TODAY)
    assert plan.keys(Mode.FULL) == (
        "NSE_INDEX|NIFTY",
        "NIFTY-20261201-FUT",
        *(
            f"NIFTY-20261201-{strike}-{right}"
            for strike in (90, 100, 110)
            for right in ("CE", "PE")
        ),
    )
    assert tuple(i.broker_key for i in plan.instruments) == plan.keys(Mode.FULL)
    assert plan.keys(Mode.LTP) == ()


def test_expiry_day_is_still_planned_and_the_day_after_is_not() -> None:
    """A contract lives through its expiry day."""
    for today, expiry in ((WEEKS[0], WEEKS[0]), (WEEKS[0] + timedelta(days=1), WEEKS[1])):
        plan = feed_plan(_listing("NIFTY"), {"NIFTY": 100.0}, 0, today)
        assert {i.contract.expiry for i in plan.instruments} == {None, expiry}


def test_symbol_without_a_price_gets_its_spot_only() -> None:
    """The first tick of the spot is what its options wait for, and the plan says so."""
    plan = feed_plan([*_listing("NIFTY"), *_listing("SENSEX")], {"NIFTY": 100.0}, 5, TODAY)
    assert plan.without_price == ("SENSEX",)
    assert [i.contract.symbol for i in plan.instruments].count("SENSEX") == 2


def test_too_many_keys_are_refused_with_a_remedy() -> None:
    """The broker would only fall silent, so the plan must speak."""
    listing = _listing("NIFTY")
    assert len(feed_plan(listing, {"NIFTY": 100.0}, 1, TODAY, keys_limit=8).instruments) == 8
    with pytest.raises(ConfigurationError, match=r"8 keys.*7.*OPTIONLAKE_STRIKES_EACH_SIDE"):
        feed_plan(listing, {"NIFTY": 100.0}, 1, TODAY, keys_limit=7)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=30, unique=True),
    st.floats(0.5, 500),
    st.integers(0, 40),
)
def test_money_is_the_nearest_strike(strikes: list[int], price: float, each_side: int) -> None:
    """Planned strikes are consecutive, hold the nearest one, and nearest is in their middle."""
    listing = _listing("NIFTY", WEEKS[:1], tuple(map(float, strikes)))
    plan = feed_plan(listing, {"NIFTY": price}, each_side, TODAY)
    planned = sorted({i.contract.strike for i in plan.instruments if i.contract.strike is not None})
    listed = sorted(map(float, strikes))
    nearest = min(listed, key=lambda strike: (abs(strike - price), strike))
    place = listed.index(nearest)
    assert planned == listed[max(0, place - each_side) : place + each_side + 1]
    assert len(plan.instruments) == 2 + 2 * len(planned)


def test_chain_plan_takes_every_symbols_nearest_first() -> None:
    """If the budget runs out, far expiries are lost and no symbol is."""
    listing = [*_listing("SENSEX"), *_listing("NIFTY", WEEKS[:1])]
    plan = chain_plan(listing, ("NIFTY", "SENSEX", "UNLISTED"), 2, TODAY)
    assert plan == (
        ChainRequest(_spot("NIFTY"), WEEKS[0]),
        ChainRequest(_spot("SENSEX"), WEEKS[0]),
        ChainRequest(_spot("SENSEX"), WEEKS[1]),
    )


def test_symbol_without_options_has_no_requests() -> None:
    """A volatility index is followed, but has no chain."""
    assert chain_plan([_spot("INDIAVIX")], ("INDIAVIX",), 2, TODAY) == ()
    plan = feed_plan([_spot("INDIAVIX")], {"INDIAVIX": 15.0}, 2, TODAY)
    assert plan.keys(Mode.FULL) == ("NSE_INDEX|INDIAVIX",)


def test_an_index_brings_its_nearest_future_and_a_stock_none() -> None:
    """The one that expires today still counts; a stock trades itself."""
    stock = Underlying("RELIANCE", Kind.EQUITY, "NSE")
    of_stock = Instrument(Contract("RELIANCE", Kind.FUTURE, WEEKS[0]), stock, "RELIANCE-FUT", 500)
    listed = [_future("NIFTY", day) for day in reversed(WEEKS)] + [of_stock]
    for today, nearest in ((WEEKS[0], WEEKS[0]), (WEEKS[0] + timedelta(days=1), WEEKS[1])):
        assert near_futures(listed, today) == (_future("NIFTY", nearest),)
    assert near_futures(listed, WEEKS[2] + timedelta(days=1)) == ()
