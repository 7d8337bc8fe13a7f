"""Gaps outlive processes: what the next one begins with, and what becomes of sockets that go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from brokers.interface import Mode
from brokers.upstox.codec import UpstoxCodec
from market.errors import JournalError
from market.rules import AlwaysOpen
from storage.frame_log import FolderLog, Newest
from storage.gap_book import ClosedGap, GapBook
from storage.journal import JournalWriter
from streaming.feed import FeedSession, GapOpened, GapSeen
from streaming.gaps import REST_SLOT, GapKeeper
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told
from tests.streaming.waiting import run, until

NOON = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)
ONE, TWO = {"NSE_FO|1": Mode.FULL}, {"NSE_FO|2": Mode.FULL}


def at(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def keeper(folder: Path) -> GapKeeper:
    """As a process that starts on this journal has it."""
    frames = FolderLog(folder)
    return GapKeeper(folder / "gaps.book", frames, frames.newest())


def write(folder: Path, epoch: int, *seconds: float) -> None:
    """A connection's frames."""
    writer = JournalWriter(folder, epoch, 3600.0)
    for each in seconds:
        writer.append(round(at(each).timestamp() * 1e9), b"frame")
    writer.close()


def session(made: GapKeeper, slot: int, keys: dict[str, Mode]) -> FeedSession:
    """A socket of this process that wants ``keys``."""
    began = made.data_until(slot), made.missed_keys(slot)
    found = FeedSession(UpstoxCodec(), AlwaysOpen(), None, *began)
    found.want(keys)
    tell(made, slot, found)
    return found


def tell(made: GapKeeper, slot: int, socket: FeedSession) -> None:
    """Hand on what happened, as the program does."""
    for event in socket.events():
        if isinstance(event, GapOpened):
            made.opened(slot, event)
        elif isinstance(event, GapSeen):
            made.closed(slot, event)


def live(made: GapKeeper, slot: int, socket: FeedSession, epoch: int, now: datetime) -> None:
    """Connect a socket and let every key tell something."""
    socket.connecting()
    socket.opened(epoch, now)
    socket.received(feed_frames.status(), now)
    socket.received(feed_frames.data({k: Told(last_price=1.0) for k in socket.wanted}), now)
    tell(made, slot, socket)


async def killed(made: GapKeeper) -> None:
    """The end that a process cannot prepare for; only the lock must go."""
    await made.close()


def in_loop(test: Callable[[Path], object]) -> Callable[[Path], None]:
    """Tests in which the book is forced to disk beside what goes on."""

    def wrapped(tmp_path: Path) -> None:
        run(test(tmp_path))  # type: ignore[arg-type]

    wrapped.__doc__ = test.__doc__
    return wrapped


@in_loop
async def test_a_gap_closed_without_a_database_is_there_after_the_kill(tmp_path: Path) -> None:
    """Lost, back, killed: the loss waits for the database, and the next one begins anew."""
    first = keeper(tmp_path)
    socket = session(first, 0, ONE)
    live(first, 0, socket, 1, at(0))
    first.follow({0: socket}, at(0))
    socket.lost("reset")
    tell(first, 0, socket)
    live(first, 0, socket, 2, at(5))
    write(tmp_path, 2, 5, 9)
    await killed(first)
    second = keeper(tmp_path)
    gap = ClosedGap(0, at(0), at(5), "reset", 2, tuple(ONE))
    assert second.waiting == (gap,)
    assert second.data_until(0) == at(9)
    second.recorded(gap)
    await killed(second)
    third = keeper(tmp_path)
    assert third.waiting == ()
    assert third.data_until(0) == at(9)


@in_loop
async def test_an_open_gap_begins_where_it_began(tmp_path: Path) -> None:
    """A status frame after the loss is newer than the last data: the book knows better."""
    first = keeper(tmp_path)
    socket = session(first, 0, ONE)
    live(first, 0, socket, 1, at(0))
    socket.lost("reset")
    tell(first, 0, socket)
    write(tmp_path, 2, 7)
    await killed(first)
    second = keeper(tmp_path)
    assert second.data_until(0) == at(0)
    # Killed again before anything came, and with another plan: nothing is forgotten.
    session(second, 0, TWO)
    write(tmp_path, 3, 20)
    await killed(second)
    third = keeper(tmp_path)
    assert (third.data_until(0), third.missed_keys(0)) == (at(0), (*ONE, *TWO))


@in_loop
async def test_the_gap_of_the_start_is_known_before_the_first_frame(tmp_path: Path) -> None:
    """A process that is killed between connecting and the first data does not move the loss."""
    write(tmp_path, 1, 0)
    first = keeper(tmp_path)
    session(first, 0, ONE)
    write(tmp_path, 2, 30)
    await killed(first)
    assert keeper(tmp_path).data_until(0) == at(0)


@in_loop
async def test_each_slot_goes_by_its_own_frames(tmp_path: Path) -> None:
    """A socket that died unnoticed is not told alive by the frames of another."""
    first = keeper(tmp_path)
    sockets = {0: session(first, 0, ONE), 1: session(first, 1, TWO)}
    for slot, socket in sockets.items():
        live(first, slot, socket, 10 + slot, at(0))
    first.follow(sockets, at(1))
    write(tmp_path, 10, 0, 1)
    write(tmp_path, 11, 0, 60)
    await killed(first)
    second = keeper(tmp_path)
    assert [second.data_until(slot) for slot in (0, 1, 2)] == [at(1), at(60), at(60)]
    assert [second.missed_keys(slot) for slot in (0, 1, 2)] == [tuple(ONE), tuple(TWO), ()]


@in_loop
async def test_a_slot_that_is_not_used_any_more_ends_with_the_others(tmp_path: Path) -> None:
    """Fewer sockets after the restart: its gap ends when those that there are are back."""
    first = keeper(tmp_path)
    sockets = {slot: session(first, slot, keys) for slot, keys in enumerate((ONE, TWO))}
    for slot, socket in sockets.items():
        live(first, slot, socket, 10 + slot, at(slot))
        socket.lost("reset")
        tell(first, slot, socket)
    await killed(first)
    second = keeper(tmp_path)
    sockets = {0: session(second, 0, ONE), 1: session(second, 1, {}), 2: session(second, 2, {})}
    second.follow(sockets, at(5))
    assert second.waiting == ()
    live(second, 0, sockets[0], 20, at(8))
    second.follow(sockets, at(9))
    assert [(g.slot, g.from_at, g.to_at, g.epoch, g.keys) for g in second.waiting] == [
        (0, at(0), at(8), 20, tuple(ONE)),
        (1, at(1), at(9), 20, tuple(TWO)),
    ]
    # Used again later, it has nothing to catch up on.
    sockets[1].want(TWO)
    live(second, 1, sockets[1], 21, at(50))
    assert len(second.waiting) == 2
    await killed(second)
    assert keeper(tmp_path).missed_keys(1) == ()


@in_loop
async def test_a_slot_that_lost_its_keys_to_others_ends_its_gap(tmp_path: Path) -> None:
    """A dead socket whose keys are moved: they are back with the one that took them."""
    made = keeper(tmp_path)
    sockets = {slot: session(made, slot, keys) for slot, keys in enumerate((ONE, TWO))}
    for slot, socket in sockets.items():
        live(made, slot, socket, 10 + slot, at(0))
    made.follow(sockets, at(0))
    sockets[1].lost("reset")
    tell(made, 1, sockets[1])
    made.follow(sockets, at(1))
    assert made.waiting == ()
    sockets[1].want({})
    sockets[0].want(ONE | TWO)
    made.follow(sockets, at(20))
    (gap,) = made.waiting
    assert (gap.slot, gap.from_at, gap.to_at, gap.keys) == (1, at(0), at(20), tuple(TWO))
    write(tmp_path, 10, 0, 20)
    await killed(made)
    again = keeper(tmp_path)
    assert (again.missed_keys(0), again.missed_keys(1)) == ((*ONE, *TWO), ())


@in_loop
async def test_frames_lost_with_the_power_reopen_the_gap(tmp_path: Path) -> None:
    """The book says that the slot was back, and no frame of that connection is left."""
    first = keeper(tmp_path)
    socket = session(first, 0, ONE)
    live(first, 0, socket, 1, at(0))
    socket.lost("reset")
    tell(first, 0, socket)
    live(first, 0, socket, 2, at(5))
    await killed(first)
    write(tmp_path, 1, 0)
    assert keeper(tmp_path).data_until(0) == at(0)


@in_loop
async def test_a_book_that_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    """The gaps are recorded from memory, and the journal tells where the next process begins."""
    write(tmp_path, 1, 0)
    (tmp_path / "gaps.book").mkdir()
    made = keeper(tmp_path)
    socket = session(made, 0, ONE)
    live(made, 0, socket, 2, at(3))
    (gap,) = made.waiting
    assert (gap.from_at, gap.to_at) == (at(0), at(3))
    made.recorded(gap)
    assert made.waiting == ()
    await made.close()


def _has_length(found: list[bool], count: int) -> bool:
    return len(found) == count


def test_a_disk_that_refuses_is_not_insisted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be forced to disk is told, and the next entry is tried again."""
    forced: list[bool] = []

    def sync_job(_: GapBook) -> Callable[[], None]:
        def sync() -> None:
            forced.append(True)
            if len(forced) < 3:
                raise JournalError("refused")

        return sync

    monkeypatch.setattr(GapBook, "sync_job", sync_job)

    async def test() -> None:
        made = GapKeeper(tmp_path / "gaps.book", FolderLog(tmp_path), Newest())
        for count in (2, 3):
            made.opened(0, GapOpened(at(count), "reset", ()))
            await until(partial(_has_length, forced, count))
        await made.close()

    run(test())


def test_what_is_only_sampled_is_kept_like_the_gap_of_a_socket(tmp_path: Path) -> None:
    """Each stretch has a gap; the death of the process between two samples belongs to the next."""
    keys = ("NSE_FO|1", "NSE_FO|2")

    def sampled(from_s: float, to_s: float, epoch: int) -> GapSeen:
        return GapSeen(at(from_s), at(to_s), "sampled over REST", epoch, keys)

    async def first() -> None:
        made = keeper(tmp_path)
        made.closed(REST_SLOT, sampled(0, 60, 7))
        await made.close()

    async def second() -> None:
        made = keeper(tmp_path)
        made.closed(REST_SLOT, sampled(200, 240, 9))
        found = [(gap.from_at, gap.to_at, gap.keys) for gap in made.waiting]
        assert found == [(at(0), at(60), keys), (at(65), at(240), keys)]
        await made.close()

    run(first())
    write(tmp_path, 7, 30, 65)
    run(second())
