"""Which step of the day each segment is in: pre-open, trading, closing auction, post-close.

Statuses are the broker's words. The hours that they hang on are ``hours``' and ``market``'s; the
dated steps within them stand here. Times that the exchange draws at random (the end of order entry
before the open and in the closing auction) are drawn here from the day alone, so every process and
every seed sees the same ones. An exchange that never closes is ``NORMAL_OPEN`` for ever.

The closing auction is for the shares that have derivatives: the rest of the segment trades on
meanwhile, so the segment is still ``NORMAL_OPEN`` (the broker's sample shows just that) and the
auction is told beside it. What nobody has published is a choice: the closing auction of 7 Dec 2026
on, half as long as the one before, has the same steps at half the distance; index and share
segments go through the pre-open together, derivatives do since futures have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

import numpy as np

from market.rules import IST, Rules, at_ist
from simulator.exchange import noise
from simulator.exchange.hours import CASH, DERIVATIVES, EXCHANGE_OF_SEGMENT, hours, is_always_open
from simulator.exchange.timetable import epoch_ms

# Segments that have a closing auction, and those that have a pre-open session.
AUCTION_SEGMENTS = ("NSE_EQ", "BSE_EQ")
PRE_OPEN_SEGMENTS = ("NSE_EQ", "BSE_EQ", "NSE_FO", "BSE_FO")

_PRE_OPEN_LASTS = timedelta(minutes=15)
_FUTURES_PRE_OPEN_FROM = date(2025, 12, 8)
_LONG_PRE_OPEN_FROM = date(2026, 9, 7)
_FULL_DAY = timedelta(hours=6)
# Trading at the closing price after the close, since when and between which times.
_POST_CLOSE = (
    (date(2010, 1, 4), time(15, 40), time(16, 0)),
    (date(2026, 8, 3), time(15, 50), time(16, 0)),
)
# Shares of the closing auction's length: entry of limit orders alone, end of market orders, and
# between which two the entry ends at random. Of 20 minutes: 5, 10, 13 and 15.
_LIMIT_ONLY, _MARKET_STOPS, _STOP_FROM, _STOP_UNTIL = 0.25, 0.5, 0.65, 0.75


@dataclass(frozen=True, slots=True)
class Phase:
    """A status in the broker's words and since when it holds, epoch ms."""

    status: str
    since_ms: int


def segment_status(rules: Rules, segment: str, instant: datetime) -> Phase:
    """The status of a segment such as ``NSE_FO`` at an aware instant.

    One of ``PRE_OPEN_START``, ``PRE_OPEN_END``, ``NORMAL_OPEN``, ``NORMAL_CLOSE``,
    ``CLOSING_START``, ``CLOSING_END``.

    Raises:
        KeyError: for a segment that the broker does not have.
    """
    return exchange_status(rules, EXCHANGE_OF_SEGMENT[segment], instant)


def exchange_status(rules: Rules, exchange: str, instant: datetime) -> Phase:
    """The same of an exchange such as ``NFO``, one of ``hours.EXCHANGES``."""
    day, at_ms = instant.astimezone(IST).date(), epoch_ms(instant)
    while True:
        begun = [phase for phase in _steps(rules, exchange, day) if phase.since_ms <= at_ms]
        if begun:
            return begun[-1]
        day -= timedelta(days=1)


def closing_auction_status(rules: Rules, instant: datetime) -> Phase | None:
    """The step of the shares' closing auction; None outside.

    One of ``CTS_CLOSE`` (continuous trading is over), ``CAS_LM_START``, ``CAS_M_STOP``,
    ``CAS_STOP`` (order entry is over).
    """
    return _within(_auction_steps(rules, instant.astimezone(IST).date()), instant)


def auctioned_status(rules: Rules, exchange: str, instant: datetime) -> Phase | None:
    """The status of the shares that have a closing auction; None of an exchange without one.

    The auction's step while there is one, else the exchange's status; from the auction's end on
    ``NORMAL_CLOSE``.
    """
    day = instant.astimezone(IST).date()
    if exchange not in CASH or rules.cash_hours(day).auction_until is None:
        return None
    if is_always_open(rules, day):
        return exchange_status(rules, exchange, instant)
    if step := closing_auction_status(rules, instant):
        return step
    phase, steps = exchange_status(rules, exchange, instant), _auction_steps(rules, day)
    if steps and phase.status == "NORMAL_CLOSE" and phase.since_ms >= steps[0].since_ms:
        return Phase(phase.status, steps[-1].since_ms)
    return phase


def pre_open_status(rules: Rules, instant: datetime) -> Phase | None:
    """The step of the pre-open session; None outside.

    One of ``PRE_OPEN_START``, ``PRE_OPEN_M_END`` (market orders are over, since 7 Sep 2026),
    ``PRE_OPEN_END`` (order entry is over, to the open).
    """
    return _within(_pre_open_steps(rules, instant.astimezone(IST).date()), instant)


@lru_cache(maxsize=256)
def _steps(rules: Rules, exchange: str, day: date) -> tuple[Phase, ...]:
    """An exchange's statuses over a day, in order; none on a day that it does not open."""
    found = hours(rules, exchange, day)
    if found is None:
        return ()
    if is_always_open(rules, day):
        return (_phase("NORMAL_OPEN", found.opens_at),)
    return (
        *_opening(rules, exchange, day),
        _phase("NORMAL_OPEN", found.opens_at),
        _phase("NORMAL_CLOSE", found.closes_at),
        *(_post_close(rules, day) if exchange in CASH else ()),
    )


def _opening(rules: Rules, exchange: str, day: date) -> Iterator[Phase]:
    has_futures = exchange in DERIVATIVES and day >= _FUTURES_PRE_OPEN_FROM
    if exchange in CASH or has_futures:
        for phase in _pre_open_steps(rules, day):
            if phase.status in ("PRE_OPEN_START", "PRE_OPEN_END"):
                yield phase


@lru_cache(maxsize=64)
def _pre_open_steps(rules: Rules, day: date) -> tuple[Phase, ...]:
    """The pre-open's steps; the last one, without a status, ends it."""
    found = hours(rules, "NSE", day)
    if found is None or is_always_open(rules, day):
        return ()
    starts_at = found.opens_at - _PRE_OPEN_LASTS
    steps = [_phase("PRE_OPEN_START", starts_at)]
    entry_minutes = 8.0
    if day >= _LONG_PRE_OPEN_FROM:
        steps.append(_phase("PRE_OPEN_M_END", starts_at + timedelta(minutes=5)))
        entry_minutes += 2.0 * _drawn("pre-open", day)
    steps.append(_phase("PRE_OPEN_END", starts_at + timedelta(minutes=entry_minutes)))
    return (*steps, _phase("", found.opens_at))


@lru_cache(maxsize=64)
def _auction_steps(rules: Rules, day: date) -> tuple[Phase, ...]:
    """The closing auction's steps; the last one, without a status, ends it."""
    cash = rules.cash_hours(day)
    is_regular = any(session.name == "regular" for session in rules.sessions(day))
    if cash.auction_until is None or not is_regular:
        return ()
    starts_at, ends_at = at_ist(day, cash.continuous_until), at_ist(day, cash.auction_until)
    lasts = ends_at - starts_at
    stops = _STOP_FROM + (_STOP_UNTIL - _STOP_FROM) * _drawn("closing auction", day)
    return (
        _phase("CTS_CLOSE", starts_at),
        _phase("CAS_LM_START", starts_at + _LIMIT_ONLY * lasts),
        _phase("CAS_M_STOP", starts_at + _MARKET_STOPS * lasts),
        _phase("CAS_STOP", starts_at + stops * lasts),
        _phase("", ends_at),
    )


def _post_close(rules: Rules, day: date) -> Iterator[Phase]:
    """Only after a whole day: an hour of Muhurat trading has none."""
    sessions = rules.sessions(day)
    if sessions[-1].closes_at - sessions[0].opens_at >= _FULL_DAY:
        _, starts, ends = max(row for row in _POST_CLOSE if row[0] <= day)
        yield _phase("CLOSING_START", at_ist(day, starts))
        yield _phase("CLOSING_END", at_ist(day, ends))


def _within(steps: Sequence[Phase], instant: datetime) -> Phase | None:
    begun = [phase for phase in steps if phase.since_ms <= epoch_ms(instant)]
    return begun[-1] if begun and begun[-1].status else None


def _phase(status: str, at: datetime) -> Phase:
    return Phase(status, epoch_ms(at))


def _drawn(what: str, day: date) -> float:
    """A number in [0, 1) that belongs to the day."""
    streams = np.array([noise.stream(0, what)], np.uint64)
    return float(noise.uniform(streams, np.array([day.toordinal()], np.int64))[0])
