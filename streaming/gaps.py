"""Keeps the gaps of every socket until the database has them, whatever dies in between.

When a gap begins and ends is decided in ``feed``, how it lies on disk in ``storage.gap_book``, when
the database is told in ``sink``. Here the book is opened, written to as things happen, and asked
where a new process begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from market.errors import JournalError
from storage.frame_log import FrameLog, Newest
from storage.gap_book import ClosedGap, Entry, GapBook, IdleSlot, LiveSlot, OpenGap, Recorded
from streaming.feed import FeedSession, GapOpened, GapSeen, State

# What comes over REST alone has a slot like a socket's.
REST_SLOT = -1

log = structlog.get_logger(__name__)


class GapKeeper:
    """The gaps of one process and of those before it.

    A slot is a socket's index. A book that cannot be kept is loud, and the feed goes on: gaps are
    then safe in memory only.

    Args:
        path: the book's file; opening it blocks.
        frames: where earlier processes left the frames that they received.
        newest: the newest of these.
    """

    def __init__(self, path: Path, frames: FrameLog, newest: Newest) -> None:
        self._book = GapBook(path)
        self._newest = newest
        self._is_kept = True
        self._syncing: asyncio.Task[None] | None = None
        self._is_dirty = False
        self._open(frames)

    @property
    def waiting(self) -> tuple[ClosedGap, ...]:
        """Gaps that the database does not have yet, oldest first."""
        return self._book.waiting

    def data_until(self, slot: int) -> datetime | None:
        """Since when a slot has given nothing (aware UTC), as this process begins."""
        known = self._book.slots.get(slot)
        return known.from_at if isinstance(known, OpenGap) else self._newest.received_at

    def missed_keys(self, slot: int) -> Collection[str]:
        """What it should have given in that time, as far as it is known."""
        known = self._book.slots.get(slot)
        return known.keys if isinstance(known, OpenGap) else ()

    def opened(self, slot: int, gap: GapOpened) -> None:
        """Take the beginning of a gap, or that it touches more."""
        self._note(OpenGap(slot, gap.from_at, gap.reason, gap.keys))

    def closed(self, slot: int, gap: GapSeen) -> None:
        """Take a gap that is over, to be recorded when the database can.

        It begins no later than the one that was noted as open there.
        """
        known, from_at, keys = self._book.slots.get(slot), gap.from_at, gap.keys
        if isinstance(known, OpenGap) and known.from_at < from_at:
            from_at, keys = known.from_at, tuple(sorted({*known.keys, *keys}))
        self._note(ClosedGap(slot, from_at, gap.to_at, gap.reason, gap.epoch, keys))

    def recorded(self, gap: ClosedGap) -> None:
        """The database has it."""
        self._note(Recorded(gap.slot, gap.from_at, gap.to_at, gap.reason, gap.epoch))

    def follow(self, sessions: Mapping[int, FeedSession], now: datetime) -> None:
        """Look at what the slots do, about once a second; a plan may take everything from one.

        The gap of a slot that nothing is wanted of ends when all others are back, since they have
        its keys now.
        """
        working = {slot: session for slot, session in sessions.items() if session.wanted}
        well = {slot: s for slot, s in working.items() if s.state is State.LIVE and not s.has_gap}
        for slot, session in well.items():
            self._follow_live(slot, session)
        if working and len(well) == len(working):
            epoch = max(session.epoch for session in working.values())
            for slot in {*sessions, *self._book.slots} - set(working):
                self._relieve(slot, sessions.get(slot), now, epoch)

    async def close(self) -> None:
        """Force the book to disk and let go of it."""
        if self._syncing:
            await asyncio.wait([self._syncing])
        self._try(self._book.close)

    def _open(self, frames: FrameLog) -> None:
        """Blocks. What was well when the last process died is missed since its last record."""
        self._try(self._book.open)
        if self._book.damaged_lines:
            log.error("gap book is damaged", lines=self._book.damaged_lines)
        for slot, known in self._book.slots.items():
            if isinstance(known, LiveSlot):
                last_at = frames.last_received_at(known.epoch) or known.since
                if since := last_at or self._newest.received_at:
                    gap = OpenGap(slot, since, "restart", known.keys)
                    self._try(partial(self._book.note, gap))
        self._try(self._sync_now)

    def _sync_now(self) -> None:
        self._book.sync_job()()

    def _follow_live(self, slot: int, session: FeedSession) -> None:
        known, keys = self._book.slots.get(slot), session.wanted_keys
        # An open gap there is one whose end has not been told yet.
        if isinstance(known, OpenGap):
            return
        since = known.since if known and known.epoch == session.epoch else None
        if (live := LiveSlot(slot, session.epoch, keys, since)) != known:
            self._note(live)

    def _relieve(self, slot: int, session: FeedSession | None, now: datetime, epoch: int) -> None:
        if session is not None:
            session.forget_gap()
        known = self._book.slots.get(slot)
        if isinstance(known, OpenGap):
            to_at = max(now, known.from_at)
            gap = ClosedGap(slot, known.from_at, to_at, known.reason, epoch, known.keys)
            log.warning("feed gap ended by other sockets", slot=slot, reason=known.reason)
            self._note(gap, IdleSlot(slot))
        elif known:
            self._note(IdleSlot(slot))

    def _note(self, *entries: Entry) -> None:
        """The operating system has it when this returns, the disk soon after."""
        if self._try(partial(self._book.note, *entries)):
            self._is_dirty = True
            if self._syncing is None or self._syncing.done():
                self._syncing = asyncio.create_task(self._sync())

    async def _sync(self) -> None:
        while self._is_dirty:
            self._is_dirty = False
            try:
                await asyncio.to_thread(self._book.sync_job())
            except JournalError as error:
                self._tell_failure(error)

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except JournalError as error:
            self._tell_failure(error)
            return False
        self._is_kept = True
        return True

    def _tell_failure(self, error: JournalError) -> None:
        """Once, until it works again."""
        if self._is_kept:
            log.error("gaps are kept in memory only", reason=str(error))
        self._is_kept = False
