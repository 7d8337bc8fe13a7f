"""A TCP relay that can lose the network: nothing passes, nothing is closed, nothing is refused.

The bytes of a cut are held rather than dropped, as TCP itself would send them again once the
network is back. The other way to lose it is a reset for everyone who is or gets through. What is
sent through it is none of its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

_CHUNK_BYTES = 65_536
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Network:
    """A running relay; its methods may be called from any thread.

    Attributes:
        port: where it listens, on loopback.
    """

    port: int
    _loop: asyncio.AbstractEventLoop
    _is_whole: asyncio.Event
    _is_refusing: asyncio.Event

    def cut(self) -> None:
        """From now on nothing passes in either direction."""
        self._loop.call_soon_threadsafe(self._is_whole.clear)

    def refuse(self) -> None:
        """Reset every connection, and from now on each new one at once."""
        self._loop.call_soon_threadsafe(self._is_refusing.set)

    def heal(self) -> None:
        """Let everything pass again, first what was held."""
        self._loop.call_soon_threadsafe(self._is_refusing.clear)
        self._loop.call_soon_threadsafe(self._is_whole.set)


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
    is_whole, is_refusing, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    is_whole.set()
    open_now: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_refusing.is_set():
            writer.transport.abort()
            return
        task = asyncio.create_task(
            _until_refused(_relayed(reader, writer, to_port, is_whole), is_refusing)
        )
        open_now.add(task)
        task.add_done_callback(open_now.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        started.set_result((Network(port, asyncio.get_running_loop(), is_whole, is_refusing), stop))
        await stop.wait()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


async def _until_refused(relayed: Coroutine[None, None, None], is_refusing: asyncio.Event) -> None:
    passing = asyncio.ensure_future(relayed)
    refused = asyncio.ensure_future(is_refusing.wait())
    try:
        await asyncio.wait((passing, refused), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (passing, refused):
            task.cancel()
        await asyncio.gather(passing, refused, return_exceptions=True)


async def _relayed(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    to_port: int,
    is_whole: asyncio.Event,
) -> None:
    with contextlib.suppress(OSError):
        await is_whole.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
        there = asyncio.create_task(_pump(reader, far_writer, is_whole))
        back = asyncio.create_task(_pump(far_reader, writer, is_whole))
        try:
            await asyncio.gather(there, back)
        finally:
            for pump in (there, back):
                pump.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            far_writer.close()
            writer.close()


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
