"""Unusual volume: one minute far above what is usual, or a lasting shift.

The usual is told by earlier days at the same time of day where there are any, and by the level of
the minutes before. Logarithms, since volume varies by factors; robust, since bursts are its nature.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import exp, log
from statistics import median

from transforms.signals.gates import Gate
from transforms.signals.record import Direction, Kind, MinuteBar, Signal

NORMAL = 1.4826  # median absolute deviation → standard deviation, if normal


@dataclass(frozen=True, slots=True)
class VolumeRule:
    """Limits of the two volume signals.

    Attributes:
        spike: robust deviations of one minute; ``rearm`` is where it is over.
        allowance, limit: k and h of the cumulative sum (E. Page 1954), in deviations.
        clip: no minute adds more than this to the sum, so that one alone is no shift.
        spread_minutes: minutes on each side that count as the same time of day.
        days: earlier days remembered.
        window, least: minutes that tell today's level, and how many there must be.
        floor: least deviation of ln(volume); below it a series is as good as constant.
    """

    spike: float = 3.5
    rearm: float = 1.5
    allowance: float = 1.0
    limit: float = 6.0
    clip: float = 3.0
    spread_minutes: int = 2
    days: int = 10
    window: int = 60
    least: int = 15
    floor: float = 0.15
    cool_down: timedelta = timedelta(minutes=15)


class VolumeWatch:
    """Spikes and shifts of one instrument's minute volumes."""

    def __init__(self, symbol: str, contract_id: str, rule: VolumeRule | None = None) -> None:
        self._symbol, self._contract_id = symbol, contract_id
        self._rule = rule = rule or VolumeRule()
        self._earlier: deque[Mapping[int, float]] = deque(maxlen=rule.days)
        self._today: dict[int, float] = {}
        self._residuals: deque[float] = deque(maxlen=rule.window)
        self._sum = 0.0
        self._spike = Gate(rule.spike, rule.rearm, rule.cool_down)
        self._shift = Gate(rule.limit, rule.limit / 2, rule.cool_down)

    def begin_day(self) -> None:
        """What was today becomes an earlier day, and the level is told by its end."""
        if self._today:
            self._earlier.append(self._today)
        self._today, self._sum = {}, 0.0
        self._residuals.clear()
        if self._earlier:
            last = self._earlier[-1]
            found = (self._residual(minute, volume) for minute, volume in sorted(last.items()))
            self._residuals.extend(r for r in found if r is not None)

    def learn(self, bars: Iterable[MinuteBar]) -> None:
        """The minutes of a whole earlier day, the day after the one learned before."""
        if volumes := {b.minute: log(b.volume_units) for b in bars if b.volume_units > 0}:
            self._earlier.append(volumes)

    def take(self, bar: MinuteBar) -> list[Signal]:
        """The signals of one more minute; one without a known volume says nothing."""
        if not bar.volume_units > 0:
            return []
        logged = log(bar.volume_units)
        residual = self._residual(bar.minute, logged)
        self._today[bar.minute] = logged
        if residual is None:
            return []
        found = self._judge(bar, residual) if len(self._residuals) >= self._rule.least else []
        self._residuals.append(residual)
        return found

    def _residual(self, minute: int, logged: float) -> float | None:
        """ln(volume) beyond the usual of this time of day; None if no day tells it."""
        if not self._earlier:
            return logged
        spread = self._rule.spread_minutes
        slots = range(minute - spread, minute + spread + 1)
        usual = [day[slot] for day in self._earlier for slot in slots if slot in day]
        return logged - median(usual) if usual else None

    def _judge(self, bar: MinuteBar, residual: float) -> list[Signal]:
        rule, centre = self._rule, median(self._residuals)
        spread = NORMAL * median(abs(r - centre) for r in self._residuals)
        score = (residual - centre) / max(spread, rule.floor)
        self._sum = max(0.0, self._sum + min(score, rule.clip) - rule.allowance)
        multiple, total = exp(residual - centre), self._sum
        found = []
        if self._spike.see(bar.ends_at, score):
            words = f"{multiple:.1f} times the usual volume of this minute"
            found.append(self._signal(Kind.VOLUME_SPIKE, bar, score, multiple, words))
        if self._shift.see(bar.ends_at, total):
            words = f"volume has stayed above the usual, now {multiple:.1f} times"
            found.append(self._signal(Kind.VOLUME_SHIFT, bar, total, multiple, words))
        return found

    def _signal(
        self, kind: Kind, bar: MinuteBar, score: float, multiple: float, words: str
    ) -> Signal:
        inputs = (
            ("volume_units", bar.volume_units),
            ("usual_volume_units", bar.volume_units / multiple),
            ("cumulative_sum", self._sum),
            ("days", float(len(self._earlier))),
            ("minutes", float(len(self._residuals))),
            ("open", bar.open),
            ("close", bar.close),
        )
        return Signal(
            kind,
            self._symbol,
            self._contract_id,
            bar.ends_at,
            Direction.UP,
            None,
            bar.volume_units,
            score,
            inputs,
            f"{self._contract_id}: {words}",
        )
