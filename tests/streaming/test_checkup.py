"""Health of several sockets and of REST beside them: one answer that hides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from brokers.interface import Mode
from brokers.token_state import TokenLevel
from market.rules import AlwaysOpen
from streaming.api import LiveFeed
from streaming.checkup import Checkup, Counts
from streaming.fallback import PriceMode
from streaming.health import Health
from streaming.skew import ClockSkew
from tests.streaming.group_of_sockets import group, subscribe

NOON = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)
TOKEN = SimpleNamespace(expires_at=None, level=TokenLevel.OK, text="fine", minutes_left=None)
FEED = cast(LiveFeed, SimpleNamespace(viewer_count=3, dropped_updates=4))


@dataclass
class Rest:
    """The REST side as it shows itself."""

    mode: PriceMode = PriceMode.HYBRID
    since: datetime | None = None
    calls_per_minute: float = 0.0
    answers: int = 0
    waiting_for_token: str | None = None
    last_failure: str | None = None
    last_answer_at: datetime | None = None

    def parity(self) -> dict[str, object] | None:
        """Nothing is compared."""
        return None


class Made:
    """A checkup of two sockets."""

    def __init__(self, rest: Rest | None = None) -> None:
        self.sockets, self.connections = group(2)
        for connection in self.connections:
            connection.failures = 2
        self.rest, self.counts = rest or Rest(), Counts(ticks=7, gaps=1, journal_bytes=11)
        sink = SimpleNamespace(
            unresolved_rows=0, rows_landed=5, rows_waiting=2, is_catching_up=False, is_up=True
        )
        self.checkup = Checkup(
            self.counts,
            ClockSkew(),
            self.sockets,
            cast(Any, self.rest),
            cast(Any, SimpleNamespace(waiting_for=None)),
            cast(Any, sink),
            cast(Any, SimpleNamespace(state=lambda now: TOKEN)),
            AlwaysOpen(),
            lambda: NOON,
            journal_cap_bytes=10,
        )

    def health(self) -> Health:
        """Now."""
        return self.checkup.health(FEED)


def test_each_working_socket_is_told_and_the_worst_is_the_state() -> None:
    """A dead one beside a live one must not look live; one without keys is no trouble."""
    made = Made()
    made.sockets.want({0: {"a": Mode.FULL}}, is_whole=True)
    subscribe(made.sockets.members[0], NOON)
    assert made.health().state == "subscribing"
    made.sockets.want({0: {"a": Mode.FULL}, 1: {"b": Mode.LTP, "c": Mode.LTP}}, is_whole=True)
    health = made.health()
    assert health.state == "idle"
    assert [(s.index, s.state, s.keys, s.never_seen) for s in health.sockets] == [
        (0, "subscribing", 1, 1),
        (1, "idle", 2, 0),
    ]
    assert (health.failed_attempts, health.viewers, health.dropped_updates) == (4, 3, 4)
    assert (health.ticks_received, health.gaps, health.is_journal_over_cap) == (7, 1, True)


def test_a_token_that_rest_was_refused_is_a_token_that_is_refused() -> None:
    """Whichever part the broker said it to."""
    made = Made(Rest(waiting_for_token="401"))
    assert made.checkup.token_problem == "401"
    assert (made.health().state, made.health().detail) == ("waiting_for_token", "401")
    assert not made.checkup.is_let_in
    made.rest.waiting_for_token, made.rest.answers = None, 1
    assert made.checkup.is_let_in
    made.rest.answers = 0
    assert not made.checkup.is_let_in
    made.connections[1].epoch = 7
    assert made.checkup.is_let_in


def test_without_sockets_polling_is_the_state() -> None:
    """In the mode that opens none, no socket is missing."""
    made = Made(Rest(mode=PriceMode.REST))
    assert made.health().state == "starting"
    made.rest.answers = 1
    assert (made.health().state, made.health().sockets) == ("polling", ())


def test_since_when_rest_stands_in_is_told() -> None:
    """As epoch milliseconds, for the page."""
    made = Made(Rest(since=NOON, calls_per_minute=12.0, last_answer_at=NOON, last_failure="slow"))
    health = made.health()
    assert (health.last_frame_at_ms, health.detail) == (health.fallback_since_ms, "slow")
    assert health.fallback_since_ms == round(NOON.timestamp() * 1000)
    assert (health.mode, health.rest_calls_per_minute) == ("hybrid", 12.0)


def test_the_message_is_plain_values_all_through() -> None:
    """Sockets included, since it goes out as JSON."""
    made = Made()
    made.sockets.want({0: {"a": Mode.FULL}}, is_whole=True)
    message = made.health().as_json()
    assert message["sockets"] == (
        {
            "index": 0,
            "state": "idle",
            "detail": None,
            "epoch": 0,
            "keys": 1,
            "never_seen": 0,
            "last_frame_at_ms": None,
            "reconnects": 0,
        },
    )
