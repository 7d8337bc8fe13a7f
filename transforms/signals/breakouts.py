"""Prices that leave where they were: channels, the opening range, yesterday, and moving lines.

Each detector is handed one minute at a time and judges its close against levels that were known
before that minute began; only the average price (VWAP) includes the minute itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Protocol

from transforms.signals.gates import Crossing, CrossingRule
from transforms.signals.record import Direction, Kind, MinuteBar

DONCHIAN_MINUTES = 30
OPENING_MINUTES = 15
VWAP_FIRST_MINUTE = 15


@dataclass(frozen=True, slots=True)
class Break:
    """A level that a close has crossed for good; ``inputs`` as in ``Signal``."""

    kind: Kind
    direction: Direction
    level: float
    inputs: tuple[tuple[str, float], ...] = ()


class Detector(Protocol):
    """What every detector of this module does."""

    def begin_day(self) -> None:
        """A new trading day."""

    def take(self, bar: MinuteBar) -> list[Break]:
        """One more minute."""


class _Bounds:
    """Crossings of an upper bound upwards and of a lower one downwards."""

    def __init__(self, kind: Kind, rule: CrossingRule) -> None:
        self._kind = kind
        self._up, self._down = Crossing(Direction.UP, rule), Crossing(Direction.DOWN, rule)

    def see(
        self, bar: MinuteBar, low: float, high: float, back: float | None = None
    ) -> list[Break]:
        """Judge a close; ``back`` as in ``Crossing.see``."""
        inputs = (("low", low), ("high", high), ("close", bar.close))
        sides = ((self._up, high, Direction.UP), (self._down, low, Direction.DOWN))
        crossed = [(c.see(bar.ends_at, bar.close, level, back), to) for c, level, to in sides]
        return [Break(self._kind, to, at, inputs) for at, to in crossed if at is not None]


class Donchian:
    """The highest high and lowest low of the last minutes (R. Donchian's channel).

    After a breakout the price must come back to the channel's middle before the next one.
    """

    def __init__(self, minutes: int = DONCHIAN_MINUTES, rule: CrossingRule | None = None) -> None:
        self._rule = rule or CrossingRule()
        self._bars: deque[MinuteBar] = deque(maxlen=minutes)
        self._bounds = _Bounds(Kind.DONCHIAN, self._rule)

    def begin_day(self) -> None:
        """The night's jump is no breakout of this kind: yesterday's minutes do not count."""
        self._bars.clear()
        self._bounds = _Bounds(Kind.DONCHIAN, self._rule)

    def take(self, bar: MinuteBar) -> list[Break]:
        """One more minute."""
        found: list[Break] = []
        if len(self._bars) == self._bars.maxlen:
            low, high = min(b.low for b in self._bars), max(b.high for b in self._bars)
            found = self._bounds.see(bar, low, high, (low + high) / 2)
        self._bars.append(bar)
        return found


class OpeningRange:
    """High and low of a day's first minutes; silent on a day whose first minute was missed."""

    def __init__(self, minutes: int = OPENING_MINUTES, rule: CrossingRule | None = None) -> None:
        self._minutes, self._rule = minutes, rule or CrossingRule()
        self.begin_day()

    def begin_day(self) -> None:
        """A new range."""
        self._low, self._high, self._has_open = float("inf"), float("-inf"), False
        self._bounds = _Bounds(Kind.OPENING_RANGE, self._rule)

    def take(self, bar: MinuteBar) -> list[Break]:
        """One more minute."""
        if bar.minute < self._minutes:
            self._has_open = self._has_open or bar.minute == 0
            self._low, self._high = min(self._low, bar.low), max(self._high, bar.high)
            return []
        return self._bounds.see(bar, self._low, self._high) if self._has_open else []


class PreviousDay:
    """High and low of the day before, as far as it was watched; an open beyond them counts."""

    def __init__(self, rule: CrossingRule | None = None) -> None:
        self._rule = rule or CrossingRule()
        self._low, self._high = float("nan"), float("nan")
        self._today = (float("inf"), float("-inf"))
        self._bounds = _Bounds(Kind.PREVIOUS_DAY, self._rule)

    def begin_day(self) -> None:
        """Today becomes the day before."""
        if isfinite(self._today[0]):
            self._low, self._high = self._today
        self._today = (float("inf"), float("-inf"))
        self._bounds = _Bounds(Kind.PREVIOUS_DAY, self._rule)

    def take(self, bar: MinuteBar) -> list[Break]:
        """One more minute."""
        low, high = self._today
        self._today = min(low, bar.low), max(high, bar.high)
        return self._bounds.see(bar, self._low, self._high)


class _Line:
    """Crossings of one line in either direction, each only after the other side was seen."""

    def __init__(self, kind: Kind, rule: CrossingRule) -> None:
        self._bounds = _Bounds(kind, replace(rule, is_armed_at_first=False))

    def see(self, bar: MinuteBar, level: float) -> list[Break]:
        return self._bounds.see(bar, level, level, level)


class VwapCross:
    """The day's average price weighted with volume, from (high + low + close)/3 of each minute."""

    def __init__(self, rule: CrossingRule | None = None) -> None:
        self._rule = rule or CrossingRule()
        self.begin_day()

    def begin_day(self) -> None:
        """A new average."""
        self._turnover, self._units = 0.0, 0.0
        self._line = _Line(Kind.VWAP, self._rule)

    def take(self, bar: MinuteBar) -> list[Break]:
        """One more minute; one of unknown volume is left out of the average."""
        if bar.volume_units > 0:
            self._turnover += bar.volume_units * (bar.high + bar.low + bar.close) / 3
            self._units += bar.volume_units
        if bar.minute < VWAP_FIRST_MINUTE or not self._units:
            return []
        return self._line.see(bar, self._turnover / self._units)


class LevelCross:
    """A level that the chain tells: a wall or the gamma flip.

    Args:
        has_steps: the level is a strike: when it moves, it is another level, which the price must
            cross anew. A line that moves through the price is crossed by that.
    """

    def __init__(self, kind: Kind, *, has_steps: bool, rule: CrossingRule | None = None) -> None:
        self._kind, self._has_steps, self._rule = kind, has_steps, rule or CrossingRule()
        self._level = float("nan")
        self._line = _Line(kind, self._rule)

    def begin_day(self) -> None:
        """Levels of yesterday's chain say nothing today."""
        self._level = float("nan")
        self._line = _Line(self._kind, self._rule)

    def move(self, level: float) -> None:
        """The chain tells the level anew; NaN: there is none."""
        is_same = level == self._level or (isnan(level) and isnan(self._level))
        if self._has_steps and not is_same:
            self._line = _Line(self._kind, self._rule)
        self._level = level

    def take(self, bar: MinuteBar) -> list[Break]:
        """One more minute."""
        return self._line.see(bar, self._level)
