"""One client's feed without its socket: requests in, frames out, time handed in.

Keeps what this client asked for and what it was last told. Sending, pinging and closing are the
shell's (``socket``); how a frame is built stands in ``frames``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import numpy as np

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator import frames, noise
from simulator.exchange import Market
from simulator.frames import Parts
from simulator.noise import Floats, Ints, Streams
from simulator.quotes import Quotes
from simulator.timetable import epoch_ms
from simulator.universe import Listing

# Most keys of one connection in one mode, for an account of the Plus plan.
KEY_LIMITS: Mapping[str, int] = {
    frames.LTPC: 5_000,
    frames.GREEKS: 3_000,
    frames.FULL: 2_000,
    frames.DEEP: 50,
}
_LEFT_OUT = 0.12  # share of live entries that leave out depth, and as many that leave out Greeks
_WITH_BARS = (frames.FULL, frames.DEEP)


class FeedSession:
    """Subscriptions of one connection and what each key was last told.

    Nothing is ever acknowledged: wrong modes, unknown keys and keys above the limit are passed over
    in silence, as the broker does.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._modes: dict[str, str] = {}
        self._told_ms: dict[str, int] = {}
        self._listing: Listing | None = None
        self._rows = np.empty(0, np.int64)
        self._trading_day: date | None = None
        self._day_bars: dict[str, wire.OHLC] = {}
        self._minute_bars: dict[str, wire.OHLC] = {}
        self._minute = 0

    @property
    def subscribed(self) -> int:
        """How many keys this client follows."""
        return len(self._modes)

    def request(self, message: bytes, now: datetime) -> bytes | None:
        """Take a request; the snapshot that answers it, or None."""
        method, keys, mode = _parse(message)
        if method == "unsub":
            self._drop(keys, now)
            return None
        if method not in ("sub", "change_mode") or mode not in KEY_LIMITS:
            return None
        listing = self._take(keys, mode, now)
        asked = np.array([listing.row_of_key.get(key, -1) for key in keys], np.int64)
        rows = self._rows[np.isin(self._rows, asked)]
        self._follow_day(now, rows)
        return self._frame(listing, rows, now, is_snapshot=True) if rows.size else None

    def update(self, now: datetime) -> bytes | None:
        """The frame of everything that changed since the last one; None if nothing did."""
        if not self._modes:
            return None
        listing = self._index(now)
        changed = self._market.changed_ms(now, self._rows).tolist()
        keys = [listing.rows[row].key for row in self._rows]
        is_new = [at > self._told_ms.get(key, 0) for at, key in zip(changed, keys, strict=True)]
        rows = self._rows[np.array(is_new, np.bool_)]
        self._follow_day(now, rows[:0])
        return self._frame(listing, rows, now, is_snapshot=False) if rows.size else None

    def _take(self, keys: Sequence[str], mode: str, now: datetime) -> Listing:
        others = sum(1 for key, m in self._modes.items() if m == mode and key not in keys)
        taken = list(dict.fromkeys(keys))[: max(KEY_LIMITS[mode] - others, 0)]
        self._modes.update(dict.fromkeys(taken, mode))
        self._listing = None
        return self._index(now)

    def _drop(self, keys: Sequence[str], now: datetime) -> None:
        for key in keys:
            for kept in (self._modes, self._told_ms, self._day_bars, self._minute_bars):
                kept.pop(key, None)
        self._listing = None
        self._index(now)

    def _index(self, now: datetime) -> Listing:
        """Find the keys' rows in today's listing; a key that is not listed has none."""
        listing = self._market.listing(now)
        if listing is not self._listing:
            found = [listing.row_of_key[key] for key in self._modes if key in listing.row_of_key]
            self._rows = np.array(found, np.int64)
            self._listing = listing
        return listing

    def _frame(self, listing: Listing, rows: Ints, now: datetime, *, is_snapshot: bool) -> bytes:
        quotes = self._market.quotes(now, rows)
        keys = [listing.rows[row].key for row in rows]
        self._told_ms.update(zip(keys, quotes.quoted_ms.tolist(), strict=True))
        self._follow_minute(now)
        self._widen(keys, quotes)
        parts = self._parts(keys, listing.streams[rows], quotes, is_whole=is_snapshot)
        return frames.feed(listing, quotes, parts, epoch_ms(now), is_snapshot=is_snapshot)

    def _parts(
        self, keys: Sequence[str], streams: Streams, quotes: Quotes, *, is_whole: bool
    ) -> list[Parts]:
        has_depth = is_whole | (_draw(streams, quotes, 8) >= _LEFT_OUT)
        has_greeks = is_whole | (_draw(streams, quotes, 9) >= _LEFT_OUT)
        return [
            Parts(
                mode=self._modes[key],
                has_depth=depth,
                has_greeks=greeks,
                day=self._day_bars.get(key),
                minute=self._minute_bars.get(key),
            )
            for key, depth, greeks in zip(
                keys, has_depth.tolist(), has_greeks.tolist(), strict=True
            )
        ]

    def _follow_day(self, now: datetime, rows: Ints) -> None:
        """Start the day's range of ``rows``, and of every row when a new day opens."""
        trading_day = self._market.shown(now).trading_day
        if trading_day != self._trading_day:
            self._trading_day, rows = trading_day, self._rows
        with_bars = self._with_bars(now, rows)
        if with_bars:
            chosen = np.array(list(with_bars.values()), np.int64)
            bars = self._market.day_bars(now, chosen)
            fresh = {key: frames.bar(bars, i, "1d") for i, key in enumerate(with_bars)}
            self._day_bars.update(fresh)
            self._minute = 0

    def _follow_minute(self, now: datetime) -> None:
        """Compute the last whole minute once, when it ends."""
        minute = epoch_ms(now) // 60_000
        with_bars = self._with_bars(now, self._rows) if minute != self._minute else {}
        if with_bars:
            chosen = np.array(list(with_bars.values()), np.int64)
            bars = self._market.minute_bars(now, chosen)
            self._minute_bars = {key: frames.bar(bars, i, "I1") for i, key in enumerate(with_bars)}
        self._minute = minute

    def _with_bars(self, now: datetime, rows: Ints) -> dict[str, int]:
        listed = self._market.listing(now).rows
        return {listed[r].key: r for r in rows.tolist() if self._modes[listed[r].key] in _WITH_BARS}

    def _widen(self, keys: Sequence[str], quotes: Quotes) -> None:
        """Keep each day's range around every price that this client was told."""
        for i, key in enumerate(keys):
            if bar := self._day_bars.get(key):
                last = float(quotes.last_price[i])
                bar.high, bar.low, bar.close = max(bar.high, last), min(bar.low, last), last
                bar.vol = int(quotes.volume_units[i])


def _draw(streams: Streams, quotes: Quotes, purpose: int) -> Floats:
    return noise.uniform(streams ^ np.uint64(purpose), quotes.quoted_ms)


def _parse(message: bytes) -> tuple[str, list[str], str]:
    """Method, keys and mode of a request; an empty method if it is none."""
    try:
        request = json.loads(message)
        data = request["data"]
        keys = [key for key in data["instrumentKeys"] if isinstance(key, str)]
        return str(request["method"]), keys, str(data.get("mode", frames.LTPC))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", [], ""
