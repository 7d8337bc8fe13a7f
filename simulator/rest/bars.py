"""Candles made longer: minutes to any bar of a day, days to weeks and months, and whole days.

Aggregation and the order in which a long series is made, piece by piece. What may be asked for
stands in ``candle_windows``, the broker's shape of a candle in ``candle_stream``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import groupby

import numpy as np

from market.contract import Contract
from market.rules import IST, at_ist
from simulator.exchange.bulk import Candles
from simulator.exchange.market import Market
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.timetable import epoch_ms
from simulator.exchange.universe import Listed
from simulator.rest.candle_windows import Resolution, Unit, bar_start

_PIECE_DAYS = 64


def merged(candles: Candles, starts_ms: Ints) -> Candles:
    """Candles with equal neighbouring ``starts_ms`` made one.

    Open is the first, high the highest, low the lowest, close and open interest the last, volume
    the sum.

    Args:
        candles: oldest first.
        starts_ms: for each candle the start of the longer bar that it goes into, ascending.
    """
    if not starts_ms.size:
        return candles
    heads = np.flatnonzero(np.concatenate([[True], starts_ms[1:] != starts_ms[:-1]]))
    tails = np.append(heads[1:], starts_ms.size) - 1
    return Candles(
        starts_ms=starts_ms[heads],
        open=candles.open[heads],
        high=np.maximum.reduceat(candles.high, heads),
        low=np.minimum.reduceat(candles.low, heads),
        close=candles.close[tails],
        volume_units=np.add.reduceat(candles.volume_units, heads),
        open_interest_units=candles.open_interest_units[tails],
    )


def from_open(candles: Candles, minutes: int, opens_ms: Ints) -> Candles:
    """Minute candles as bars of ``minutes``, counted from the open of the session that they are in.

    So do the exchange's vendors: half-hours start at 09:15, 09:45, …, hours at 09:15, 10:15, …
    The last bar of a session may be shorter.

    Args:
        opens_ms: opens of the sessions, ascending; the first not after any candle.
    """
    origin = opens_ms[np.searchsorted(opens_ms, candles.starts_ms, side="right") - 1]
    length_ms = minutes * 60_000
    return merged(candles, origin + (candles.starts_ms - origin) // length_ms * length_ms)


def by_calendar(candles: Candles, unit: Unit) -> Candles:
    """Daily candles as weeks from Monday or months from the first, stamped at midnight IST."""
    days = (datetime.fromtimestamp(ms / 1000, IST).date() for ms in candles.starts_ms.tolist())
    starts = [epoch_ms(at_ist(bar_start(day, unit), time(0))) for day in days]
    return merged(candles, np.array(starts, np.int64))


def joined(parts: Sequence[Candles]) -> Candles:
    """Candles one after the other; there must be at least one part."""

    def column(name: str) -> Floats:
        return np.concatenate([getattr(part, name) for part in parts])

    return Candles(
        starts_ms=column("starts_ms").astype(np.int64),
        open=column("open"),
        high=column("high"),
        low=column("low"),
        close=column("close"),
        volume_units=column("volume_units").astype(np.int64),
        open_interest_units=column("open_interest_units").astype(np.int64),
    )


def series(
    market: Market,
    contract: Contract,
    days: Sequence[date],
    asked: Resolution,
    until: datetime | None = None,
) -> Candles:
    """The bars of a contract over trading days, oldest first.

    Args:
        days: ascending, not empty; for weeks and months all days of each bar.
        until: whole minutes up to here; None for whole days.
    """
    if asked.unit.is_within_day:
        return joined([_within_day(market, contract, day, asked.minutes, until) for day in days])
    daily = market.day_candles(contract, days, until)
    return daily if asked.unit is Unit.DAYS else by_calendar(daily, asked.unit)


def pieces(days: Sequence[date], unit: Unit) -> Iterator[Sequence[date]]:
    """Cut ascending ``days`` into pieces for ``series``, the newest first.

    A piece is short work and never cuts a bar in two.
    """
    if unit.is_within_day:
        yield from ([day] for day in reversed(days))
        return
    piece: list[date] = []
    for _, bar in groupby(reversed(days), key=lambda day: bar_start(day, unit)):
        piece += bar
        if len(piece) >= _PIECE_DAYS:
            yield piece[::-1]
            piece = []
    if piece:
        yield piece[::-1]


def trading_day(
    market: Market, day: date, rows: Iterable[int], until: datetime | None = None
) -> Iterator[tuple[Listed, Candles]]:
    """One-minute candles of a whole trading day, made one contract at a time.

    Nothing is held but the contract under way, so that a day of the whole exchange can be read.

    Args:
        rows: of ``market.listing_of(day)``.
        until: as in ``series``.
    """
    listing = market.listing_of(day)
    for row in rows:
        listed = listing.rows[row]
        yield listed, market.minute_candles(listed.contract, day, until)


def _within_day(
    market: Market, contract: Contract, day: date, minutes: int, until: datetime | None
) -> Candles:
    opens = [epoch_ms(session.opens_at) for session in market.rules.sessions(day)]
    candles = market.minute_candles(contract, day, until)
    return candles if minutes == 1 else from_open(candles, minutes, np.array(opens, np.int64))
