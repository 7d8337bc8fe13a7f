"""The table of underlyings."""

from __future__ import annotations

import re

import pytest

from market.errors import ConfigurationError
from simulator.symbols import SYMBOLS, choose


def test_five_indices_and_ten_stocks() -> None:
    """With the broker's own, case-sensitive keys."""
    indices = {s.key for s in SYMBOLS.values() if s.is_index}
    assert indices == {
        "NSE_INDEX|Nifty 50",
        "NSE_INDEX|Nifty Bank",
        "NSE_INDEX|Nifty Fin Service",
        "NSE_INDEX|NIFTY MID SELECT",
        "BSE_INDEX|SENSEX",
    }
    stocks = [s for s in SYMBOLS.values() if not s.is_index]
    assert len(stocks) == 10
    assert all(re.fullmatch(r"NSE_EQ\|INE[A-Z0-9]{9}", s.key) and s.lot_units for s in stocks)


def test_choice_keeps_the_order_asked_for() -> None:
    """None means all."""
    assert [s.underlying.symbol for s in choose(["TCS", "NIFTY"])] == ["TCS", "NIFTY"]
    assert len(choose(None)) == len(SYMBOLS)


def test_an_unknown_symbol_is_named() -> None:
    """The message says what is wrong and what there is."""
    with pytest.raises(ConfigurationError, match=r"\['NOPE'\].*NIFTY"):
        choose(["NIFTY", "NOPE"])
