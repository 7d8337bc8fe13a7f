"""Minutes made from ticks, by the exchange's clock.

Sans-I/O. A minute is over when the exchange speaks from a later one, so a replay gives the same
minutes as the live run; ``close_before`` ends it where the exchange has fallen silent. What a
minute means belongs in ``transforms.signals``; the same minutes stored, in ``storage.rollups``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class RawMinute:
    """One instrument's whole minute: ₹ and units; ``volume_units`` is NaN if not watched whole."""

    key: str
    starts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume_units: float


class _Running:
    """The running minute of one instrument, and the day's volume where it began."""

    __slots__ = ("close", "day_units", "high", "is_whole", "low", "open", "start_units", "ticks")

    def __init__(self) -> None:
        self.day_units = self.start_units = self.close = float("nan")
        self.is_whole = False
        self._empty()

    def _empty(self) -> None:
        self.ticks = 0
        self.open = self.high = self.low = float("nan")

    def restart(self) -> None:
        self._empty()
        self.start_units = self.day_units
        self.is_whole = not isnan(self.day_units)

    def price(self, price: float) -> None:
        if not self.ticks:
            self.open = self.high = self.low = price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.ticks += 1

    def units(self, day_units: float, is_snapshot: bool) -> None:
        if day_units < self.day_units or is_snapshot:
            # What was traded while nobody listened did not happen in this minute.
            self.is_whole = False
        self.day_units = day_units

    def finished(self, key: str, starts_ms: int) -> RawMinute | None:
        if not self.ticks:
            return None
        units = self.day_units - self.start_units if self.is_whole else float("nan")
        return RawMinute(key, starts_ms, self.open, self.high, self.low, self.close, units)


class MinuteBars:
    """Minutes of the instruments that are followed.

    Attributes:
        late_ticks: ticks from a minute that was over already; they were left out.
    """

    def __init__(self) -> None:
        self.late_ticks = 0
        self._running: dict[str, _Running] = {}
        self._starts_ms: int | None = None

    @property
    def starts_ms(self) -> int | None:
        """Start of the running minute, epoch ms; None before the first tick."""
        return self._starts_ms

    def follow(self, keys: Iterable[str]) -> None:
        """Instruments to make minutes of, beside those followed already."""
        for key in keys:
            self._running.setdefault(key, _Running())

    def take(  # noqa: PLR0917 - what one tick tells, in the feed's order
        self,
        key: str,
        at_ms: float,
        price: float,
        day_units: float,
        is_snapshot: bool = False,
        traded_at_ms: float = float("nan"),
    ) -> list[RawMinute]:
        """One tick; the minutes that it ends, of every instrument.

        Args:
            at_ms: the exchange's time.
            price: ₹; NaN if the tick tells none.
            day_units: volume of the day so far; NaN if the tick tells none.
            is_snapshot: state, not news: its price may have been made before this minute.
            traded_at_ms: when the price was made; NaN if the tick does not tell.
        """
        found = self.close_before(at_ms)
        running = self._running.get(key)
        if running is None or self._starts_ms is None:
            return found
        if at_ms < self._starts_ms:
            self.late_ticks += 1
            return found
        # As the stored minutes have it: a snapshot's price counts unless it is known to be older.
        if not isnan(price) and not (is_snapshot and traded_at_ms < self._starts_ms):
            running.price(price)
        if not isnan(day_units):
            running.units(day_units, is_snapshot)
        return found

    def close_before(self, at_ms: float) -> list[RawMinute]:
        """End the running minute if ``at_ms`` is beyond it."""
        starts_ms = int(at_ms // MINUTE_MS) * MINUTE_MS
        if self._starts_ms is not None and starts_ms <= self._starts_ms:
            return []
        before, self._starts_ms = self._starts_ms, starts_ms
        if before is None:
            return []
        ended = [r.finished(key, before) for key, r in self._running.items()]
        for running in self._running.values():
            running.restart()
        return [minute for minute in ended if minute is not None]
