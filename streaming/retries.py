"""When a feed that could not be kept is tried again, and how often that is worth telling.

Pure: errors and ``now`` in, delays and yes or no out. Waiting and logging belong to ``connection``;
what a refused token is waited for belongs there, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from websockets.exceptions import InvalidStatus

from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnreachable,
    RateLimited,
    RequestRejected,
)

_REFUSED_STATUSES = frozenset({403, 429})


class Failure(StrEnum):
    """What ended an attempt, as far as the next one depends on it."""

    UNAUTHORIZED = "unauthorized"
    REFUSED = "refused"
    UNREACHED = "unreached"
    BROKEN = "broken"


def backoff(first_seconds: float, cap_seconds: float) -> Iterator[float]:
    """Endless delays in seconds: doubling ceilings with full jitter below them."""
    ceiling = first_seconds
    while True:
        yield random.uniform(0, ceiling)  # noqa: S311 - spreads reconnects, protects nothing
        ceiling = min(cap_seconds, ceiling * 2)


def quick_backoff() -> Iterator[float]:
    """After a lost link, or an answer that may be another one next time: 0.2 s to 10 s."""
    return backoff(0.2, 10.0)


def unreached_backoff() -> Iterator[float]:
    """While nobody is reached, and so nobody is bothered: at most 0.7 s, to be back at once."""
    return (0.1 + delay for delay in backoff(0.2, 0.6))


def refused_backoff() -> Iterator[float]:
    """After 403 or 429, where insisting prolongs the refusal: at least 5 s, up to 5 min."""
    return (5.0 + delay for delay in backoff(5.0, 295.0))


def failure_of(error: Exception) -> Failure:
    """Which failure an error is; by its type and status, never by its text."""
    if isinstance(error, AuthenticationError) or _status(error) == 401:
        return Failure.UNAUTHORIZED
    if isinstance(error, RateLimited | RequestRejected) or _status(error) in _REFUSED_STATUSES:
        return Failure.REFUSED
    return Failure.UNREACHED if isinstance(error, BrokerUnreachable) else Failure.BROKEN


class Delays:
    """Each kind of failure has its own growing delays; being live starts all of them afresh."""

    def __init__(self, makers: Mapping[Failure, Callable[[], Iterator[float]]]) -> None:
        self._makers = makers
        self._running: dict[Failure, Iterator[float]] = {}

    def start_afresh(self) -> None:
        """All is well: whatever fails next is a first failure."""
        self._running.clear()

    def next_seconds(self, failure: Failure) -> float:
        """How long to wait before the next attempt."""
        if failure not in self._running:
            self._running[failure] = self._makers[failure]()
        return next(self._running[failure])


class Repeats:
    """Which of many equal complaints to tell: the first, then one in a while, with their number.

    Args:
        pause_seconds: how long nothing is told of what was told already.
    """

    def __init__(self, pause_seconds: float = 300.0) -> None:
        self.count = 0
        self._pause = timedelta(seconds=pause_seconds)
        self._last: Failure | None = None
        self._told_at: datetime | None = None

    def is_worth_telling(self, failure: Failure, now: datetime) -> bool:
        """Count a failure; whether it is a new kind, or the old one after a long while."""
        is_same = failure is self._last
        self.count = self.count + 1 if is_same else 1
        is_recent = self._told_at is not None and now - self._told_at < self._pause
        if is_same and is_recent:
            return False
        self._last, self._told_at = failure, now
        return True

    def end(self) -> None:
        """All is well: the next failure is news, whatever it is."""
        self._last, self._told_at, self.count = None, None, 0


def _status(error: Exception) -> int | None:
    if isinstance(error, InvalidStatus):
        return error.response.status_code
    return error.status if isinstance(error, BrokerError) else None
