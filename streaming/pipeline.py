"""The streaming process as a whole: what is started, in which order, and how it stops.

The feed does not wait for the database: it is received and journaled from the first second, and
landed when the database is there. Each part's own rules stand in its module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

import structlog

from brokers.interface import Broker, FeedCodec, TokenSource
from brokers.planner import explain
from market.errors import DatabaseUnavailable
from market.rules import IST, Rules
from storage import chains, gap_book, instruments
from storage.frame_log import FrameLog, Newest
from storage.ticks import TickStore
from streaming.alert_post import AlertPost, log_channel, webhook_channel
from streaming.alerts import AlertDesk
from streaming.api import LiveFeed
from streaming.arrivals import Arrival, Epochs
from streaming.chain_view import view_of
from streaming.checkup import Checkup, Counts
from streaming.connection import ConnectionConfig, FeedConnection
from streaming.feed import Event, FeedSession, GapOpened, GapSeen
from streaming.gaps import REST_SLOT, GapKeeper
from streaming.listing import Listing
from streaming.live import LiveState
from streaming.minute_keeper import MinuteKeeper
from streaming.planning import Planning
from streaming.rest_prices import RestPrices
from streaming.sink import Sink, SinkConfig
from streaming.skew import ClockSkew
from streaming.sockets import Socket, Sockets
from streaming.stream_config import StreamConfig
from streaming.telegram import Telegram
from streaming.token_watch import TokenWatch
from streaming.webhook import Webhook, to_all
from transforms.warming import warm

# As many as any account of the brokers that we know may open.
MOST_SOCKETS = 5

log = structlog.get_logger(__name__)


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
    frames = config.log()
    newest = await asyncio.to_thread(frames.newest)
    gaps = await asyncio.to_thread(
        GapKeeper, config.journal_folder / gap_book.FILE_NAME, frames, newest
    )
    pipeline = _Pipeline(
        config,
        frames,
        newest,
        gaps,
        broker=broker,
        codec=codec,
        tokens=tokens,
        rules=rules,
        clock=clock,
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
        gaps: GapKeeper,
        *,
        broker: Broker,
        codec: FeedCodec,
        tokens: TokenSource,
        rules: Rules,
        clock: Callable[[], datetime],
    ) -> None:
        self._config, self._broker, self._tokens = config, broker, tokens
        self._rules, self._clock, self._codec = rules, clock, codec
        self._frames, self._counts, self._skew = frames, Counts(), ClockSkew()
        self._gaps, self._epochs = gaps, Epochs(newest.epoch)
        self._listing = Listing(broker, config.dsn, clock)
        self._live = LiveState(config.mark_seconds)
        self._sockets = Sockets([self._socket(index) for index in range(MOST_SOCKETS)])
        self._planning = Planning(
            config.planning(),
            broker,
            self._listing,
            self._sockets,
            spots=self._live.spots,
            clock=clock,
            on_change=self._follow_planned,
        )
        self._rest = RestPrices(
            config.rest(),
            broker,
            codec,
            rules=rules,
            clock=clock,
            sockets=self._sockets,
            planning=self._planning,
            frames=frames,
            epochs=self._epochs,
            on_arrival=self._on_answer,
            on_gap=partial(gaps.closed, REST_SLOT),
        )
        self._sink = Sink(
            lambda: TickStore(config.dsn),
            frames,
            codec,
            self._listing.ids_by_key,
            lambda day: instruments.numbers_by_key(config.dsn, day),
            gaps=gaps,
            config=SinkConfig(clock=clock),
            open_epochs=self._open_epochs,
        )
        self._senders = Webhook(config.webhook_url), Telegram(config.telegram)
        self._token_watch = TokenWatch(
            tokens,
            rules,
            lambda: self._checkup.token_problem,
            lambda: self._checkup.is_let_in,
            to_all(self._senders),
        )
        self._checkup = Checkup(
            self._counts,
            self._skew,
            self._sockets,
            self._rest,
            self._listing,
            self._sink,
            self._token_watch,
            rules,
            clock,
            config.journal_cap_bytes,
        )
        self._alerts = AlertDesk(rules)
        self._minutes = MinuteKeeper(
            config.dsn,
            self._alerts,
            rules,
            clock,
            lambda: self._sink.is_up and not self._sink.is_catching_up,
            config.tick_keep_days,
        )
        channels = log_channel, *map(webhook_channel, self._senders)
        self._alert_post = AlertPost(self._alerts, config.dsn, clock, channels)
        self.live_feed = LiveFeed(
            self._live,
            lambda: self._checkup.health(self.live_feed).as_json(),
            lambda: clock().timestamp() * 1000,
            config.push_seconds,
            alerts=self._alerts,
            plan=self._told_plan,
        )

    def _socket(self, index: int) -> Socket:
        session = FeedSession(
            self._codec,
            self._rules,
            self._config.patience,
            self._gaps.data_until(index),
            self._gaps.missed_keys(index),
        )
        connection = FeedConnection(
            session,
            self._broker.authorize_feed,
            self._tokens,
            ConnectionConfig(),
            frames=self._frames,
            epochs=self._epochs,
            clock=self._clock,
            on_arrival=self._on_arrival,
            on_event=partial(self._on_event, index),
        )
        return Socket(index, session, connection)

    async def run(self, stop: asyncio.Event) -> None:
        """Receive and land until ``stop``; then stop reading first, and land what is left."""
        drained = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(self._receive())
                landing = group.create_task(self._land(drained))
                group.create_task(self._stop(stop, receiving, landing, drained))
        finally:
            await self._gaps.close()

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
            for sender in self._senders:
                group.create_task(sender.run())
            group.create_task(self._token_watch.run(self._clock))
            group.create_task(self._watch_journal())
            group.create_task(self._follow_feed())

    async def _watch_journal(self) -> None:
        while True:
            sessions = {socket.index: socket.session for socket in self._sockets.members}
            self._gaps.follow(sessions, self._clock())
            self._counts.journal_bytes = await asyncio.to_thread(self._frames.size_bytes)
            await asyncio.sleep(1.0)

    async def _follow_feed(self) -> None:
        await self._listing.read()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._planning.run())
            group.create_task(self._sockets.run())
            group.create_task(self._rest.run())
            group.create_task(self._mark())
            group.create_task(self._alert_post.run())

    async def _land(self, stop: asyncio.Event) -> None:
        # Compiling takes seconds where nothing is cached, and would hold up the loop at a mark.
        await asyncio.to_thread(warm)
        await self._listing.register()
        self._follow_planned()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._follow_chains()),
                group.create_task(self._minutes.run()),
            ]
            await self._sink.run(stop)
            for task in beside:
                task.cancel()

    def _follow_planned(self) -> None:
        followed = self._planning.followed
        self._live.follow(followed, self._listing.ids)
        self._alerts.follow(followed)

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
            self._live.take_chain(view, self._listing.ids)
            self._alerts.take_levels(symbol, view.levels)

    def _on_arrival(self, arrival: Arrival) -> None:
        self._on_answer(arrival)
        if (frame := arrival.frame) is not None:
            self._rest.take_frame(frame)
            if frame.published_at_ms is not None:
                self._skew.take(frame.published_at_ms, arrival.received_at_ns / 1_000_000)

    def _on_answer(self, arrival: Arrival) -> None:
        self._sink.offer(arrival)
        if arrival.frame is not None:
            self._counts.ticks += arrival.row_count
            self._live.take_frame(arrival.frame, arrival.received_at_ns / 1_000_000)
            self._alerts.take_frame(arrival.frame, arrival.received_at_ns / 1_000_000)

    def _on_event(self, index: int, event: Event) -> None:
        if isinstance(event, GapOpened):
            self._gaps.opened(index, event)
        elif isinstance(event, GapSeen):
            self._counts.gaps += 1
            self._gaps.closed(index, event)

    def _open_epochs(self) -> set[int]:
        epoch = self._rest.epoch
        return self._sockets.open_epochs() | (set() if epoch is None else {epoch})

    def _told_plan(self) -> Mapping[str, object]:
        if (plan := self._planning.plan) is None:
            return {}
        chains_of, today = self._config.chains, self._clock().astimezone(IST).date()
        cadence = chains_of(self._listing.instruments, today) if chains_of else None
        return explain(plan, cadence, self._rest.poll_plan()).as_json()


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
