"""The processes of a run: exchange, database, streaming process; and what is read of them.

How long they run and what is done to them meanwhile stands in ``runs``.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from simulator.access.tokens import mint
from storage.embedded import EmbeddedServer
from storage.timescale import ensure_database, migrate
from tools.chaos.books import gaps
from tools.endurance import books
from tools.endurance.books import Account, Frames, Ledger
from tools.endurance.exchange import Exchange
from tools.endurance.samples import Samples, sampling
from tools.endurance.schedule import Schedule
from tools.processes import DEADLINE_SECONDS, Stream, free_port, until

SYMBOLS = (
    *("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "SENSEX"),
    *("RELIANCE", "HDFCBANK", "ICICIBANK", "INFY", "TCS"),
    *("SBIN", "AXISBANK", "KOTAKBANK", "LT", "ITC"),
)
# With these symbols some 1 500 keys: most of what one socket takes in full mode.
STRIKES_EACH_SIDE = 40
STREAM, DATABASE, EXCHANGE = "streaming", "database", "exchange"
_SETTLED_SECONDS = 6.0
_REPORT_SECONDS = 30.0
# What was due until the end may be received that much later.
_LATE_MS = 1_000

_NEWEST = "SELECT coalesce(extract(epoch FROM max(newest_event_at)) * 1000, 0) FROM ingest_ledger"


@dataclass(slots=True)
class Rig:
    """Everything that runs.

    Attributes:
        say: takes a line about how it is going.
    """

    home: Path
    exchange: Exchange
    database: EmbeddedServer
    dsn: str
    stream: Stream
    samples: Samples
    say: Callable[[str], None]
    commit_ms: list[float] = field(default_factory=list)
    begun_at: float = field(default_factory=time.monotonic)

    def wait(
        self, seconds: float, is_over: Callable[[], bool] = lambda: False, *, commits: bool = False
    ) -> bool:
        """Let it run, and tell how it goes every 30 s; whether ``is_over`` came true.

        Args:
            commits: time a commit of somebody else's every second.
        """
        end = time.monotonic() + seconds
        report_at = time.monotonic() + _REPORT_SECONDS
        while (now := time.monotonic()) < end:
            if is_over():
                return True
            if commits:
                self._time_commit()
            if now >= report_at:
                report_at += _REPORT_SECONDS
                self.say(self._progress())
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))
        return is_over()

    def newest_ms(self) -> float:
        """Exchange time of the newest landed tick, epoch ms; 0 if the database does not say."""
        try:
            with psycopg.connect(self.dsn) as connection:
                row = connection.execute(_NEWEST).fetchone()
        except psycopg.OperationalError:
            return 0.0
        return float(row[0]) if row else 0.0

    def restart_stream(self) -> None:
        """``kill -9``, and at once a new one."""
        self.stream.kill()
        self.stream.start()

    def books(self, schedule: Schedule, told: list[int]) -> tuple[Account, Frames, Ledger]:
        """What became of the load."""
        count = len(told)
        end_ms = schedule.due_ms(count - 1) + 1
        with psycopg.connect(self.dsn) as connection:
            ids = books.instrument_ids(connection, schedule.keys)
            frames = books.landed(connection, schedule.begin_ms, end_ms)
            found = books.suspects(schedule, count, frames, ids)
            looked_at = books.rows_of(connection, found)
            book = books.ledger(connection)
        known = gaps(self.dsn, schedule.begin_ms, end_ms + _LATE_MS)
        return books.account(schedule, told, frames, looked_at, ids, known), frames, book

    def _time_commit(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            begun = time.perf_counter()
            connection.execute("INSERT INTO endurance_probe DEFAULT VALUES")
            self.commit_ms.append((time.perf_counter() - begun) * 1000)

    def _progress(self) -> str:
        told = self.stream.health()
        newest = self.samples.taken[-1] if self.samples.taken else None
        return (
            f"{time.monotonic() - self.begun_at:6.0f} s: "
            f"{told.get('state', 'no answer')}, database {told.get('database', '?')}, "
            f"received {told.get('ticks_received', 0):,}, landed {told.get('ticks_landed', 0):,}, "
            f"waiting {told.get('rows_waiting', 0):,}, "
            f"journal {told.get('journal_bytes', 0) / 1e9:.2f} GB, "
            f"memory {newest.memory_mb if newest else 0:.0f} MB"
        )


@contextlib.contextmanager
def running(say: Callable[[str], None]) -> Iterator[Rig]:
    """A rig in which the streaming process is live and lands; everything ends with the block.

    Raises:
        ConfigurationError: if this host cannot run the database.
        NoSuchTime: if something does not get ready.
    """
    with contextlib.ExitStack() as cleanup:
        home = Path(tempfile.mkdtemp(prefix="optionlake-endurance-"))
        # The server's own user must be able to enter.
        home.chmod(0o755)
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        exchange = Exchange(SYMBOLS, home / "exchange.log")
        cleanup.callback(exchange.stop)
        database = EmbeddedServer(home / "database", free_port())
        cleanup.callback(database.destroy)
        dsn = ensure_database(database.start(lambda _: None), "endurance")
        migrate(dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE endurance_probe (at timestamptz DEFAULT now())")
        stream = _stream(home, dsn, exchange.url)
        cleanup.callback(stream.kill)
        pids = {
            STREAM: lambda: stream.process.pid if stream.process else None,
            DATABASE: database.pid,
            EXCHANGE: lambda: exchange.process.pid,
        }
        samples = cleanup.enter_context(sampling(pids, STREAM))
        stream.start()
        until(stream.is_well, "the streaming process is well", log=stream.log)
        rig = Rig(home, exchange, database, dsn, stream, samples, say)
        _settle(rig)
        yield rig


def _settle(rig: Rig) -> None:
    """Wait until no more keys are asked for."""
    end = time.monotonic() + DEADLINE_SECONDS
    before, same_since = -1, time.monotonic()
    while time.monotonic() < end:
        count = rig.stream.health().get("subscribed", 0)
        if count != before:
            before, same_since = count, time.monotonic()
        if time.monotonic() - same_since > _SETTLED_SECONDS:
            break
        time.sleep(0.5)
    rig.say(f"the streaming process is live and follows {before} keys")


def _stream(home: Path, dsn: str, url: str) -> Stream:
    own = home / "stream"
    own.mkdir()
    port = free_port()
    environment = {
        "OPTIONLAKE_HOME": str(own),
        "DATABASE_URL": dsn,
        "UPSTOX_ACCESS_TOKEN": mint(datetime.now(UTC)),
        "OPTIONLAKE_API_URL": url,
        "OPTIONLAKE_ASSETS_URL": url,
        "OPTIONLAKE_SYMBOLS": ",".join(SYMBOLS),
        "OPTIONLAKE_STRIKES_EACH_SIDE": str(STRIKES_EACH_SIDE),
        "OPTIONLAKE_SESSION": "always",
        "OPTIONLAKE_LIVE_PORT": str(port),
    }
    return Stream(environment, own / "journal", own / "stream.log", f"http://127.0.0.1:{port}")
