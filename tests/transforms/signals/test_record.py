"""The records: a key names an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.transforms.signals.minutes import OPEN_AT
from transforms.signals.record import Direction, Kind, Signal

SIGNAL = Signal(Kind.VWAP, "NIFTY", "NIFTY", OPEN_AT, Direction.UP, 1.0, 2.0, None, (), "words")


def test_key_tells_events_apart_and_nothing_else() -> None:
    """What happened, to whom, which way and in which minute; not what was computed about it."""
    assert SIGNAL.key == "vwap_cross:NIFTY:up:20261125T0345"
    assert replace(SIGNAL, score=3.0, reason="other", level=9.0).key == SIGNAL.key
    others = (
        replace(SIGNAL, kind=Kind.DONCHIAN),
        replace(SIGNAL, contract_id="SENSEX"),
        replace(SIGNAL, direction=Direction.DOWN),
        replace(SIGNAL, at=OPEN_AT + timedelta(minutes=1)),
    )
    assert SIGNAL.key not in {other.key for other in others}
    assert len({other.key for other in others}) == len(others)


def test_directions_are_opposite() -> None:
    """Up is plus."""
    assert (Direction.UP.sign, Direction.DOWN.sign) == (1, -1)
