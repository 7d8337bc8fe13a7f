"""A server of the user's that takes webhook notices, and what hands notices to a sender."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any, TypeVar

from streaming.webhook import Notice, Sender
from tests.streaming.waiting import run, until

Server = TypeVar("Server", bound=BaseServer)
Sending = TypeVar("Sending", bound=Sender)


class Receiver(ThreadingHTTPServer):
    """Answers with the given statuses in turn, then 200, and keeps what came."""

    daemon_threads = True

    def __init__(self, statuses: list[int], port: int = 0) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses = iter(statuses)
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Keep the body, answer as told."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        self.send_response(next(self.server.statuses, 200))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """A server at work until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def receiving(*statuses: int, port: int = 0) -> Iterator[Receiver]:
    """A server of the user's."""
    with serving(Receiver(list(statuses), port)) as server:
        yield server


def sent_by(
    make: Callable[[], Sending], notices: list[Notice], is_done: Callable[[Sending], bool]
) -> Sending:
    """Hand the notices over, and send until it is done."""
    made: list[Sending] = []

    async def send() -> None:
        sender = make()
        task = asyncio.create_task(sender.run())
        for notice in notices:
            sender.offer(notice)
        await until(lambda: is_done(sender))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        made.append(sender)

    run(send())
    return made[0]
