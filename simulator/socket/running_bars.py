"""The two bars that a full entry carries: the day so far and the last whole minute.

They start from the market's own bars and follow what is told from then on, so that no told price
lies outside of the day's range. Which rows are told, and when, is decided in ``hub``.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from simulator.exchange.market import Market
from simulator.exchange.noise import Ints, Mask
from simulator.exchange.quotes import Bars
from simulator.exchange.timetable import Shown
from simulator.socket.wire import HAS_DAY, HAS_MINUTE, Entries

_MINUTE_MS = 60_000
_PARTS = ("open", "high", "low", "close", "volume_units", "starts_ms")


def widen(entries: Entries, earlier_volume_units: Ints, is_known: Mask) -> None:
    """Let records' days take in what the records tell now.

    Args:
        earlier_volume_units: what each record told before.
        is_known: whether it told anything before.
    """
    last, volume_units = entries["last_price"], entries["volume_units"]
    entries["day_high"] = np.maximum(entries["day_high"], last)
    entries["day_low"] = np.minimum(entries["day_low"], last)
    entries["day_close"] = last
    # The day's volume is that of the update before, as seen at the broker; a first record has
    # none before it, and a new day begins below the old one's.
    lagging = np.minimum(earlier_volume_units, volume_units)
    entries["day_volume_units"] = np.where(is_known, lagging, volume_units)


class RunningBars:
    """Keeps the bars inside a listing's records, ``entries``; one row is one record.

    A record has bars from ``start`` on. Without it its bars are not even computed.
    """

    def __init__(self, market: Market, entries: Entries) -> None:
        self._market = market
        self._entries = entries
        self._opened_ms = np.zeros(entries.size, np.int64)
        self._minute = np.zeros(entries.size, np.int64)

    def start(self, rows: Ints) -> None:
        """Let the next ``follow`` of ``rows`` begin anew."""
        self._opened_ms[rows] = 0
        self._minute[rows] = 0

    def follow(self, rows: Ints, now: datetime) -> None:
        """Begin the day of ``rows`` where it is a new one, and take over a minute that ended."""
        shown = self._market.shown(now)
        minute = shown.at_ms // _MINUTE_MS
        ended = rows[(self._minute[rows] != minute) | (self._opened_ms[rows] != shown.opened_ms)]
        if not ended.size:
            return
        # Who was not followed through the minute before lacks what happened in the meantime.
        is_lost = (self._minute[ended] != minute - 1) | (self._opened_ms[ended] != shown.opened_ms)
        if is_lost.any():
            lost = ended[is_lost]
            self._fill("day", lost, self._market.day_ranges(now, lost))
            self._entries["content"][lost] |= HAS_DAY
        self._take_minute(ended, self._market.last_minutes(now, ended), shown)
        self._minute[ended], self._opened_ms[ended] = minute, shown.opened_ms

    def inherit(self, other: RunningBars, theirs: Ints, ours: Ints) -> None:
        """Go on where the records ``theirs`` of another listing stand, as the records ``ours``."""
        self._opened_ms[ours] = other._opened_ms[theirs]
        self._minute[ours] = other._minute[theirs]

    def _take_minute(self, rows: Ints, minutes: Bars, shown: Shown) -> None:
        # Before the day's first minute is over there is none to tell.
        if not shown.opened_ms <= minutes.starts_ms <= shown.at_ms - _MINUTE_MS:
            self._entries["content"][rows] &= ~HAS_MINUTE
            return
        self._fill("minute", rows, minutes)
        self._entries["content"][rows] |= HAS_MINUTE
        # What happened between two updates belongs to the day as well.
        highest, lowest = self._entries["day_high"], self._entries["day_low"]
        highest[rows] = np.maximum(highest[rows], minutes.high)
        lowest[rows] = np.minimum(lowest[rows], minutes.low)

    def _fill(self, bar: str, rows: Ints, values: Bars) -> None:
        for part in _PARTS:
            self._entries[f"{bar}_{part}"][rows] = getattr(values, part)
