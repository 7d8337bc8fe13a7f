"""The whole process against the simulated exchange and a real TimescaleDB."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import psycopg
import pytest
from websockets.asyncio.client import connect

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Broker, Capabilities, Secret
from brokers.planner import chain_cadence, chain_plan
from brokers.upstox.auth import StaticToken
from brokers.upstox.codec import UpstoxCodec
from brokers.upstox.rest import Upstox
from market import live_frame
from market.errors import ConfigurationError, FrameError
from market.rules import IST, AlwaysOpen
from simulator.faults.fault import fault
from storage import chains, journal
from storage.embedded import EmbeddedServer
from storage.timescale import ensure_database
from streaming.fallback import PriceMode
from streaming.pipeline import run as stream
from streaming.stream_config import StreamConfig
from tests.fix_simulator import SimulatedExchange
from tests.fix_timescale import free_port
from tests.streaming.waiting import DEADLINE_SECONDS, run
from transforms.chain import analyse

SYMBOLS = ("NIFTY", "RELIANCE")
RULES = AlwaysOpen()


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


@dataclass
class Viewer:
    """What a viewer of everything has been told, last value by table and id."""

    catalogue: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)

    def take(self, message: str | bytes) -> int | None:
        """Take a message; the sequence to acknowledge if it was a frame."""
        if isinstance(message, str):
            told = json.loads(message)
            if told["type"] == "hello":
                self.catalogue = told["catalogue"]
            else:
                self.health = told
            return None
        frame = live_frame.decode(message)
        for table in frame.tables:
            rows = self.rows.setdefault(table.name, {})
            for i, number in enumerate(table.ids):
                rows[int(number)] = {name: c[i] for name, c in table.columns.items()}
        return frame.sequence

    def row(self, table: str, **named: object) -> dict[str, float]:
        """The row whose catalogue entry has these members; empty if there is none."""
        for entry in self.catalogue.get(f"{table}s" if table != "expiry" else "expiries", ()):
            if all(entry[name] == value for name, value in named.items()):
                return self.rows.get(table, {}).get(entry["id"], {})
        return {}


@asynccontextmanager
async def streaming(
    config: StreamConfig, broker: Upstox, tokens: StaticToken
) -> AsyncIterator[int]:
    """The process, until the block ends; the live feed's port."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        stream(config, broker, UpstoxCodec(), tokens, RULES, now, stop, port.set_result)
    )
    try:
        await asyncio.wait({task, port}, return_when=asyncio.FIRST_COMPLETED)
        yield await port
    finally:
        stop.set()
        await task


async def follow(port: int, is_enough: Any) -> Viewer:
    """View everything until it is enough."""
    viewer = Viewer()
    url = f"ws://127.0.0.1:{port}/api/v1/live"
    async with asyncio.timeout(2 * DEADLINE_SECONDS), connect(url, proxy=None, max_size=2**26) as s:
        await s.send('{"type":"watch","all":true}')
        while not is_enough(viewer):
            if (sequence := viewer.take(await s.recv())) is not None:
                await s.send(json.dumps({"type": "ack", "sequence": sequence}))
    return viewer


@pytest.fixture
def tokens(simulator: SimulatedExchange) -> StaticToken:
    """A living token."""
    return StaticToken(Secret(simulator.token), now)


@pytest.fixture
def broker(simulator: SimulatedExchange, tokens: StaticToken, tmp_path: Path) -> Upstox:
    """The broker's REST calls."""
    budget = Budget(tmp_path / "budget", UPSTOX_LIMITS)
    return Upstox(simulator.url, simulator.url, tokens, budget, SYMBOLS)


def config(dsn: str, folder: Path) -> StreamConfig:
    """Two symbols, three strikes each side, on two sockets."""
    return StreamConfig(dsn, folder, "127.0.0.1", 0, SYMBOLS, 3, replan_seconds=0.5)


def journaled_rows(folder: Path) -> tuple[int, int]:
    """Data rows and unreadable frames in the journal."""
    rows = unread = 0
    for epoch in journal.epochs(folder):
        for record in journal.records(folder, epoch):
            try:
                rows += len(UpstoxCodec().decode(record.frame).keys)
            except FrameError:
                unread += 1
    return rows, unread


def landed(dsn: str) -> tuple[int, int, set[str]]:
    """Rows, distinct (epoch, sequence, instrument), and the symbols that have ticks."""
    with psycopg.connect(dsn) as connection:
        rows, distinct = connection.execute(
            "SELECT count(*), count(DISTINCT (epoch, sequence, instrument_id)) FROM tick"
        ).fetchone() or (0, 0)
        symbols = connection.execute(
            "SELECT DISTINCT contract_id FROM tick JOIN instrument USING (instrument_id)"
        ).fetchall()
    return rows, distinct, {row[0] for row in symbols}


def is_live(viewer: Viewer) -> bool:
    """Spots and the options around the money are on the page, and landed."""
    priced = [r for r in viewer.rows.get("contract", {}).values() if r["last_price_is_live"] == 1]
    spots = [r for r in viewer.rows.get("underlying", {}).values() if r["spot"] > 0]
    return len(spots) == 2 and len(priced) >= 14 and viewer.health.get("ticks_landed", 0) > 100


def publish_chain(broker: Upstox, dsn: str) -> None:
    """What the batch side does each window, for one expiry."""
    listed = broker.instruments()
    (request, *_) = chain_plan(listed, ("NIFTY",), 1, now().astimezone(IST).date())
    payload = broker.chain(request.underlying, request.expiry)
    quotes = broker.parse_chain(payload, listed)
    chains.publish(dsn, analyse(quotes, now(), RULES).contracts)


def test_from_exchange_to_table_and_viewer(
    simulator: SimulatedExchange, broker: Upstox, tokens: StaticToken, database: str, tmp_path: Path
) -> None:
    """Ticks land and are shown; of each socket garbage and a cut leave a gap; a chain is merged."""
    folder = tmp_path / "journal"

    async def test() -> None:
        async with streaming(config(database, folder), broker, tokens) as port:
            await follow(port, is_live)
            simulator.control.send_garbage()
            # What the garbage stood for is over with the next data; only then comes the cut.
            viewer = await follow(port, lambda v: v.health.get("gaps") == 2)
            assert viewer.health["unknown_frames"] == 2
            before = viewer.health["reconnects"]
            simulator.control.abort_sockets()
            viewer = await follow(
                port, lambda v: v.health.get("gaps") == 4 and v.health.get("state") == "live"
            )
            assert viewer.health["reconnects"] == before + 2
            assert viewer.health["subscribed"] > 14
            await asyncio.to_thread(publish_chain, broker, database)
            viewer = await follow(port, _is_marked)
            _assert_complete(viewer)
            await _assert_health_over_http(port)

    run(test())
    rows, distinct, symbols = landed(database)
    assert (rows, 2) == journaled_rows(folder)
    assert rows == distinct
    assert set(SYMBOLS) <= symbols
    assert any(name.endswith("-CE") for name in symbols)
    with psycopg.connect(database) as connection:
        reasons = connection.execute("SELECT reason FROM gap ORDER BY from_at").fetchall()
    assert reasons[:2] == [("unreadable frame",)] * 2
    assert len(reasons) == 4


def _is_marked(viewer: Viewer) -> bool:
    row = viewer.row("underlying", symbol="NIFTY")
    return bool(row) and row["marked_at_ms"] > row["chain_at_ms"]


def _assert_complete(viewer: Viewer) -> None:
    underlying = viewer.row("underlying", symbol="NIFTY")
    assert underlying["spot_at_ms"] <= viewer.health["now_ms"] + 1000
    assert 0 <= viewer.health["clock_skew_ms"] < 10_000
    assert underlying["forward"] == pytest.approx(underlying["spot"], rel=0.05)
    assert underlying["net_gex_crore_per_percent"] == underlying["net_gex_crore_per_percent"]
    nearest = min(e["expiry"] for e in viewer.catalogue["expiries"] if e["symbol"] == "NIFTY")
    expiry = viewer.row("expiry", symbol="NIFTY", expiry=nearest)
    assert viewer.catalogue["forward_statuses"][int(expiry["forward_status"])] == "parity"
    priced = [
        row
        for entry in viewer.catalogue["contracts"]
        if entry["symbol"] == "NIFTY"
        and (row := viewer.rows["contract"].get(entry["id"]))
        and row["implied_volatility"] > 0
    ]
    assert len(priced) > 20
    assert {row["last_price_is_live"] for row in priced} >= {0.0, 1.0}


async def _assert_health_over_http(port: int) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/health"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        told = await answer.json()
    assert (told["state"], told["database"]) == ("live", "up")
    assert told["token_expires_at_ms"] > told["now_ms"]
    assert told["journal_bytes"] > 0
    async with aiohttp.ClientSession() as http, http.get(url.replace("health", "alerts")) as answer:
        told = await answer.json()
    assert (answer.status, told["type"], told["errors"]) == (200, "alerts", 0)


def test_database_down_at_the_start_loses_nothing(
    simulator: SimulatedExchange,
    broker: Upstox,
    tokens: StaticToken,
    restartable: EmbeddedServer,
    tmp_path: Path,
) -> None:
    """The feed is received from the first second; ids, tables and ticks follow when it is up."""
    dsn = ensure_database(restartable.dsn, "late")
    restartable.stop()
    folder = tmp_path / "journal"

    async def test() -> None:
        async with streaming(config(dsn, folder), broker, tokens) as port:
            viewer = await follow(port, lambda v: v.health.get("ticks_received", 0) > 300)
            assert viewer.health["database"] == "down"
            assert viewer.catalogue["contracts"] == []
            await asyncio.to_thread(restartable.start, lambda _: None)
            viewer = await follow(port, is_live)
            assert viewer.health["database"] == "up"

    run(test())
    rows, distinct, _ = landed(dsn)
    assert rows == distinct == journaled_rows(folder)[0]


def test_restart_lands_what_was_left_and_records_the_gap(
    simulator: SimulatedExchange, broker: Upstox, tokens: StaticToken, database: str, tmp_path: Path
) -> None:
    """A process that never reached the database leaves a journal; the next one lands it."""
    folder = tmp_path / "journal"
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing?connect_timeout=1"

    async def test() -> None:
        first = replace(config(nowhere, folder), drain_seconds=0.1)
        async with streaming(first, broker, tokens) as port:
            await follow(port, lambda v: v.health.get("ticks_received", 0) > 200)
        async with streaming(config(database, folder), broker, tokens) as port:
            await follow(port, lambda v: is_live(v) and v.health["gaps"] == 2)
            await follow(port, lambda v: v.health.get("is_catching_up") is False)

    run(test())
    assert len(journal.epochs(folder)) == 4
    rows, distinct, _ = landed(database)
    assert rows == distinct == journaled_rows(folder)[0]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT reason FROM gap").fetchall() == [("restart",)] * 2


def test_prices_go_on_by_rest_while_sockets_are_refused_and_come_back(
    simulator: SimulatedExchange, broker: Upstox, tokens: StaticToken, database: str, tmp_path: Path
) -> None:
    """Nothing but the answers' kind differs for whoever reads ticks, and the page is told."""
    folder = tmp_path / "journal"

    async def test() -> None:
        forbidden = simulator.control.add(fault("feed_forbidden"))
        async with streaming(config(database, folder), broker, tokens) as port:
            viewer = await follow(port, is_live)
            assert viewer.health["fallback_since_ms"] <= viewer.health["now_ms"]
            assert {s["state"] for s in viewer.health["sockets"]} <= {"closed", "connecting"}
            assert viewer.health["rest_answers"] > 0
            simulator.control.remove(forbidden)
            viewer = await follow(port, lambda v: v.health.get("state") == "live")
            await follow(port, lambda v: v.health.get("fallback_since_ms") is None)

    run(test())
    rows, distinct, symbols = landed(database)
    assert rows == distinct == journaled_rows(folder)[0]
    assert any(name.endswith("-CE") for name in symbols)


def test_rest_alone_opens_no_socket_and_lands_what_it_polls(
    simulator: SimulatedExchange, broker: Upstox, tokens: StaticToken, database: str, tmp_path: Path
) -> None:
    """For an account whose sockets are taken: the same tables, the same page, no connection."""
    folder = tmp_path / "journal"

    async def test() -> None:
        polled = replace(
            config(database, folder),
            mode=PriceMode.REST,
            interval_seconds=lambda: 3.5,
            chains=lambda listed, today: chain_cadence(
                chain_plan(listed, SYMBOLS, 2, today), 5, 48
            ),
        )
        async with streaming(polled, broker, tokens) as port:
            viewer = await follow(port, is_live)
            assert (viewer.health["state"], viewer.health["mode"]) == ("polling", "rest")
            assert viewer.health["sockets"] == []
            assert viewer.health["token_level"] == "ok"
            url = f"http://127.0.0.1:{port}/api/v1/plan"
            async with aiohttp.ClientSession() as http, http.get(url) as answer:
                told = await answer.json()
            assert told["polled"]["keys"] > 14
            assert told["polled"]["first_seconds"] == 3.5
            assert told["chain_calls_per_minute"] == 4 / 5

    run(test())
    rows, distinct, _ = landed(database)
    assert rows == distinct == journaled_rows(folder)[0]
    with psycopg.connect(database) as connection:
        kinds = connection.execute("SELECT DISTINCT is_snapshot FROM tick").fetchall()
    assert kinds == [(True,)]


def test_what_ends_the_process_is_told_by_type(
    broker: Upstox, tokens: StaticToken, tmp_path: Path
) -> None:
    """Not as a group of groups: the caller turns the type into an exit code."""

    async def test() -> None:
        nowhere = config(f"postgresql://x@127.0.0.1:{free_port()}/x", tmp_path / "journal")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await stream(
                replace(nowhere, drain_seconds=0.1),
                cast(Broker, Unfit(broker)),
                UpstoxCodec(),
                tokens,
                RULES,
                now,
                asyncio.Event(),
            )

    with pytest.raises(ConfigurationError, match="no feed"):
        asyncio.run(test())


class Unfit:
    """The real broker's list, of an account that is not made for a feed."""

    def __init__(self, broker: Upstox) -> None:
        self.instruments = broker.instruments
        self.authorize_feed = broker.authorize_feed
        self.quotes = broker.quotes

    def capabilities(self) -> Capabilities:
        """Refuse."""
        raise ConfigurationError("the account has no feed")
