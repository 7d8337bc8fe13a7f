"""A TCP relay that can lose the network in the two ways that a network is lost.

A cut: nothing passes, nothing is closed, and attempts to connect get no answer at all, as their
packets are dropped. What was on its way is held rather than dropped, as TCP itself would send it
again. A refusal: everyone is reset, and attempts to connect are turned down at once, as by a host
without a server. What is sent through the relay is none of its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

_CHUNK_BYTES = 65_536
_QUEUE = 128
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Network:
    """A running relay; its methods may be called from any thread and return once all is done.

    Attributes:
        port: where it listens, on loopback.
    """

    port: int
    _loop: asyncio.AbstractEventLoop
    _relay: _Relay

    def cut(self) -> None:
        """From now on nothing passes, and nobody gets through or is told so."""
        self._told(self._relay.cut)

    def refuse(self) -> None:
        """Reset every connection, and turn each new one down."""
        self._told(self._relay.refuse)

    def heal(self) -> None:
        """Let everything pass again, first what was held."""
        self._told(self._relay.heal)

    def _told(self, change: Callable[[], None]) -> None:
        async def do() -> None:
            change()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(_START_SECONDS)


@contextlib.contextmanager
def relay(to_port: int) -> Iterator[Network]:
    """A relay from a free loopback port to ``to_port``, in a thread of its own."""
    started: Future[tuple[Network, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(to_port, started)))
    thread.start()
    network, stop = started.result(_START_SECONDS)
    try:
        yield network
    finally:
        network.heal()
        network._loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve(to_port: int, started: Future[tuple[Network, asyncio.Event]]) -> None:
    made = _Relay(to_port)
    made.heal()
    stop = asyncio.Event()
    started.set_result((Network(made.port, asyncio.get_running_loop(), made), stop))
    try:
        await stop.wait()
    finally:
        made.close()
        await asyncio.gather(*made.open_now, return_exceptions=True)


@dataclass(slots=True)
class _Relay:
    """The relay itself, inside its loop."""

    to_port: int
    port: int = 0
    open_now: set[asyncio.Task[None]] = field(default_factory=set)
    _is_whole: asyncio.Event = field(default_factory=asyncio.Event)
    _door: socket.socket | None = None
    _crowd: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        self._is_whole.clear()
        # Nobody is let in from a queue that is full, and the kernel drops whoever comes then.
        self._shut()
        self._bind().listen(0)
        for _ in range(2):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._crowd.append(waiting)

    def refuse(self) -> None:
        self._shut()
        # Bound, so that nobody else takes the port; not listening, so that the kernel refuses.
        self._bind()
        for task in self.open_now:
            task.cancel()

    def heal(self) -> None:
        self._shut()
        door = self._bind()
        door.listen(_QUEUE)
        asyncio.get_running_loop().add_reader(door.fileno(), self._let_in, door)
        self._is_whole.set()

    def close(self) -> None:
        self._shut()
        for task in self.open_now:
            task.cancel()

    def _bind(self) -> socket.socket:
        door = self._door = socket.socket()
        door.setblocking(False)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", self.port))
        self.port = door.getsockname()[1]
        return door

    def _shut(self) -> None:
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door.fileno())
            self._door.close()
        for waiting in self._crowd:
            waiting.close()
        self._crowd.clear()

    def _let_in(self, door: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            task = asyncio.create_task(self._relayed(door.accept()[0]))
            self.open_now.add(task)
            task.add_done_callback(self.open_now.discard)

    async def _relayed(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            with contextlib.suppress(OSError):
                await self._both_ways(reader, writer)
        except asyncio.CancelledError:
            # A refusal is no orderly end, for either side.
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        there = asyncio.create_task(_pump(reader, far_writer, self._is_whole))
        back = asyncio.create_task(_pump(far_reader, writer, self._is_whole))
        try:
            await asyncio.gather(there, back)
        except asyncio.CancelledError:
            far_writer.transport.abort()
            raise
        finally:
            for pump in (there, back):
                pump.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            far_writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_whole: asyncio.Event
) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            await is_whole.wait()
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionResetError:
        # A reset goes on as a reset: the other side must not take it for an orderly end.
        writer.transport.abort()
        raise
