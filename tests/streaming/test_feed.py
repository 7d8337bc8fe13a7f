"""The session's promises, over any sequence of what can happen to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from brokers.interface import Mode
from brokers.upstox.codec import UpstoxCodec
from market.rules import AlwaysOpen, Rules
from simulator.faults.tampering import unknown_type
from streaming.feed import (
    MOVES,
    FeedSession,
    FrameUnreadable,
    GapOpened,
    GapSeen,
    Input,
    Patience,
    State,
    WentStale,
)
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told

NOON = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)
EVENING = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
KEYS = {"NSE_INDEX|Nifty 50": Mode.FULL, "NSE_FO|1": Mode.FULL, "NSE_FO|2": Mode.LTP}
IN_ORDER = tuple(sorted(KEYS))


def session(rules: Rules | None = None, data_until: datetime | None = None) -> FeedSession:
    """A session that wants ``KEYS`` in a market that never closes."""
    made = FeedSession(UpstoxCodec(), rules or AlwaysOpen(), Patience(), data_until)
    made.want(KEYS)
    return made


def subscribed_keys(requests: list[bytes]) -> dict[str, str]:
    """Key → wire mode of the subscription requests."""
    told = [json.loads(request) for request in requests]
    return {
        key: t["data"]["mode"]
        for t in told
        if t["method"] == "sub"
        for key in t["data"]["instrumentKeys"]
    }


def prices(*keys: str) -> bytes:
    """A data frame that tells something about ``keys``."""
    return feed_frames.data({key: Told(last_price=100.0) for key in keys})


def live(made: FeedSession, at: datetime, epoch: int = 1) -> None:
    """Bring a session that is not connected to life."""
    made.connecting()
    made.opened(epoch, at)
    made.received(feed_frames.status(), at)
    made.received(prices(*KEYS), at)


def test_every_state_can_be_left_and_reached() -> None:
    """The table has no trap, and nothing in it is out of reach."""
    assert {state for state, _ in MOVES} == set(State)
    assert set(MOVES.values()) == set(State) - {State.IDLE}
    assert {happened for _, happened in MOVES} == set(Input)


def test_illegal_move_raises() -> None:
    """A shell that forgets a step is told, not followed."""
    with pytest.raises(RuntimeError, match="idle cannot take open"):
        session().opened(1, NOON)


def test_nothing_is_sent_before_the_market_status() -> None:
    """Requests that race the handshake are lost in silence, so they wait for the status."""
    made = session()
    made.connecting()
    made.opened(1, NOON)
    made.want({**KEYS, "NSE_FO|3": Mode.FULL})
    assert made.data_to_send() == []
    made.received(feed_frames.status(), NOON)
    asked = subscribed_keys(made.data_to_send())
    assert asked == {
        "NSE_INDEX|Nifty 50": "full",
        "NSE_FO|1": "full",
        "NSE_FO|2": "ltpc",
        "NSE_FO|3": "full",
    }


def test_changed_wishes_send_the_difference_only() -> None:
    """A key that is already followed is not asked for again; one that is not wanted is dropped."""
    made = session()
    live(made, NOON)
    made.data_to_send()
    made.want({"NSE_FO|1": Mode.FULL, "NSE_FO|9": Mode.FULL})
    requests = made.data_to_send()
    assert subscribed_keys(requests) == {"NSE_FO|9": "full"}
    dropped = json.loads(requests[-1])
    assert dropped["method"] == "unsub"
    assert set(dropped["data"]["instrumentKeys"]) == {"NSE_INDEX|Nifty 50", "NSE_FO|2"}


def test_requests_are_cut_to_size() -> None:
    """A large plan goes out in several requests that together hold each key once."""
    made = session()
    made.want({f"NSE_FO|{n}": Mode.FULL for n in range(1201)})
    made.connecting()
    made.opened(1, NOON)
    made.received(feed_frames.status(), NOON)
    requests = made.data_to_send()
    assert len(requests) == 3
    assert len(subscribed_keys(requests)) == 1201


def test_never_seen_keys_are_known() -> None:
    """The only proof of a subscription is data: what gave none is listed."""
    made = session()
    made.connecting()
    made.opened(1, NOON)
    made.received(feed_frames.status(), NOON)
    made.received(prices("NSE_FO|1"), NOON)
    assert made.never_seen == {"NSE_INDEX|Nifty 50", "NSE_FO|2"}


def test_mute_socket_is_caught_in_session_within_fifteen_seconds() -> None:
    """A socket that answers pings but tells nothing while the market trades is given up."""
    made = session()
    live(made, NOON)
    for second in range(1, 16):
        now = NOON + timedelta(seconds=second)
        made.answered(now)
        made.time_passes(now)
    assert made.state is State.STALE
    assert [e for e in made.events() if isinstance(e, WentStale)]


def test_closed_market_is_not_a_fault() -> None:
    """Hours without data after the close never end a connection that answers."""
    made = session(Rules())
    live(made, EVENING)
    for minute in range(600):
        now = EVENING + timedelta(minutes=minute)
        made.answered(now)
        made.time_passes(now)
    assert made.state is State.LIVE


def test_the_open_is_not_blamed_for_the_night() -> None:
    """Silence counts from the start of the session, not from the data of the evening before."""
    made = session(Rules())
    live(made, EVENING)
    opens = datetime(2026, 12, 2, 3, 45, tzinfo=UTC)
    for second in range(-5, 9):
        made.answered(opens + timedelta(seconds=second))
        made.time_passes(opens + timedelta(seconds=second))
    assert made.state is State.LIVE


def test_silent_link_is_caught_in_a_closed_market() -> None:
    """No frame, ping or pong at all is a dead link at any hour."""
    made = session(Rules())
    live(made, EVENING)
    made.time_passes(EVENING + timedelta(seconds=16))
    assert made.state is State.STALE


def test_mute_connections_are_given_more_time_each() -> None:
    """On a holiday that the calendar does not know, reconnects thin out instead of storming."""
    made, now, connects = session(), NOON, 0
    while now < NOON + timedelta(hours=1):
        made.connecting()
        made.opened(connects + 1, now)
        made.received(feed_frames.status(), now)
        connects += 1
        while made.state is not State.STALE:
            now += timedelta(seconds=1)
            made.answered(now)
            made.time_passes(now)
        made.lost("closed by us")
    assert connects < 20


def test_gap_runs_from_the_last_data_to_the_first() -> None:
    """What the socket never delivered is told with its cause and its size."""
    made = session()
    live(made, NOON)
    made.lost("ConnectionClosedError: no close frame")
    made.events()
    made.connecting()
    made.lost("refused")
    back = NOON + timedelta(seconds=7)
    live(made, back, epoch=2)
    gaps = [e for e in made.events() if isinstance(e, GapSeen)]
    assert gaps == [GapSeen(NOON, back, "ConnectionClosedError: no close frame", 2, IN_ORDER)]


def test_restart_leaves_a_gap() -> None:
    """The time between two processes is a gap as well."""
    made = session(data_until=NOON - timedelta(minutes=1))
    live(made, NOON)
    gaps = [e for e in made.events() if isinstance(e, GapSeen)]
    assert gaps == [GapSeen(NOON - timedelta(minutes=1), NOON, "restart", 1, IN_ORDER)]


def gaps_of(made: FeedSession) -> list[tuple[datetime, datetime, str]]:
    """The gaps told since the last call: from, to, why."""
    return [(e.from_at, e.to_at, e.reason) for e in made.events() if isinstance(e, GapSeen)]


def seconds(count: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=count)


def test_gap_stays_open_until_every_key_is_back() -> None:
    """The first data of one key do not end what the others still miss."""
    made = session(data_until=seconds(-60))
    made.connecting()
    made.opened(1, NOON)
    made.received(feed_frames.status(), NOON)
    first, *others = KEYS
    made.received(prices(first), seconds(0.1))
    assert gaps_of(made) == []
    made.received(prices(*others), seconds(0.4))
    assert gaps_of(made) == [(seconds(-60), seconds(0.4), "restart")]


def test_gap_stays_open_until_the_plan_is_whole() -> None:
    """Contracts that wait for a price of their underlying are missed like all others."""
    made = session(data_until=seconds(-60))
    made.is_plan_whole = False
    live(made, NOON)
    assert gaps_of(made) == []
    made.is_plan_whole = True
    made.want({**KEYS, "NSE_FO|3": Mode.FULL})
    made.received(prices(*KEYS), seconds(0.2))
    assert gaps_of(made) == []
    made.received(prices("NSE_FO|3"), seconds(0.5))
    assert gaps_of(made) == [(seconds(-60), seconds(0.5), "restart")]


def test_gap_does_not_wait_for_ever() -> None:
    """A key that never tells anything holds a gap open for a few seconds at most."""
    made = session(data_until=seconds(-60))
    made.connecting()
    made.opened(1, NOON)
    made.received(feed_frames.status(), NOON)
    made.received(prices("NSE_FO|1"), seconds(1))
    made.time_passes(seconds(3.9))
    assert gaps_of(made) == []
    made.time_passes(seconds(4))
    assert gaps_of(made) == [(seconds(-60), seconds(4), "restart")]


def test_a_gap_is_told_as_it_begins() -> None:
    """Before anything else can happen to the process: since when, why and which keys."""
    made = session()
    live(made, NOON)
    assert [e for e in made.events() if isinstance(e, GapOpened)] == []
    made.lost("reset")
    assert made.events() == [GapOpened(NOON, "reset", IN_ORDER)]
    assert made.has_gap
    made.connecting()
    made.lost("refused")
    assert made.events() == []
    live(made, seconds(1), epoch=2)
    assert not made.has_gap
    made.received(b"\xff\xff\xff", seconds(2))
    opened = [e for e in made.events() if isinstance(e, GapOpened)]
    assert opened == [GapOpened(seconds(1), "unreadable frame", IN_ORDER)]


def test_what_is_wanted_meanwhile_is_missed_too() -> None:
    """What an earlier process missed, and what is taken from the plan, stays part of the gap."""
    made = FeedSession(UpstoxCodec(), AlwaysOpen(), Patience(), seconds(-60), ("NSE_FO|9",))
    assert made.events() == []
    made.want({"NSE_FO|1": Mode.FULL})
    made.want({"NSE_FO|2": Mode.FULL})
    made.want({"NSE_FO|2": Mode.LTP})
    missed = ("NSE_FO|1", "NSE_FO|2", "NSE_FO|9")
    assert made.events() == [
        GapOpened(seconds(-60), "restart", ("NSE_FO|1", "NSE_FO|9")),
        GapOpened(seconds(-60), "restart", missed),
    ]
    made.connecting()
    made.opened(1, NOON)
    made.received(feed_frames.status(), NOON)
    made.received(prices("NSE_FO|2"), NOON)
    assert [e for e in made.events() if isinstance(e, GapSeen)] == [
        GapSeen(seconds(-60), NOON, "restart", 1, missed)
    ]
    made.want(KEYS)
    assert made.events() == []


def test_a_gap_that_others_ended_is_forgotten() -> None:
    """The session is not the one that tells its end, and begins the next one afresh."""
    made = session(data_until=seconds(-60))
    made.forget_gap()
    live(made, NOON)
    assert gaps_of(made) == []
    made.lost("reset")
    assert made.events() == [GapOpened(NOON, "reset", IN_ORDER)]


def test_gap_that_is_interrupted_keeps_its_beginning() -> None:
    """Lost again before every key was back, the earlier loss is not forgotten."""
    made = session(data_until=seconds(-60))
    made.connecting()
    made.opened(1, NOON)
    made.received(feed_frames.status(), NOON)
    made.received(prices("NSE_FO|1"), NOON)
    made.lost("reset")
    live(made, seconds(5), epoch=2)
    assert gaps_of(made) == [(seconds(-60), seconds(5), "restart")]


def test_late_words_of_a_dead_line_do_not_shorten_the_gap() -> None:
    """A line that speaks again after it was given up has been silent all the same."""
    made = session()
    live(made, NOON)
    made.time_passes(NOON)
    made.time_passes(seconds(12))
    assert made.state is State.STALE
    made.received(prices(*KEYS), seconds(12.5))
    reason = made.stale_reason
    made.lost("closed by us")
    live(made, seconds(13), epoch=2)
    assert gaps_of(made) == [(NOON, seconds(13), reason)]


def test_spoiled_ticks_are_a_gap() -> None:
    """Bytes that are no message stand in the place of ticks that nobody will get."""
    made = session()
    live(made, NOON)
    made.received(b"\xff\xff\xff", seconds(1))
    made.time_passes(seconds(1.5))
    made.received(b"\xff\xff\xff", seconds(2))
    made.received(prices("NSE_FO|1"), seconds(3))
    assert gaps_of(made) == [(NOON, seconds(3), "unreadable frame")]


def test_unknown_message_is_no_gap() -> None:
    """A kind of message that came later than this program carries no tick that is missed."""
    made = session()
    live(made, NOON)
    made.received(unknown_type(1_790_000_000_000), seconds(1))
    made.received(prices("NSE_FO|1"), seconds(2))
    assert made.unknown_frames == 1
    assert gaps_of(made) == []


def test_unreadable_frames_are_counted_and_told_once() -> None:
    """Garbage does not end the connection and does not fill the log."""
    made = session()
    live(made, NOON)
    made.events()
    for _ in range(5):
        assert made.received(b"\xff\xff\xff", NOON) is None
    assert made.unknown_frames == 5
    assert len([e for e in made.events() if isinstance(e, FrameUnreadable)]) == 1
    assert made.state is State.LIVE


class AnySequence(RuleBasedStateMachine):
    """Whatever happens, in whatever order that a socket allows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = EVENING
        self.epoch = 0
        self.had_status = False
        self.asked: dict[str, str] = {}
        self.session = FeedSession(UpstoxCodec(), Rules(), Patience())
        self.session.want(KEYS)

    def is_open(self) -> bool:
        """Whether a socket is there."""
        return self.session.state not in {State.IDLE, State.CONNECTING, State.CLOSED}

    @precondition(lambda self: self.session.state in {State.IDLE, State.CLOSED})
    @rule()
    def connect(self) -> None:
        self.session.connecting()

    @precondition(lambda self: self.session.state is State.CONNECTING)
    @rule()
    def open(self) -> None:
        self.epoch += 1
        self.session.opened(self.epoch, self.now)
        self.had_status, self.asked = False, {}

    @precondition(lambda self: self.is_open())
    @rule()
    def status(self) -> None:
        self.session.received(feed_frames.status(word="NORMAL_CLOSE"), self.now)
        self.had_status = True

    @precondition(lambda self: self.is_open())
    @rule(key=st.sampled_from(sorted(KEYS)))
    def data(self, key: str) -> None:
        self.session.received(prices(key), self.now)

    @precondition(lambda self: self.is_open())
    @rule(frame=st.binary(max_size=40))
    def garbage(self, frame: bytes) -> None:
        decoded = self.session.received(frame, self.now)
        self.had_status |= decoded is not None and not decoded.keys

    @precondition(lambda self: self.is_open() or self.session.state is State.CONNECTING)
    @rule()
    def lose(self) -> None:
        self.session.lost("gone")

    @rule(keys=st.sets(st.sampled_from(["NSE_FO|7", "NSE_FO|8", *KEYS])))
    def want(self, keys: set[str]) -> None:
        self.session.want(dict.fromkeys(keys, Mode.FULL))

    @rule(seconds=st.floats(0, 14))
    def wait(self, seconds: float) -> None:
        """The market is closed and the link answers: no verdict may come."""
        self.now += timedelta(seconds=seconds)
        if self.is_open():
            self.session.answered(self.now)
        before = self.session.state
        self.session.time_passes(self.now)
        assert before is State.AWAITING_STATUS or self.session.state is before

    @invariant()
    def sends_after_status_and_then_everything(self) -> None:
        requests = self.session.data_to_send()
        assert not requests or self.had_status
        for request in requests:
            told = json.loads(request)
            for key in told["data"]["instrumentKeys"]:
                if told["method"] == "sub":
                    self.asked[key] = told["data"]["mode"]
                else:
                    self.asked.pop(key, None)
        if self.session.state in {State.SUBSCRIBING, State.LIVE}:
            assert set(self.asked) == set(self.session.wanted)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
