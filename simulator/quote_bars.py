"""The bars that quotes carry: of the day, of the minute or half hour that runs, and the one before.

Put together from what the market shows, for many keys at once. A bar that runs holds nothing of the
future: it is what was seen since it began, looked at every few seconds. History is another matter
(``candle_calls``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from simulator.exchange import Market
from simulator.noise import Floats, Ints
from simulator.quotes import Bars

INTERVALS = ("1d", "I1", "I30")

_MINUTE_MS = 60_000
_GLANCE_MS = 15_000
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
    """Bars of ``rows`` of the instant's listing; half hours are counted from the open.

    A row that was not listed yet on the trading day on show has NaN for prices.
    """
    if interval == "1d":
        return Pair(market.day_ranges(instant, rows), None)
    shown, length_ms = market.shown(instant), _MINUTES[interval] * _MINUTE_MS
    # Once trading is over the last bar stays the one that runs.
    moment_ms = shown.at_ms if shown.is_open else shown.at_ms - 1
    starts_ms = moment_ms - (moment_ms - shown.opened_ms) % length_ms
    keys = [market.listing(instant).rows[row].key for row in rows]
    live = _bar(market, keys, starts_ms, shown.at_ms)
    if starts_ms <= shown.opened_ms:
        return Pair(live, None)
    return Pair(live, _bar(market, keys, starts_ms - length_ms, starts_ms))


def _bar(market: Market, keys: Sequence[str], starts_ms: int, ends_ms: int) -> Bars:
    """What was seen from ``starts_ms`` to ``ends_ms``: whole minutes, and a part of one."""
    whole_ms = ends_ms // _MINUTE_MS * _MINUTE_MS
    parts = [
        _minute(market, keys, end_ms)
        for end_ms in range(starts_ms + _MINUTE_MS, whole_ms + 1, _MINUTE_MS)
    ]
    if ends_ms > whole_ms or not parts:
        parts.append(_glances(market, keys, max(whole_ms, starts_ms), ends_ms))
    return _joined(parts, starts_ms)


def _minute(market: Market, keys: Sequence[str], end_ms: int) -> Bars:
    """The whole minute that ends there."""
    instant = _instant(end_ms)
    rows = _rows(market, instant, keys)
    found = market.last_minutes(instant, rows[rows >= 0])
    return Bars(
        starts_ms=end_ms - _MINUTE_MS,
        open=_spread(rows, found.open),
        high=_spread(rows, found.high),
        low=_spread(rows, found.low),
        close=_spread(rows, found.close),
        volume_units=np.nan_to_num(_spread(rows, found.volume_units)).astype(np.int64),
    )


def _glances(market: Market, keys: Sequence[str], starts_ms: int, ends_ms: int) -> Bars:
    """A part of a minute, from last prices a few seconds apart."""
    prices, volumes = [], []
    for at_ms in (*range(starts_ms, ends_ms, _GLANCE_MS), ends_ms):
        rows = _rows(market, _instant(at_ms), keys)
        quotes = market.quotes(_instant(at_ms), rows[rows >= 0])
        prices.append(_spread(rows, quotes.last_price))
        volumes.append(_spread(rows, quotes.volume_units))
    table, traded = np.array(prices), np.maximum(volumes[-1] - volumes[0], 0.0)
    return Bars(
        starts_ms=starts_ms,
        open=table[0],
        high=table.max(0),
        low=table.min(0),
        close=table[-1],
        volume_units=np.nan_to_num(traded).astype(np.int64),
    )


def _joined(parts: Sequence[Bars], starts_ms: int) -> Bars:
    return Bars(
        starts_ms=starts_ms,
        open=parts[0].open,
        high=np.max([part.high for part in parts], axis=0),
        low=np.min([part.low for part in parts], axis=0),
        close=parts[-1].close,
        volume_units=np.sum([part.volume_units for part in parts], axis=0),
    )


def _rows(market: Market, instant: datetime, keys: Sequence[str]) -> Ints:
    """The keys' places in the listing of another instant; −1 where it has none."""
    known = market.listing(instant).row_of_key
    return np.array([known.get(key, -1) for key in keys], np.int64)


def _spread(rows: Ints, found: Floats | Ints) -> Floats:
    """Values of the rows that are there, over all rows; NaN for the others."""
    values = np.full(rows.size, np.nan)
    values[rows >= 0] = found
    return values


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
