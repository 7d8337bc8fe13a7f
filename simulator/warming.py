"""The simulator's kernels compiled once and left in the cache, so that a start never waits.

Called when the environment is installed; takes a minute the first time, then a second. It asks a
small market for everything that a large one is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np

from market.rules import rules_for
from simulator.access.tokens import holder, mint
from simulator.exchange.market import Market
from simulator.socket.session import MarketSource

_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)


def _questions() -> tuple[Callable[[], object], ...]:
    market = Market(0, rules_for("nse"), ("NIFTY", "ITC"))
    rows = np.arange(3)
    spot = market.listing(_NOON).rows[0].contract
    return (
        lambda: market.quotes(_NOON, rows),
        lambda: market.truth(_NOON),
        lambda: market.day_ranges(_NOON, rows),
        lambda: market.last_minutes(_NOON, rows),
        lambda: market.minute_candles(spot, _NOON.date()),
        lambda: market.day_candles(spot, [_NOON.date()]),
        lambda: _snapshot(market),
    )


def _snapshot(market: Market) -> object:
    account = holder(mint(_NOON), _NOON)
    keys = [row.key for row in market.listing(_NOON).rows[:3]]
    asked = {"guid": "", "method": "sub", "data": {"mode": "full", "instrumentKeys": keys}}
    return account and MarketSource(market).open(account).request(json.dumps(asked).encode(), _NOON)


COUNT = 7


def steps() -> Iterator[int]:
    """Compile step by step; tells the number of each when it is done."""
    for number, question in enumerate(_questions(), start=1):
        question()
        yield number


def warm() -> None:
    """Compile all."""
    for _ in steps():
        pass
