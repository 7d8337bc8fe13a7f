"""Two timestamps, and silence that stays silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from market.tick import Tick

AT = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def test_latency_may_be_negative() -> None:
    """A clock ahead of ours must not be hidden by clipping."""
    assert Tick("NIFTY", AT, AT - timedelta(milliseconds=3)).latency == timedelta(milliseconds=-3)


def test_untold_fields_are_none() -> None:
    """Absent is not zero."""
    tick = Tick("NIFTY", AT, AT)
    assert (tick.last_price, tick.volume_units, tick.open_interest_units) == (None, None, None)
