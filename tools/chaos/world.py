"""The processes that trouble is made for: exchange, database, streaming process, witness.

Starting, killing and asking them. Every wait is for a condition and has a deadline; everything that
was started is ended by its own number. What is done to them, and when, stands in ``scenarios``.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import requests

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Secret
from brokers.planner import feed_plan
from brokers.upstox.auth import StaticToken
from brokers.upstox.rest import Upstox
from market.rules import IST
from simulator.access.tokens import mint
from storage.embedded import EmbeddedServer
from storage.timescale import ensure_database, migrate
from tools.chaos import network, witness
from tools.chaos.network import Network
from tools.chaos.witness import Witness
from tools.processes import (
    CALL_SECONDS,
    DEADLINE_SECONDS,
    Stream,
    answers,
    free_port,
    launch,
    until,
)

SYMBOLS = ("NIFTY", "BANKNIFTY", "RELIANCE", "TCS")
# Wider than what the streaming process follows, so that the witness has seen all it turns to.
_WITNESSED_STRIKES = 15


@dataclass(slots=True)
class World:
    """Everything that runs."""

    home: Path
    exchange: str
    network: Network
    database: EmbeddedServer
    dsn: str
    stream: Stream
    user: str
    witness: Witness
    cleanup: contextlib.ExitStack
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def fault(self, name: str, *, is_for_all: bool = False, **settings: object) -> int:
        """Let a fault strike, the streaming process alone if the fault can choose; its number."""
        told = {"name": name, **settings} | ({} if is_for_all else {"match": [self.user]})
        answer = requests.post(f"{self.exchange}/simulator/faults", json=told, timeout=CALL_SECONDS)
        answer.raise_for_status()
        return int(answer.json()["id"])

    def heal(self) -> None:
        """End every fault."""
        requests.delete(
            f"{self.exchange}/simulator/faults", timeout=CALL_SECONDS
        ).raise_for_status()

    def connect(self) -> psycopg.Connection:
        """A connection to the database, for somebody else's statements."""
        return psycopg.connect(self.dsn)

    def kill_database(self) -> None:
        """SIGKILL to the server and all its children at once, as the kernel does out of memory."""
        server = psutil.Process(self.database.pid() or 0)
        family = [server, *server.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        until(lambda: not self.database.is_running(), "the killed database is gone")

    def start_database(self) -> None:
        """Start it again."""
        self.database.start(lambda _: None)

    def renew_token(self) -> None:
        """Hand the streaming process a new token, for its next start."""
        # Seconds are all that a token tells of its making: it must be later than any fault's begin.
        made_at = datetime.now(UTC) + timedelta(seconds=1)
        self.stream.environment["UPSTOX_ACCESS_TOKEN"] = mint(made_at, user=self.user)

    def another_stream(self, before: tuple[str, ...], home: Path, journal: Path) -> Stream:
        """A streaming process with a home of its own, stopped at the end of the world."""
        environment = {**self.stream.environment, "OPTIONLAKE_HOME": str(home)}
        stream = Stream(environment, journal, home / "stream.log", self.stream.url, before)
        self.cleanup.callback(stream.kill)
        return stream

    def folder(self) -> Path:
        """A new folder under the home."""
        folder = self.home / f"more-{next(self._numbers)}"
        folder.mkdir()
        return folder


@contextlib.contextmanager
def running(user: str = "SIM001") -> Iterator[World]:
    """A world in which the streaming process is live and lands; everything ends with the block.

    Raises:
        ConfigurationError: if this host cannot run the database.
        NoSuchTime: if something does not get ready.
    """
    with contextlib.ExitStack() as cleanup:
        home = Path(tempfile.mkdtemp(prefix="optionlake-chaos-"))
        # The server's own user must be able to enter.
        home.chmod(0o755)
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        exchange = _exchange(home, cleanup)
        database = EmbeddedServer(home / "database", free_port())
        cleanup.callback(database.destroy)
        dsn = ensure_database(database.start(lambda _: None), "chaos")
        migrate(dsn)
        link = cleanup.enter_context(network.relay(int(exchange.rpartition(":")[2])))
        token = mint(datetime.now(UTC), user=user)
        watching = witness.watching(
            exchange, mint(datetime.now(UTC), user=witness.USER), _keys(exchange, token, home)
        )
        stream = _stream(home, dsn, link, token)
        cleanup.callback(stream.kill)
        seen = cleanup.enter_context(watching)
        stream.start()
        until(stream.is_well, "the streaming process is well", log=stream.log)
        yield World(home, exchange, link, database, dsn, stream, user, seen, cleanup)


def _exchange(home: Path, cleanup: contextlib.ExitStack) -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    typed = ("--port", str(port), "--symbols", ",".join(SYMBOLS), "--session", "always")
    command = (sys.executable, "-m", "optionlake", "simulate", *typed, "--no-limits")
    process = launch(command, {"OPTIONLAKE_HOME": str(home)}, home / "simulate.log")
    cleanup.callback(process.wait, DEADLINE_SECONDS)
    cleanup.callback(process.terminate)
    until(lambda: answers(f"{url}/simulator/state"), "the exchange answers")
    return url


def _keys(exchange: str, token: str, home: Path) -> Sequence[str]:
    """What the witness follows: all that the streaming process may turn to."""
    source = StaticToken(Secret(token), lambda: datetime.now(UTC))
    budget = Budget(home / "budget", UPSTOX_LIMITS)
    broker = Upstox(exchange, exchange, source, budget, SYMBOLS)
    listed = broker.instruments()
    truth = requests.get(f"{exchange}/simulator/truth", timeout=DEADLINE_SECONDS).json()
    spots = {symbol: float(truth["spot"][symbol]) for symbol in SYMBOLS}
    today = datetime.now(IST).date()
    plan = feed_plan(listed, spots, _WITNESSED_STRIKES, today, broker.capabilities())
    return [instrument.broker_key for instrument in plan.instruments]


def _stream(home: Path, dsn: str, link: Network, token: str) -> Stream:
    own = home / "stream"
    own.mkdir()
    port, address = free_port(), f"http://127.0.0.1:{link.port}"
    environment = {
        "OPTIONLAKE_HOME": str(own),
        "DATABASE_URL": dsn,
        "UPSTOX_ACCESS_TOKEN": token,
        "OPTIONLAKE_API_URL": address,
        "OPTIONLAKE_ASSETS_URL": address,
        "OPTIONLAKE_SYMBOLS": ",".join(SYMBOLS),
        "OPTIONLAKE_SESSION": "always",
        "OPTIONLAKE_LIVE_PORT": str(port),
    }
    return Stream(environment, own / "journal", own / "stream.log", f"http://127.0.0.1:{port}")
