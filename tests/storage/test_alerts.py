"""Alerts in the database: once each, and back as they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from market.errors import DatabaseUnavailable
from storage.alerts import recent, store
from tests.fix_timescale import free_port
from transforms.signals.record import FORMULA_VERSION, Direction, Kind, Signal

AT = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
INPUTS = (("low", 0.1 + 0.2), ("volume_units", 1e6))
SIGNAL = Signal(
    Kind.DONCHIAN, "NIFTY", "NIFTY", AT, Direction.UP, 24_000.5, 24_010.0, None, INPUTS, "it's ₹"
)


def minutes_later(minutes: int) -> Signal:
    """Another event."""
    return replace(SIGNAL, at=AT + timedelta(minutes=minutes), score=3.5)


def test_each_event_is_stored_once(database: str) -> None:
    """Also if it is computed again, with the count telling what was new."""
    assert store(database, [SIGNAL, minutes_later(1)]) == 2
    assert store(database, [replace(SIGNAL, score=9.0), minutes_later(2)]) == 1
    found = recent(database, AT, 10)
    assert found == [SIGNAL, minutes_later(1), minutes_later(2)]


def test_newest_within_the_limit(database: str) -> None:
    """Oldest of them first, none from before."""
    store(database, [minutes_later(n) for n in range(6)])
    assert recent(database, AT + timedelta(minutes=1), 3) == [minutes_later(n) for n in (3, 4, 5)]
    assert recent(database, AT + timedelta(hours=1), 3) == []


def test_what_is_not_known_is_left_out_of_the_inputs(database: str) -> None:
    """JSON has no NaN; the version of the formulas stands beside."""
    store(database, [replace(SIGNAL, inputs=(("close", float("nan")), *INPUTS))])
    assert recent(database, AT, 1) == [SIGNAL]
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT inputs->>'low', formula_version FROM alert").fetchone()
    assert row == ("0.30000000000000004", FORMULA_VERSION)


def test_no_database_is_worth_another_attempt() -> None:
    """By type."""
    nowhere = f"postgresql://x@127.0.0.1:{free_port()}/x"
    with pytest.raises(DatabaseUnavailable):
        store(nowhere, [SIGNAL])
    with pytest.raises(DatabaseUnavailable):
        recent(nowhere, AT, 1)
