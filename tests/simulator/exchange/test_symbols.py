"""The table of underlyings."""

from __future__ import annotations

import re

import pytest

from market.errors import ConfigurationError
from simulator.exchange.stocks import STOCKS
from simulator.exchange.symbols import SYMBOLS, choose


def test_indices_have_the_brokers_keys() -> None:
    """Case-sensitive ones; futures and options on five of them."""
    indices = {s.key: s.has_derivatives for s in SYMBOLS.values() if s.is_index}
    assert indices == {
        "NSE_INDEX|Nifty 50": True,
        "NSE_INDEX|Nifty Bank": True,
        "NSE_INDEX|Nifty Fin Service": True,
        "NSE_INDEX|NIFTY MID SELECT": True,
        "BSE_INDEX|SENSEX": True,
        "NSE_INDEX|India VIX": False,
        "NSE_INDEX|Nifty Next 50": False,
        "BSE_INDEX|BANKEX": False,
    }
    assert SYMBOLS["BANKEX"].underlying.exchange == "BSE"


def test_stocks_have_lots_and_keys_by_isin() -> None:
    """Every row of the stocks' table is a symbol."""
    stocks = [s for s in SYMBOLS.values() if not s.is_index]
    assert len(stocks) == len(STOCKS)
    assert all(re.fullmatch(r"NSE_EQ\|INE[A-Z0-9]{9}", s.key) and s.lot_units for s in stocks)


def test_fear_rises_when_the_market_falls() -> None:
    """India VIX moves against the market, all else with it."""
    against = {name for name, symbol in SYMBOLS.items() if symbol.market_share < 0}
    assert against == {"INDIAVIX"}


def test_keys_and_tokens_are_unique() -> None:
    """Over indices and stocks of one exchange."""
    symbols = SYMBOLS.values()
    assert len({s.key for s in symbols}) == len(symbols)
    assert len({(s.underlying.exchange, s.token) for s in symbols}) == len(symbols)


def test_choice_keeps_the_order_asked_for() -> None:
    """None means all."""
    assert [s.underlying.symbol for s in choose(["TCS", "NIFTY"])] == ["TCS", "NIFTY"]
    assert choose(None) == tuple(SYMBOLS.values())


def test_an_unknown_symbol_is_named() -> None:
    """The message says what is wrong and what there is."""
    with pytest.raises(ConfigurationError, match=r"\['NOPE'\].*NIFTY"):
        choose(["NIFTY", "NOPE"])
