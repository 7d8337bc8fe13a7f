"""After warming nothing is left to compile for whoever serves."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from market.rules import rules_for
from simulator import warming
from simulator.exchange import bulk, quotes, truth
from simulator.exchange.market import Market
from simulator.socket import wire

_KERNELS = (
    quotes._fill,
    quotes._settle,
    truth._fill,
    bulk._fill_bars,
    bulk._fill_day_bars,
    bulk._fill_minutes,
    wire._encode,
)


def test_steps_are_counted() -> None:
    """One for each question, so that a progress bar ends where it should."""
    assert list(warming.steps()) == list(range(1, warming.COUNT + 1))


@pytest.mark.parametrize("session", ["nse", "always"])
def test_larger_markets_need_no_other_code(session: str) -> None:
    """The signatures compiled are those that a market of other symbols and hours asks for."""
    warming.warm()
    known = [len(kernel.signatures) for kernel in _KERNELS]  # type: ignore[attr-defined]
    assert min(known) >= 1
    market = Market(3, rules_for(session), ("SENSEX", "RELIANCE", "TCS"))
    at = warming._NOON + timedelta(hours=1)
    rows = np.arange(40)
    market.quotes(at), market.truth(at), market.day_ranges(at, rows), market.last_minutes(at, rows)
    contract = market.listing(at).rows[30].contract
    market.minute_candles(contract, at.date()), market.day_candles(contract, [at.date()])
    assert known == [len(kernel.signatures) for kernel in _KERNELS]  # type: ignore[attr-defined]
