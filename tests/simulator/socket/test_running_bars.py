"""The day so far and the last whole minute, from the market's bars and what is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from market.rules import IST
from simulator.exchange.noise import Ints
from simulator.socket import entries, wire
from simulator.socket.running_bars import RunningBars, widen
from tests.simulator.feeds import NOON, market, option_keys

_COUNT = len(market().listing(NOON).rows)
_ROW_OF_KEY = market().listing(NOON).row_of_key
_ROWS: Ints = np.array([_ROW_OF_KEY[key] for key in option_keys()])


def _told(bars: RunningBars, board: Any, now: datetime) -> Any:
    """Follow and widen, as the hub does; the records of the rows."""
    bars.follow(_ROWS, now)
    fresh = board[_ROWS]
    earlier_units, is_known = fresh["volume_units"].copy(), fresh["last_price"] != 0
    entries.fill(fresh, market().quotes(now, _ROWS), np.zeros(_ROWS.size, np.bool_))
    widen(fresh, earlier_units, is_known)
    board[_ROWS] = fresh
    return fresh


def test_bars_begin_with_the_markets() -> None:
    """The day's range and start at midnight IST; the minute before the running one."""
    board = np.zeros(_COUNT, wire.ENTRY)
    now = NOON + timedelta(seconds=38)
    told = _told(RunningBars(market(), board), board, now)
    day, minute = market().day_ranges(now, _ROWS), market().last_minutes(now, _ROWS)
    midnight = datetime.fromtimestamp(told["day_starts_ms"][0] / 1000, IST)
    assert (midnight.date(), midnight.hour, midnight.minute) == (now.date(), 0, 0)
    assert (told["day_open"] == day.open).all()
    assert (told["day_high"] >= day.high).all()
    assert (told["minute_starts_ms"] == (NOON.timestamp() - 60) * 1000).all()
    for part in ("open", "high", "low", "close", "volume_units"):
        assert (told[f"minute_{part}"] == getattr(minute, part)).all()
    assert (told["content"] & wire.HAS_DAY > 0).all()
    assert (told["content"] & wire.HAS_MINUTE > 0).all()


def test_the_day_holds_every_told_price() -> None:
    """Its range only widens, around each last price and each whole minute."""
    board = np.zeros(_COUNT, wire.ENTRY)
    bars = RunningBars(market(), board)
    before = _told(bars, board, NOON)
    for seconds in range(7, 150, 7):
        after = _told(bars, board, NOON + timedelta(seconds=seconds))
        assert (after["day_high"] >= before["day_high"]).all()
        assert (after["day_low"] <= before["day_low"]).all()
        for price in ("last_price", "minute_high", "minute_low"):
            assert (after["day_low"] <= after[price]).all()
            assert (after["day_high"] >= after[price]).all()
        assert (after["day_close"] == after["last_price"]).all()
        assert (after["day_volume_units"] == before["volume_units"]).all()
        before = after


def test_a_new_day_begins_anew() -> None:
    """Open at the open, no volume of the day before, no minute before one is over."""
    board = np.zeros(_COUNT, wire.ENTRY)
    bars = RunningBars(market(), board)
    _told(bars, board, NOON)
    opens = datetime(2026, 11, 26, 3, 45, tzinfo=UTC)
    told = _told(bars, board, opens + timedelta(seconds=10))
    assert (told["day_starts_ms"] == (opens.timestamp() - 9.25 * 3600) * 1000).all()
    assert (told["day_volume_units"] <= told["volume_units"]).all()
    assert (told["content"] & wire.HAS_MINUTE == 0).all()
    later = _told(bars, board, opens + timedelta(seconds=61))
    assert (later["minute_starts_ms"] == opens.timestamp() * 1000).all()
    assert (later["content"] & wire.HAS_MINUTE > 0).all()


def test_a_clock_may_jump() -> None:
    """What happened in between is in the day's range, and nothing that did not happen."""
    board = np.zeros(_COUNT, wire.ENTRY)
    bars = RunningBars(market(), board)
    _told(bars, board, NOON)
    later = NOON + timedelta(minutes=97, seconds=5)
    told, day = _told(bars, board, later), market().day_ranges(later, _ROWS)
    for part in ("open", "high", "low"):
        assert (told[f"day_{part}"] == getattr(day, part)).all()


def test_bars_are_those_of_the_candles() -> None:
    """The last minute is the contract's last candle if it traded, the day that of all candles."""
    board = np.zeros(_COUNT, wire.ENTRY)
    now = NOON + timedelta(seconds=38)
    told = _told(RunningBars(market(), board), board, now)
    listing = market().listing(now)
    traded = 0
    for row, entry in zip(_ROWS.tolist(), told, strict=True):
        contract = listing.rows[row].contract
        candles = market().minute_candles(contract, now.date(), now)
        assert entry["day_open"] == candles.open[0]
        assert entry["day_high"] >= candles.high.max()
        assert entry["day_low"] <= candles.low.min()
        if candles.starts_ms[-1] == entry["minute_starts_ms"]:
            traded += 1
            for part in ("open", "high", "low", "close", "volume_units"):
                assert entry[f"minute_{part}"] == getattr(candles, part)[-1]
    assert traded


def test_bars_move_to_another_listing() -> None:
    """Inherited rows go on; nothing of them is computed again."""
    board = np.zeros(_COUNT, wire.ENTRY)
    bars = RunningBars(market(), board)
    _told(bars, board, NOON)
    other = np.zeros(_COUNT, wire.ENTRY)
    there = _ROWS + 100
    moved = RunningBars(market(), other)
    other[there] = board[_ROWS]
    moved.inherit(bars, _ROWS, there)
    other["day_open"][there] = 1.0
    moved.follow(there, NOON + timedelta(seconds=1))
    assert (other["day_open"][there] == 1.0).all()
    moved.start(there)
    moved.follow(there, NOON + timedelta(seconds=1))
    assert (other["day_open"][there] != 1.0).all()
