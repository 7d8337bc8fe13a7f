"""The live feed's rules, as properties over any order of events; no clock and no socket."""

from __future__ import annotations

import json
from math import nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dashboard.catalogue import TABLES, Watch, read
from dashboard.hub import Close, Hub, Limits
from market.errors import FrameError
from market.live_frame import LiveFrame, decode
from tests.dashboard.strategies import EXPIRIES, SYMBOLS, frame, hello, table

NUMBERS = {"underlying": 2, "expiry": 4, "strike": 8, "contract": 16}


class Reader:
    """A client that does what the protocol says a page does."""

    def __init__(self, hub: Hub) -> None:
        joined = hub.join(0.0)
        assert isinstance(joined, int)
        self.id = joined
        self.hub = hub
        self.rows: dict[tuple[str, int], float] = {}
        self.unacknowledged: list[int] = []
        self.sent_at: list[float] = []
        self.sequence = 0
        self.watch = Watch()
        self.is_resyncing = False
        self.close: Close | None = None

    def poll(self, now: float) -> None:
        """Take what the hub sends."""
        for message in self.hub.poll(self.id, now, now * 1000):
            if isinstance(message, Close):
                self.close = message
            elif isinstance(message, bytes):
                self.take(decode(message), now)
            elif json.loads(message)["type"] == "hello":
                self.is_resyncing = True

    def take(self, told: LiveFrame, now: float) -> None:
        """Apply a frame; the first one after a hello replaces everything."""
        assert told.sequence > self.sequence
        self.sequence = told.sequence
        self.sent_at.append(now)
        self.unacknowledged.append(told.sequence)
        if self.is_resyncing:
            self.rows, self.is_resyncing = {}, False
        for part in told.tables:
            for number, value in zip(part.ids, part.columns["x"], strict=True):
                self.rows[part.name, int(number)] = value

    def ack(self) -> None:
        """Acknowledge the newest frame, and with it those before."""
        if self.unacknowledged:
            told = {"type": "ack", "sequence": self.unacknowledged[-1]}
            self.hub.receive(self.id, json.dumps(told))
            self.unacknowledged.clear()


class Rules(RuleBasedStateMachine):
    """Frames, watches, acknowledgements and time in any order, for two clients."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub(Limits(ack_timeout_seconds=1e9))
        self.strikes = (100.0, 110.0)
        self.hub.learn(read(hello()))
        self.now = 0.0
        self.readers = [Reader(self.hub), Reader(self.hub)]
        self.truth: dict[tuple[str, int], float] = {}
        self.version = 1

    @rule(data=st.data(), name=st.sampled_from(TABLES))
    def change(self, data: st.DataObject, name: str) -> None:
        """A frame from the feed."""
        ids = st.integers(1, NUMBERS[name])
        rows = data.draw(st.dictionaries(ids, st.integers(0, 5), min_size=1, max_size=4))
        self.hub.apply(frame(table(name, {n: {"x": float(v)} for n, v in rows.items()})))
        self.truth |= {(name, n): float(v) for n, v in rows.items()}

    @rule(who=st.integers(0, 1), symbol=st.sampled_from(SYMBOLS), expiry=st.sampled_from(EXPIRIES))
    def watch(self, who: int, symbol: str, expiry: str) -> None:
        """A choice on the page."""
        told = {"type": "watch", "symbol": symbol, "expiry": expiry}
        self.hub.receive(self.readers[who].id, json.dumps(told))
        self.readers[who].watch = Watch(symbol, expiry)

    @rule(who=st.integers(0, 1))
    def watch_everything(self, who: int) -> None:
        """What a script does."""
        self.hub.receive(self.readers[who].id, '{"type":"watch","all":true}')
        self.readers[who].watch = Watch(is_all=True)

    @rule(who=st.integers(0, 1))
    def ack(self, who: int) -> None:
        """A paint."""
        self.readers[who].ack()

    @rule(who=st.integers(0, 1), seconds=st.sampled_from([0.0, 0.01, 0.05, 1.0]))
    def poll(self, who: int, seconds: float) -> None:
        """The writer looks."""
        self.now += seconds
        self.readers[who].poll(self.now)

    @precondition(lambda self: self.version < 4)
    @rule()
    def learn(self) -> None:
        """The catalogue grows: ids before keep their meaning, so their rows stay."""
        self.version += 1
        told = hello(version=self.version)
        more = {"id": 100 + self.version, "symbol": "TCS", "expiry": EXPIRIES[0], "strike": 1.0}
        told["catalogue"]["strikes"].append(more)
        self.hub.learn(read(told))

    @invariant()
    def windows_hold(self) -> None:
        """Never more than two frames under way."""
        assert all(len(r.unacknowledged) <= 2 for r in self.readers)

    @invariant()
    def rate_holds(self) -> None:
        """At most 20 frames a second on average; a burst of two after a pause."""
        for reader in self.readers:
            recent = [at for at in reader.sent_at if at > self.now - 1]
            assert len(recent) <= 22

    def teardown(self) -> None:
        """A reader that catches up holds the last value of every row that it watches."""
        for reader in self.readers:
            for _ in range(3):
                reader.ack()
                self.now += 1
                reader.poll(self.now)
            groups = reader.watch.groups()
            known = self.hub.catalogue.groups
            wanted = {
                key: value
                for key, value in self.truth.items()
                if groups is None or known[key[0]][key[1]] in groups
            }
            assert reader.rows == wanted


Rules.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRules = Rules.TestCase


def ready(**limits: Any) -> tuple[Hub, Reader]:
    """A hub that knows its catalogue, and a client that watches everything and is up to date."""
    hub = Hub(Limits(**limits))
    hub.learn(read(hello()))
    reader = Reader(hub)
    hub.receive(reader.id, '{"type":"watch","all":true}')
    change(hub, 1.0)
    reader.poll(0.0)
    reader.ack()
    return hub, reader


def change(hub: Hub, value: float) -> None:
    """A new value of the first underlying."""
    hub.apply(frame(table("underlying", {1: {"x": value}})))


def test_a_client_that_never_acknowledges_is_closed() -> None:
    """After the time-out with 1013, and not before."""
    hub, reader = ready(ack_timeout_seconds=30.0)
    change(hub, 2.0)
    reader.poll(1.0)
    reader.poll(31.0)
    assert reader.close is None
    reader.poll(31.1)
    assert reader.close is not None
    assert reader.close.code == 1013


def test_silence_of_the_feed_closes_nobody() -> None:
    """Who owes nothing may be silent for ever."""
    hub, reader = ready(ack_timeout_seconds=30.0)
    reader.poll(1e6)
    assert reader.close is None
    assert hub.wait_seconds(reader.id, 1e6) is None


def test_a_frame_without_news_is_not_sent() -> None:
    """The same values again change no version."""
    hub, reader = ready()
    change(hub, 1.0)
    reader.poll(1.0)
    assert reader.unacknowledged == []


def test_a_row_that_becomes_null_is_sent() -> None:
    """Null is a value like any other, and is equal to itself."""
    hub, reader = ready()
    change(hub, nan)
    reader.poll(1.0)
    assert len(reader.unacknowledged) == 1
    change(hub, nan)
    reader.poll(2.0)
    assert len(reader.unacknowledged) == 1


def test_a_full_window_conflates() -> None:
    """Ten changes while two frames are under way arrive as one, with the last value."""
    hub, reader = ready()
    for i in range(2):
        change(hub, 10.0 + i)
        reader.poll(1.0 + i)
    for i in range(10):
        change(hub, 20.0 + i)
        reader.poll(3.0 + i)
    assert len(reader.unacknowledged) == 2
    reader.ack()
    reader.poll(20.0)
    assert len(reader.unacknowledged) == 1
    assert reader.rows["underlying", 1] == 29.0


def test_waiting_is_told_exactly() -> None:
    """A poll at the time that was told has something to send, one before has not."""
    hub, reader = ready()
    for value in (2.0, 3.0):
        change(hub, value)
        reader.poll(0.0)
        reader.ack()
    change(hub, 4.0)
    wait = hub.wait_seconds(reader.id, 0.01)
    assert wait is not None
    assert 0 < wait <= 0.05
    sent = len(reader.sent_at)
    reader.poll(0.01)
    assert len(reader.sent_at) == sent
    reader.poll(0.01 + wait)
    assert len(reader.sent_at) == sent + 1


def test_clients_in_step_share_one_encoding() -> None:
    """What costs is encoding, so equal frames are encoded once."""
    hub, reader = ready()
    other = Reader(hub)
    hub.receive(other.id, '{"type":"watch","all":true}')
    for r in (reader, other):
        r.poll(5.0)
        r.ack()
    change(hub, 9.0)
    first = [m for m in hub.poll(reader.id, 6.0, 0) if isinstance(m, bytes)]
    second = [m for m in hub.poll(other.id, 6.0, 1) if isinstance(m, bytes)]
    assert first[0] is second[0]


def test_ids_that_change_their_meaning_lose_their_rows() -> None:
    """A restarted feed may number its strikes anew: old values must not move to other strikes."""
    hub, reader = ready()
    hub.apply(frame(table("strike", {1: {"x": 7.0}})))
    hub.learn(read(hello(version=1, strikes=(90.0, 100.0))))
    reader.poll(1.0)
    assert reader.rows == {("underlying", 1): 1.0}


def test_only_so_many_clients() -> None:
    """One too many is told to come later, and there is room again when one leaves."""
    hub, reader = ready(clients=1)
    refused = hub.join(0.0)
    assert isinstance(refused, Close)
    assert refused.code == 1013
    hub.leave(reader.id)
    assert isinstance(hub.join(0.0), int)


def test_health_is_told_once() -> None:
    """Each report reaches a client once, the newest only."""
    hub, reader = ready()
    for number in (1, 2):
        hub.report({"number": number})
    told = [json.loads(m) for m in hub.poll(reader.id, 1.0, 0) if isinstance(m, str)]
    assert told == [{"type": "health", "number": 2}]
    assert hub.poll(reader.id, 2.0, 0) == ()


def told_alerts(hub: Hub, reader: Reader) -> list[dict[str, Any]]:
    """Messages about alerts that a client is sent now."""
    texts = (m for m in hub.poll(reader.id, 1.0, 0) if isinstance(m, str))
    return [told for m in texts if (told := json.loads(m))["type"] == "alerts"]


def test_alerts_are_told_to_who_asked_and_go_on_where_they_were() -> None:
    """Each once, also over a reconnect; the first answer tells the run even if there are none."""
    hub, reader = ready()
    hub.alerts.take([{"key": "a", "at_ms": 1}])
    assert told_alerts(hub, reader) == []
    hub.receive(reader.id, '{"type":"alerts"}')
    (first,) = told_alerts(hub, reader)
    assert [a["key"] for a in first["alerts"]] == ["a"]
    assert told_alerts(hub, reader) == []
    hub.leave(reader.id)
    hub.alerts.take([{"key": "b", "at_ms": 2}, {"key": "a", "at_ms": 1}])
    back = Reader(hub)
    claim = {"type": "alerts", "run": first["run"], "after": first["newest"]}
    hub.receive(back.id, json.dumps(claim))
    (second,) = told_alerts(hub, back)
    assert [a["key"] for a in second["alerts"]] == ["b"]
    assert (second["is_resumed"], second["missed"]) == (True, 0)


def test_who_asks_for_alerts_is_answered_even_if_there_are_none() -> None:
    """So that it knows where it stands."""
    hub, reader = ready()
    hub.receive(reader.id, '{"type":"alerts"}')
    (answer,) = told_alerts(hub, reader)
    assert (answer["newest"], answer["alerts"]) == (0, [])
    assert told_alerts(hub, reader) == []


def test_nothing_is_sent_before_the_catalogue_is_known() -> None:
    """Without a hello a frame could not be read; health can."""
    hub = Hub()
    reader = Reader(hub)
    hub.report({"state": "lost"})
    assert [type(m) for m in hub.poll(reader.id, 0.0, 0)] == [str]
    assert hub.wait_seconds(reader.id, 0.0) is None


@given(st.text() | st.sampled_from(['{"type":"ack"}', '{"type":"watch","symbol":1}', "[]", "7"]))
def test_a_strange_message_is_a_frame_error(text: str) -> None:
    """Whatever a client sends, nothing outside the error tree comes of it."""
    _, reader = ready()
    with pytest.raises(FrameError):
        reader.hub.receive(reader.id, text)
