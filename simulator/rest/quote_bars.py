"""The bars that quotes carry: of the day, of the minute or half hour that runs, and the one before.

Which stretches they are; what happened in them is the market's to tell. A bar that runs holds
nothing of the future. History is another matter (``candle_calls``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from simulator.exchange.market import Market
from simulator.exchange.noise import Ints
from simulator.exchange.quotes import Bars
from simulator.exchange.timetable import instant_of

INTERVALS = ("1d", "I1", "I30")

_MINUTE_MS = 60_000
_MINUTES = {"I1": 1, "I30": 30}


@dataclass(frozen=True, slots=True)
class Pair:
    """The bar that runs and the one before it, both over the keys asked for.

    Attributes:
        before: None for a day's bar, and where the trading day had just begun.
    """

    live: Bars
    before: Bars | None


def bars(market: Market, instant: datetime, rows: Ints, interval: str) -> Pair:
    """Bars of ``rows`` of the instant's listing; half hours are counted from the open."""
    if interval == "1d":
        return Pair(market.day_ranges(instant, rows), None)
    shown, length_ms = market.shown(instant), _MINUTES[interval] * _MINUTE_MS
    # Once trading is over the last bar stays the one that runs.
    moment_ms = shown.at_ms if shown.is_open else shown.at_ms - 1
    starts_ms = moment_ms - (moment_ms - shown.opened_ms) % length_ms
    starts_at, now = instant_of(starts_ms), instant_of(shown.at_ms + 1)
    live = market.bars_between(instant, rows, starts_at, now)
    if starts_ms <= shown.opened_ms:
        return Pair(live, None)
    before_at = instant_of(starts_ms - length_ms)
    return Pair(live, market.bars_between(instant, rows, before_at, starts_at))
