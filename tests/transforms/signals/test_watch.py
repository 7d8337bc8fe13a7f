"""All detectors of a symbol together."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.signals.minutes import bar, bars
from transforms.signals.record import Direction, Kind, MinuteBar, Signal
from transforms.signals.watch import SymbolWatch


def said(watch: SymbolWatch, made: list[MinuteBar]) -> list[Signal]:
    """Everything that is said of these minutes."""
    return [signal for b in made for signal in watch.take(b)]


def zigzag(minutes: int, days: int = 0) -> list[MinuteBar]:
    """A price between 99.9 and 100.1."""
    return bars([100.0 + (m % 3 - 1) / 10 for m in range(minutes)], days=days)


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_a_constant_day_is_silent(price: float, volume: float) -> None:
    """Two days in which nothing happens."""
    watch = SymbolWatch("NIFTY")
    watch.take_levels({"call_wall": price, "put_wall": price, "gamma_flip": price})
    made = bars([price] * 60, [volume] * 60) + bars([price] * 60, [volume] * 60, days=1)
    assert said(watch, made) == []


def test_one_jump_is_told_by_everyone_whom_it_concerns() -> None:
    """Volume of the future, price of the index; the score is the jump in usual moves."""
    watch = SymbolWatch("NIFTY", "NIFTY-20261229-FUT")
    said(watch, zigzag(60))
    watch.take_levels({"call_wall": 102.0, "put_wall": 95.0})
    quiet = said(watch, zigzag(40, days=1))
    assert {s.kind for s in quiet} <= {Kind.VWAP}
    watch.take_levels({"call_wall": 102.0, "put_wall": 95.0})
    said(watch, [bar(40, 100.0, days=1)])
    found = said(watch, [bar(41, 103.0, 50_000.0, 1), bar(42, 103.0, 1000.0, 1)])
    by_kind = {s.kind: s for s in found}
    assert by_kind.keys() >= {
        Kind.VOLUME_SPIKE,
        Kind.DONCHIAN,
        Kind.OPENING_RANGE,
        Kind.PREVIOUS_DAY,
        Kind.CALL_WALL,
    }
    assert by_kind[Kind.VOLUME_SPIKE].contract_id == "NIFTY-20261229-FUT"
    wall = by_kind[Kind.CALL_WALL]
    assert (wall.contract_id, wall.direction, wall.level, wall.value) == (
        "NIFTY",
        Direction.UP,
        102.0,
        103.0,
    )
    assert wall.score is not None
    assert wall.score > log(103 / 102) / 0.003
    assert "call wall" in wall.reason
    assert {s.at for s in found} <= {bar(41, days=1).ends_at, bar(42, days=1).ends_at}


def test_early_in_the_day_there_is_no_score() -> None:
    """A gap beyond yesterday is told although nobody knows today's moves yet."""
    watch = SymbolWatch("NIFTY")
    said(watch, zigzag(60))
    found = said(watch, bars([103.0, 103.0], days=1))
    assert [(s.kind, s.score) for s in found] == [(Kind.PREVIOUS_DAY, None)]


@pytest.mark.parametrize("split", [1, 37, 59])
def test_levels_of_yesterday_are_forgotten(split: int) -> None:
    """A wall counts for the day whose chain told it."""
    watch = SymbolWatch("NIFTY")
    watch.take_levels({"gamma_flip": 100.5})
    said(watch, zigzag(split))
    found = said(watch, bars([100.0] * 20 + [101.0] * 5, days=1))
    assert Kind.GAMMA_FLIP not in {s.kind for s in found}
