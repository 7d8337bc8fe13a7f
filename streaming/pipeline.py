"""The streaming process as a whole: what is started, in which order, and how it stops.

The feed does not wait for the database: it is received and journaled from the first second, and
landed when the database is there. Each part's own rules stand in its module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import structlog

from brokers.interface import Broker, FeedCodec, Instrument, Secret, TokenSource
from brokers.planner import FeedPlan, feed_plan
from market.errors import BrokerError, DatabaseUnavailable
from market.rules import IST, Rules
from market.session import is_open
from storage import chains, instruments, timescale
from storage.frame_log import FolderLog, FrameLog, Newest
from storage.ticks import TickStore
from streaming.alert_post import AlertPost, log_channel, webhook_channel
from streaming.alerts import AlertDesk
from streaming.api import LiveFeed
from streaming.arrivals import Arrival, Epochs
from streaming.chain_view import view_of
from streaming.connection import ConnectionConfig, FeedConnection, quick_backoff
from streaming.feed import Event, FeedSession, GapSeen, Patience, State
from streaming.health import Health, epoch_ms
from streaming.live import LiveState
from streaming.sink import Sink, SinkConfig, database_backoff
from streaming.token_watch import TokenWatch
from streaming.webhook import Webhook
from transforms.warming import warm

# After midnight IST; the broker renews its list at about six.
_MASTER_RENEWED = timedelta(hours=7)
# The socket is not open, so the broker has not said that it takes the token.
_LET_IN_NOWHERE = frozenset({State.IDLE, State.CONNECTING, State.CLOSED})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What the streaming process needs to know.

    Attributes:
        dsn: TimescaleDB.
        live_host, live_port: where the live feed listens; keep it loopback. Port 0: any.
        symbols: underlyings to follow.
        strikes_each_side: strikes above and below the money to subscribe.
        journal_keep_days: landed frames that are older go; 0: only when over the cap.
        webhook_url: where alarms are posted; None for nowhere.
        drain_seconds: longest time that landing may take when stopping.
    """

    dsn: str
    journal_folder: Path
    live_host: str
    live_port: int
    symbols: tuple[str, ...]
    strikes_each_side: int
    journal_sync_seconds: float = 0.1
    journal_cap_bytes: int = 10 * 1024**3
    journal_keep_days: float = 0.0
    webhook_url: Secret | None = None
    drain_seconds: float = 10.0
    replan_seconds: float = 5.0
    relist_seconds: float = 60.0
    mark_seconds: float = 0.5
    push_seconds: float = 0.05
    patience: Patience = field(default_factory=Patience)


async def run(  # noqa: PLR0917 - the parts of one program, each with a type of its own
    config: StreamConfig,
    broker: Broker,
    codec: FeedCodec,
    tokens: TokenSource,
    rules: Rules,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
    on_listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Stream until ``stop`` is set; everything received by then is journaled, and landed if it can.

    Args:
        on_listening: told the live feed's port once it is open.

    Raises:
        ConfigurationError: the port is taken, the plan does not fit, or the database is unfit.
        JournalError: frames can no longer be kept.
        StorageError: the database refused a statement.
    """
    frames = FolderLog(
        config.journal_folder,
        config.journal_sync_seconds,
        config.journal_cap_bytes,
        config.journal_keep_days,
    )
    newest = await asyncio.to_thread(frames.newest)
    pipeline = _Pipeline(
        config, frames, newest, broker=broker, codec=codec, tokens=tokens, rules=rules, clock=clock
    )
    feed = pipeline.live_feed
    async with feed.serving(config.live_host, config.live_port) as server:
        on_listening(server.sockets[0].getsockname()[1])
        try:
            await pipeline.run(stop)
        except BaseExceptionGroup as group:
            # Callers act by type: they are told what ended the process, not how it was built.
            raise _first(group) from group


class _Pipeline:
    def __init__(
        self,
        config: StreamConfig,
        frames: FrameLog,
        newest: Newest,
        *,
        broker: Broker,
        codec: FeedCodec,
        tokens: TokenSource,
        rules: Rules,
        clock: Callable[[], datetime],
    ) -> None:
        self._config, self._broker, self._tokens = config, broker, tokens
        self._rules, self._clock = rules, clock
        self._frames, self._journal_bytes = frames, 0
        self._ids: dict[str, int] = {}
        self._ids_by_key: dict[str, int] = {}
        self._listed: Sequence[Instrument] = ()
        self._listed_on: date | None = None
        self._feed_plan: FeedPlan | None = None
        self._is_listed = asyncio.Event()
        self._waiting_for: str | None = "the instrument master"
        self._ticks_received = 0
        self._gaps = 0
        self._session = FeedSession(codec, rules, config.patience, newest.received_at)
        self._live = LiveState(config.mark_seconds)
        self._sink = Sink(
            lambda: TickStore(config.dsn),
            frames,
            codec,
            self._ids_by_key,
            lambda day: instruments.numbers_by_key(config.dsn, day),
            config=SinkConfig(clock=clock),
        )
        self._connection = FeedConnection(
            self._session,
            broker.authorize_feed,
            tokens,
            ConnectionConfig(),
            frames=frames,
            epochs=Epochs(newest.epoch),
            clock=clock,
            on_arrival=self._on_arrival,
            on_event=self._on_event,
        )
        self._webhook = Webhook(config.webhook_url)
        self._token_watch = TokenWatch(
            tokens,
            rules,
            lambda: self._connection.waiting_for_token,
            lambda: self._session.state not in _LET_IN_NOWHERE,
            self._webhook.offer,
        )
        self._alerts = AlertDesk(rules)
        channels = log_channel, webhook_channel(self._webhook)
        self._alert_post = AlertPost(self._alerts, config.dsn, clock, channels)
        self.live_feed = LiveFeed(
            self._live,
            lambda: self._health().as_json(),
            lambda: clock().timestamp() * 1000,
            config.push_seconds,
            alerts=self._alerts,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Receive and land until ``stop``; then stop reading first, and land what is left."""
        drained = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive())
            landing = group.create_task(self._land(drained))
            group.create_task(self._stop(stop, receiving, landing, drained))

    async def _stop(
        self,
        stop: asyncio.Event,
        receiving: asyncio.Task[None],
        landing: asyncio.Task[None],
        drained: asyncio.Event,
    ) -> None:
        await stop.wait()
        receiving.cancel()
        await asyncio.wait([receiving])
        drained.set()
        # A database that is away would only be waited for: the journal keeps what is left.
        seconds = self._config.drain_seconds if self._sink.is_up else 0.0
        _, late = await asyncio.wait([landing], timeout=seconds)
        if late:
            log.warning("stopped before everything was landed; the journal has the rest")
            landing.cancel()

    async def _receive(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._webhook.run())
            group.create_task(self._token_watch.run(self._clock))
            group.create_task(self._watch_journal())
            group.create_task(self._follow_feed())

    async def _watch_journal(self) -> None:
        while True:
            self._journal_bytes = await asyncio.to_thread(self._frames.size_bytes)
            await asyncio.sleep(1.0)

    async def _follow_feed(self) -> None:
        await self._list_instruments()
        self._plan({})
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            group.create_task(self._replan())
            group.create_task(self._mark())
            group.create_task(self._alert_post.run())

    async def _land(self, stop: asyncio.Event) -> None:
        # Compiling takes seconds where nothing is cached, and would hold up the loop at a mark.
        await asyncio.to_thread(warm)
        await self._is_listed.wait()
        await self._prepare_database()
        following = asyncio.create_task(self._follow_chains())
        try:
            await self._sink.run(stop)
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def _list_instruments(self) -> None:
        delays = quick_backoff()
        while not self._listed:
            try:
                self._listed = await asyncio.to_thread(self._broker.instruments)
            except BrokerError as error:
                self._waiting_for = f"the instrument master: {error}"
                log.error("instrument master not read, trying again", reason=str(error))
                await asyncio.sleep(next(delays))
        self._listed_on = self._listing_day()
        self._waiting_for = None
        self._is_listed.set()

    async def _prepare_database(self) -> None:
        """Bring the tables up to date and learn the instruments' ids, however long that takes."""
        delays, is_told = database_backoff(), False
        while True:
            try:
                await self._register(self._listed)
                return self._follow_wanted()
            except DatabaseUnavailable as error:
                if not is_told:
                    log.error("waiting for the database, ticks are journaled", reason=str(error))
                is_told = True
                await asyncio.sleep(next(delays))

    async def _register(self, listed: Sequence[Instrument]) -> None:
        await asyncio.to_thread(timescale.migrate, self._config.dsn)
        ids = await asyncio.to_thread(instruments.register, self._config.dsn, listed)
        self._ids.update(ids)
        self._ids_by_key.update({i.broker_key: ids[str(i.contract)] for i in listed})

    def _follow_wanted(self) -> None:
        wanted = self._session.wanted
        followed = [i for i in self._listed if i.broker_key in wanted]
        self._live.follow(followed, self._ids)
        self._alerts.follow(followed)

    async def _replan(self) -> None:
        """Follow the money: new strikes are added, old ones stay until the day is over."""
        while True:
            is_complete = len(self._live.spots()) >= len(self._config.symbols)
            await asyncio.sleep(self._config.replan_seconds if is_complete else 0.5)
            if self._listing_day() != self._listed_on:
                await self._begin_day()
            else:
                self._plan(self._live.spots())

    async def _begin_day(self) -> None:
        """A new exchange day lists other contracts; until they are known the old plan stays."""
        try:
            listed = await asyncio.to_thread(self._broker.instruments)
            await self._register(listed)
        except (BrokerError, DatabaseUnavailable) as error:
            log.warning("instruments of the new day not read yet", reason=str(error))
            await asyncio.sleep(self._config.relist_seconds)
            return
        self._listed, self._listed_on = listed, self._listing_day()
        self._plan(self._live.spots(), keeps_old=False)

    def _plan(self, spots: Mapping[str, float], keeps_old: bool = True) -> None:
        self._feed_plan = plan = feed_plan(
            self._listed,
            spots,
            self._config.strikes_each_side,
            self._today(),
            self._broker.capabilities().within(1, is_per_socket=True),
            previous=self._feed_plan if keeps_old else None,
            priorities=self._config.symbols,
        )
        self._session.is_plan_whole = not plan.without_price
        before = self._session.wanted
        wanted = plan.wanted(0)
        if wanted != before:
            self._session.want(wanted)
            self._follow_wanted()
            self._connection.wake()
            log.info("feed planned", keys=len(wanted), without_price=plan.without_price)

    async def _mark(self) -> None:
        while True:
            self._live.mark(self._clock())
            await asyncio.sleep(self._config.push_seconds)

    async def _follow_chains(self) -> None:
        """Take each symbol's chain as it is published; every one after each new connection."""
        async for symbol in chains.changes(self._config.dsn):
            try:
                await self._take_chain(symbol)
            except DatabaseUnavailable as error:
                # The same outage ends the connection that tells of changes, and its successor
                # names every symbol again.
                log.warning("chain not read", symbol=symbol, reason=str(error))

    async def _take_chain(self, symbol: str) -> None:
        rows = await asyncio.to_thread(chains.latest, self._config.dsn, [symbol])
        if len(rows):
            view = await asyncio.to_thread(view_of, rows, self._rules)
            self._live.take_chain(view, self._ids)
            self._alerts.take_levels(symbol, view.levels)

    def _on_arrival(self, arrival: Arrival) -> None:
        self._sink.offer(arrival)
        if arrival.frame is not None:
            self._ticks_received += arrival.row_count
            self._live.take_frame(arrival.frame, arrival.received_at_ns / 1_000_000)
            self._alerts.take_frame(arrival.frame, arrival.received_at_ns / 1_000_000)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, GapSeen):
            self._gaps += 1
            self._sink.note_gap(event)

    def _today(self) -> date:
        return self._clock().astimezone(IST).date()

    def _listing_day(self) -> date:
        """Days of the instrument master begin when it has been renewed, not at midnight."""
        return (self._clock() - _MASTER_RENEWED).astimezone(IST).date()

    def _health(self) -> Health:
        session, sink, connection = self._session, self._sink, self._connection
        now = self._clock()
        token_problem, token = connection.waiting_for_token, self._token_watch.state(now)
        return Health(
            state="waiting_for_token" if token_problem else str(session.state),
            detail=token_problem or self._waiting_for or connection.last_failure,
            is_market_open=is_open(self._rules, now),
            connected_at_ms=epoch_ms(session.connected_at),
            last_frame_at_ms=epoch_ms(session.last_frame_at),
            epoch=session.epoch,
            token_expires_at_ms=epoch_ms(token.expires_at),
            token_level=str(token.level),
            token_detail=token.text,
            token_minutes_left=token.minutes_left,
            subscribed=session.subscribed_count,
            never_seen=len(session.never_seen),
            frames=session.frames,
            unknown_frames=session.unknown_frames,
            unresolved_rows=sink.unresolved_rows,
            ticks_received=self._ticks_received,
            ticks_landed=sink.rows_landed,
            rows_waiting=sink.rows_waiting,
            is_catching_up=sink.is_catching_up,
            gaps=self._gaps,
            journal_bytes=self._journal_bytes,
            is_journal_over_cap=self._journal_bytes > self._config.journal_cap_bytes,
            database="up" if sink.is_up else "down",
            reconnects=max(0, session.connections - 1),
            viewers=self.live_feed.viewer_count,
            dropped_updates=self.live_feed.dropped_updates,
            now_ms=round(now.timestamp() * 1000),
        )


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
