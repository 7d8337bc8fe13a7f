"""How often prices are asked for over REST, within the calls that are left for it.

Pure: asking belongs to ``streaming``. Whoever polls gives the keys in the order of the plan (spots,
futures, the nearest strikes first), so the first batch is the one that matters most.
"""

from __future__ import annotations

from dataclasses import dataclass

# The broker's limit for one call of quotes.
KEYS_PER_CALL = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """How often batches are asked for.

    Attributes:
        calls_per_minute: most calls for all batches together.
        fastest_seconds: shortest period of one batch.
    """

    calls_per_minute: float
    fastest_seconds: float


@dataclass(frozen=True, slots=True)
class PollBatch:
    """Keys ``first`` up to and without ``last``, asked for in one call every ``period_seconds``."""

    first: int
    last: int
    period_seconds: float


@dataclass(frozen=True, slots=True)
class PollPlan:
    """All batches, the most important first; none if there is nothing to ask or no call left."""

    batches: tuple[PollBatch, ...]

    @property
    def calls_per_minute(self) -> float:
        """What the plan uses."""
        return sum(60 / batch.period_seconds for batch in self.batches)


def periods(count: int, pace: Pace) -> list[float]:
    """Seconds between calls of each of ``count`` batches, the most important first.

    The n-th batch gets 1/n of the first one's share of the calls. What a batch cannot use, as none
    is asked for faster than wanted, the ones behind it share. Together they never need more than
    ``pace`` allows.
    """
    found: list[float] = []
    calls_left = pace.calls_per_minute
    for rank in range(1, count + 1):
        share = calls_left / rank / sum(1 / later for later in range(rank, count + 1))
        found.append(max(pace.fastest_seconds, 60 / share))
        calls_left -= 60 / found[-1]
    return found


def poll_cadence(key_count: int, interval_seconds: float, calls_per_minute_left: float) -> PollPlan:
    """Every batch at the interval that is wanted if the calls suffice; else the first ones faster.

    Args:
        key_count: keys to ask for.
        interval_seconds: how often prices should be refreshed; never done more often.
        calls_per_minute_left: calls that may be used for this.
    """
    if calls_per_minute_left <= 0:
        return PollPlan(())
    starts = range(0, key_count, KEYS_PER_CALL)
    due = periods(len(starts), Pace(calls_per_minute_left, interval_seconds))
    return PollPlan(
        tuple(
            PollBatch(start, min(start + KEYS_PER_CALL, key_count), seconds)
            for start, seconds in zip(starts, due, strict=True)
        )
    )
