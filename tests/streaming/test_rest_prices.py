"""REST beside the sockets: what the plan leaves to it, what a dead socket does, what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from brokers.interface import Broker, Mode
from brokers.planner import FeedPlan
from brokers.upstox.codec import UpstoxCodec
from market.errors import AuthenticationError
from market.rules import AlwaysOpen
from storage.frame_log import FolderLog
from streaming.arrivals import Arrival, Epochs
from streaming.fallback import PriceMode
from streaming.feed import GapSeen
from streaming.planning import Planning
from streaming.rest_prices import RestConfig, RestPrices
from streaming.sockets import Sockets
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told
from tests.streaming.group_of_sockets import group, subscribe
from tests.streaming.listed import SPOT_KEY, options
from tests.streaming.waiting import run, until

OPTIONS = options()[:4]
POLLED = [option.broker_key for option in OPTIONS]


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class Quoting:
    """A broker that answers every quotes call, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def quotes(self, keys: Sequence[str]) -> bytes:
        """Each key at 100 rupees, as of now."""
        self.asked.append(tuple(keys))
        stamp = now().isoformat(timespec="milliseconds")
        told = {
            key: {"instrument_token": key, "last_price": 100.0, "timestamp": stamp} for key in keys
        }
        return json.dumps({"status": "success", "data": told}).encode()


class Refusing(Quoting):
    """A broker that takes no token."""

    def quotes(self, keys: Sequence[str]) -> bytes:
        """Refuse."""
        raise AuthenticationError("the token is dead")


class Planned:
    """A planning that is done."""

    def __init__(self, polled: Sequence[str]) -> None:
        by_key = {option.broker_key: option for option in OPTIONS}
        self.plan = FeedPlan((), tuple(by_key[key] for key in polled))


class Made:
    """REST prices over a broker that answers, with sockets that only the test moves."""

    def __init__(
        self,
        folder: Path,
        mode: PriceMode,
        polled: Sequence[str] = (),
        interval_seconds: Callable[[], float] = lambda: 30.0,
        broker: Quoting | None = None,
    ) -> None:
        self.broker, self.arrivals = broker or Quoting(), list[Arrival]()
        self.gaps = list[GapSeen]()
        self.sockets: Sockets
        self.sockets, _ = group(2)
        self.frames = FolderLog(folder)
        self.rest = RestPrices(
            RestConfig(mode, 18.0, interval_seconds),
            cast(Broker, self.broker),
            UpstoxCodec(),
            rules=AlwaysOpen(),
            clock=now,
            sockets=self.sockets,
            planning=cast(Planning, Planned(polled)),
            frames=self.frames,
            epochs=Epochs(),
            on_arrival=self.arrivals.append,
            on_gap=self.gaps.append,
        )

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Run until it is true."""
        task = asyncio.create_task(self.rest.run())
        try:
            await until(lambda: is_true() or task.done())
            assert not task.done(), task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_what_no_socket_has_room_for_is_asked_for_and_journaled(tmp_path: Path) -> None:
    """In any mode; the answer is in the journal before it is handed on."""
    made = Made(tmp_path, PriceMode.REST, POLLED)
    run(made.until(lambda: bool(made.arrivals)))
    assert made.broker.asked == [tuple(POLLED)]
    assert made.rest.answers == 1
    assert made.rest.last_answer_at is not None
    assert made.rest.last_failure is None
    (arrival,) = made.arrivals
    assert arrival.frame is not None
    assert list(arrival.frame.keys) == POLLED
    kept = list(made.frames.records(arrival.epoch, 0))
    assert [record.sequence for record in kept] == [arrival.sequence]


def test_the_interval_may_change_while_it_runs(tmp_path: Path) -> None:
    """As ``optionlake interval`` changes it; the calls that are left bound it."""
    seconds = [30.0]
    made = Made(tmp_path, PriceMode.REST, POLLED, lambda: seconds[0])
    assert [batch.period_seconds for batch in made.rest.poll_plan().batches] == [30.0]
    seconds[0] = 300.0
    assert [batch.period_seconds for batch in made.rest.poll_plan().batches] == [300.0]
    seconds[0] = 1.0
    assert made.rest.poll_plan().calls_per_minute == 18.0


def test_a_socket_that_does_not_come_is_stood_in_for(tmp_path: Path) -> None:
    """Its keys are asked for, and health tells since when."""
    made = Made(tmp_path, PriceMode.HYBRID)
    made.sockets.want({1: {SPOT_KEY: Mode.LTP}}, is_whole=True)
    assert made.rest.since is None
    run(made.until(lambda: bool(made.arrivals)))
    assert made.broker.asked[0] == (SPOT_KEY,)
    assert made.rest.since is not None
    assert made.rest.since <= now()
    assert made.rest.parity() is None


def test_a_refused_token_is_told_only_while_prices_are_asked_for(tmp_path: Path) -> None:
    """With a new token the socket comes back, and nobody asks over REST again to find that out."""
    made = Made(tmp_path, PriceMode.HYBRID, broker=Refusing())
    made.sockets.want({0: {SPOT_KEY: Mode.LTP}}, is_whole=True)
    run(made.until(lambda: made.rest.waiting_for_token is not None))
    assert made.rest.last_failure == "the token is dead"
    made.sockets.want({}, is_whole=True)
    run(made.until(lambda: made.rest.waiting_for_token is None))
    assert made.rest.last_failure is None


def test_shadow_compares_and_journals_nothing(tmp_path: Path) -> None:
    """What the socket told is not stored twice; the report says how the prices compare."""
    made = Made(tmp_path, PriceMode.SHADOW)
    made.sockets.want({0: {SPOT_KEY: Mode.LTP}}, is_whole=True)
    session = made.sockets.members[0].session
    subscribe(made.sockets.members[0], now())

    def told() -> dict[str, object]:
        # The socket goes on telling, else it would be stood in for.
        frame = feed_frames.data({SPOT_KEY: Told(100.04)}, round(now().timestamp() * 1000))
        decoded = session.received(frame, now())
        assert decoded is not None
        made.rest.take_frame(decoded)
        return made.rest.parity() or {}

    assert told()["reason"] == "no answer to compare yet"
    run(made.until(lambda: told()["compared"] == 1))
    report = told()
    assert report["within_share"] == 1.0
    assert report["worst_key"] == SPOT_KEY
    assert made.arrivals == []
    assert made.frames.epochs() == []
