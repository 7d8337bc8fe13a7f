"""When to try again: by the kind of failure alone, quickly only where nobody was reached."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Response

from market.errors import (
    AuthenticationError,
    BrokerUnavailable,
    BrokerUnreachable,
    MalformedResponse,
    RateLimited,
    RequestRejected,
)
from streaming.retries import (
    Delays,
    Failure,
    Repeats,
    backoff,
    failure_of,
    quick_backoff,
    refused_backoff,
    unreached_backoff,
)

NOON = datetime(2026, 6, 10, 6, 30, tzinfo=UTC)


@given(st.floats(0.01, 2), st.floats(2, 60))
def test_backoff_is_jittered_and_capped(first: float, cap: float) -> None:
    """Each delay lies below a doubling ceiling, and below the cap for ever."""
    for n, delay in enumerate(itertools.islice(backoff(first, cap), 50)):
        assert 0 <= delay <= min(cap, first * 2.0 ** min(n, 40))


def test_refusals_are_never_answered_quickly() -> None:
    """Insisting prolongs a refusal."""
    assert all(5 <= delay <= 300 for delay in itertools.islice(refused_backoff(), 100))


def test_what_reached_nobody_is_tried_at_least_each_second() -> None:
    """However long the night: the network's return is found within a second, without spinning."""
    delays = list(itertools.islice(unreached_backoff(), 1000))
    assert all(0.1 <= delay <= 0.75 for delay in delays)
    assert sum(delays) / len(delays) > 0.25


def _handshake(status: int) -> InvalidStatus:
    return InvalidStatus(Response(status, "no", Headers()))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthenticationError("no token"), Failure.UNAUTHORIZED),
        (_handshake(401), Failure.UNAUTHORIZED),
        (_handshake(403), Failure.REFUSED),
        (_handshake(429), Failure.REFUSED),
        (RateLimited("slow", status=429), Failure.REFUSED),
        (RequestRejected("wrong", status=400), Failure.REFUSED),
        (BrokerUnavailable("edge", status=403), Failure.REFUSED),
        (_handshake(503), Failure.BROKEN),
        (BrokerUnavailable("down", status=500), Failure.BROKEN),
        (BrokerUnavailable("reset"), Failure.BROKEN),
        (MalformedResponse("HTML"), Failure.BROKEN),
        (ConnectionClosedError(None, None), Failure.BROKEN),
        (TimeoutError(), Failure.BROKEN),
        (BrokerUnreachable("refused"), Failure.UNREACHED),
    ],
)
def test_answers_of_the_broker_are_no_failures_of_the_network(
    error: Exception, expected: Failure
) -> None:
    """Only what proves that nobody was reached may be tried again at once."""
    assert failure_of(error) is expected


def test_each_failure_has_its_own_delays() -> None:
    """A cut between two refusals neither shortens nor lengthens what a refusal costs."""
    counted = lambda: iter(range(1, 100))  # noqa: E731
    delays = Delays({Failure.REFUSED: counted, Failure.UNREACHED: counted})
    told = [Failure.REFUSED, Failure.UNREACHED, Failure.UNREACHED, Failure.REFUSED]
    assert [delays.next_seconds(failure) for failure in told] == [1, 1, 2, 2]
    delays.start_afresh()
    assert delays.next_seconds(Failure.REFUSED) == 1


def test_a_night_without_network_is_a_few_lines() -> None:
    """An attempt each second for eight hours is told every five minutes, and all are counted."""
    repeats = Repeats(300.0)
    told = [
        repeats.count
        for n in range(8 * 3600)
        if repeats.is_worth_telling(Failure.UNREACHED, NOON + timedelta(seconds=n))
    ]
    assert len(told) == 8 * 12
    assert told[:3] == [1, 301, 601]
    assert repeats.count == 8 * 3600


def test_another_failure_is_news_at_once() -> None:
    """So is the same one after all was well."""
    repeats = Repeats(300.0)
    assert repeats.is_worth_telling(Failure.UNREACHED, NOON)
    assert repeats.is_worth_telling(Failure.REFUSED, NOON)
    assert not repeats.is_worth_telling(Failure.REFUSED, NOON + timedelta(seconds=299))
    repeats.end()
    assert repeats.is_worth_telling(Failure.REFUSED, NOON + timedelta(seconds=300))
    assert repeats.count == 1


def test_delays_after_a_lost_link_grow() -> None:
    """The first attempt follows at once, later ones spread over ten seconds."""
    firsts = [next(quick_backoff()) for _ in range(50)]
    lates = [next(itertools.islice(quick_backoff(), 20, None)) for _ in range(50)]
    assert max(firsts) <= 0.2 and max(lates) <= 10 and max(lates) > 1
