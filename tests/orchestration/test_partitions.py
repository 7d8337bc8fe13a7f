"""Partition keys are the exchange's windows: all of them, and nothing else."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from market.errors import WindowUnavailable
from market.rules import IST, AlwaysOpen, Rules
from market.session import windows
from orchestration.partitions import WindowPartitions, window_partitions

FIRST, TODAY = date(2026, 1, 1), date(2026, 11, 24)
YEAR = [FIRST + timedelta(days=n) for n in range(365)]


def nse(minutes: int = 5) -> WindowPartitions:
    return window_partitions(Rules(), FIRST, TODAY, minutes)


def day_keys(partitions: WindowPartitions, at: str) -> list[str]:
    with partition_loading_context(effective_dt=datetime.fromisoformat(at).replace(tzinfo=IST)):
        days = partitions.definition().get_partitions_def_for_dimension("date")
        return list(days.get_partition_keys())


@pytest.mark.parametrize("minutes", [1, 3, 5, 15])
def test_every_window_of_the_year_has_its_key(minutes: int) -> None:
    """On each day of 2026 the keys that a session uses are exactly the windows of that day."""
    partitions = nse(minutes)
    slots = set(
        partitions.definition().get_partitions_def_for_dimension("slot").get_partition_keys()
    )
    trading = set(day_keys(partitions, "2027-01-01 12:00"))
    for day in YEAR:
        own = windows(Rules(), day, minutes)
        assert (day.isoformat() in trading) == bool(own)
        assert {w.slot for w in own} <= slots
        for window in (*own[:1], *own[-1:]):
            assert partitions.window(partitions.key(window)) == window
            assert own[partitions.place(window)] == window


@pytest.mark.parametrize(
    ("day", "count", "first", "last"),
    [
        (date(2026, 7, 31), 75, "09:15", "15:25"),
        (date(2026, 8, 3), 77, "09:15", "15:35"),
        (date(2026, 12, 7), 78, "09:15", "15:40"),
        (date(2026, 11, 8), 12, "18:00", "18:55"),
        (date(2026, 2, 1), 75, "09:15", "15:25"),
    ],
)
def test_windows_follow_the_dated_sessions(day: date, count: int, first: str, last: str) -> None:
    """Later closes, the Muhurat evening and a Budget Sunday all have their windows."""
    own = nse().windows(day)
    assert (len(own), own[0].slot, own[-1].slot) == (count, first, last)


@pytest.mark.parametrize(
    ("at", "last"),
    [
        ("2026-11-06 00:00", "2026-11-05"),
        ("2026-11-06 00:01", "2026-11-06"),
        ("2026-11-07 12:00", "2026-11-06"),
        ("2026-11-08 12:00", "2026-11-08"),
        ("2026-11-10 12:00", "2026-11-09"),
        ("2026-12-25 12:00", "2026-12-24"),
    ],
)
def test_today_has_a_key_and_no_later_day_has(at: str, last: str) -> None:
    """Today's key exists while today trades; on a closed day the newest is the day before it."""
    assert day_keys(nse(), at)[-1] == last


def test_a_day_without_a_session_is_refused() -> None:
    """A holiday, and a slot outside the session, name what was expected instead of an empty run."""
    with pytest.raises(WindowUnavailable, match="exchange is closed"):
        nse().window("2026-11-10|09:15")
    with pytest.raises(WindowUnavailable, match="09:15 … 15:35"):
        nse().window("2026-11-11|18:00")


def test_the_open_all_day_exchange_has_each_slot_of_the_clock() -> None:
    """The demo's calendar has 288 five-minute slots on every calendar day."""
    partitions = window_partitions(AlwaysOpen(), date(2026, 11, 20), TODAY, 5)
    slots = partitions.slots()
    assert (slots[0], slots[-1], len(slots)) == ("00:00", "23:55", 288)
    assert day_keys(partitions, "2026-11-24 00:05") == [f"2026-11-{n}" for n in range(20, 25)]


def test_the_newest_window_is_the_one_that_just_closed() -> None:
    """At its end a window is the newest; before the partitioned span there is none."""
    partitions = nse()
    at = datetime(2026, 11, 23, 10, 5, tzinfo=IST)
    newest = partitions.latest_closed(at)
    assert newest and partitions.key(newest) == "2026-11-23|10:00"
    later = window_partitions(Rules(), date(2026, 12, 1), TODAY, 5)
    assert later.latest_closed(at) is None


def test_keys_are_spelled_day_then_slot() -> None:
    """Dagster joins the dimensions in the order of their names, which the way back relies on."""
    window = nse().windows(date(2026, 11, 23))[0]
    assert str(nse().key(window)) == "2026-11-23|09:15"
    assert isinstance(nse().key(window), dg.MultiPartitionKey)
