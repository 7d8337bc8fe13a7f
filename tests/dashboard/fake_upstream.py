"""A real WebSocket server that speaks the live feed from a scripted market, in its own thread."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from array import array
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from market import live_frame
from market.live_frame import LiveFrame, LiveTable
from tests.dashboard.scripted_market import ScriptedMarket

Changed = dict[str, set[int]]


def now_ms() -> float:
    """Epoch milliseconds."""
    return time.time() * 1000


class Background:
    """An event loop in a thread, for servers beside a test that blocks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call inside the loop's thread."""

        async def calling() -> Any:
            return function()

        return self.run(calling())

    def close(self) -> None:
        """Stop the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class FakeUpstream:
    """The feed: ``start`` and ``stop`` as one likes, on the same port."""

    def __init__(self, background: Background, port: int = 0, is_moving: bool = False) -> None:
        self.background = background
        self.port = port
        self.market = ScriptedMarket(now_ms(), datetime.now(UTC).date())
        self.is_told = True
        self.last_frame_at_ms: float | None = None
        self.acks: list[int] = []
        self.alerts: list[dict[str, object]] = []
        self.more_health: dict[str, object] = {}
        self._is_moving = is_moving
        self._dirty: dict[ServerConnection, Changed] = {}
        self._server: Server | None = None
        self._mover: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}/api/v1/live"

    def start(self) -> FakeUpstream:
        """Listen; the port stays the same from the first start on."""
        self.background.run(self._start())
        return self

    def stop(self) -> None:
        """Close every connection and stop listening."""
        self.background.run(self._stop())

    def move(self, symbol: str, spot: float) -> None:
        """Set a spot and send what it changes."""

        def moving() -> None:
            self.market.move(symbol, spot, now_ms())
            self.spread(self.market.mark([symbol], now_ms()))

        self.background.call(moving)

    def set(self, key: tuple[object, ...], table: str, **values: float) -> None:
        """Set single values of a row and send it."""

        def setting() -> None:
            number = self.market.ids[key]
            self.market.rows[table][number].update(values)
            self.spread({table: {number}})

        self.background.call(setting)

    def spread(self, changed: Changed) -> None:
        """Owe these rows to every connection."""
        self.last_frame_at_ms = now_ms()
        for dirty in self._dirty.values():
            for table, ids in changed.items():
                dirty.setdefault(table, set()).update(ids)

    async def _start(self) -> None:
        self._server = await serve(self._serve, "127.0.0.1", self.port, compression=None)
        self.port = self._server.sockets[0].getsockname()[1]
        if self._is_moving:
            self._mover = asyncio.create_task(self._move())

    async def _stop(self) -> None:
        if self._mover is not None:
            self._mover.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _move(self) -> None:
        while True:
            self.spread(self.market.step(now_ms()))
            await asyncio.sleep(0.05)

    async def _serve(self, connection: ServerConnection) -> None:
        everything = {table: set(rows) for table, rows in self.market.rows.items()}
        self._dirty[connection] = everything
        tasks = [
            asyncio.create_task(work) for work in (self._read(connection), self._write(connection))
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        del self._dirty[connection]

    async def _read(self, connection: ServerConnection) -> None:
        async for message in connection:
            told = json.loads(message)
            if told["type"] == "ack":
                self.acks.append(told["sequence"])

    async def _write(self, connection: ServerConnection) -> None:
        hello = {"type": "hello", "v": 1, "run": "fake", "start": "first"}
        hello["catalogue"] = self.market.catalogue
        await connection.send(json.dumps(hello))
        sequence, health_due, told = 0, 0.0, 0
        while True:
            if self.is_told and time.monotonic() >= health_due:
                await connection.send(json.dumps({**self.health(), **self.more_health}))
                health_due = time.monotonic() + 1
            if len(self.alerts) > told:
                told = len(self.alerts)
                await connection.send(json.dumps(self._alerts_message()))
            changed, self._dirty[connection] = self._dirty[connection], {}
            if any(changed.values()):
                sequence += 1
                await connection.send(self._frame(sequence, changed))
            await asyncio.sleep(0.05 if self._is_moving else 0.01)

    def _frame(self, sequence: int, changed: Changed) -> bytes:
        tables = [self._table(name, sorted(ids)) for name, ids in changed.items() if ids]
        return live_frame.encode(LiveFrame(sequence, now_ms(), tables, sequence - 1, sequence))

    def _table(self, name: str, ids: list[int]) -> LiveTable:
        rows = [self.market.rows[name][i] for i in ids]
        columns = {c: array("d", [row[c] for row in rows]) for c in rows[0] if c != "noise"}
        return LiveTable(name, array("d", map(float, ids)), columns)

    def _alerts_message(self) -> dict[str, object]:
        newest = [dict(alert) for alert in reversed(self.alerts[-500:])]
        return {"type": "alerts", "v": 1, "version": len(self.alerts), "alerts": newest}

    def health(self) -> dict[str, object]:
        """The health message."""
        now = now_ms()
        return {
            "type": "health",
            "state": "live",
            "connected_at_ms": now - 3_600_000,
            "last_frame_at_ms": now if self._is_moving else self.last_frame_at_ms or now,
            "epoch": 4,
            "token_expires_at_ms": now + 7.4 * 3_600_000,
            "token_level": "ok",
            "token_detail": "the token lives",
            "token_minutes_left": 444,
            "subscribed": 345,
            "never_seen": 0,
            "frames": 72_311,
            "unknown_frames": 0,
            "ticks_received": 1_284_533,
            "ticks_landed": 1_284_480,
            "rows_waiting": 53,
            "gaps": 1,
            "journal_bytes": 48_330_112,
            "database": "up",
            "reconnects": 1,
            "dropped_updates": 0,
            "now_ms": now,
        }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=8051)
    FakeUpstream(Background(), arguments.parse_args().port, is_moving=True).start()
    threading.Event().wait()
