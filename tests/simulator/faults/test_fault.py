"""A fault's conditions: when it goes on, and what makes no sense."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigurationError
from market.rules import IST
from simulator.faults.fault import Fault, fault

_ADDED = datetime(2026, 11, 25, 10, 0, tzinfo=IST)


def _at(hour: int, minute: int = 0, day: int = 25) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=IST)


def test_without_a_beginning_it_goes_on_from_the_start() -> None:
    """For good, or for as long as it lasts."""
    assert fault("mute").began_at(_at(15), _ADDED) == _ADDED
    short = fault("mute", lasts_seconds=60)
    assert short.began_at(_ADDED + timedelta(seconds=59), _ADDED) == _ADDED
    assert short.began_at(_ADDED + timedelta(seconds=60), _ADDED) is None


def test_after_seconds_counts_from_when_it_was_added() -> None:
    """Not before, then on."""
    late = fault("mute", after_seconds=90)
    assert late.began_at(_ADDED + timedelta(seconds=89), _ADDED) is None
    begun = _ADDED + timedelta(seconds=90)
    assert late.began_at(begun, _ADDED) == begun


def test_a_wall_time_comes_every_day() -> None:
    """In IST, whatever the zone that is asked in; till midnight unless it lasts."""
    daily = fault("mute", starts_at=time(10, 15))
    assert daily.began_at(_at(10, 14), _ADDED) is None
    assert daily.began_at(_at(10, 15).astimezone(UTC), _ADDED) == _at(10, 15)
    assert daily.began_at(_at(23, 59), _ADDED) == _at(10, 15)
    assert daily.began_at(_at(0, 1, day=26), _ADDED) is None
    assert daily.began_at(_at(11, day=26), _ADDED) == _at(10, 15, day=26)


def test_a_daily_fault_may_last_over_midnight() -> None:
    """It is then yesterday's."""
    night = fault("mute", starts_at=time(23, 30), lasts_seconds=3_600)
    assert night.began_at(_at(0, 29, day=26), _ADDED) == _at(23, 30)
    assert night.began_at(_at(0, 30, day=26), _ADDED) is None


def test_an_instant_comes_once() -> None:
    """And stays, or passes."""
    once = fault("mute", starts_at=_at(11), lasts_seconds=60)
    assert once.began_at(_at(10, 59), _ADDED) is None
    assert once.began_at(_at(11).astimezone(UTC), _ADDED) == _at(11)
    assert once.began_at(_at(11, day=26), _ADDED) is None


@given(st.times(), st.floats(1, 86_400), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_a_beginning_is_never_in_the_future(start: time, lasts: float, naive: datetime) -> None:
    """And no longer ago than it lasts."""
    now = naive.replace(tzinfo=UTC)
    begun = fault("mute", starts_at=start, lasts_seconds=lasts).began_at(now, now)
    assert begun is None or begun <= now < begun + timedelta(seconds=lasts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.5},
        {"share": float("nan")},
        {"times": 0},
        {"starts_at": datetime(2026, 11, 25)},
        {"starts_at": time(10), "after_seconds": 3},
        {"after_seconds": -1},
        {"lasts_seconds": float("inf")},
        {"colour": "red"},
    ],
)
def test_what_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    """With an error that says what is expected."""
    with pytest.raises(ConfigurationError, match=r"expected|takes none|not both"):
        fault("mute", **wrong)  # type: ignore[arg-type]


def test_arguments_are_completed_and_checked() -> None:
    """By the constructor too; equal faults are equal."""
    assert Fault("close").arguments.whole("code") == 1011
    assert fault("close", code=1000) == fault("close", code=1000) != Fault("close")
    with pytest.raises(ConfigurationError, match="no fault"):
        Fault("clsoe")
