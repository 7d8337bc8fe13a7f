"""Sessions cut into the windows that snapshots are taken for.

A window belongs to a trading day and a slot, is half-open ``[start_at, end_at)`` and is named by
its start in IST. Which sessions exist is asked of ``rules``; nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from market.rules import IST, Rules


@dataclass(frozen=True, slots=True)
class Window:
    """One snapshot interval: ``start_at <= t < end_at``, aware UTC.

    Attributes:
        day: the exchange's trading day.
        slot: start in IST, ``HH:MM``; with ``day`` it is the partition key.
    """

    day: date
    slot: str
    start_at: datetime
    end_at: datetime


def windows(rules: Rules, day: date, minutes: int) -> tuple[Window, ...]:
    """All windows of a trading day, in order; the last one of a session may be shorter.

    Windows are aligned to the session's open, so none starts before it or ends after the close.
    """
    step = timedelta(minutes=minutes)
    found: list[Window] = []
    for session in rules.sessions(day):
        start = session.opens_at
        while start < session.closes_at:
            end = min(start + step, session.closes_at)
            found.append(Window(day, slot_name(start), start, end))
            start = end
    return tuple(found)


def window_named(rules: Rules, day: date, slot: str, minutes: int) -> Window | None:
    """The window ``slot`` of ``day``; None if the day has no such window."""
    return next((w for w in windows(rules, day, minutes) if w.slot == slot), None)


def latest_closed_window(rules: Rules, now: datetime, minutes: int) -> Window | None:
    """The newest window that has ended at or before ``now``, looking back over two days."""
    today = now.astimezone(IST).date()
    for day in (today, today - timedelta(days=1)):
        closed = [w for w in windows(rules, day, minutes) if w.end_at <= now]
        if closed:
            return closed[-1]
    return None


def is_open(rules: Rules, now: datetime) -> bool:
    """Whether a session is under way at ``now``."""
    today = now.astimezone(IST).date()
    return any(s.opens_at <= now < s.closes_at for s in rules.sessions(today))


def slot_name(instant: datetime) -> str:
    """The slot that starts at ``instant``: ``HH:MM`` in IST."""
    return f"{instant.astimezone(IST):%H:%M}"
