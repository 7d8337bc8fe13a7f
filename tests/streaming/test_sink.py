"""Every journaled tick lands once, whatever happens to the database or to a commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from brokers.upstox.codec import UpstoxCodec, decode
from market.errors import DatabaseUnavailable, FrameError, JournalError
from storage import frame_log
from storage.embedded import EmbeddedServer
from storage.frame_log import FolderLog, Newest
from storage.journal import JournalWriter
from storage.segments import segments
from storage.ticks import TickBatch, TickStore
from storage.timescale import ensure_database, migrate
from streaming.arrivals import Arrival
from streaming.feed import GapSeen
from streaming.gaps import GapKeeper
from streaming.sink import Sink, SinkConfig
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told
from tests.streaming.waiting import run, until

IDS = {f"NSE_FO|{n}": n for n in range(1, 6)}
START = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
Landed = Counter[tuple[int, int, int]]


class Recorder:
    """The connection's side: journals frames and knows what must land."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: Landed = Counter()
        self._journal: JournalWriter | None = None
        self._epoch = 0

    def connect(self, epoch: int) -> None:
        """Begin an epoch."""
        self.close()
        self._epoch = epoch
        self._journal = JournalWriter(self.folder, epoch, 0.0)

    def close(self) -> None:
        """End the epoch."""
        if self._journal:
            self._journal.close()

    def receive(self, frame: bytes) -> Arrival:
        """Journal a frame."""
        assert self._journal is not None
        sequence = self._journal.append(_ns(self._epoch), frame)
        try:
            decoded = decode(frame)
        except FrameError:
            decoded = None
        for key in decoded.keys if decoded else ():
            self.expected[self._epoch, sequence, IDS[key]] += 1
        return Arrival(self._epoch, sequence, _ns(self._epoch), decoded)

    def receive_many(self, count: int) -> Iterator[Arrival]:
        """A status, some garbage, and data frames of all keys."""
        yield self.receive(feed_frames.status())
        for n in range(count):
            if n % 7 == 3:
                yield self.receive(b"\xff\xff\xff\xff")
            told = {key: Told(last_price=100.0 + n) for key in IDS}
            yield self.receive(feed_frames.data(told, _ns(self._epoch) // 1_000_000 + n))


def _ns(epoch: int) -> int:
    return int(START.timestamp() * 1e9) + epoch * 1_000_000


def landed(dsn: str) -> Landed:
    """What the hypertable holds."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT epoch, sequence, instrument_id FROM tick").fetchall()
    return Counter(rows)


def keeper(folder: Path) -> GapKeeper:
    """The gaps of a process that begins without a past."""
    return GapKeeper(folder / "gaps.book", FolderLog(folder), Newest())


def sink(
    dsn: str,
    folder: Path,
    row_limit: int = 100_000,
    *,
    keep_days: float = 0,
    now: datetime = START,
    gaps: GapKeeper | None = None,
) -> Sink:
    """A sink with short waits."""
    config = SinkConfig(
        clock=lambda: now,
        row_limit=row_limit,
        batch_rows=50,
        catch_up_rows=50,
        batch_seconds=0.02,
        delays=lambda: iter(lambda: 0.05, None),
    )
    frames = FolderLog(folder, cap_bytes=2**30, keep_days=keep_days)
    return Sink(
        lambda: TickStore(dsn),
        frames,
        UpstoxCodec(),
        IDS,
        lambda _: {},
        gaps=gaps or keeper(folder / "unused"),
        config=config,
    )


async def drain(made: Sink) -> None:
    """Run a sink until it has nothing left."""
    stop = asyncio.Event()
    stop.set()
    await made.run(stop)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A journal of its own."""
    made = Recorder(tmp_path / "journal")
    yield made
    made.close()


@pytest.fixture
def own_database(restartable: EmbeddedServer) -> str:
    """A migrated database on a server that may be cut."""
    dsn = ensure_database(restartable.dsn, "ticks")
    migrate(dsn)
    return dsn


def test_start_up_lands_the_whole_journal_and_only_once(database: str, recorder: Recorder) -> None:
    """Older epochs first; running again changes nothing."""
    for epoch in (10, 20, 30):
        recorder.connect(epoch)
        for _ in recorder.receive_many(30):
            pass
    recorder.close()

    async def test() -> None:
        first = sink(database, recorder.folder)
        await drain(first)
        assert first.rows_landed == recorder.expected.total()
        again = sink(database, recorder.folder)
        await drain(again)
        assert again.rows_landed == 0

    run(test())
    assert landed(database) == recorder.expected


def test_live_ticks_land_without_reading_the_journal_again(
    database: str, recorder: Recorder
) -> None:
    """From memory, over a reconnect, with the rest landed at the stop."""

    async def test() -> None:
        made, stop = sink(database, recorder.folder), asyncio.Event()
        running = asyncio.create_task(made.run(stop))
        await until(lambda: not made.is_catching_up)
        for epoch in (10, 20):
            recorder.connect(epoch)
            for arrival in recorder.receive_many(40):
                made.offer(arrival)
            await until(lambda: made.rows_landed == recorder.expected.total())
        for arrival in recorder.receive_many(3):
            made.offer(arrival)
        stop.set()
        await running
        assert made.rows_waiting == 0

    run(test())
    assert landed(database) == recorder.expected


def test_overflow_falls_back_to_the_journal(database: str, recorder: Recorder) -> None:
    """Memory is bounded; what it lets go is read back, nothing is lost or doubled."""

    async def test() -> None:
        made, stop = sink(database, recorder.folder, row_limit=60), asyncio.Event()
        running = asyncio.create_task(made.run(stop))
        await until(lambda: not made.is_catching_up)
        recorder.connect(10)
        for n, arrival in enumerate(recorder.receive_many(400)):
            made.offer(arrival)
            if n % 50 == 0:
                await asyncio.sleep(0)
        await until(lambda: made.rows_landed == recorder.expected.total())
        stop.set()
        await running

    run(test())
    assert landed(database) == recorder.expected


def test_database_cut_and_restored(
    restartable: EmbeddedServer, own_database: str, recorder: Recorder
) -> None:
    """An outage while ticks come: counts equal, nothing twice, gaps recorded."""

    async def test() -> None:
        gaps, stop = keeper(recorder.folder), asyncio.Event()
        made = sink(own_database, recorder.folder, row_limit=200, gaps=gaps)
        running = asyncio.create_task(made.run(stop))
        recorder.connect(10)
        for arrival in recorder.receive_many(50):
            made.offer(arrival)
        await until(lambda: made.rows_landed > 0)
        for arrival in recorder.receive_many(50):
            made.offer(arrival)
        await asyncio.to_thread(restartable.stop)
        for arrival in recorder.receive_many(50):
            made.offer(arrival)
            await asyncio.sleep(0)
        await until(lambda: not made.is_up)
        recorder.connect(20)
        back_at = START + timedelta(seconds=2)
        gaps.closed(0, GapSeen(START, back_at, "reset", 20, ("NSE_FO|2", "NSE_FO|4", "gone")))
        gaps.closed(1, GapSeen(START, back_at, "reset", 21, ()))
        for arrival in recorder.receive_many(200):
            made.offer(arrival)
        await asyncio.to_thread(restartable.start, lambda _: None)
        await until(lambda: made.is_up and not made.is_catching_up)
        for arrival in recorder.receive_many(20):
            made.offer(arrival)
        stop.set()
        await running
        assert gaps.waiting == ()

    run(test())
    assert landed(own_database) == recorder.expected
    with psycopg.connect(own_database) as connection:
        rows = connection.execute("SELECT epoch, instrument_count, instrument_ids FROM gap")
        assert sorted(rows.fetchall()) == [(20, 3, [2, 4]), (21, 0, None)]


class Unconfirmed(TickStore):
    """The real store, whose every third commit is not confirmed: done, but who knows."""

    landings = 0

    async def land(self, batch: TickBatch) -> int:
        """Land, and then lose the link."""
        rows = await super().land(batch)
        Unconfirmed.landings += 1
        if Unconfirmed.landings % 3 == 0:
            raise DatabaseUnavailable("the link broke after the commit")
        return rows


def test_commit_of_unknown_outcome_is_asked_of_the_ledger(
    database: str, recorder: Recorder
) -> None:
    """A batch that was landed after all is not landed again, however it is cut."""
    recorder.connect(10)
    for _ in recorder.receive_many(100):
        pass

    async def test() -> None:
        made, stop = sink(database, recorder.folder), asyncio.Event()
        made._open_store = lambda: Unconfirmed(database)
        running = asyncio.create_task(made.run(stop))
        await until(lambda: landed(database).total() >= recorder.expected.total())
        for arrival in recorder.receive_many(30):
            made.offer(arrival)
        await until(lambda: landed(database).total() >= recorder.expected.total())
        stop.set()
        await running

    run(test())
    assert landed(database) == recorder.expected
    assert Unconfirmed.landings > 3


def test_rows_of_unknown_instruments_are_counted(database: str, recorder: Recorder) -> None:
    """They are left out and the count says so; the ledger goes on."""
    recorder.connect(10)
    frame = feed_frames.data({"NSE_FO|1": Told(last_price=1.0), "NSE_FO|999": Told(last_price=2.0)})
    assert recorder._journal is not None
    recorder._journal.append(_ns(10), frame)

    async def test() -> None:
        made = sink(database, recorder.folder)
        await drain(made)
        assert (made.rows_landed, made.unresolved_rows) == (1, 1)

    run(test())


def test_the_journal_is_compressed_and_expires_once_landed(
    database: str, recorder: Recorder
) -> None:
    """Beside the landing; the file being written stays raw, and its records stay readable."""
    for epoch in (10, 20, 30):
        recorder.connect(epoch)
        for _ in recorder.receive_many(30):
            pass

    async def drained(now: datetime) -> None:
        await drain(sink(database, recorder.folder, keep_days=7, now=now))

    def kept() -> list[tuple[int, bool]]:
        return [(s.epoch, s.path == s.raw_path) for s in segments(recorder.folder)]

    run(drained(START + timedelta(days=6)))
    assert kept() == [(10, False), (20, False), (30, True)]
    run(drained(START + timedelta(days=7, seconds=1)))
    assert kept() == [(30, True)]
    assert landed(database) == recorder.expected


def test_a_journal_that_cannot_be_tidied_does_not_stop_landing(
    database: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compressing is a comfort; it is tried again later."""

    def full(_: Path) -> int:
        raise JournalError("no space left")

    monkeypatch.setattr(frame_log, "seal_all", full)
    recorder.connect(10)
    for _ in recorder.receive_many(30):
        pass
    run(drain(sink(database, recorder.folder)))
    assert landed(database) == recorder.expected
