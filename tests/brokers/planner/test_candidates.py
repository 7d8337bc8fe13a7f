"""Candidates: around the money, heaviest first, and a money that does not flap."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Instrument
from brokers.planner.candidates import MONEY_MARGIN, money_of, near_futures, ranked_spots, wanted
from market.contract import Contract, Kind, Underlying
from tests.listings import TODAY, WEEKS, future, listing, spot


def test_wanted_is_spot_future_and_money_of_nearest_expiry() -> None:
    """Spot, its future, then both rights of the strikes from the money outwards."""
    found = wanted(listing("NIFTY", strikes=(80, 90, 100, 110, 120)), {"NIFTY": 101.0}, 1, TODAY)
    assert [c.instrument.broker_key for c in found.candidates] == [
        "NSE_INDEX|NIFTY",
        "NIFTY-20261201-FUT",
        *(f"NIFTY-20261201-{k}-{r}" for k in (100, 90, 110) for r in ("CE", "PE")),
    ]
    assert found.money == {"NIFTY": 100.0}
    weights = [c.weight for c in found.candidates]
    assert weights == sorted(weights, reverse=True)


def test_expiry_day_is_still_wanted_and_the_day_after_is_not() -> None:
    """A contract lives through its expiry day."""
    for today, expiry in ((WEEKS[0], WEEKS[0]), (WEEKS[0] + timedelta(days=1), WEEKS[1])):
        found = wanted(listing("NIFTY"), {"NIFTY": 100.0}, 0, today)
        options = [c for c in found.candidates if c.instrument.contract.kind is Kind.OPTION]
        assert {c.instrument.contract.expiry for c in options} == {expiry}


def test_the_last_day_weighs_more() -> None:
    """The same strike is heavier today than it was a week ago."""
    weights = []
    for days_before in (7, 2, 0):
        today = WEEKS[0] - timedelta(days=days_before)
        weights.append(wanted(listing("NIFTY"), {"NIFTY": 100.0}, 0, today).candidates[-1].weight)
    assert weights[0] < weights[1] < weights[2]


def test_symbol_without_a_price_waits_for_it() -> None:
    """Its spot and future are wanted, its options are not yet, and it is named."""
    listed = [*listing("NIFTY"), *listing("SENSEX")]
    found = wanted(listed, {"NIFTY": 100.0}, 5, TODAY)
    assert found.without_price == ("SENSEX",)
    assert [c.instrument.contract.symbol for c in found.candidates].count("SENSEX") == 2


def test_symbol_without_options_is_followed() -> None:
    """A volatility index has a price and nothing else."""
    found = wanted([spot("INDIAVIX")], {"INDIAVIX": 15.0}, 2, TODAY)
    assert [c.instrument.broker_key for c in found.candidates] == ["NSE_INDEX|INDIAVIX"]
    assert found.without_price == ()


def test_indices_come_before_stocks_and_stocks_in_the_users_order() -> None:
    """Fifty stocks are first, the others are the rest."""
    names = [f"S{n}" for n in range(60)]
    listed = [*(spot(name, Kind.EQUITY) for name in reversed(names)), spot("NIFTY")]
    ranked = ranked_spots(listed, names)
    assert [i.contract.symbol for _, i in ranked] == ["NIFTY", *names]
    assert [tier for tier, _ in ranked] == [0] + [1] * 50 + [2] * 10


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=30, unique=True),
    st.floats(0.5, 500),
    st.integers(0, 40),
)
def test_money_is_the_nearest_strike(strikes: list[int], price: float, each_side: int) -> None:
    """Wanted strikes are consecutive, hold the nearest one, and nearest is in their middle."""
    listed = listing("NIFTY", WEEKS[:1], tuple(map(float, strikes)))
    found = wanted(listed, {"NIFTY": price}, each_side, TODAY)
    chosen = sorted({k for c in found.candidates if (k := c.instrument.contract.strike)})
    ordered = sorted(map(float, strikes))
    place = ordered.index(min(ordered, key=lambda strike: (abs(strike - price), strike)))
    assert chosen == ordered[max(0, place - each_side) : place + each_side + 1]


@given(st.lists(st.floats(60, 140), min_size=1, max_size=40))
def test_money_moves_only_when_the_spot_has_clearly_left(prices: list[float]) -> None:
    """Whatever the path, the money is never further from the spot than the margin allows."""
    strikes = [float(k) for k in range(50, 151, 10)]
    money: float | None = None
    for price in prices:
        now = money_of(strikes, price, money)
        if money is not None and abs(price - money) <= (0.5 + MONEY_MARGIN) * 10:
            assert now == money
        elif money is not None:
            assert now == money_of(strikes, price)
        assert abs(price - now) <= (0.5 + MONEY_MARGIN) * 10
        money = now


def test_a_spot_between_two_strikes_does_not_flap() -> None:
    """A tick to either side of the border changes nothing."""
    money = money_of([90.0, 100.0], 95.1)
    assert money == 100.0
    assert {money_of([90.0, 100.0], price, money) for price in (94.9, 95.1, 93.5)} == {100.0}
    assert money_of([90.0, 100.0], 92.9, money) == 90.0


def test_an_index_brings_its_nearest_future_and_a_stock_none() -> None:
    """The one that expires today still counts; a stock trades itself."""
    stock = Underlying("RELIANCE", Kind.EQUITY, "NSE")
    of_stock = Instrument(Contract("RELIANCE", Kind.FUTURE, WEEKS[0]), stock, "RELIANCE-FUT", 500)
    listed = [future("NIFTY", day) for day in reversed(WEEKS)] + [of_stock]
    for today, nearest in ((WEEKS[0], WEEKS[0]), (WEEKS[0] + timedelta(days=1), WEEKS[1])):
        assert near_futures(listed, today) == (future("NIFTY", nearest),)
    assert near_futures(listed, WEEKS[2] + timedelta(days=1)) == ()
