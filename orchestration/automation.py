"""When things run: one run per window that just closed, marts at most each quarter of an hour.

Also which failures are worth retrying. What a run does belongs in ``assets``; filling windows that
were missed does not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta

import dagster as dg

from market.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    LakeConflict,
    RateLimited,
)
from market.rules import IST, Rules, at_ist
from orchestration.partitions import WindowPartitions
from transforms.schemas import UNDERLYING_ROLLUP

RETRYABLE = (RateLimited, BrokerUnavailable, DatabaseUnavailable, LakeConflict)
# Random delays, so that processes that failed together do not come back together.
RETRIES = dg.RetryPolicy(
    max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL
)
# dbt needs some ten seconds to start: too long for every window.
MARTS_EVERY = timedelta(minutes=15)
ROLLUP = dg.AssetKey(UNDERLYING_ROLLUP.name)
INSTRUMENTS_AT = time(8, 45)


@contextmanager
def typed_failures() -> Iterator[None]:
    """Let errors that may pass go to the retry policy; end the run at once on any other.

    Dagster's policy retries whatever is raised, a mistake in the code too, unless it is told so.
    """
    try:
        yield
    except RETRYABLE:
        raise
    except Exception as error:
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error


def window_schedule(job_name: str, partitions: WindowPartitions) -> dg.ScheduleDefinition:
    """Requests the window that closes at the tick; nothing at any other tick."""

    @dg.schedule(
        name="window_schedule",
        job_name=job_name,
        cron_schedule=partitions.cron(),
        execution_timezone=str(IST),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The window that has just closed, of any session that the rules know.",
    )
    def window_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        window = partitions.latest_closed(at)
        if window is None or window.end_at != at:
            return dg.SkipReason(f"no window closes at {at.astimezone(IST):%Y-%m-%d %H:%M} IST")
        key = partitions.key(window)
        return dg.RunRequest(run_key=str(key), partition_key=key)

    return window_schedule


def marts_schedule(job_name: str, partitions: WindowPartitions) -> dg.ScheduleDefinition:
    """Builds the marts soon after the first window, and then now and then while windows close."""

    @dg.schedule(
        name="marts_schedule",
        job_name=job_name,
        cron_schedule="* * * * *",
        execution_timezone=str(IST),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every {MARTS_EVERY} while windows close, first after the first window.",
    )
    def marts_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        window = partitions.latest_closed(at)
        if window is None or window.end_at <= at - MARTS_EVERY:
            return dg.SkipReason("no window has closed lately")
        begun_at = _last_begun(context.instance, job_name)
        if begun_at is not None and begun_at > at - MARTS_EVERY:
            return dg.SkipReason(f"built less than {MARTS_EVERY} ago")
        if context.instance.get_latest_materialization_event(ROLLUP) is None:
            return dg.SkipReason("no window has been materialised yet")
        return dg.RunRequest(run_key=f"marts-{at:%Y%m%dT%H%M}")

    return marts_schedule


def _last_begun(instance: dg.DagsterInstance, job_name: str) -> datetime | None:
    """When the newest run of a job was created, whatever came of it."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1)
    return records[0].create_timestamp if records else None


def instruments_schedule(job_name: str, rules: Rules) -> dg.ScheduleDefinition:
    """Reads the broker's listings once before each trading day opens, or as soon as it can."""

    @dg.schedule(
        name="instruments_schedule",
        job_name=job_name,
        cron_schedule="* * * * *",
        execution_timezone=str(IST),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Each trading day at {INSTRUMENTS_AT:%H:%M} IST, later if we were not there.",
    )
    def instruments_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        reason = why_not_to_list(at, _last_begun(context.instance, job_name), rules)
        day = at.astimezone(IST).date()
        return dg.SkipReason(reason) if reason else dg.RunRequest(run_key=f"instruments-{day}")

    return instruments_schedule


def why_not_to_list(at: datetime, begun_at: datetime | None, rules: Rules) -> str | None:
    """Why the listings need not be read at ``at``, the last run having begun at ``begun_at``."""
    day = at.astimezone(IST).date()
    due_at = at_ist(day, INSTRUMENTS_AT)
    if not rules.is_trading_day(day):
        return f"the exchange is closed on {day}"
    if at < due_at:
        return f"due at {INSTRUMENTS_AT:%H:%M} IST"
    return "read already" if begun_at is not None and begun_at >= due_at else None
