"""What the streaming process tells about itself, as one record with the live feed's field names.

Only the record and its JSON; each figure is kept by whoever causes it and gathered in ``pipeline``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SocketHealth:
    """One socket that has something to deliver.

    Attributes:
        index: counts from 0, as in the plan.
        state: of its session.
        detail: why it is not live, in words; None if it is.
        keys: what it should deliver; ``never_seen`` of them it has not told anything about.
    """

    index: int
    state: str
    detail: str | None
    epoch: int
    keys: int
    never_seen: int
    last_frame_at_ms: int | None
    reconnects: int


@dataclass(frozen=True, slots=True)
class Health:
    """One moment of the feed; instants are epoch ms, None where there is none yet.

    Attributes:
        state: the worst state of the sockets, ``waiting_for_token`` while the broker refuses ours;
            without sockets ``starting`` until the first answer, then ``polling``.
        detail: why the feed is not live, in words; None if it is.
        mode: ``hybrid``, ``rest`` or ``shadow``.
        fallback_since_ms: since when REST stands in for a socket; None while it does not.
        rest_calls_per_minute, rest_answers: what prices over REST cost now, and answers so far.
        parity: how both sources compare, in ``shadow``; None otherwise.
        sockets: those that have something to deliver.
        is_market_open: whether a session is under way; silence is no fault while there is none.
        token_level: ``ok``, ``warning`` or ``alarm``; ``token_detail`` says why, in words.
        token_minutes_left: whole minutes that the token has left; None if it does not tell.
        last_frame_at_ms: of any socket, or of an answer over REST.
        epoch: of the connection that was opened last.
        subscribed, never_seen: keys requested on open connections, and those never told about.
        unknown_frames: frames that could not be used; they stay in the journal.
        unresolved_rows: rows whose key no known instrument has; they were not landed.
        rows_waiting: decoded rows in memory that are not landed yet.
        is_catching_up: the sink reads the journal, not the memory.
        gaps: gaps seen by this process.
        journal_bytes: size of the frame journal on disk.
        is_journal_over_cap: the journal has outgrown its cap and nothing landed can be pruned.
        database: ``up`` or ``down``.
        failed_attempts: attempts to connect that came to nothing, over all sockets.
        dropped_updates: pushes that slow viewers were spared; their next one carries the newest.
        clock_skew_ms: by how much our clock is ahead of the exchange's, the fastest frame's way
            included; negative if it is behind; None before any frame.
    """

    state: str
    detail: str | None
    mode: str
    fallback_since_ms: int | None
    rest_calls_per_minute: float
    rest_answers: int
    parity: Mapping[str, object] | None
    sockets: tuple[SocketHealth, ...]
    is_market_open: bool
    connected_at_ms: int | None
    last_frame_at_ms: int | None
    epoch: int
    token_expires_at_ms: int | None
    token_level: str
    token_detail: str
    token_minutes_left: int | None
    subscribed: int
    never_seen: int
    frames: int
    unknown_frames: int
    unresolved_rows: int
    ticks_received: int
    ticks_landed: int
    rows_waiting: int
    is_catching_up: bool
    gaps: int
    journal_bytes: int
    is_journal_over_cap: bool
    database: str
    reconnects: int
    failed_attempts: int
    viewers: int
    dropped_updates: int
    clock_skew_ms: float | None
    now_ms: int

    def as_json(self) -> Mapping[str, object]:
        """The ``health`` message."""
        return {"type": "health", **asdict(self)}


def epoch_ms(instant: datetime | None) -> int | None:
    """An aware instant as epoch milliseconds."""
    return None if instant is None else round(instant.timestamp() * 1000)
