"""A server of the user's that takes webhook notices: answers as told, and keeps what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
def receiving(*statuses: int, port: int = 0) -> Iterator[Receiver]:
    """A server of the user's."""
    server = Receiver(list(statuses), port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
