"""Schedules tick when windows close; only what may pass is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator

from market.errors import AuthenticationError, BrokerUnavailable, LakeConflict
from market.rules import IST, AlwaysOpen, Rules
from orchestration.automation import (
    instruments_schedule,
    marts_schedule,
    typed_failures,
    why_not_to_list,
    window_schedule,
)
from orchestration.partitions import WindowPartitions, window_partitions

TODAY = date(2026, 11, 24)


def partitions(rules: Rules | None = None, minutes: int = 5) -> WindowPartitions:
    return window_partitions(rules or Rules(), date(2026, 7, 1), TODAY, minutes)


def key_at(schedule: dg.ScheduleDefinition, at: datetime) -> str | None:
    """What the schedule requests at a tick: a partition key, a run key, or nothing."""
    context = dg.build_schedule_context(scheduled_execution_time=at)
    requested = schedule(context)
    if isinstance(requested, dg.SkipReason):
        return None
    assert isinstance(requested, dg.RunRequest)
    return requested.partition_key or requested.run_key


@pytest.mark.parametrize("day", ["2026-07-31", "2026-11-08", "2026-11-10", "2026-11-11"])
@pytest.mark.parametrize("minutes", [3, 5])
def test_every_window_is_requested_as_it_closes(day: str, minutes: int) -> None:
    """Over a whole day the ticks request exactly that day's windows, each at its end."""
    windows = partitions(minutes=minutes)
    schedule = window_schedule("window", windows)
    at = datetime.fromisoformat(day).replace(tzinfo=IST)
    ticks = cron_string_iterator(at.timestamp(), str(schedule.cron_schedule), str(IST))
    requested = {}
    for tick in takewhile(lambda tick: tick < at + timedelta(days=1), ticks):
        if key := key_at(schedule, tick):
            requested[key] = tick
    own = windows.windows(at.date())
    assert requested == {str(windows.key(w)): w.end_at for w in own}


def test_the_same_window_is_requested_once() -> None:
    """The partition is the run's key, so a tick that is evaluated twice starts one run."""
    schedule = window_schedule("window", partitions())
    at = datetime(2026, 11, 23, 10, 5, tzinfo=IST)
    requested = schedule(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(requested, dg.RunRequest)
    assert requested.run_key == requested.partition_key == "2026-11-23|10:00"


def test_the_open_all_day_exchange_closes_windows_at_midnight_too() -> None:
    """The last window of a day ends on the next one."""
    schedule = window_schedule("window", partitions(AlwaysOpen(), 1))
    assert key_at(schedule, datetime(2026, 11, 24, 0, 0, tzinfo=IST)) == "2026-11-23|23:59"
    assert key_at(schedule, datetime(2026, 11, 24, 0, 1, tzinfo=IST)) == "2026-11-24|00:00"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster in which one window has been materialised."""
    with dg.instance_for_test() as fresh:
        fresh.report_runless_asset_event(dg.AssetMaterialization("underlying_rollup"))
        yield fresh


def marts_at(at: datetime, instance: dg.DagsterInstance, rules: Rules | None = None) -> bool:
    """Whether the marts are built at a tick."""
    schedule = marts_schedule("marts", partitions(rules))
    context = dg.build_schedule_context(instance, scheduled_execution_time=at)
    return isinstance(schedule(context), dg.RunRequest)


@pytest.mark.parametrize(
    ("at", "is_requested"),
    [
        ("2026-11-23 09:17", False),
        ("2026-11-23 09:20", True),
        ("2026-11-23 15:54", True),
        ("2026-11-23 15:55", False),
        ("2026-11-24 11:02", False),
    ],
)
def test_marts_are_built_while_windows_close(
    at: str, is_requested: bool, instance: dg.DagsterInstance
) -> None:
    """From the first window on, once more after the last, then not until the next session."""
    tick = datetime.fromisoformat(at).replace(tzinfo=IST)
    assert marts_at(tick, instance) == is_requested


def test_marts_wait_for_a_first_window() -> None:
    """There is nothing to build from before one was materialised."""
    with dg.instance_for_test() as empty:
        assert not marts_at(datetime(2026, 11, 23, 10, 0, tzinfo=IST), empty)


def test_marts_are_not_built_for_every_window(instance: dg.DagsterInstance) -> None:
    """A build that was begun a moment ago, whatever came of it, is given its quarter of an hour."""

    @dg.job
    def marts() -> None:
        """A stand-in with the job's name."""

    marts.execute_in_process(instance=instance)
    now = datetime.now(UTC)
    assert not marts_at(now, instance, AlwaysOpen())
    assert marts_at(now + timedelta(minutes=16), instance, AlwaysOpen())


@pytest.mark.parametrize(
    ("at", "is_requested"),
    [
        ("2026-11-23 08:44", False),
        ("2026-11-23 08:45", True),
        ("2026-11-23 11:20", True),  # the machine was asleep at the due time
        ("2026-11-24 08:45", False),  # a holiday lists nothing new
    ],
)
def test_listings_are_read_on_trading_days(
    at: str, is_requested: bool, instance: dg.DagsterInstance
) -> None:
    """Once before the open, and as soon as possible where that was missed."""
    schedule = instruments_schedule("instruments", Rules())
    tick = datetime.fromisoformat(at).replace(tzinfo=IST)
    context = dg.build_schedule_context(instance, scheduled_execution_time=tick)
    assert isinstance(schedule(context), dg.RunRequest) == is_requested


@pytest.mark.parametrize(
    ("begun", "is_due"),
    [
        (None, True),
        ("2026-11-20 08:45", True),
        ("2026-11-23 08:44", True),
        ("2026-11-23 08:45", False),
        ("2026-11-23 09:10", False),
    ],
)
def test_listings_are_read_once_a_day(begun: str | None, is_due: bool) -> None:
    """A run since the due time is enough, whatever the minute."""
    at = datetime(2026, 11, 23, 9, 30, tzinfo=IST)
    begun_at = datetime.fromisoformat(begun).replace(tzinfo=IST) if begun else None
    assert (why_not_to_list(at, begun_at, Rules()) is None) == is_due


@pytest.mark.parametrize("error", [BrokerUnavailable("down"), LakeConflict("lost")])
def test_what_may_pass_is_left_to_the_retry_policy(error: Exception) -> None:
    """The error itself comes through, so Dagster tries the step again."""
    with pytest.raises(type(error)), typed_failures():
        raise error


@pytest.mark.parametrize("error", [AuthenticationError("no token"), KeyError("a mistake")])
def test_what_will_not_pass_ends_the_step(error: Exception) -> None:
    """A dead token or a mistake in the code is not tried again; the message names its type."""
    with pytest.raises(dg.Failure, match=type(error).__name__) as caught, typed_failures():
        raise error
    assert caught.value.allow_retries is False
