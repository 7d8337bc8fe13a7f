"""Minutes that the tests of signals share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from transforms.signals.record import MinuteBar

DAY = date(2026, 11, 25)
OPEN_AT = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
SCALES = st.integers(-8, 8).map(lambda power: 2.0**power)


def bar(
    minute: int, close: float = 100.0, volume_units: float = 1000.0, days: int = 0
) -> MinuteBar:
    """A minute that ends at ``close`` and never left it, ``days`` after the first."""
    ends_at = OPEN_AT + timedelta(days=days, minutes=minute + 1)
    day = DAY + timedelta(days=days)
    return MinuteBar(ends_at, day, minute, close, close, close, close, volume_units)


def bars(
    closes: Sequence[float], volumes: Sequence[float] | None = None, days: int = 0
) -> list[MinuteBar]:
    """Consecutive minutes from the open."""
    units = volumes or [1000.0] * len(closes)
    pairs = zip(closes, units, strict=True)
    return [bar(minute, close, unit, days) for minute, (close, unit) in enumerate(pairs)]


def scaled(made: Sequence[MinuteBar], price: float, volume: float) -> list[MinuteBar]:
    """The same minutes in other units of price and volume."""
    return [
        replace(
            b,
            open=b.open * price,
            high=b.high * price,
            low=b.low * price,
            close=b.close * price,
            volume_units=b.volume_units * volume,
        )
        for b in made
    ]
