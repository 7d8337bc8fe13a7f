"""Time to settlement, and how much of it still moves the settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import IST, Rules, at_ist
from transforms.tenor import (
    averaging_years,
    is_settling,
    spot_share_at,
    variance_time,
    with_tenor,
    years_between,
)

RULES = Rules()
EXPIRY = date(2026, 12, 1)
AVERAGED, AUCTIONED = date(2026, 7, 28), date(2026, 8, 4)
MINUTE = 1 / 525_600

minutes = st.floats(-60.0, 5_000.0)
windows = st.floats(1.0, 60.0)


def tenor_of(expiry: date | None, as_of: datetime) -> dict[str, object]:
    """What one expiry's row gets."""
    frame = pl.DataFrame({"expiry": [expiry]}, schema={"expiry": pl.Date})
    return with_tenor(frame, as_of, RULES).row(0, named=True)


@given(st.integers(-10_000, 2_000_000))
def test_years_are_minutes(count: int) -> None:
    """A year has 525 600 minutes; a time that has passed is negative."""
    start = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    end = start + timedelta(minutes=count)
    assert years_between(start, end) == pytest.approx(count / 525_600)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(59.9, True), (60, False), (0, True), (-5, True)]
)
def test_settling_is_under_a_minute(seconds: float, expected: bool) -> None:
    """Exactly 60 s is still a minute, whichever way the price is found."""
    for expiry in (EXPIRY, AVERAGED):
        end = RULES.settlement_at(expiry)
        assert is_settling(years_between(end - timedelta(seconds=seconds), end)) is expected


@given(minutes, windows)
def test_variance_time_is_the_integral_of_the_squared_share(left: float, window: float) -> None:
    """Against the trapezoid rule on the share alone: what the closed form integrates."""
    count, steps = 2_000, max(left, 0.0) / 2_000
    shares = [spot_share_at(i * steps, window) ** 2 for i in range(count + 1)]
    total = steps * (sum(shares) - 0.5 * (shares[0] + shares[-1]))
    assert variance_time(left, window) == pytest.approx(total, rel=1e-3, abs=steps)


@given(minutes, windows)
def test_variance_time_is_within_the_clock(left: float, window: float) -> None:
    """Never negative, never more than the time left, and less than it by ⅔ of a window at most."""
    found = variance_time(left, window)
    assert 0.0 <= found <= max(left, 0.0)
    assert found >= left - window * 2 / 3 - 1e-9


@given(minutes, st.floats(0.0, 100.0), windows)
def test_more_time_means_more_variance(left: float, more: float, window: float) -> None:
    """Both variance and share grow with the time left; one price is the window's limit."""
    assert variance_time(left + more, window) >= variance_time(left, window)
    assert spot_share_at(left + more, window) >= spot_share_at(left, window)
    assert variance_time(left, 0.0) == max(left, 0.0)
    assert spot_share_at(left, 0.0) == (1.0 if left > 0.0 else 0.0)


@given(windows)
def test_continuous_at_the_window_s_ends(window: float) -> None:
    """No jump where the averaging begins, and none where it ends."""
    inside, outside = window * (1 - 1e-9), window * (1 + 1e-9)
    assert variance_time(inside, window) == pytest.approx(window / 3, rel=1e-7)
    assert variance_time(outside, window) == pytest.approx(window / 3, rel=1e-7)
    assert spot_share_at(inside, window) == pytest.approx(1.0)
    assert variance_time(window * 1e-4, window) < 1e-12 * window


@pytest.mark.parametrize(
    ("clock", "variance_minutes", "share", "phase"),
    [
        (time(14, 0), 70.0, 1.0, "before"),
        (time(14, 30), 40.0, 1.0, "before"),
        (time(15, 0), 10.0, 1.0, "averaging"),
        (time(15, 10), 20**3 / 2700, 2 / 3, "averaging"),
        (time(15, 29), 1 / 2700, 1 / 30, "averaging"),
        (time(15, 30), 0.0, 0.0, "settled"),
        (time(15, 35), 0.0, 0.0, "settled"),
    ],
)
def test_averaged_expiry_day(
    clock: time, variance_minutes: float, share: float, phase: str
) -> None:
    """The last hour and a half before 3 Aug 2026: a + w/3, then τ³/3w², with w = 30 min."""
    found = tenor_of(AVERAGED, at_ist(AVERAGED, clock))
    assert found["variance_years"] == pytest.approx(variance_minutes * MINUTE, abs=1e-15)
    assert found["spot_share"] == pytest.approx(share)
    assert found["settlement_phase"] == phase
    assert found["is_expiry_day"] is True


@pytest.mark.parametrize(("clock", "phase"), [(time(15, 0), "before"), (time(15, 20), "auction")])
def test_auctioned_expiry_day(clock: time, phase: str) -> None:
    """From 3 Aug 2026 on, variance accrues on the clock and the spot counts in full."""
    found = tenor_of(AUCTIONED, at_ist(AUCTIONED, clock))
    assert found["variance_years"] == found["years_to_expiry"]
    assert (found["spot_share"], found["settlement_phase"]) == (1.0, phase)


@given(st.datetimes(datetime(2026, 7, 27), datetime(2026, 8, 6), timezones=st.just(IST)))
def test_variance_years_within_years(as_of: datetime) -> None:
    """On both sides of the change of rule, for any instant; expiry days are the exchange's."""
    for expiry in (AVERAGED, AUCTIONED):
        found = tenor_of(expiry, as_of)
        years = found["years_to_expiry"]
        assert isinstance(years, float)
        assert 0.0 <= found["variance_years"] <= max(years, 0.0)  # type: ignore[operator]
        assert (found["spot_share"] == 0.0) is (years <= 0.0)
        assert found["is_expiry_day"] is (as_of.date() == expiry)


def test_expiry_day_is_counted_in_india() -> None:
    """19:00 UTC on the day before is already past midnight in India."""
    eve = datetime(2026, 11, 30, 19, 0, tzinfo=UTC)
    assert tenor_of(EXPIRY, eve)["is_expiry_day"] is True
    assert tenor_of(EXPIRY, eve - timedelta(hours=1))["is_expiry_day"] is False


def test_window_s_length() -> None:
    """Half an hour under the old rule, nothing under the new."""
    assert averaging_years(RULES.settlement(AVERAGED)) == pytest.approx(30 * MINUTE)
    assert averaging_years(RULES.settlement(AUCTIONED)) == 0.0


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


def test_again_replaces() -> None:
    """A later instant takes the place of the earlier; no column comes twice."""
    frame = pl.DataFrame({"symbol": ["A", "B"], "expiry": [EXPIRY, EXPIRY]})
    early, late = at_ist(EXPIRY, time(10, 0)), at_ist(EXPIRY, time(15, 0))
    once = with_tenor(frame, late, RULES)
    again = with_tenor(with_tenor(frame, early, RULES), late, RULES)
    assert again.equals(once)
    assert once["as_of"].to_list() == [late, late]


@pytest.mark.parametrize("expiry", [None, date(1970, 1, 1)])
def test_impossible_expiry_is_null(expiry: date | None) -> None:
    """A missing or mistaken expiry has no tenor, and takes none from the other rows."""
    as_of = at_ist(EXPIRY, time(10, 0))
    found = with_tenor(pl.DataFrame({"expiry": [expiry, EXPIRY]}), as_of, RULES)
    assert found.drop("expiry", "as_of").row(0) == (None,) * (found.width - 2)
    assert None not in found.row(1)


def test_empty_frame() -> None:
    """No rows in, no rows out, all columns there."""
    found = with_tenor(
        pl.DataFrame(schema={"expiry": pl.Date}), datetime(2026, 11, 24, tzinfo=UTC), RULES
    )
    assert found.is_empty()
    assert found.schema["years_to_expiry"] == found.schema["variance_years"] == pl.Float64


def test_each_row_may_have_its_own_instant() -> None:
    """The same as one call for each."""
    instants = [datetime(2026, 11, 24, 6, 0, tzinfo=UTC), datetime(2026, 11, 24, 6, 5, tzinfo=UTC)]
    frame = pl.DataFrame({"expiry": [EXPIRY, EXPIRY], "as_of": instants})
    found = with_tenor(frame, None, RULES)
    assert found.rows() == [
        with_tenor(frame[[i]], at, RULES).row(0) for i, at in enumerate(instants)
    ]
