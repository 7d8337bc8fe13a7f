"""How often prices are asked for over REST, within the calls that are left for it.

Pure: asking belongs to ``streaming``. Whoever polls gives the keys in the order of the plan (spots,
futures, the nearest strikes first), so the first batch is the one that matters most.
"""

from __future__ import annotations

from dataclasses import dataclass

# The broker's limit for one call of quotes.
KEYS_PER_CALL = 500
# Of the calls that are left when they do not suffice; the other batches share the rest.
_FIRST_SHARE = 0.5


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


def poll_cadence(key_count: int, interval_seconds: float, calls_per_minute_left: float) -> PollPlan:
    """Every batch at the interval that is wanted if the calls suffice; else the first one faster.

    Args:
        key_count: keys to ask for.
        interval_seconds: how often prices should be refreshed; never done more often.
        calls_per_minute_left: calls that may be used for this.
    """
    starts = range(0, key_count, KEYS_PER_CALL)
    if not starts or calls_per_minute_left <= 0:
        return PollPlan(())
    others = len(starts) - 1
    share = _FIRST_SHARE if others else 1.0
    if len(starts) * 60 / interval_seconds <= calls_per_minute_left:
        first = rest = interval_seconds
    else:
        first = max(interval_seconds, 60 / (calls_per_minute_left * share))
        rest = max(first, 60 * others / (calls_per_minute_left - 60 / first)) if others else first
    return PollPlan(
        tuple(
            PollBatch(start, min(start + KEYS_PER_CALL, key_count), rest if start else first)
            for start in starts
        )
    )
