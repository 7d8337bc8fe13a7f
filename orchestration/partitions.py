"""Partition keys: trading day × slot, made from the dated rules, and the way back to a window.

Which windows exist is decided by ``market.session``; what happens in one belongs in ``assets``.
Why two dimensions and not one five-minute cron: ``docs/adr/0001-partitions.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import dagster as dg

from market.errors import WindowUnavailable
from market.rules import IST, Rules
from market.session import Window, latest_closed_window, window_named, windows

DATE, SLOT = "date", "slot"

# A day's key is listed once its time window is over. The excluded tick at 00:01 ends that window
# one minute into the day, so today's key exists while today trades and no later day's ever does;
# ``end_offset=1`` would list the next trading day's on every closed day.
_DAY_CRON, _DAY_END_CRON = "0,1 0 * * *", "1 0 * * *"


@dataclass(frozen=True, slots=True)
class WindowPartitions:
    """The windows of ``rules`` from ``first_day`` on, and their partition keys.

    Attributes:
        last_day: last day whose sessions are looked up; slots and closed days are listed up to it.
        minutes: length of a window, minutes.
    """

    rules: Rules
    first_day: date
    last_day: date
    minutes: int

    def definition(self) -> dg.MultiPartitionsDefinition:
        """Day × slot; a pair that no session holds is never scheduled and refused by the assets."""
        return dg.MultiPartitionsDefinition(
            {
                DATE: dg.TimeWindowPartitionsDefinition(
                    start=datetime.combine(self.first_day, time(0)),
                    fmt="%Y-%m-%d",
                    cron_schedule=_DAY_CRON,
                    timezone=str(IST),
                    exclusions=[_DAY_END_CRON, *self._closed_midnights()],
                ),
                SLOT: dg.StaticPartitionsDefinition(self.slots()),
            }
        )

    def slots(self) -> list[str]:
        """Every slot that a session of the span uses, in the order of the clock."""
        return sorted({w.slot for day in self._timetables() for w in self.windows(day)})

    def cron(self) -> str:
        """A cron (IST) that ticks whenever a window of the span closes, and seldom otherwise."""
        days = self._timetables()
        ends = [w.end_at.astimezone(IST) for day in days for w in self.windows(day)]
        minutes = _cron_field({end.minute for end in ends}, 60)
        hours = _cron_field({end.hour for end in ends}, 24)
        return f"{minutes} {hours} * * *"

    def windows(self, day: date) -> tuple[Window, ...]:
        """The windows of a trading day, in order."""
        return windows(self.rules, day, self.minutes)

    def place(self, window: Window) -> int:
        """The window's place among those of its day, from 0."""
        return self.windows(window.day).index(window)

    def key(self, window: Window) -> dg.MultiPartitionKey:
        """The partition key of a window."""
        return dg.MultiPartitionKey({DATE: window.day.isoformat(), SLOT: window.slot})

    def window(self, key: str) -> Window:
        """The window behind a key such as ``2026-11-23|09:15``.

        Raises:
            WindowUnavailable: if the day has no session at that slot.
        """
        day, _, slot = key.partition("|")
        found = window_named(self.rules, date.fromisoformat(day), slot, self.minutes)
        if found is None:
            raise WindowUnavailable(
                f"no session of {day} holds slot {slot}, expected one of "
                f"{self._slots_told(date.fromisoformat(day))}; materialise one of those"
            )
        return found

    def latest_closed(self, now: datetime) -> Window | None:
        """The newest window that is over at ``now``, if it is inside the partitioned span."""
        window = latest_closed_window(self.rules, now, self.minutes)
        return window if window and window.day >= self.first_day else None

    def _slots_told(self, day: date) -> str:
        own = self.windows(day)
        return f"{own[0].slot} … {own[-1].slot}" if own else "none, the exchange is closed that day"

    def _timetables(self) -> list[date]:
        """One day for each way in which sessions lie in a day."""
        found: dict[tuple[tuple[time, time], ...], date] = {}
        for day in self._days():
            sessions = self.rules.sessions(day)
            hours = ((s.opens_at.time(), s.closes_at.time()) for s in sessions)
            found.setdefault(tuple(hours), day)
        return list(found.values())

    def _closed_midnights(self) -> list[datetime]:
        closed = (day for day in self._days() if not self.rules.is_trading_day(day))
        return [datetime.combine(day, time(0), IST) for day in closed]

    def _days(self) -> list[date]:
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + timedelta(days=n) for n in range(count)]


def window_partitions(rules: Rules, first_day: date, today: date, minutes: int) -> WindowPartitions:
    """Partitions from ``first_day`` through the year after ``today``.

    The horizon moves once a year and not daily, so that Dagster's stored status, which is keyed by
    the definition, stays valid.
    """
    return WindowPartitions(rules, first_day, date(today.year + 1, 12, 31), minutes)


def _cron_field(values: set[int], size: int) -> str:
    """Values of a cron field, in the short form that people read where there is one."""
    for step in range(1, size):
        if values == set(range(0, size, step)):
            return "*" if step == 1 else f"*/{step}"
    return ",".join(str(value) for value in sorted(values))
