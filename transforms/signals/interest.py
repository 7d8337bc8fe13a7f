"""Unusual open interest: a change far beyond the same contract's changes in this session.

Over all contracts at once, as arrays. Which contract a row is belongs to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from transforms.signals.record import Direction, Kind, Signal
from transforms.signals.volume import NORMAL

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InterestRule:
    """Limits of the signal.

    Attributes:
        score, rearm: robust deviations of one change; below ``rearm`` it is over.
        share: least change, as a share of the open interest.
        floor: least deviation of a change, likewise.
        window, least: changes remembered, and how many there must be.
        longest_step: a change over a longer time is not comparable and left out.
    """

    score: float = 6.0
    rearm: float = 2.0
    share: float = 0.02
    floor: float = 0.003
    window: int = 60
    least: int = 15
    longest_step: timedelta = timedelta(seconds=90)
    cool_down: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class InterestChange:
    """One unusual change of one row: units, and how unusual in robust deviations."""

    row: int
    open_interest_units: float
    change_units: float
    usual_change_units: float
    score: float


class InterestWatch:
    """Changes of open interest from sample to sample; rows may be added at the end."""

    def __init__(self, rule: InterestRule | None = None) -> None:
        self._rule = rule or InterestRule()
        self.begin_day()

    def begin_day(self) -> None:
        """Changes of another session say nothing."""
        self._changes = np.empty((self._rule.window, 0))
        self._last = np.empty(0)
        self._opened_ms = np.empty(0)
        self._is_armed = np.empty(0, np.bool_)
        self._at: datetime | None = None
        self._taken = 0

    def take(self, at: datetime, open_interest_units: Floats) -> list[InterestChange]:
        """Judge one sample of every row; NaN where nothing is known.

        Args:
            at: instant of the sample, later than that of the one before.
        """
        self._grow(len(open_interest_units))
        change = open_interest_units - self._last
        if self._at is None or at - self._at > self._rule.longest_step:
            change = np.full_like(change, np.nan)
        found = self._judge(at, open_interest_units, change)
        self._changes[self._taken % self._rule.window] = change
        self._taken += 1
        self._last = np.where(np.isnan(open_interest_units), self._last, open_interest_units)
        self._at = at
        return found

    def _grow(self, rows: int) -> None:
        more = rows - len(self._last)
        if more > 0:
            fresh = np.full((self._rule.window, more), np.nan)
            self._changes = np.hstack((self._changes, fresh))
            self._last = np.append(self._last, np.full(more, np.nan))
            self._opened_ms = np.append(self._opened_ms, np.full(more, -np.inf))
            self._is_armed = np.append(self._is_armed, np.ones(more, np.bool_))

    def _judge(self, at: datetime, held: Floats, change: Floats) -> list[InterestChange]:
        rule = self._rule
        # Most rows stand still at any moment: the costly medians are for the others.
        is_large = np.abs(change) >= rule.share * held
        known = np.count_nonzero(~np.isnan(self._changes), axis=0)
        due = np.flatnonzero(is_large & (known >= rule.least) & (held > 0))
        self._is_armed[np.setdiff1d(np.flatnonzero(~np.isnan(change)), due)] = True
        if not len(due):
            return []
        usual, score = self._scores(due, held[due], change[due])
        self._is_armed[due[score < rule.rearm]] = True
        fired = self._open(at, due, score)
        return [
            InterestChange(row, float(held[row]), float(change[row]), float(usual[i]), float(s))
            for i, (row, s) in enumerate(zip(due.tolist(), score.tolist(), strict=True))
            if fired[i]
        ]

    def _scores(self, rows: NDArray[np.int64], held: Floats, change: Floats) -> tuple[Floats, ...]:
        past = np.abs(self._changes[:, rows])
        usual = np.nanmedian(past, axis=0)
        spread = NORMAL * np.nanmedian(np.abs(past - usual), axis=0)
        return usual, (np.abs(change) - usual) / np.maximum(spread, self._rule.floor * held)

    def _open(self, at: datetime, rows: NDArray[np.int64], score: Floats) -> NDArray[np.bool_]:
        at_ms, rule = at.timestamp() * 1000, self._rule
        is_over = (score >= rule.score) & self._is_armed[rows]
        self._is_armed[rows[is_over]] = False
        rested = at_ms - self._opened_ms[rows] >= rule.cool_down.total_seconds() * 1000
        fired: NDArray[np.bool_] = is_over & rested
        self._opened_ms[rows[fired]] = at_ms
        return fired


def interest_signal(change: InterestChange, at: datetime, symbol: str, contract_id: str) -> Signal:
    """What an unusual change says, once it is known whose it is."""
    way = Direction.UP if change.change_units > 0 else Direction.DOWN
    inputs = (
        ("open_interest_units", change.open_interest_units),
        ("change_units", change.change_units),
        ("usual_change_units", change.usual_change_units),
    )
    words = (
        f"{contract_id}: open interest {way} by {abs(change.change_units):.0f} units in a minute, "
        f"usual {change.usual_change_units:.0f}"
    )
    value, score = change.change_units, change.score
    kind = Kind.OPEN_INTEREST
    return Signal(kind, symbol, contract_id, at, way, None, value, score, inputs, words)
