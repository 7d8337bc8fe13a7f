"""What detectors are fed with and what they say: one minute, one signal.

Only the records and their names; when a signal is due is decided by the detectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

FORMULA_VERSION = "1"


class Kind(StrEnum):
    """What happened."""

    VOLUME_SPIKE = "volume_spike"
    VOLUME_SHIFT = "volume_shift"
    DONCHIAN = "donchian_breakout"
    OPENING_RANGE = "opening_range_breakout"
    PREVIOUS_DAY = "previous_day_breakout"
    VWAP = "vwap_cross"
    CALL_WALL = "call_wall_cross"
    PUT_WALL = "put_wall_cross"
    GAMMA_FLIP = "gamma_flip_cross"
    OPEN_INTEREST = "unusual_open_interest"


class Direction(StrEnum):
    """Which way."""

    UP = "up"
    DOWN = "down"

    @property
    def sign(self) -> int:
        """+1 up, −1 down."""
        return 1 if self is Direction.UP else -1


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """One whole minute of one instrument, known from ``ends_at`` on; ₹, units.

    Attributes:
        ends_at: the minute's end, aware UTC.
        day: the trading day.
        minute: whole minutes between the session's open and the bar's start.
        volume_units: NaN if the minute was not watched from start to end.
    """

    ends_at: datetime
    day: date
    minute: int
    open: float
    high: float
    low: float
    close: float
    volume_units: float = float("nan")


@dataclass(frozen=True, slots=True)
class Signal:
    """Something unusual, with the numbers that made it so.

    Attributes:
        contract_id: canonical id of what it is about; the symbol itself for a spot.
        at: from when on it could be known, aware UTC; nothing younger went into it.
        level: ₹ that was crossed; None where nothing is.
        value: the number that was judged: price (₹), volume (units) or change (units).
        score: how unusual, in robust deviations; None if they cannot be told yet.
        inputs: names and numbers that fired it.
        reason: the same in words.
    """

    kind: Kind
    symbol: str
    contract_id: str
    at: datetime
    direction: Direction
    level: float | None
    value: float
    score: float | None
    inputs: tuple[tuple[str, float], ...]
    reason: str

    @property
    def key(self) -> str:
        """The same for the same event, however often it is computed."""
        return f"{self.kind}:{self.contract_id}:{self.direction}:{self.at:%Y%m%dT%H%M}"
