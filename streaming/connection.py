"""The feed's socket: authorize, connect, read, ping, send, back off.

Whatever must be decided (subscription, liveness, gaps) is asked of ``feed``; this shell only waits
and moves bytes. The read loop does four things and no more: receive, journal, decode, hand on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from brokers.interface import TokenSource
from market.errors import AuthenticationError, BrokerError, RateLimited, RequestRejected
from storage.frame_log import FrameLog, FrameWriter
from streaming.arrivals import Arrival, Epochs, epoch_ns
from streaming.feed import Event, FeedSession, FrameUnreadable, GapSeen, WentLive, WentStale

# A first snapshot of 2 000 instruments passes websockets' default of 1 MiB.
MAX_FRAME_BYTES = 16 * 1024 * 1024
_REFUSED_STATUSES = frozenset({403, 429})

log = structlog.get_logger(__name__)


def backoff(first_seconds: float, cap_seconds: float) -> Iterator[float]:
    """Endless delays in seconds: doubling ceilings with full jitter below them."""
    ceiling = first_seconds
    while True:
        yield random.uniform(0, ceiling)  # noqa: S311 - spreads reconnects, protects nothing
        ceiling = min(cap_seconds, ceiling * 2)


def quick_backoff() -> Iterator[float]:
    """After a lost link: 0.2 s to 10 s."""
    return backoff(0.2, 10.0)


def refused_backoff() -> Iterator[float]:
    """After 403 or 429, where insisting prolongs the refusal: at least 5 s, up to 5 min."""
    return (5.0 + delay for delay in backoff(5.0, 295.0))


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """Timings of the shell, seconds.

    Attributes:
        token_poll_seconds: how often a missing or refused token is looked for again.
        token_retry_seconds: when a refused token that has not changed is tried again.
    """

    tick_seconds: float = 1.0
    ping_seconds: float = 5.0
    open_seconds: float = 10.0
    close_seconds: float = 1.0
    send_seconds: float = 10.0
    token_poll_seconds: float = 2.0
    token_retry_seconds: float = 60.0
    quick_delays: Callable[[], Iterator[float]] = quick_backoff
    refused_delays: Callable[[], Iterator[float]] = refused_backoff


class FeedConnection:
    """Keeps one session connected until its task is cancelled.

    Args:
        authorize: the blocking call that gives a one-time address; run in a thread.
        frames: where each frame is kept before anything is made of it.
        epochs: numbers the connections of the whole process.
        on_arrival: takes each journaled frame; must not block.
        on_event: takes each event of the session; must not block.
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
        self._has_output = asyncio.Event()

    def wake(self) -> None:
        """Send what the session has queued, now."""
        self._has_output.set()

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        delays = {kind: self._delays(kind) for kind in ("quick", "refused")}
        while True:
            failure = await self._attempt()
            if self._was_live:
                delays = {kind: self._delays(kind) for kind in delays}
            if _is_unauthorized(failure):
                await self._wait_for_token(failure)
            else:
                await asyncio.sleep(next(delays["refused" if _is_refused(failure) else "quick"]))

    def _delays(self, kind: str) -> Iterator[float]:
        config = self._config
        return config.refused_delays() if kind == "refused" else config.quick_delays()

    async def _attempt(self) -> Exception:
        """One connection from authorization to loss; returns what ended it."""
        session, config = self._session, self._config
        session.connecting()
        self._was_live = False
        reason = "stopped"
        try:
            async with connect(
                await asyncio.to_thread(self._authorize),
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
            self.last_failure = session.stale_reason or reason
            log.warning("feed connection lost", reason=self.last_failure, epoch=session.epoch)
            return error
        finally:
            session.lost(reason)
            self._tell_events()

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
        pinged_at = self._clock() - timedelta(days=1)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.tick_seconds):
                    await self._has_output.wait()
            self._has_output.clear()
            now = self._clock()
            self._session.time_passes(now)
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


def _status(error: Exception) -> int | None:
    if isinstance(error, InvalidStatus):
        return error.response.status_code
    return error.status if isinstance(error, BrokerError) else None


def _is_unauthorized(error: Exception) -> bool:
    return isinstance(error, AuthenticationError) or _status(error) == 401


def _is_refused(error: Exception) -> bool:
    return isinstance(error, RateLimited | RequestRejected) or _status(error) in _REFUSED_STATUSES


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
