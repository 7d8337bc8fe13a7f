"""The health message, gathered from the parts that cause its figures.

What the fields mean stands in ``health``; what is done about them belongs to each part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from market.rules import Rules
from market.session import is_open
from streaming.api import LiveFeed
from streaming.fallback import PriceMode
from streaming.health import Health, SocketHealth, epoch_ms
from streaming.listing import Listing
from streaming.rest_prices import RestPrices
from streaming.sink import Sink
from streaming.skew import ClockSkew
from streaming.sockets import Socket, Sockets
from streaming.token_watch import TokenWatch


@dataclass(slots=True)
class Counts:
    """What only the pipeline sees.

    Attributes:
        ticks: rows received so far, from sockets and over REST.
        gaps: gaps of the sockets that ended so far.
        journal_bytes: size of the log when it was last looked at.
    """

    ticks: int = 0
    gaps: int = 0
    journal_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that is asked; ``live_feed`` comes last, since it serves the answer."""

    counts: Counts
    skew: ClockSkew
    sockets: Sockets
    rest: RestPrices
    listing: Listing
    sink: Sink
    token_watch: TokenWatch
    rules: Rules
    clock: Callable[[], datetime]
    journal_cap_bytes: int

    def health(self, live_feed: LiveFeed) -> Health:
        """How things stand now."""
        counts, sockets, rest, sink = self.counts, self.sockets, self.rest, self.sink
        sessions = [socket.session for socket in sockets.members]
        now, token_problem = self.clock(), self.token_problem
        token = self.token_watch.state(now)
        return Health(
            state="waiting_for_token" if token_problem else self._state(),
            detail=token_problem or self._why_not(),
            mode=str(rest.mode),
            fallback_since_ms=epoch_ms(rest.since),
            rest_calls_per_minute=rest.calls_per_minute,
            rest_answers=rest.answers,
            parity=rest.parity(),
            sockets=tuple(map(_socket, sockets.working)),
            is_market_open=is_open(self.rules, now),
            connected_at_ms=epoch_ms(_newest(s.connected_at for s in sessions)),
            last_frame_at_ms=epoch_ms(
                _newest([rest.last_answer_at, *(s.last_frame_at for s in sessions)])
            ),
            epoch=max(s.epoch for s in sessions),
            token_expires_at_ms=epoch_ms(token.expires_at),
            token_level=str(token.level),
            token_detail=token.text,
            token_minutes_left=token.minutes_left,
            subscribed=sum(s.subscribed_count for s in sessions),
            never_seen=sum(len(s.never_seen) for s in sessions),
            frames=sum(s.frames for s in sessions),
            unknown_frames=sum(s.unknown_frames for s in sessions),
            unresolved_rows=sink.unresolved_rows,
            ticks_received=counts.ticks,
            ticks_landed=sink.rows_landed,
            rows_waiting=sink.rows_waiting,
            is_catching_up=sink.is_catching_up,
            gaps=counts.gaps,
            journal_bytes=counts.journal_bytes,
            is_journal_over_cap=counts.journal_bytes > self.journal_cap_bytes,
            database="up" if sink.is_up else "down",
            reconnects=sum(max(0, s.connections - 1) for s in sessions),
            failed_attempts=sum(s.connection.failures for s in sockets.members),
            viewers=live_feed.viewer_count,
            dropped_updates=live_feed.dropped_updates,
            clock_skew_ms=self.skew.milliseconds,
            now_ms=round(now.timestamp() * 1000),
        )

    @property
    def token_problem(self) -> str | None:
        """Why the broker refuses the token, to whichever part it said so."""
        return self.sockets.waiting_for_token or self.rest.waiting_for_token

    @property
    def is_let_in(self) -> bool:
        """Whether the broker takes the token, as far as anyone was told."""
        return self.sockets.is_let_in or (self.rest.answers > 0 and not self.token_problem)

    def _why_not(self) -> str | None:
        """Why prices do not come as they should, in words."""
        return self.listing.waiting_for or self.sockets.last_failure or self.rest.last_failure

    def _state(self) -> str:
        if self.rest.mode is PriceMode.REST:
            return "polling" if self.rest.answers else "starting"
        return str(self.sockets.state)


def _socket(socket: Socket) -> SocketHealth:
    session = socket.session
    return SocketHealth(
        index=socket.index,
        state=str(session.state),
        detail=socket.connection.last_failure,
        epoch=session.epoch,
        keys=len(session.wanted),
        never_seen=len(session.never_seen),
        last_frame_at_ms=epoch_ms(session.last_frame_at),
        reconnects=max(0, session.connections - 1),
    )


def _newest(instants: Iterable[datetime | None]) -> datetime | None:
    return max((instant for instant in instants if instant), default=None)
