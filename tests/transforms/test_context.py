"""What an analysis may know beside its snapshot."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from market.errors import LookAhead, SchemaMismatch
from transforms.context import DAILY_VOLATILITY, FORWARDS, Context

AT = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


def history(as_of: datetime) -> pl.DataFrame:
    """One earlier day."""
    row = ("NIFTY", date(2026, 11, 24), as_of, 0.14)
    return pl.DataFrame([row], schema=DAILY_VOLATILITY.polars, orient="row")


def test_nothing_need_be_known() -> None:
    """Empty frames conform."""
    context = Context().known_at(AT)
    assert context.previous.is_empty() and context.spot_bars.is_empty()


def test_what_was_known_is_kept() -> None:
    """A row of the very instant too."""
    assert len(Context(daily_volatility=history(AT)).known_at(AT).daily_volatility) == 1


def test_a_row_from_later_is_refused() -> None:
    """By name, so that nobody trains on it unawares."""
    later = Context(daily_volatility=history(AT + timedelta(microseconds=1)))
    with pytest.raises(LookAhead, match="daily_volatility has a row of as_of"):
        later.known_at(AT)


def test_forwards_of_later_are_refused() -> None:
    """The last good ratio is one of before."""
    row = ("NIFTY", date(2026, 12, 1), AT + timedelta(seconds=1), 24_000.0, 24_010.0, "parity")
    later = Context(forwards=pl.DataFrame([row], schema=FORWARDS.polars, orient="row"))
    with pytest.raises(LookAhead, match="forwards has a row of as_of"):
        later.known_at(AT)


def test_a_wrong_frame_is_refused() -> None:
    """With the columns that it lacks."""
    with pytest.raises(SchemaMismatch, match="futures lacks columns"):
        Context(futures=pl.DataFrame({"symbol": ["NIFTY"]})).known_at(AT)
