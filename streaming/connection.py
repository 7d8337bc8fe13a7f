"""The feed's socket: authorize, connect, read, ping, send, back off.

Whatever must be decided (subscription, liveness, gaps) is asked of ``feed``; this shell only waits
and moves bytes. The read loop does four things and no more: receive, journal, decode, hand on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from brokers.interface import TokenSource
from market.errors import AuthenticationError, BrokerError
from storage.frame_log import FrameLog, FrameWriter
from streaming.arrivals import Arrival, Epochs, epoch_ns
from streaming.dialing import dial
from streaming.feed import Event, FeedSession, FrameUnreadable, GapSeen, WentLive, WentStale
from streaming.retries import (
    Delays,
    Failure,
    Repeats,
    failure_of,
    quick_backoff,
    refused_backoff,
    unreached_backoff,
)

# A first snapshot of 2 000 instruments passes websockets' default of 1 MiB.
MAX_FRAME_BYTES = 16 * 1024 * 1024
# How late a look at the clock may come before it says more about us than about the line.
_LATE_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """Timings of the shell, seconds.

    Attributes:
        tick_seconds: how often silence is judged.
        ping_seconds: between our pings, whose answers are signs of life.
        connect_seconds: for one TCP connection, in which nobody is asked anything yet.
        open_seconds: for TLS and the handshake, which the broker has to answer.
        token_poll_seconds: how often a missing or refused token is looked for again.
        token_retry_seconds: when a refused token that has not changed is tried again.
    """

    tick_seconds: float = 0.5
    ping_seconds: float = 1.0
    connect_seconds: float = 1.5
    open_seconds: float = 6.0
    close_seconds: float = 1.0
    send_seconds: float = 10.0
    token_poll_seconds: float = 2.0
    token_retry_seconds: float = 60.0
    quick_delays: Callable[[], Iterator[float]] = quick_backoff
    refused_delays: Callable[[], Iterator[float]] = refused_backoff
    unreached_delays: Callable[[], Iterator[float]] = unreached_backoff

    def delays(self) -> Delays:
        """The delays of each failure that is waited out."""
        return Delays(
            {
                Failure.BROKEN: self.quick_delays,
                Failure.REFUSED: self.refused_delays,
                Failure.UNREACHED: self.unreached_delays,
            }
        )


class FeedConnection:
    """Keeps one session connected until its task is cancelled.

    Args:
        authorize: the blocking call that gives a one-time address; run in a thread.
        frames: where each frame is kept before anything is made of it.
        epochs: numbers the connections of the whole process.
        on_arrival: takes each journaled frame; must not block.
        on_event: takes each event of the session; must not block.

    Attributes:
        failures: attempts and connections that failed, ever.
    """

    def __init__(
        self,
        session: FeedSession,
        authorize: Callable[[], str],
        tokens: TokenSource,
        config: ConnectionConfig,
        *,
        frames: FrameLog,
        epochs: Epochs,
        clock: Callable[[], datetime],
        on_arrival: Callable[[Arrival], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self.waiting_for_token: str | None = None
        self.last_failure: str | None = None
        self.epoch: int | None = None
        self.failures = 0
        self._session = session
        self._authorize = authorize
        self._tokens = tokens
        self._config = config
        self._frames = frames
        self._epochs = epochs
        self._clock = clock
        self._on_arrival = on_arrival
        self._on_event = on_event
        self._was_live = False
        self._repeats = Repeats()
        self._has_output = asyncio.Event()

    def wake(self) -> None:
        """Send what the session has queued, now."""
        self._has_output.set()

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        delays = self._config.delays()
        while True:
            error = await self._attempt()
            if self._was_live:
                delays.start_afresh()
            if (failure := failure_of(error)) is Failure.UNAUTHORIZED:
                await self._wait_for_token(error)
            else:
                await asyncio.sleep(delays.next_seconds(failure))

    async def _attempt(self) -> Exception:
        """One connection from authorization to loss; returns what ended it."""
        session, config = self._session, self._config
        session.connecting()
        self._was_live = False
        reason = "stopped"
        try:
            address = await asyncio.to_thread(self._authorize)
            async with connect(
                address,
                sock=await dial(address, config.connect_seconds),
                max_size=MAX_FRAME_BYTES,
                max_queue=512,
                compression=None,
                proxy=None,
                ping_interval=None,  # our own pings below, so that the session hears the answers
                open_timeout=config.open_seconds,
                close_timeout=config.close_seconds,
            ) as socket:
                await self._converse(socket)
            raise ConnectionError("the read loop ended")
        except (BrokerError, WebSocketException, OSError, TimeoutError) as error:
            reason = _reason(error)
            self._failed(error, session.stale_reason or reason)
            return error
        finally:
            session.lost(reason)
            self._tell_events()

    def _failed(self, error: Exception, reason: str) -> None:
        self.failures += 1
        self.last_failure = reason
        if self._repeats.is_worth_telling(failure_of(error), self._clock()):
            log.warning(
                "feed connection lost, equal failures are told every few minutes",
                reason=reason,
                epoch=self._session.epoch,
                times=self._repeats.count,
            )

    async def _converse(self, socket: ClientConnection) -> None:
        now = self._clock()
        epoch = self.epoch = self._epochs.next(now)
        journal = self._frames.writer(epoch)
        self._session.opened(epoch, now)
        tending = asyncio.create_task(self._tend(socket, journal))
        try:
            await self._read(socket, journal, epoch)
        finally:
            tending.cancel()
            with suppress(asyncio.CancelledError):
                await tending
            journal.close()
            self.epoch = None

    async def _read(self, socket: ClientConnection, journal: FrameWriter, epoch: int) -> None:
        session = self._session
        while True:
            frame = await socket.recv(decode=False)
            now = self._clock()
            received_at_ns = epoch_ns(now)
            sequence = journal.append(received_at_ns, frame)
            decoded = session.received(frame, now)
            self._on_arrival(Arrival(epoch, sequence, received_at_ns, decoded))
            if session.has_output:
                self._has_output.set()

    async def _tend(self, socket: ClientConnection, journal: FrameWriter) -> None:
        """Everything but reading: requests, pings, the judgement of silence, quiet syncs."""
        looked_at = self._clock()
        pinged_at = looked_at - timedelta(days=1)
        longest = timedelta(seconds=self._config.tick_seconds + _LATE_SECONDS)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.tick_seconds):
                    await self._has_output.wait()
            self._has_output.clear()
            now = self._clock()
            # After a stall of ours, or a leap of the clock, the silence may be our own: what the
            # socket holds is read before the next look.
            if now - looked_at <= longest:
                self._session.time_passes(now)
            looked_at = now
            self._tell_events()
            if self._session.stale_reason:
                await socket.close()
                return
            if not await self._send(socket):
                return
            if now - pinged_at >= timedelta(seconds=self._config.ping_seconds):
                pinged_at = now
                await self._ping(socket)
            journal.sync()

    async def _send(self, socket: ClientConnection) -> bool:
        try:
            async with asyncio.timeout(self._config.send_seconds):
                for request in self._session.data_to_send():
                    await socket.send(request)
        except (TimeoutError, WebSocketException) as error:
            log.warning("feed request not sent", reason=_reason(error))
            await socket.close()
            return False
        return True

    async def _ping(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException):
            answer = asyncio.ensure_future(await socket.ping())
            answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[float]) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._session.answered(self._clock())

    def _tell_events(self) -> None:
        for event in self._session.events():
            _log_event(event)
            if isinstance(event, WentLive):
                self._was_live = True
                self.last_failure = None
                self._repeats.end()
            self._on_event(event)

    async def _wait_for_token(self, failure: Exception) -> None:
        """Sleep until the token source has another token, or the refused one deserves a retry."""
        refused = self._token()
        self.waiting_for_token = _reason(failure)
        log.error("feed waits for a token", reason=self.waiting_for_token)
        config = self._config
        waited = 0.0
        while waited < config.token_retry_seconds or self._token() is None:
            await asyncio.sleep(config.token_poll_seconds)
            waited += config.token_poll_seconds
            if (current := self._token()) is not None and current != refused:
                break
        self.waiting_for_token = None

    def _token(self) -> str | None:
        try:
            return self._tokens.token().reveal()
        except AuthenticationError:
            return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _log_event(event: Event) -> None:
    match event:
        case FrameUnreadable(kind, detail):
            log.warning(
                "feed frame unreadable, further ones are only counted", kind=kind, detail=detail
            )
        case WentStale(reason):
            log.warning("feed is stale", reason=reason)
        case WentLive(epoch):
            log.info("feed is live", epoch=epoch)
        case GapSeen() as gap:
            log.warning(
                "feed gap", from_at=gap.from_at, to_at=gap.to_at, reason=gap.reason, epoch=gap.epoch
            )
