"""From quotes to the records that the feed's entries are written from.

What a record holds beside its quote (bars, the closing auction) is added by those who keep it;
which bytes a record becomes stands in ``wire``.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from simulator.exchange import noise
from simulator.exchange.noise import Floats, Ints, Mask, Streams
from simulator.exchange.quotes import Quotes
from simulator.socket import wire
from simulator.socket.wire import Entries

_AS_QUOTED = (
    *("last_price", "last_quantity_units", "previous_close_price", "average_price"),
    *("volume_units", "open_interest_units"),
    *("total_bid_quantity_units", "total_ask_quantity_units"),
)
# The record's name, the model's, and the decimals that the vendor tells.
_GREEKS = (
    ("delta", "delta", 4),
    ("theta", "theta_per_day", 4),
    ("gamma", "gamma", 6),
    ("vega", "vega_per_vol_point", 4),
    ("rho", "rho_per_percent", 4),
)
_DEPTH_DRAW, _GREEKS_DRAW = np.uint64(8), np.uint64(9)

_NEWS = (
    *("bid_price", "ask_price", "bid_quantity_units", "ask_quantity_units"),
    *("total_bid_quantity_units", "total_ask_quantity_units"),
    *("last_price", "last_traded_ms", "volume_units", "open_interest_units"),
)
NEWS_COLUMNS = len(_NEWS) + 2  # the last two are the closing auction's


def take(table: Entries, rows: Ints) -> Entries:
    """Copies of some records; as words, since numpy copies records field by field."""
    return _words(table)[rows].view(wire.ENTRY).reshape(rows.size)


def put(table: Entries, rows: Ints, entries: Entries) -> None:
    """Write records into a table."""
    _words(table)[rows] = _words(entries)


def fill(entries: Entries, quotes: Quotes, is_index: Mask) -> None:
    """Put ``quotes`` into their records: all but bars, which stay, and the closing auction."""
    bars = entries["content"] & (wire.HAS_DAY | wire.HAS_MINUTE)
    entries["content"] = bars | wire.WHOLE | np.where(is_index, wire.IS_INDEX, 0)
    for name in _AS_QUOTED:
        entries[name] = getattr(quotes, name)
    # An index is published with whole seconds.
    whole_seconds = quotes.last_traded_ms // 1000 * 1000
    entries["last_traded_ms"] = np.where(is_index, whole_seconds, quotes.last_traded_ms)
    _fill_greeks(entries, quotes)


def news(quotes: Quotes) -> Floats:
    """What makes an update when it differs from what was told last.

    Shape (n, NEWS_COLUMNS), the columns of the closing auction 0.
    """
    columns = np.zeros((quotes.rows.size, NEWS_COLUMNS))
    for place, name in enumerate(_NEWS):
        columns[:, place] = getattr(quotes, name)
    return columns


def without_some_blocks(
    content: Ints, streams: Streams, quoted_ms: Ints, left_out_share: float
) -> Ints:
    """The content of live entries: now and then one comes without depth or without Greeks."""
    has_depth = noise.uniform(streams ^ _DEPTH_DRAW, quoted_ms) >= left_out_share
    has_greeks = noise.uniform(streams ^ _GREEKS_DRAW, quoted_ms) >= left_out_share
    kept = np.where(has_depth, wire.HAS_DEPTH, 0) | np.where(has_greeks, wire.HAS_GREEKS, 0)
    remaining: Ints = content & ~wire.WHOLE | kept
    return remaining


def chosen(quotes: Quotes, places: Ints) -> Quotes:
    """Some of ``quotes``, in the order of ``places``."""
    columns = {f.name: getattr(quotes, f.name) for f in fields(quotes)}
    model = columns.pop("model")
    of_model = {f.name: getattr(model, f.name)[places] for f in fields(model)}
    picked = {name: column[places] for name, column in columns.items()}
    return Quotes(model=type(model)(**of_model), **picked)


def _words(entries: Entries) -> Ints:
    """The same memory; every field of a record is one word of 8 bytes."""
    return entries.view(np.int64).reshape(entries.size, wire.ENTRY.itemsize // 8)


def _fill_greeks(entries: Entries, quotes: Quotes) -> None:
    """Zeros, that is absent, for what is no option: its block is there and empty."""
    is_option = ~np.isnan(quotes.implied_volatility)
    volatility = np.round(quotes.implied_volatility, 6)
    entries["implied_volatility"] = np.where(is_option, volatility, 0.0)
    for name, attribute, decimals in _GREEKS:
        told = np.round(getattr(quotes.model, attribute), decimals)
        entries[name] = np.where(is_option, told, 0.0)
