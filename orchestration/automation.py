"""When things run: one run per window that just closed, marts every quarter of an hour.

Also which failures are worth retrying. What a run does belongs in ``assets``; filling windows that
were missed does not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg

from market.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    LakeConflict,
    RateLimited,
)
from market.rules import IST, Rules
from orchestration.partitions import WindowPartitions

RETRYABLE = (RateLimited, BrokerUnavailable, DatabaseUnavailable, LakeConflict)
# Random delays, so that processes that failed together do not come back together.
RETRIES = dg.RetryPolicy(
    max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL
)
MARTS_MINUTES = 15
# Past the moment at which windows close: dbt's start-up would slow them down.
MARTS_CRON = f"2-59/{MARTS_MINUTES} * * * *"
INSTRUMENTS_CRON = "45 8 * * *"


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
    """Rebuilds the marts if a window has closed since the tick before."""

    @dg.schedule(
        name="marts_schedule",
        job_name=job_name,
        cron_schedule=MARTS_CRON,
        execution_timezone=str(IST),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every {MARTS_MINUTES} minutes while windows close.",
    )
    def marts_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        window = partitions.latest_closed(at)
        if window is None or window.end_at <= at - timedelta(minutes=MARTS_MINUTES):
            return dg.SkipReason("no window has closed since the last build")
        return dg.RunRequest(run_key=f"marts-{at:%Y%m%dT%H%M}")

    return marts_schedule


def instruments_schedule(job_name: str, rules: Rules) -> dg.ScheduleDefinition:
    """Reads the broker's listings before each trading day opens."""

    @dg.schedule(
        name="instruments_schedule",
        job_name=job_name,
        cron_schedule=INSTRUMENTS_CRON,
        execution_timezone=str(IST),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Each trading day before the open.",
    )
    def instruments_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(IST).date()
        if not rules.is_trading_day(day):
            return dg.SkipReason(f"the exchange is closed on {day}")
        return dg.RunRequest(run_key=f"instruments-{day}")

    return instruments_schedule
