"""The shell: prices over REST in the journal and the live state, whatever the broker answers."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from brokers.budget import Budget, Limit
from brokers.interface import FeedFrame, Mode, Secret
from brokers.planner.polling import Pace
from brokers.upstox.auth import StaticToken
from brokers.upstox.codec import UpstoxCodec
from brokers.upstox.rest import Upstox
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    JournalError,
    RateLimited,
    RequestRejected,
)
from market.rules import AlwaysOpen
from simulator.faults.fault import fault
from storage.frame_log import FolderLog, FrameWriter
from streaming.arrivals import Arrival, Epochs
from streaming.connection import ConnectionConfig, FeedConnection
from streaming.fallback import (
    Event,
    Fallback,
    FallbackConfig,
    HandedBack,
    KeysRefused,
    PriceMode,
    Situation,
    SocketView,
    TookOver,
)
from streaming.feed import FeedSession, State
from streaming.live import LiveState
from streaming.parity import Parity
from streaming.rest_feed import RestFeed
from tests.fix_simulator import SimulatedExchange
from tests.streaming.waiting import run, until

KEYS = ("NSE_INDEX|Nifty 50", "NSE_INDEX|Nifty Bank", "NSE_EQ|INE002A01018")
QUICK = FallbackConfig(
    takeover_seconds=0.1, steady_seconds=0.2, settle_seconds=1, pace=Pace(6000, 0.05)
)


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


Call = Callable[[Sequence[str]], bytes]


def body(keys: Sequence[str]) -> bytes:
    """Every key at its length in rupees."""
    told = {key: {"instrument_token": key, "last_price": float(len(key))} for key in keys}
    return json.dumps({"status": "success", "data": told}).encode()


class Made:
    """A feed at work, and all that it handed on."""

    feed: RestFeed

    def __init__(self, folder: Path) -> None:
        self.log = FolderLog(folder)
        self.epochs = Epochs()
        self.is_live = False
        self.steps = 0
        self.arrivals: list[Arrival] = []
        self.events: list[Event] = []
        self.comparisons: list[FeedFrame] = []

    def situation(self) -> Situation:
        """One socket."""
        self.steps += 1
        return Situation(True, [SocketView("0", KEYS, self.is_live)])

    def open_writer(self) -> tuple[int, FrameWriter]:
        """The next epoch of the folder."""
        epoch = self.epochs.next(now())
        return epoch, self.log.writer(epoch)

    def told(self, kind: type) -> int:
        """How many events of a kind there were."""
        return sum(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def feeding(
    quotes: Call, folder: Path, config: FallbackConfig = QUICK
) -> AsyncIterator[Made]:
    """A feed that runs until the block ends."""
    made = Made(folder)
    made.feed = RestFeed(
        Fallback(config),
        quotes,
        UpstoxCodec(),
        situation=made.situation,
        open_writer=made.open_writer,
        clock=now,
        on_arrival=made.arrivals.append,
        on_event=made.events.append,
        on_comparison=lambda frame, received_at_ms: made.comparisons.append(frame),
        tick_seconds=0.01,
    )
    task = asyncio.create_task(made.feed.run())
    try:
        yield made
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def broker(simulator: SimulatedExchange, tmp_path: Path) -> Upstox:
    """The real calls against the simulated exchange."""
    tokens = StaticToken(Secret(simulator.token), now)
    budget = Budget(tmp_path / "budget", [Limit(1000, 1)])
    return Upstox(simulator.url, simulator.url, tokens, budget, ("NIFTY", "BANKNIFTY", "RELIANCE"))


def test_what_is_handed_on_is_journaled_under_epochs_of_its_own(tmp_path: Path) -> None:
    """In order and without a hole; a hand-back ends the epoch, the next takeover begins another."""

    async def test() -> None:
        async with feeding(body, tmp_path) as made:
            for round_number in (1, 2):
                made.is_live = False
                await until(lambda: made.feed.epoch is not None)
                count = len(made.arrivals)
                await until(lambda count=count: len(made.arrivals) > count + 3)  # type: ignore[misc]
                made.is_live = True
                await until(lambda n=round_number: made.told(HandedBack) == n)  # type: ignore[misc]
                await until(lambda: made.feed.epoch is None)
        epochs = list(dict.fromkeys(a.epoch for a in made.arrivals))
        assert epochs == made.log.epochs() and len(epochs) == 2
        for epoch in epochs:
            handed = [a for a in made.arrivals if a.epoch == epoch]
            kept = list(made.log.records(epoch, 0))
            assert [a.sequence for a in handed] == list(range(1, len(handed) + 1))
            assert [(a.sequence, a.received_at_ns) for a in handed] == [
                (r.sequence, r.received_at_ns) for r in kept
            ]
            for arrival, record in zip(handed, kept, strict=True):
                frame = UpstoxCodec().decode(record.frame)
                assert arrival.frame is not None and frame.keys == arrival.frame.keys == KEYS
                assert np.array_equal(frame.values, arrival.frame.values, equal_nan=True)

    run(test())


def test_a_live_socket_costs_no_call_and_no_file(tmp_path: Path) -> None:
    """Nothing is asked for, nothing is opened."""
    asked: list[Sequence[str]] = []

    def answer(keys: Sequence[str]) -> bytes:
        asked.append(keys)
        return body(keys)

    async def test() -> None:
        async with feeding(answer, tmp_path, FallbackConfig()) as made:
            made.is_live = True
            await until(lambda: made.steps > 50)
            assert (asked, made.arrivals, made.log.epochs()) == ([], [], [])

    run(test())


def test_shadow_answers_are_for_comparing_only(tmp_path: Path) -> None:
    """They are handed to whoever compares; neither the journal nor the sink sees them."""
    config = replace(QUICK, mode=PriceMode.SHADOW, shadow_pace=Pace(6000, 0.05))

    async def test() -> None:
        async with feeding(body, tmp_path, config) as made:
            made.is_live = True
            await until(lambda: len(made.comparisons) > 3)
            assert (made.arrivals, made.log.epochs()) == ([], [])
            assert made.comparisons[0].keys == KEYS

    run(test())


@pytest.mark.parametrize(
    ("error", "is_delay", "is_token"),
    [
        (AuthenticationError("no token"), False, True),
        (RateLimited("spent"), True, False),
        (BrokerUnavailable("away"), False, False),
    ],
)
def test_failed_calls_are_counted_told_and_made_again(
    tmp_path: Path, error: BrokerError, is_delay: bool, is_token: bool
) -> None:
    """Told while it lasts; an answer takes it back."""
    is_broken = threading.Event()
    is_broken.set()

    def answer(keys: Sequence[str]) -> bytes:
        if is_broken.is_set():
            raise error
        return body(keys)

    async def test() -> None:
        async with feeding(answer, tmp_path) as made:
            feed = made.feed
            await until(lambda: feed.counts.failed + feed.counts.delayed > 1)
            assert (feed.counts.delayed > 0) is is_delay
            assert feed.last_failure == str(error)
            assert feed.waiting_for_token == (str(error) if is_token else None)
            assert made.arrivals == []
            is_broken.clear()
            await until(lambda: feed.counts.answered > 0)
            assert {feed.last_failure, feed.waiting_for_token} == {None}

    run(test())


def test_one_unknown_key_does_not_keep_the_others_away(tmp_path: Path) -> None:
    """The broker voids the whole call; the bad key is found and named, the others are told."""

    def answer(keys: Sequence[str]) -> bytes:
        if KEYS[1] in keys:
            raise RequestRejected("invalid instrument key")
        return body(keys)

    async def test() -> None:
        async with feeding(answer, tmp_path) as made:
            await until(lambda: made.told(KeysRefused) == 1)
            count = len(made.arrivals)
            await until(lambda: len(made.arrivals) > count)
            newest = made.arrivals[-1].frame
            assert newest is not None and newest.keys == (KEYS[0], KEYS[2])
            assert KeysRefused((KEYS[1],)) in made.events

    run(test())


def test_an_answer_that_cannot_be_read_is_kept_and_counted(tmp_path: Path) -> None:
    """It stays in the journal, and its sequence reaches the ledger."""

    async def test() -> None:
        async with feeding(lambda keys: b'{"data": null}', tmp_path) as made:
            await until(lambda: len(made.arrivals) > 1)
            assert made.arrivals[0].frame is None
            assert made.feed.counts.failed > 0
            (record, *_) = made.log.records(made.arrivals[0].epoch, 0)
            assert record.frame == b'{"data": null}'

    run(test())


def test_a_journal_that_takes_nothing_ends_the_feed(tmp_path: Path) -> None:
    """As with the socket: what cannot be kept is not handed on."""

    async def test() -> None:
        made = Made(tmp_path)

        def refuse() -> tuple[int, FrameWriter]:
            raise JournalError("the disk is full")

        feed = RestFeed(
            Fallback(QUICK),
            body,
            UpstoxCodec(),
            situation=made.situation,
            open_writer=refuse,
            clock=now,
            on_arrival=made.arrivals.append,
            on_event=made.events.append,
            tick_seconds=0.01,
        )
        with pytest.raises(ExceptionGroup) as caught:
            await feed.run()
        assert isinstance(caught.value.exceptions[0], JournalError)
        assert made.arrivals == []

    run(test())


def test_a_dead_socket_of_the_real_exchange_is_stood_in_for(
    simulator: SimulatedExchange, broker: Upstox, tmp_path: Path
) -> None:
    """The feed is forbidden and cut: prices go on in the live state, and come back."""
    listed = [i for i in broker.instruments() if i.broker_key in KEYS]
    live = LiveState()
    live.follow(listed, {})
    session = FeedSession(UpstoxCodec(), AlwaysOpen())
    session.want(dict.fromkeys(KEYS, Mode.FULL))
    moved: dict[str, list[float]] = {"socket": [], "rest": []}

    def take(source: str, arrival: Arrival) -> None:
        if arrival.frame is not None:
            live.take_frame(arrival.frame, arrival.received_at_ns / 1e6)
            if arrival.row_count:
                moved[source].append(arrival.received_at_ns / 1e9)

    async def test() -> None:
        made = Made(tmp_path / "journal")
        connection = FeedConnection(
            session,
            broker.authorize_feed,
            StaticToken(Secret(simulator.token), now),
            ConnectionConfig(
                tick_seconds=0.05,
                quick_delays=lambda: iter([0.1] * 1000),
                refused_delays=lambda: iter([0.1] * 1000),
            ),
            frames=made.log,
            epochs=made.epochs,
            clock=now,
            on_arrival=lambda arrival: take("socket", arrival),
            on_event=lambda event: None,
        )
        feed = RestFeed(
            Fallback(FallbackConfig(steady_seconds=0.5)),
            broker.quotes,
            UpstoxCodec(),
            situation=lambda: Situation(
                True,
                [
                    SocketView(
                        "0",
                        tuple(session.wanted),
                        session.state is State.LIVE,
                        session.never_seen,
                        session.last_frame_at,
                    )
                ],
            ),
            open_writer=made.open_writer,
            clock=now,
            on_arrival=lambda arrival: take("rest", arrival),
            on_event=made.events.append,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(connection.run()), group.create_task(feed.run())]
            await until(lambda: len(moved["socket"]) > 3 and len(live.spots()) == len(listed))
            # A slow start may have been stood in for.
            await until(lambda: made.told(TookOver) == made.told(HandedBack) and not feed.epoch)
            moved["rest"].clear()
            made.events.clear()
            forbidden = simulator.control.add(fault("feed_forbidden"))
            simulator.control.abort_sockets()
            await until(lambda: len(moved["rest"]) > 0)
            # How long that may take is held where time is handed in.
            assert moved["rest"][0] > moved["socket"][-1]
            assert made.told(TookOver) == 1
            assert simulator.control.remove(forbidden)
            await until(lambda: made.told(HandedBack) == 1)
            assert session.state is State.LIVE
            await until(lambda: feed.epoch is None)
            for task in tasks:
                task.cancel()

    run(test())
    assert not any(math.isnan(price) for price in live.spots().values())


def test_shadow_finds_both_sources_of_the_real_exchange_equal(
    simulator: SimulatedExchange, broker: Upstox, tmp_path: Path
) -> None:
    """The socket's prices against the quotes': within 5 bp of each other."""
    parity = Parity()
    session = FeedSession(UpstoxCodec(), AlwaysOpen())
    session.want(dict.fromkeys(KEYS, Mode.FULL))
    config = FallbackConfig(mode=PriceMode.SHADOW, shadow_pace=Pace(240, 0.25))

    def on_arrival(arrival: Arrival) -> None:
        if arrival.frame is not None:
            parity.take_socket(arrival.frame)

    async def test() -> None:
        made = Made(tmp_path / "journal")
        connection = FeedConnection(
            session,
            broker.authorize_feed,
            StaticToken(Secret(simulator.token), now),
            ConnectionConfig(tick_seconds=0.05),
            frames=made.log,
            epochs=made.epochs,
            clock=now,
            on_arrival=on_arrival,
            on_event=lambda event: None,
        )
        feed = RestFeed(
            Fallback(config),
            broker.quotes,
            UpstoxCodec(),
            situation=lambda: Situation(True, [SocketView("0", KEYS, session.state is State.LIVE)]),
            open_writer=made.open_writer,
            clock=now,
            on_arrival=made.arrivals.append,
            on_event=made.events.append,
            on_comparison=lambda frame, received_at_ms: parity.take_quotes(frame),
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(connection.run()), group.create_task(feed.run())]
            await until(lambda: parity.report().compared == len(KEYS))
            for task in tasks:
                task.cancel()

    run(test())
    report = parity.report()
    assert report.within_share is not None and report.within_share >= 2 / 3
    assert report.worst_difference_bp is not None and report.worst_difference_bp < 50
