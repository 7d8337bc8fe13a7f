"""Prices over REST beside the sockets, or instead of them: the parts of it put together.

What should be asked is decided in ``fallback``, asked by ``rest_feed``, compared by ``parity``.
Here the plan and the sockets are turned into what the decision needs, and its events into gaps and
figures of health.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from brokers.interface import Broker, FeedCodec, FeedFrame
from brokers.planner import PollPlan, poll_cadence
from brokers.planner.polling import Pace
from market.rules import Rules
from market.session import is_open
from storage.frame_log import FrameLog, FrameWriter
from streaming.arrivals import Arrival, Epochs
from streaming.fallback import (
    Event,
    Fallback,
    FallbackConfig,
    HandedBack,
    KeysRefused,
    PollGroup,
    PriceMode,
    Sampled,
    Situation,
    SocketView,
    TookOver,
)
from streaming.feed import GapSeen, State
from streaming.parity import Parity
from streaming.planning import Planning
from streaming.rest_feed import RestFeed
from streaming.sockets import Socket, Sockets

# Prices of a takeover are there within five seconds, and no older than that afterwards.
_FASTEST_TAKEOVER_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RestConfig:
    """What may be spent on prices over REST.

    Attributes:
        calls_per_minute: for takeovers, and again for what no socket has room for.
        interval_seconds: how often what no socket delivers should be asked for, as told now.
    """

    mode: PriceMode = PriceMode.HYBRID
    calls_per_minute: float = 18.0
    interval_seconds: Callable[[], float] = lambda: 30.0


class RestPrices:
    """The REST side of the feed.

    Args:
        on_arrival: takes each journaled answer; must not block.
        on_gap: takes what was only sampled; its epoch is the one that the samples are in.

    Attributes:
        since: when REST began to stand in for a socket (aware UTC); None while it does not.
        last_answer_at: when the newest answer that was handed on came (aware UTC).
    """

    def __init__(
        self,
        config: RestConfig,
        broker: Broker,
        codec: FeedCodec,
        *,
        rules: Rules,
        clock: Callable[[], datetime],
        sockets: Sockets,
        planning: Planning,
        frames: FrameLog,
        epochs: Epochs,
        on_arrival: Callable[[Arrival], None],
        on_gap: Callable[[GapSeen], None],
    ) -> None:
        self.since: datetime | None = None
        self.last_answer_at: datetime | None = None
        self._on_arrival = on_arrival
        self._config, self._rules, self._clock = config, rules, clock
        self._sockets, self._planning = sockets, planning
        self._frames, self._epochs, self._on_gap = frames, epochs, on_gap
        self._parity = Parity() if config.mode is PriceMode.SHADOW else None
        pace = Pace(config.calls_per_minute, _FASTEST_TAKEOVER_SECONDS)
        self._core = Fallback(FallbackConfig(config.mode, pace=pace))
        self._feed = RestFeed(
            self._core,
            broker.quotes,
            codec,
            situation=self._situation,
            open_writer=self._open_writer,
            clock=clock,
            on_arrival=self._take,
            on_event=self._on_event,
            on_comparison=self._compare,
        )

    @property
    def mode(self) -> PriceMode:
        """Which source of prices is used."""
        return self._config.mode

    @property
    def calls_per_minute(self) -> float:
        """What is spent on prices at the moment."""
        return self._core.calls_per_minute

    @property
    def epoch(self) -> int | None:
        """The epoch that answers are written to now, if there is one."""
        return self._feed.epoch

    @property
    def waiting_for_token(self) -> str | None:
        """Why the broker refuses the token, if it does; what nobody asks for is not refused."""
        return self._feed.waiting_for_token if self._core.is_polling else None

    @property
    def last_failure(self) -> str | None:
        """Why the newest call failed, if it did and prices over REST are needed still."""
        return self._feed.last_failure if self._core.is_polling else None

    @property
    def answers(self) -> int:
        """Answers that could be read so far."""
        return self._feed.counts.answered

    def poll_plan(self) -> PollPlan:
        """How often what no socket delivers is asked for."""
        config, keys = self._config, self._polled()
        return poll_cadence(len(keys), config.interval_seconds(), config.calls_per_minute)

    def parity(self) -> dict[str, object] | None:
        """How the sources compare; None unless they are compared."""
        return dict(self._parity.report().as_json()) if self._parity else None

    def take_frame(self, frame: FeedFrame) -> None:
        """Take what a socket told, to be compared."""
        if self._parity:
            self._parity.take_socket(frame)

    async def run(self) -> None:
        """Ask for what is needed, until cancelled; raises JournalError in a group."""
        await self._feed.run()

    def _situation(self) -> Situation:
        keys = self._polled()
        groups = [
            PollGroup(keys[batch.first : batch.last], batch.period_seconds)
            for batch in self.poll_plan().batches
        ]
        views = [_view(socket) for socket in self._sockets.working]
        return Situation(is_open(self._rules, self._clock()), views, groups)

    def _polled(self) -> Sequence[str]:
        plan = self._planning.plan
        return [instrument.broker_key for instrument in plan.polled] if plan else []

    def _take(self, arrival: Arrival) -> None:
        self.last_answer_at = self._clock()
        self._on_arrival(arrival)

    def _open_writer(self) -> tuple[int, FrameWriter]:
        epoch = self._epochs.next(self._clock())
        return epoch, self._frames.writer(epoch)

    def _compare(self, answer: FeedFrame, received_at_ms: float) -> None:
        if self._parity:
            self._parity.take_quotes(answer)

    def _on_event(self, event: Event) -> None:
        match event:
            case TookOver():
                self.since = self.since or self._clock()
                log.warning(
                    "prices by REST",
                    socket=event.socket,
                    dead_since=event.dead_since,
                    keys=event.key_count,
                    reason=event.reason,
                )
            case HandedBack():
                self.since = self.since if self._core.taken_over else None
                log.info("prices by socket again", socket=event.socket, reason=event.reason)
            case KeysRefused():
                log.error("broker does not know keys, left out", keys=event.keys[:10])
            case Sampled():
                epoch = self._feed.epoch or 0
                span = event.from_at, event.to_at
                self._on_gap(GapSeen(*span, "sampled over REST", epoch, event.keys))


def _view(socket: Socket) -> SocketView:
    session = socket.session
    return SocketView(
        f"socket {socket.index}",
        list(session.wanted),
        session.state is State.LIVE,
        session.never_seen,
        session.last_frame_at,
    )
