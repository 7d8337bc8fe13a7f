"""Everything that is watched of one symbol, put together.

What each detector does stands in ``volume`` and ``breakouts``; here they get the same minutes, and
their findings become signals with a score.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from math import log
from statistics import median

from transforms.signals.breakouts import (
    Break,
    Detector,
    Donchian,
    LevelCross,
    OpeningRange,
    PreviousDay,
    VwapCross,
)
from transforms.signals.record import Direction, Kind, MinuteBar, Signal
from transforms.signals.volume import NORMAL, VolumeWatch

_MOVES = 60
_LEAST_MOVES = 15
_WORDS = {
    Kind.DONCHIAN: "the bound of the last half hour",
    Kind.OPENING_RANGE: "the bound of the opening range",
    Kind.PREVIOUS_DAY: "the bound of the day before",
    Kind.VWAP: "the day's average price",
    Kind.CALL_WALL: "the call wall",
    Kind.PUT_WALL: "the put wall",
    Kind.GAMMA_FLIP: "the gamma flip",
}


class SymbolWatch:
    """The detectors of one underlying.

    Args:
        volume_of: canonical id of the instrument whose volume counts: a stock itself, of an index
            its nearest future.
    """

    def __init__(self, symbol: str, volume_of: str | None = None) -> None:
        self.symbol = symbol
        self._day: date | None = None
        self._closes: deque[float] = deque(maxlen=_MOVES + 1)
        self._volume = VolumeWatch(symbol, volume_of or symbol)
        self._levels = {
            "call_wall": LevelCross(Kind.CALL_WALL, has_steps=True),
            "put_wall": LevelCross(Kind.PUT_WALL, has_steps=True),
            "gamma_flip": LevelCross(Kind.GAMMA_FLIP, has_steps=False),
        }
        self._breakouts: tuple[Detector, ...] = (
            Donchian(),
            OpeningRange(),
            PreviousDay(),
            VwapCross(),
            *self._levels.values(),
        )

    def take_levels(self, levels: Mapping[str, float]) -> None:
        """What the newest chain says: ``call_wall``, ``put_wall``, ``gamma_flip``; ₹, NaN: none."""
        for name, detector in self._levels.items():
            detector.move(levels.get(name, float("nan")))

    def learn(self, bars: Iterable[MinuteBar]) -> None:
        """A whole day from before the first minute taken: only what later days are held against."""
        self._volume.learn(bars)

    def take(self, bar: MinuteBar) -> list[Signal]:
        """The signals of one more minute."""
        if bar.day != self._day:
            self._begin_day(bar.day)
        found = self._volume.take(bar)
        breaks = [b for detector in self._breakouts for b in detector.take(bar)]
        found.extend(self._signal(b, bar) for b in breaks)
        self._closes.append(bar.close)
        return found

    def _begin_day(self, day: date) -> None:
        is_first, self._day = self._day is None, day
        self._closes.clear()
        self._volume.begin_day()
        if is_first:
            return  # levels that the chain told before the first minute are of today
        for detector in self._breakouts:
            detector.begin_day()

    def _signal(self, crossed: Break, bar: MinuteBar) -> Signal:
        above = "above" if crossed.direction is Direction.UP else "below"
        words = f"{self.symbol} closed {above} {_WORDS[crossed.kind]}, {crossed.level:.2f}"
        return Signal(
            crossed.kind,
            self.symbol,
            self.symbol,
            bar.ends_at,
            crossed.direction,
            crossed.level,
            bar.close,
            self._score(abs(log(bar.close / crossed.level))),
            crossed.inputs,
            words,
        )

    def _score(self, distance: float) -> float | None:
        """A distance in ln(₹) in robust deviations of a minute's move; None while too few."""
        moves = [abs(log(b / a)) for a, b in pairwise(self._closes)]
        usual = NORMAL * median(moves) if len(moves) >= _LEAST_MOVES else 0.0
        return distance / usual if usual > 0 else None
