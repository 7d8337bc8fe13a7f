"""A replay gives what the live run gave: the same arrivals, the same rows, once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Secret
from brokers.upstox.auth import StaticToken
from brokers.upstox.codec import UpstoxCodec
from brokers.upstox.rest import Upstox
from market.errors import ConfigurationError, DatabaseUnavailable
from market.rules import AlwaysOpen, Rules
from storage import instruments, journal
from storage.journal import JournalWriter, Record
from storage.sealing import seal_all
from storage.ticks import TickStore
from storage.timescale import ensure_database, migrate
from streaming.arrivals import Arrival
from streaming.pipeline import run as stream
from streaming.replay import AlertReplay, Landed, Stretch, Tally, decoded, land, next_batch, paced
from streaming.stream_config import StreamConfig
from tests.fix_simulator import SimulatedExchange
from tests.streaming import feed_frames, test_alerts
from tests.streaming.feed_frames import Told
from tests.streaming.waiting import run, until

CODEC = UpstoxCodec()
START = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9
IDS = {"NSE_FO|1": 1, "NSE_FO|2": 2, "NSE_INDEX|Nifty 50": 3}
EVER = datetime(2100, 1, 1, tzinfo=UTC)
# Numbers of instruments are the database's own: rows are compared by what they are of.
_ROWS = """
    SELECT contract_id, to_jsonb(tick) - 'instrument_id'
    FROM tick JOIN instrument USING (instrument_id)
    ORDER BY contract_id, epoch, sequence, tick::text
"""


def at(seconds: float) -> datetime:
    """An instant that long after the start."""
    return START + timedelta(seconds=seconds)


def frame(second: float, *keys: str) -> bytes:
    """A tick of each key."""
    told = {key: Told(last_price=100.0 + second) for key in keys}
    return feed_frames.data(told, int((START.timestamp() + second) * 1000))


def write(folder: Path, epoch: int, frames: list[tuple[float, bytes]]) -> None:
    """One connection's frames, each with its second after the start."""
    made = JournalWriter(folder, epoch, 3600.0, segment_bytes=400)
    for second, content in frames:
        made.append(START_NS + int(second * 1e9), content)
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two connections: seconds 0 to 19, and 60 to 69."""
    made = tmp_path / "journal"
    write(made, 10, [(float(s), frame(s, *IDS)) for s in range(20)])
    garbage, status = (65.0, b"\xff\xff"), (66.0, feed_frames.status())
    later = [(60.0 + s, frame(60.0 + s, "NSE_FO|1")) for s in range(5)]
    write(made, 20, [*later, garbage, status])
    return made


def summed(folder: Path, from_s: float, to_s: float) -> Tally:
    """A tally of a stretch."""
    tally = Tally()
    for record in Stretch(folder, at(from_s), at(to_s)).records():
        tally.add(decoded(record, CODEC))
    return tally


def test_summary_tells_what_a_stretch_holds(folder: Path) -> None:
    """Frames, ticks by segment, keys, connections, silence, and what could not be read."""
    found = summed(folder, 10, 1000).summary()
    assert (found.frames, found.unreadable, found.connections, found.keys) == (17, 1, 2, 3)
    assert found.ticks == (("NSE_FO", 25), ("NSE_INDEX", 10))
    assert [(q.from_at, q.to_at) for q in found.quiets] == [(at(19), at(60))]
    assert (found.first_at, found.last_at) == (at(10), at(66))
    empty = summed(folder, 2000, 3000).summary()
    assert (empty.frames, empty.first_at, empty.last_at, empty.quiets) == (0, None, None, ())


class FakeClock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        """The time."""
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Sleep."""
        self.now += seconds


@given(
    gaps=st.lists(st.floats(0, 5), max_size=12),
    speed=st.sampled_from([0.5, 1.0, 60.0, float("inf")]),
    work_seconds=st.floats(0, 1),
)
def test_records_are_as_far_apart_as_they_came(
    gaps: list[float], speed: float, work_seconds: float
) -> None:
    """Each is given when it is due at that speed, or at once if the consumer was late."""
    clock, due = FakeClock(), []
    for gap in [0.0, *gaps]:
        due.append((due[-1] if due else 0.0) + gap)
    source = [Record(1, n + 1, int(s * 1e9), b"") for n, s in enumerate(due)]
    ended = 0.0
    for record in paced(iter(source), speed, clock.read, clock.pass_by):
        wanted = max(ended, due[record.sequence - 1] / speed)
        assert clock.now == pytest.approx(wanted, abs=1e-6)
        clock.pass_by(work_seconds)
        ended = clock.now


@given(batch_rows=st.integers(1, 200), counts=st.lists(st.integers(0, 5), max_size=15))
def test_batches_hold_every_record_once(batch_rows: int, counts: list[int]) -> None:
    """In order, in whatever cut."""
    keys = [f"NSE_FO|{n}" for n in range(5)]
    source = iter([Record(1, n + 1, 0, frame(n, *keys[:c])) for n, c in enumerate(counts)])
    got = []
    while batch := next_batch(source, CODEC, batch_rows):
        assert sum(a.row_count for a in batch[:-1]) < batch_rows
        got += batch
    assert [(a.sequence, a.row_count) for a in got] == [(n + 1, c) for n, c in enumerate(counts)]


def landing(dsn: str, stretch: Stretch, ids: dict[str, int] | None = None) -> Landed:
    """Land a stretch with fixed numbers of instruments."""

    def ids_on(day: date) -> dict[str, int]:
        assert day == START.date()
        return IDS if ids is None else ids

    return asyncio.run(land(stretch, lambda: TickStore(dsn), CODEC, ids_on))


def landed(dsn: str) -> list[tuple[int, int, int]]:
    """Epoch, sequence and instrument of each row."""
    with psycopg.connect(dsn) as connection:
        query = "SELECT epoch, sequence, instrument_id FROM tick ORDER BY 1, 2, 3"
        return connection.execute(query).fetchall()


def test_landing_twice_is_landing_once(database: str, folder: Path) -> None:
    """From any instant to any other, overlapping, in any order: each row is there once."""
    rows = [landing(database, Stretch(folder, at(a), at(b))).rows for a, b in ((5, 10), (5, 10))]
    assert rows == [30, 0]  # what the connection lacks before the stretch belongs to it
    assert landing(database, Stretch(folder, at(62), at(64))).rows == 4
    assert landing(database, Stretch(folder, at(0), EVER)).rows == 30 + 1
    assert landing(database, Stretch(folder, at(0), EVER)).rows == 0
    first = [(10, n, i) for n in range(1, 21) for i in (1, 2, 3)]
    assert landed(database) == [*first, *((20, n, 1) for n in range(1, 6))]


def test_nothing_lands_where_no_instrument_is_known(database: str, folder: Path) -> None:
    """Its ticks would be counted as landed, and be lost; single unknown keys are counted."""
    everything = Stretch(folder, at(0), EVER)
    with pytest.raises(ConfigurationError, match="no instrument of 2026-12-01"):
        landing(database, everything, {})
    assert landing(database, everything, {"NSE_FO|1": 1}) == Landed(25, 40)


def test_a_running_feed_process_is_not_disturbed(database: str, folder: Path) -> None:
    """Only one may land; the other is told why it cannot."""

    async def test() -> None:
        async with TickStore(database):
            other = land(
                Stretch(folder, at(0), EVER), lambda: TickStore(database), CODEC, lambda _: IDS
            )
            with pytest.raises(DatabaseUnavailable, match="another process lands"):
                await other

    asyncio.run(test())
    assert landed(database) == []


@pytest.fixture
def second_database(timescale: str) -> Iterator[str]:
    """Another migrated database on the same server."""
    dsn = ensure_database(timescale, "replayed")
    migrate(dsn)
    yield dsn
    with psycopg.connect(timescale, autocommit=True) as connection:
        connection.execute("DROP DATABASE replayed WITH (FORCE)")


def _hash(dsn: str) -> tuple[int, str]:
    """How many rows there are, and a hash over all of them."""
    digest, count = hashlib.sha256(), 0
    with psycopg.connect(dsn) as connection:
        for row in connection.execute(_ROWS):
            digest.update(repr(row).encode())
            count += 1
    return count, digest.hexdigest()


def test_replay_gives_the_rows_of_the_live_run(
    simulator: SimulatedExchange, database: str, second_database: str, tmp_path: Path
) -> None:
    """A live session with a cut lands in one database, its compressed journal in another."""
    tokens = StaticToken(Secret(simulator.token), lambda: datetime.now(UTC))
    budget = Budget(tmp_path / "budget", UPSTOX_LIMITS)
    broker = Upstox(simulator.url, simulator.url, tokens, budget, ("NIFTY", "RELIANCE"))
    made = tmp_path / "journal"
    config = StreamConfig(database, made, "127.0.0.1", 0, ("NIFTY", "RELIANCE"), 3)

    async def live() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(
            stream(config, broker, CODEC, tokens, AlwaysOpen(), lambda: datetime.now(UTC), stop)
        )
        await until(lambda: len(landed(database)) > 200)
        simulator.control.abort_sockets()
        # Two sockets, each with a connection before the cut and one after it.
        await until(lambda: len({epoch for epoch, *_ in landed(database)}) >= 4)
        stop.set()
        await running

    run(live())
    seal_all(made)
    instruments.register(second_database, broker.instruments())
    everything = Stretch(made, datetime(2000, 1, 1, tzinfo=UTC), EVER)
    done = asyncio.run(
        land(
            everything,
            lambda: TickStore(second_database),
            CODEC,
            lambda day: instruments.numbers_by_key(second_database, day),
        )
    )
    assert len(journal.epochs(made)) >= 4
    assert done.unresolved == 0
    assert _hash(second_database) == _hash(database)
    assert _hash(database)[0] == done.rows > 200


def test_a_replay_tells_the_alerts_that_the_live_desk_told() -> None:
    """Whatever portions the live desk worked in: the same minutes, so the same words."""
    frames = test_alerts.session()
    arrivals = [
        Arrival(1, n, (told.published_at_ms or 0) * 1_000_000, told)
        for n, told in enumerate(frames, 1)
    ]
    alerts = AlertReplay(Rules(), lambda day: test_alerts.ALL)
    found = [signal for arrival in arrivals for signal in alerts.take(arrival)]
    found += alerts.finish(test_alerts.OPEN_AT + timedelta(hours=1))
    assert found == test_alerts.said(test_alerts.desk(), frames)
    assert found
