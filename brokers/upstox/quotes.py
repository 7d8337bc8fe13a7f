"""The answer of the quotes call as a feed frame: prices over REST in the socket's own columns.

Pure: bytes in, a frame out. Version 2 and version 3 of the call are read alike. Who asks, how often
and for which keys is decided elsewhere (``rest``, ``streaming.fallback``).

What the answer does not tell is NaN, and so is a zero, which the broker writes where it has none:
``last_quantity_units``, implied volatility and Greeks are in no answer. The previous close is told
by version 3; version 2 tells the change since it, which may truly be zero. Prices are ₹ and
quantities units, as on the socket.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS, FeedFrame, FrameKind
from brokers.upstox.walker import EARLIEST_MS, LATEST_MS
from market.errors import FrameError

FIRST_BYTE = b"{"

_NAN = math.nan
# Where an entry holds a column itself; the rest lies deeper or is worked out.
_PLAIN = {
    "last_price": "last_price",
    "traded_at_ms": "last_trade_time",
    "volume_units": "volume",
    "open_interest_units": "oi",
    "average_price": "average_price",
    "total_bid_quantity_units": "total_buy_quantity",
    "total_ask_quantity_units": "total_sell_quantity",
}
_DAY = {"day_open_price": "open", "day_high_price": "high", "day_low_price": "low"}
_BOOK = {
    "buy": ("bid_price", "bid_quantity_units"),
    "sell": ("ask_price", "ask_quantity_units"),
}
_TRADED_AT = FEED_COLUMN_INDEX["traded_at_ms"]
_Row = dict[str, float]


def read_quotes(body: bytes) -> FeedFrame:
    """A quotes answer as a snapshot; its time is the newest that an entry tells.

    Raises:
        FrameError: if the bytes are no quotes answer, or carry no quote.
    """
    try:
        entries = _entries(json.loads(body))
        rows = [_row(entry) for entry in entries]
        told = [at_ms for entry in entries if (at_ms := _published_at_ms(entry)) is not None]
        keys = tuple(_key(entry) for entry in entries)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise FrameError(
            f"a message of {len(body)} bytes is no answer of the quotes call: "
            f"{type(error).__name__}: {str(error)[:200]}"
        ) from error
    return FeedFrame(
        kind=FrameKind.SNAPSHOT,
        published_at_ms=max(told, default=None),
        keys=keys,
        values=_values(rows),
    )


def _entries(answer: Any) -> list[Mapping[str, Any]]:
    """The quotes of an answer; a key that the broker has nothing for may come as null."""
    data = answer["data"]
    if not isinstance(data, dict):
        raise TypeError(f"data is {type(data).__name__}, expected an object of quotes")
    entries = [entry for entry in data.values() if entry is not None]
    if not entries:
        raise ValueError("there is no quote in it")
    # A key in two entries would tell two things at once.
    if len({_key(entry) for entry in entries}) != len(entries):
        raise ValueError("an instrument_token comes twice")
    return entries


def _key(entry: Mapping[str, Any]) -> str:
    # The map's own keys are trading symbols; the instrument key stands inside each entry.
    key = entry["instrument_token"]
    if not isinstance(key, str) or not key or not key.isprintable():
        raise TypeError(f"instrument_token is {key!r:.80}, expected a key")
    return key


def _published_at_ms(entry: Mapping[str, Any]) -> int | None:
    told = entry.get("timestamp")
    if told is None:
        return None
    at = datetime.fromisoformat(told)
    if at.tzinfo is None:
        raise ValueError(f"timestamp {told} has no zone")
    at_ms = round(at.timestamp() * 1000)
    if not EARLIEST_MS <= at_ms < LATEST_MS:
        raise ValueError(f"timestamp {told} is not of this century")
    return at_ms


def _row(entry: Mapping[str, Any]) -> _Row:
    row = {column: _number(entry.get(name)) for column, name in _PLAIN.items()}
    row["previous_close_price"] = _previous_close(entry)
    day = _part(entry, "ohlc")
    row |= {column: _number(day.get(name)) for column, name in _DAY.items()}
    depth = _part(entry, "depth")
    for side, (price, quantity) in _BOOK.items():
        best = _best(depth.get(side))
        row[price], row[quantity] = _number(best.get("price")), _number(best.get("quantity"))
    if negative := next((column for column, told in row.items() if told < 0), None):
        raise ValueError(f"{negative} is {row[negative]:g}, expected a number from 0 up")
    return row


def _previous_close(entry: Mapping[str, Any]) -> float:
    told = _number(entry.get("prev_close_price"))
    if told > 0:
        return told
    # Prices are whole paise; the difference of two floats is not.
    worked_out = round(_number(entry.get("last_price")) - _number(entry.get("net_change")), 2)
    return worked_out if worked_out > 0 else _NAN


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entry.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise TypeError(f"{name} is {type(part).__name__}, expected an object")
    return part


def _best(levels: Sequence[Mapping[str, Any]] | None) -> Mapping[str, Any]:
    """The first level; each side is padded with zeros, an index has nothing else."""
    if levels is not None and not isinstance(levels, list):
        raise TypeError(f"a side of the depth is {type(levels).__name__}, expected a list")
    best: object = levels[0] if levels else {}
    if not isinstance(best, dict):
        raise TypeError(f"a level is {type(best).__name__}, expected an object")
    return best


def _number(told: Any) -> float:
    """A figure, also one in quotes; NaN if there is none."""
    if told is None or told == "":
        return _NAN
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        raise TypeError(f"{told!r:.40} is no number")
    return float(told)


def _values(rows: Sequence[_Row]) -> NDArray[np.float64]:
    flat = [row.get(column, _NAN) for row in rows for column in FEED_COLUMNS]
    values = np.array(flat, dtype=np.float64).reshape(len(rows), len(FEED_COLUMNS))
    values[(values == 0) | ~np.isfinite(values)] = np.nan
    traded_at = values[:, _TRADED_AT]
    traded_at[(traded_at < EARLIEST_MS) | (traded_at >= LATEST_MS)] = np.nan
    return values
