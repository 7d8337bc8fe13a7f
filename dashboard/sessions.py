"""The browsers' sockets: one reader and one writer each, around the hub's rules.

Only waiting and sending belong here; what is sent, and when, is decided in ``hub``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.hub import Close, Hub
from market.errors import FrameError

log = structlog.get_logger(__name__)

POLICY_VIOLATION = 1008


class Sessions:
    """All browsers connected; ``announce`` wakes each of them after a change of the hub."""

    def __init__(self, hub: Hub, now_ms: Callable[[], float]) -> None:
        self._hub = hub
        self._now_ms = now_ms
        self._wakes: dict[int, asyncio.Event] = {}

    def announce(self) -> None:
        """Let every writer look whether the hub has something for it."""
        for wake in self._wakes.values():
            wake.set()

    async def serve(self, socket: WebSocket) -> None:
        """Serve one browser until either side ends it."""
        await socket.accept()
        client = self._hub.join(time.monotonic())
        if isinstance(client, Close):
            await socket.close(client.code, client.reason)
            return
        self._wakes[client] = asyncio.Event()
        try:
            await self._converse(socket, client)
        finally:
            del self._wakes[client]
            self._hub.leave(client)

    async def _converse(self, socket: WebSocket, client: int) -> None:
        tasks = [
            asyncio.create_task(self._read(socket, client)),
            asyncio.create_task(self._write(socket, client)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            closes = [task.result() for task in done]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if closes[0] is not None:
            await _close(socket, closes[0])

    async def _read(self, socket: WebSocket, client: int) -> Close | None:
        try:
            while True:
                self._hub.receive(client, await _text(socket))
                self._wakes[client].set()
        except WebSocketDisconnect:
            return None
        except FrameError as error:
            log.warning("page sent a message that is none", error=str(error))
            return Close(POLICY_VIOLATION, str(error)[:120])

    async def _write(self, socket: WebSocket, client: int) -> Close | None:
        wake = self._wakes[client]
        try:
            while True:
                wake.clear()
                for message in self._hub.poll(client, time.monotonic(), self._now_ms()):
                    if isinstance(message, Close):
                        return message
                    await _send(socket, message)
                await self._wait(client, wake)
        except WebSocketDisconnect:
            return None

    async def _wait(self, client: int, wake: asyncio.Event) -> None:
        seconds = self._hub.wait_seconds(client, time.monotonic())
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            return


async def _text(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if not isinstance(text, str):
        raise FrameError("binary message, expected text: a watch or an ack")
    return text


async def _send(socket: WebSocket, message: str | bytes) -> None:
    if isinstance(message, bytes):
        await socket.send_bytes(message)
    else:
        await socket.send_text(message)


async def _close(socket: WebSocket, close: Close) -> None:
    try:
        await socket.close(close.code, close.reason)
    except (RuntimeError, WebSocketDisconnect):
        log.debug("page was gone before it was closed")
