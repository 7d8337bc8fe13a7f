"""When a condition becomes a signal: confirmation, hysteresis and cool-down.

State machines over (instant, number); what the numbers are belongs to the detectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from transforms.signals.record import Direction

COOL_DOWN = timedelta(minutes=15)


class Gate:
    """Opens when a score reaches ``threshold``, and not again before it fell below ``rearm``.

    Args:
        cool_down: after an opening, further ones within this time are swallowed.
    """

    def __init__(self, threshold: float, rearm: float, cool_down: timedelta = COOL_DOWN) -> None:
        self._threshold, self._rearm, self._cool_down = threshold, rearm, cool_down
        self._is_armed = True
        self._opened_at: datetime | None = None

    def see(self, at: datetime, score: float) -> bool:
        """Whether this score opens the gate; NaN never does and changes nothing."""
        if score < self._rearm:
            self._is_armed = True
        if not (self._is_armed and score >= self._threshold):
            return False
        self._is_armed = False
        if self._opened_at is not None and at - self._opened_at < self._cool_down:
            return False
        self._opened_at = at
        return True


@dataclass(frozen=True, slots=True)
class CrossingRule:
    """When a level counts as crossed.

    Attributes:
        margin: how far beyond the level a price must be, as a share of the level.
        rearm: how far it must come back before the level can be crossed again, likewise.
        needed, of: so many of so many prices in a row must be beyond the level.
        hold: and the first and the last of them must be so far apart.
        is_armed_at_first: whether a first price beyond the level is a crossing; if not, the other
            side must have been seen before.
    """

    margin: float = 0.0002
    rearm: float = 0.0005
    needed: int = 2
    of: int = 3
    hold: timedelta = timedelta(0)
    cool_down: timedelta = COOL_DOWN
    is_armed_at_first: bool = True


@dataclass(slots=True)
class _Pending:
    level: float
    since: datetime
    beyond: int = 0
    missed: int = 0


class Crossing:
    """Crossings of a level in one direction; the level may move from call to call.

    The level that is first broken is kept until the crossing is confirmed or given up.
    """

    def __init__(self, direction: Direction, rule: CrossingRule) -> None:
        self._sign, self._rule = direction.sign, rule
        self._is_armed = rule.is_armed_at_first
        self._level: float | None = None
        self._pending: _Pending | None = None
        self._fired_at: datetime | None = None

    def see(
        self, at: datetime, value: float, level: float, back: float | None = None
    ) -> float | None:
        """The level that ``value`` has now crossed for good; None if none.

        Args:
            back: where it must have come back to before another crossing; None: to the level
                crossed last.
        """
        if not (isfinite(value) and isfinite(level)):
            return None
        if not self._is_armed:
            self._is_armed = self._has_come_back(value, level if back is None else back, back)
        if self._is_armed and self._pending is None and self._is_beyond(value, level):
            self._pending = _Pending(level, at)
        return None if self._pending is None else self._confirm(self._pending, at, value)

    def _has_come_back(self, value: float, otherwise: float, back: float | None) -> bool:
        reference = otherwise if back is not None or self._level is None else self._level
        return self._sign * (value - reference) < -self._rule.rearm * abs(reference)

    def _is_beyond(self, value: float, level: float) -> bool:
        return self._sign * (value - level) > self._rule.margin * abs(level)

    def _confirm(self, pending: _Pending, at: datetime, value: float) -> float | None:
        rule = self._rule
        if self._is_beyond(value, pending.level):
            pending.beyond += 1
        else:
            pending.missed += 1
        if pending.missed > rule.of - rule.needed:
            self._pending = None
            return None
        if pending.beyond < rule.needed or at - pending.since < rule.hold:
            return None
        return self._fire(pending.level, at)

    def _fire(self, level: float, at: datetime) -> float | None:
        self._pending, self._is_armed, self._level = None, False, level
        if self._fired_at is not None and at - self._fired_at < self._rule.cool_down:
            return None
        self._fired_at = at
        return level
