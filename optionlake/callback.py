"""The one request that a login dialog leads back with, received on this machine.

A listener on loopback that ends with the first answer to our own question; anything else that
knocks is turned away and waited past. What the code is good for is the broker's affair.
"""

from __future__ import annotations

import hmac
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from market.errors import AuthenticationError, ConfigurationError

_HOSTS = frozenset({"127.0.0.1", "localhost"})
# A browser may open a connection and say nothing on it.
_REQUEST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Callback:
    """What the dialog led back with: a code, or the reason for which there is none."""

    code: str | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a redirect URL leads to on this machine."""

    port: int
    path: str


def place_of(redirect_uri: str) -> Place:
    """The port and path to listen on.

    Raises:
        ConfigurationError: if the address is not plain HTTP on this machine.
    """
    try:
        parts = urlsplit(redirect_uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "http" or host not in _HOSTS or not port:
        raise ConfigurationError(
            f"UPSTOX_REDIRECT_URI is {redirect_uri!r}, expected e.g. http://127.0.0.1:8054/ as "
            "in the app's settings; with an app that leads elsewhere, use --token-stdin"
        )
    return Place(port, parts.path or "/")


def read_callback(target: str, path: str, state: str) -> Callback | None:
    """Read a request's target; None if it is not the answer to our own question.

    Args:
        state: what our dialog was opened with; an answer without it may be anybody's.
    """
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    query = parse_qs(parts.query, errors="replace")
    told = (query.get("state") or [""])[0]
    if (parts.path or "/") != path or not hmac.compare_digest(told.encode(), state.encode()):
        return None
    if code := (query.get("code") or [""])[0]:
        return Callback(code=code)
    refusal = (query.get("error_description") or query.get("error") or [""])[0]
    return Callback(refusal=refusal[:200] or "no code and no reason")


@contextmanager
def listening(redirect_uri: str, state: str) -> Iterator[Callable[[float], str]]:
    """Listen until the block ends; gives the blocking wait for the code, in seconds at most.

    The wait raises ``AuthenticationError`` when the user refuses or nobody comes.

    Raises:
        ConfigurationError: if the address is not ours to listen on, or its port is taken.
    """
    place = place_of(redirect_uri)
    try:
        server = _Server(place, state)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on 127.0.0.1:{place.port} for the login ({error.strerror}): free the "
            "port, or choose another in UPSTOX_REDIRECT_URI and in the app"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.wait
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, place: Place, state: str) -> None:
        self._place, self._state = place, state
        self._answers: queue.SimpleQueue[Callback] = queue.SimpleQueue()
        super().__init__(("127.0.0.1", place.port), _Handler)

    def take(self, target: str) -> Callback | None:
        """Keep the answer to our question; None if it is not one."""
        answer = read_callback(target, self._place.path, self._state)
        if answer is not None:
            self._answers.put(answer)
        return answer

    def wait(self, seconds: float) -> str:
        """The code."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise AuthenticationError(
                f"nobody logged in within {seconds:g} s: run optionlake login again"
            ) from None
        if answer.code is None:
            raise AuthenticationError(f"the login was refused: {answer.refusal}")
        return answer.code


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        answer = self.server.take(self.path)
        if answer is None:
            return self._say(404, "This is not the answer to optionlake's login.")
        if answer.code is None:
            return self._say(400, "The broker refused the login; optionlake says more.")
        return self._say(200, "optionlake has what it needs: you may close this page.")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request's line holds the code."""

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
