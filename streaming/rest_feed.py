"""Prices over REST: asks what ``fallback`` decides, and sends the answers the socket's way.

The shell: calls in threads, each answer journaled under an epoch of its own before it is decoded,
then handed on. Whose prices are needed and when is decided in ``fallback``; what an answer says is
read by the codec. Answers that only compare (``shadow``) are neither journaled nor landed: the
socket has told those prices already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import structlog

from brokers.interface import FeedCodec, FeedFrame
from market.errors import (
    AuthenticationError,
    BrokerError,
    FrameError,
    RateLimited,
    RequestRejected,
)
from storage.frame_log import FrameWriter
from streaming.arrivals import Arrival, epoch_ns
from streaming.fallback import Event, Fallback, HandedBack, Situation
from streaming.polling import Ask, Purpose

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RestCounts:
    """What became of the calls since the start.

    Attributes:
        answered: answers that could be read.
        delayed: calls that the budget, or the broker, had no room for.
        failed: calls without a usable answer, refused ones included.
    """

    answered: int = 0
    delayed: int = 0
    failed: int = 0


class RestFeed:
    """Polls quotes until its task is cancelled.

    Args:
        quotes: the broker's blocking call; run in a thread.
        situation: asked a few times a second, in the loop.
        open_writer: a new epoch and its writer; called when a first answer is to be kept.
        on_arrival: takes each journaled answer; must not block.
        on_event: takes what the core tells; must not block.
        on_comparison: takes an answer that is for comparing only, and our clock at its receipt in
            epoch ms; must not block.
        calls_at_once: most calls under way; each has a thread.

    Attributes:
        waiting_for_token: why the broker refuses the token; None if it does not.
        last_failure: why the newest call that failed did; None after an answer.
        epoch: what is being written; None while nothing is.
    """

    def __init__(
        self,
        core: Fallback,
        quotes: Callable[[Sequence[str]], bytes],
        codec: FeedCodec,
        *,
        situation: Callable[[], Situation],
        open_writer: Callable[[], tuple[int, FrameWriter]],
        clock: Callable[[], datetime],
        on_arrival: Callable[[Arrival], None],
        on_event: Callable[[Event], None],
        on_comparison: Callable[[FeedFrame, float], None] = lambda frame, received_at_ms: None,
        tick_seconds: float = 0.25,
        calls_at_once: int = 4,
    ) -> None:
        self.waiting_for_token: str | None = None
        self.last_failure: str | None = None
        self.epoch: int | None = None
        self.counts = RestCounts()
        self._core, self._quotes, self._codec = core, quotes, codec
        self._situation = situation
        self._open_writer = open_writer
        self._clock = clock
        self._on_arrival, self._on_event = on_arrival, on_event
        self._on_comparison = on_comparison
        self._tick_seconds = tick_seconds
        self._calls_at_once = calls_at_once
        self._writer: FrameWriter | None = None
        self._under_way = 0
        self._is_epoch_over = False

    async def run(self) -> None:
        """Ask, journal, hand on, for ever.

        Raises:
            JournalError: an answer could not be kept; in an exception group.
        """
        # Threads of its own: slow answers must not keep the database's work waiting.
        threads = ThreadPoolExecutor(self._calls_at_once, "quotes")
        try:
            async with asyncio.TaskGroup() as calls:
                while True:
                    self._step(calls, threads)
                    await asyncio.sleep(self._tick_seconds)
        finally:
            self._close()
            threads.shutdown(wait=False, cancel_futures=True)

    def _step(self, calls: asyncio.TaskGroup, threads: ThreadPoolExecutor) -> None:
        for ask in self._core.step(self._situation(), self._clock()):
            self._under_way += 1
            calls.create_task(self._call(ask, threads))
        self._tell_events()
        if self._writer:
            self._writer.sync()
            is_over = self._is_epoch_over or not self._core.is_polling
            if is_over and not self._under_way:
                self._close()

    async def _call(self, ask: Ask, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(threads, self._quotes, ask.keys)
            self._take(ask, body)
        except BrokerError as error:
            self._fail(ask, error)
        finally:
            self._under_way -= 1

    def _take(self, ask: Ask, body: bytes) -> None:
        received_at_ns = epoch_ns(self._clock())
        if ask.purpose is Purpose.SHADOW:
            if (frame := self._decoded(ask, body)) is not None:
                self._on_comparison(frame, received_at_ns / 1_000_000)
            return
        epoch, writer = self._journal()
        sequence = writer.append(received_at_ns, body)
        frame = self._decoded(ask, body)
        self._on_arrival(Arrival(epoch, sequence, received_at_ns, frame))

    def _decoded(self, ask: Ask, body: bytes) -> FeedFrame | None:
        try:
            frame = self._codec.decode(body)
        except FrameError as error:
            # An answer of another shape will not be of the right one in a moment.
            self._count_failure(str(error))
            self._core.failed(ask)
            return None
        self.waiting_for_token = self.last_failure = None
        self.counts.answered += 1
        self._core.answered(ask)
        return frame

    def _fail(self, ask: Ask, error: BrokerError) -> None:
        match error:
            case RateLimited():
                self.counts.delayed += 1
                self.last_failure = str(error)
                self._core.delayed(ask)
                return
            case RequestRejected():
                self._core.rejected(ask)
            case AuthenticationError():
                self.waiting_for_token = str(error)
                self._core.failed(ask)
            case _:
                self._core.failed(ask)
        self._count_failure(str(error))

    def _count_failure(self, reason: str) -> None:
        self.counts.failed += 1
        if self.last_failure != reason:
            log.warning("quotes not read", reason=reason)
        self.last_failure = reason

    def _journal(self) -> tuple[int, FrameWriter]:
        if self._writer is None or self.epoch is None:
            self._is_epoch_over = False
            self.epoch, self._writer = self._open_writer()
        return self.epoch, self._writer

    def _close(self) -> None:
        writer, self._writer, self.epoch = self._writer, None, None
        if writer:
            writer.close()

    def _tell_events(self) -> None:
        for event in self._core.events():
            # What a stand-in wrote is complete then, and its file can be sealed.
            self._is_epoch_over |= isinstance(event, HandedBack)
            self._on_event(event)
