"""The shell against the real simulated exchange: it comes back, asks again, and never storms."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Mode, Secret
from brokers.upstox.auth import StaticToken
from brokers.upstox.codec import UpstoxCodec
from brokers.upstox.rest import Upstox
from market.errors import AuthenticationError, BrokerUnavailable, BrokerUnreachable
from market.rules import AlwaysOpen
from simulator.faults.fault import fault
from storage.frame_log import FolderLog
from storage.journal import records
from streaming.arrivals import Arrival, Epochs
from streaming.connection import ConnectionConfig, FeedConnection
from streaming.feed import Event, FeedSession, GapSeen, Patience, State
from streaming.retries import unreached_backoff
from tests.fix_simulator import SimulatedExchange
from tests.streaming.waiting import run, until
from tools.chaos.network import Network, relay

KEYS = {"NSE_INDEX|Nifty 50": Mode.FULL, "NSE_INDEX|Nifty Bank": Mode.FULL}


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class Running:
    """A connection at work, and all that it handed on."""

    connection: FeedConnection

    def __init__(self, session: FeedSession) -> None:
        self.session = session
        self.arrivals: list[Arrival] = []
        self.events: list[Event] = []

    @property
    def gaps(self) -> list[GapSeen]:
        """Gaps told so far."""
        return [e for e in self.events if isinstance(e, GapSeen)]


def config() -> ConnectionConfig:
    """Short waits."""
    return ConnectionConfig(
        tick_seconds=0.05,
        ping_seconds=0.2,
        token_poll_seconds=0.05,
        token_retry_seconds=0.3,
        quick_delays=lambda: itertools.repeat(0.02),
        refused_delays=lambda: itertools.repeat(0.1),
        unreached_delays=lambda: itertools.repeat(0.05),
    )


@asynccontextmanager
async def connected(
    authorize: Callable[[], str],
    tokens: StaticToken,
    settings: ConnectionConfig,
    folder: Path,
    patience: Patience | None = None,
) -> AsyncIterator[Running]:
    """A connection that runs until the block ends."""
    session = FeedSession(UpstoxCodec(), AlwaysOpen(), patience)
    session.want(KEYS)
    made = Running(session)
    connection = made.connection = FeedConnection(
        session,
        authorize,
        tokens,
        settings,
        frames=FolderLog(folder, sync_seconds=0.0),
        epochs=Epochs(),
        clock=now,
        on_arrival=made.arrivals.append,
        on_event=made.events.append,
    )
    task = asyncio.create_task(connection.run())
    try:
        yield made
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def tokens(simulator: SimulatedExchange) -> StaticToken:
    """A living token."""
    return StaticToken(Secret(simulator.token), now)


@pytest.fixture
def broker(simulator: SimulatedExchange, tokens: StaticToken, tmp_path: Path) -> Upstox:
    """The broker's REST calls."""
    budget = Budget(tmp_path / "budget", UPSTOX_LIMITS)
    return Upstox(simulator.url, simulator.url, tokens, budget, ("NIFTY", "BANKNIFTY"))


def test_receives_journals_and_hands_on(
    broker: Upstox, tokens: StaticToken, tmp_path: Path
) -> None:
    """What was handed on is in the journal, in the same order and with the same numbers."""
    folder = tmp_path / "journal"

    async def test() -> None:
        async with connected(broker.authorize_feed, tokens, config(), folder) as made:
            await until(lambda: made.session.state is State.LIVE and len(made.arrivals) > 10)
            assert made.session.never_seen == frozenset()
        handed = [(a.epoch, a.sequence, a.received_at_ns) for a in made.arrivals]
        kept = [(r.epoch, r.sequence, r.received_at_ns) for r in records(folder, handed[0][0])]
        assert handed == kept
        assert [sequence for _, sequence, _ in handed] == list(range(1, len(handed) + 1))

    run(test())


@pytest.mark.parametrize("fault", ["abort_sockets", "close_sockets"])
def test_comes_back_with_every_key(
    fault: str, broker: Upstox, tokens: StaticToken, simulator: SimulatedExchange, tmp_path: Path
) -> None:
    """After a reset or a close: a new address, a later epoch, all keys again, and a gap."""

    async def test() -> None:
        async with connected(broker.authorize_feed, tokens, config(), tmp_path / "j") as made:
            await until(lambda: made.session.state is State.LIVE)
            before = made.session.epoch
            getattr(simulator.control, fault)()
            await until(lambda: made.session.epoch > before and not made.session.never_seen)
            await until(lambda: made.session.state is State.LIVE)
            await until(lambda: bool(made.gaps))
            (gap,) = made.gaps
            assert (gap.epoch, gap.keys) == (made.session.epoch, tuple(sorted(KEYS)))
            assert gap.from_at < gap.to_at

    run(test())


def test_mute_socket_is_replaced(
    broker: Upstox, tokens: StaticToken, simulator: SimulatedExchange, tmp_path: Path
) -> None:
    """A socket that only answers pings is given up, and the feed lives when data flow again."""
    patience = Patience(status_seconds=0.3, mute_seconds=0.5)

    async def test() -> None:
        settings = config()
        async with connected(
            broker.authorize_feed, tokens, settings, tmp_path / "j", patience
        ) as made:
            await until(lambda: made.session.state is State.LIVE)
            simulator.control.mute()
            await until(lambda: made.session.state is not State.LIVE)
            simulator.control.unmute()
            await until(lambda: len(made.gaps) == 1)
            assert made.gaps[0].reason.startswith("mute")

    run(test())


def test_half_open_socket_is_replaced(
    broker: Upstox, tokens: StaticToken, simulator: SimulatedExchange, tmp_path: Path
) -> None:
    """A link that answers not even a ping is dead; every key comes back on another."""
    patience = Patience(silent_seconds=3.0)

    async def test() -> None:
        settings = config()
        async with connected(
            broker.authorize_feed, tokens, settings, tmp_path / "j", patience
        ) as made:
            await until(lambda: made.session.state is State.LIVE)
            # The first connection only: its successor is good.
            simulator.control.add(fault("half_open", times=1))
            await until(lambda: len(made.gaps) == 1)
            assert made.gaps[0].reason.startswith("silent")

    run(test())


def test_garbage_is_journaled_counted_and_survived(
    broker: Upstox, tokens: StaticToken, simulator: SimulatedExchange, tmp_path: Path
) -> None:
    """A frame that cannot be decoded ends nothing; its bytes are kept."""

    async def test() -> None:
        async with connected(broker.authorize_feed, tokens, config(), tmp_path / "j") as made:
            await until(lambda: made.session.state is State.LIVE)
            simulator.control.send_garbage()
            await until(lambda: made.session.unknown_frames == 1)
            count = len(made.arrivals)
            await until(lambda: len(made.arrivals) > count)
            assert made.session.connections == 1
        unread = [a for a in made.arrivals if a.frame is None]
        kept = {r.sequence: r.frame for r in records(tmp_path / "j", unread[0].epoch)}
        assert b"not a frame" in kept[unread[0].sequence]

    run(test())


def counted(error: Exception) -> tuple[Callable[[], str], Iterator[int]]:
    """An authorization that fails, and how often it was asked."""
    calls = itertools.count()

    def fail() -> str:
        next(calls)
        raise error

    return fail, calls


def test_refused_token_waits_loudly_and_not_in_a_loop(tmp_path: Path) -> None:
    """One call per retry period, a state that says why; a new token ends the wait at once."""
    fail, calls = counted(AuthenticationError("no"))
    secrets = [Secret("old")]
    tokens = StaticToken(secrets[0], now)
    settings = replace(config(), token_retry_seconds=60.0)

    async def test() -> None:
        async with connected(fail, tokens, settings, tmp_path / "j") as made:
            await until(lambda: made.connection.waiting_for_token is not None)
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert next(calls) == 1
            tokens._secret = Secret("new")
            await until(lambda: next(calls) >= 3)

    run(test())


def test_missing_token_is_waited_for(tmp_path: Path) -> None:
    """Without any token the broker is not asked again and again."""
    tokens = StaticToken(None, now)
    calls = itertools.count()

    def authorize() -> str:
        next(calls)
        return tokens.token().reveal()

    async def test() -> None:
        async with connected(authorize, tokens, config(), tmp_path / "j") as made:
            await until(lambda: made.connection.waiting_for_token is not None)
            await asyncio.sleep(0.5)
            assert next(calls) == 1

    run(test())


def test_used_address_is_a_refusal(broker: Upstox, tokens: StaticToken, tmp_path: Path) -> None:
    """403 at the handshake is retried with the slow delays, and the session comes alive after."""
    used = asyncio.run(_use(broker.authorize_feed()))
    addresses = iter([used, used])
    refusals = itertools.count()

    def slow() -> Iterator[float]:
        for n in refusals:
            yield 0.01 * n

    async def test() -> None:
        settings = replace(config(), refused_delays=slow)
        authorize = lambda: next(addresses, None) or broker.authorize_feed()  # noqa: E731
        async with connected(authorize, tokens, settings, tmp_path / "j") as made:
            await until(lambda: made.session.state is State.LIVE)
            assert next(refusals) == 2

    run(test())


async def _use(address: str) -> str:
    """Spend a one-time address."""
    from websockets.asyncio.client import connect

    async with connect(address, proxy=None):
        return address


def test_broker_away_is_retried(broker: Upstox, tokens: StaticToken, tmp_path: Path) -> None:
    """Failures of the authorization call are the same loop as those of the socket."""
    fail, calls = counted(BrokerUnavailable("away"))

    def authorize() -> str:
        return fail() if next(calls) < 6 else broker.authorize_feed()

    async def test() -> None:
        async with connected(authorize, tokens, config(), tmp_path / "j") as made:
            await until(lambda: made.session.state is State.LIVE)
            await until(lambda: made.connection.last_failure is None)

    run(test())


@pytest.mark.parametrize("trouble", ["cut", "refuse"])
def test_is_back_soon_after_the_network(
    trouble: str, simulator: SimulatedExchange, tokens: StaticToken, tmp_path: Path
) -> None:
    """With the delays of everyday: several vain attempts, none counted, and no long pause after."""
    budget = Budget(tmp_path / "budget", UPSTOX_LIMITS)

    async def test(link: Network) -> None:
        url = f"http://127.0.0.1:{link.port}"
        broker = Upstox(url, url, tokens, budget, ("NIFTY",), feed_timeout_seconds=(0.3, 5.0))
        settings = replace(config(), connect_seconds=0.3, unreached_delays=unreached_backoff)

        def authorize() -> str:
            return broker.authorize_feed().replace(f":{simulator.port}/", f":{link.port}/")

        patience = Patience(silent_seconds=1.0)
        async with connected(authorize, tokens, settings, tmp_path / "j", patience) as made:
            await until(lambda: made.session.state is State.LIVE)
            getattr(link, trouble)()
            await until(lambda: made.connection.failures >= 4)
            link.heal()
            healed_at = asyncio.get_running_loop().time()
            await until(lambda: made.session.state is State.LIVE)
            assert asyncio.get_running_loop().time() - healed_at <= 3.0
            made_calls = budget.usage()[-1].used
            assert made_calls <= 3, "what reached nobody was counted"

    with relay(simulator.port) as link:
        run(test(link))


def test_a_stall_of_ours_is_not_held_against_the_line(
    broker: Upstox, tokens: StaticToken, tmp_path: Path
) -> None:
    """While the loop was held up it could hear nothing: what waits is read before any verdict."""
    patience = Patience(silent_seconds=1.0, pulse_seconds=1.0)

    async def test() -> None:
        async with connected(
            broker.authorize_feed, tokens, config(), tmp_path / "j", patience
        ) as made:
            await until(lambda: made.session.state is State.LIVE)
            # Nothing but a held-up loop is meant here.
            time.sleep(2.0)  # noqa: ASYNC251
            count = len(made.arrivals)
            await until(lambda: len(made.arrivals) > count + 5)
            assert made.session.connections == 1

    run(test())


def test_equal_failures_are_told_once_and_counted(tokens: StaticToken, tmp_path: Path) -> None:
    """A night without the network is not a line for each attempt."""
    fail, _ = counted(BrokerUnreachable("nobody there"))

    async def test() -> None:
        async with connected(fail, tokens, config(), tmp_path / "j") as made:
            await until(lambda: made.connection.failures >= 5)

    with capture_logs() as logs:
        run(test())
    assert len([log for log in logs if "connection lost" in log["event"]]) == 1
