"""Time to settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import IST, Rules
from transforms.tenor import is_settling, with_tenor, years_between

RULES = Rules()
EXPIRY = date(2026, 12, 1)


@given(st.integers(-10_000, 2_000_000))
def test_years_are_minutes(minutes: int) -> None:
    """A year has 525 600 minutes; a time that has passed is negative."""
    start = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    end = start + timedelta(minutes=minutes)
    assert years_between(start, end) == pytest.approx(minutes / 525_600)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(59.9, True), (60, False), (0, True), (-5, True)]
)
def test_settling_is_under_a_minute(seconds: float, expected: bool) -> None:
    """Exactly 60 s is still a minute."""
    end = RULES.settlement_at(EXPIRY)
    assert is_settling(years_between(end - timedelta(seconds=seconds), end)) is expected


def test_frame() -> None:
    """Every row gets its expiry's settlement, in the given order, whatever the zone of as_of."""
    frame = pl.DataFrame(
        {"expiry": [date(2026, 12, 29), EXPIRY, date(2026, 12, 29)], "n": [1, 2, 3]}
    )
    as_of = datetime(2026, 11, 30, 15, 30, tzinfo=IST)
    found = with_tenor(frame, as_of, RULES)
    assert found["n"].to_list() == [1, 2, 3]
    assert found["years_to_expiry"].to_list() == pytest.approx([29 / 365, 1 / 365, 29 / 365])
    assert found["settlement_at"][1] == RULES.settlement_at(EXPIRY)
    assert found["as_of"][0] == as_of
    assert found["rate"].unique().to_list() == [RULES.rate(as_of.date())]


def test_empty_frame() -> None:
    """No rows in, no rows out, all columns there."""
    found = with_tenor(
        pl.DataFrame(schema={"expiry": pl.Date}), datetime(2026, 11, 24, tzinfo=UTC), RULES
    )
    assert found.is_empty()
    assert "years_to_expiry" in found.columns
