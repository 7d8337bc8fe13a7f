"""The live feed and what may be asked once, on one loopback port.

WebSocket ``/api/v1/live``: ``hello``, binary frames of changed rows, ``health`` each second and
``alerts`` with it if there are new ones. ``GET /api/v1/health``, ``/api/v1/alerts`` and
``/api/v1/plan``: the same, and what is fetched how, once. Who is owed what is decided in
``viewers``; pages for browsers belong to the dashboard.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from market.errors import ConfigurationError, FrameError
from market.live_frame import LiveFrame, LiveTable, encode
from streaming.viewers import ACK_SECONDS, Now, Viewer, read_request

LIVE_PATH = "/api/v1/live"
HEALTH_PATH = "/api/v1/health"
ALERTS_PATH = "/api/v1/alerts"
PLAN_PATH = "/api/v1/plan"
# A day's worth for whoever asks or comes; then a push carries the new ones and some before.
ALERTS_ANSWERED, ALERTS_PUSHED = 500, 50
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

log = structlog.get_logger(__name__)


class LiveSource(Protocol):
    """What the feed shows: ``live.LiveState``."""

    @property
    def version(self) -> int:
        """Rises with every change."""

    @property
    def catalogue_version(self) -> int:
        """Rises when ids are added."""

    def catalogue(self) -> Mapping[str, object]:
        """What the ids stand for."""

    def changed(self, seen: int, groups: frozenset[Hashable] | None) -> list[LiveTable]:
        """Rows above version ``seen``, by table."""


class AlertSource(Protocol):
    """The newest alerts: ``alerts.AlertDesk``."""

    @property
    def version(self) -> int:
        """Rises with every alert; 0 before the first."""

    def as_json(self, limit: int) -> Mapping[str, object]:
        """The ``alerts`` message with at most so many."""


class LiveFeed:
    """Serves one source to any number of viewers.

    Args:
        health: gathers the ``health`` message.
        now_ms: our clock, epoch ms, for ``sent_at_ms``.
        plan: what is fetched how, for ``/api/v1/plan``.

    Attributes:
        run: names this life of the source; versions and ids of another mean nothing here.
    """

    def __init__(
        self,
        source: LiveSource,
        health: Callable[[], Mapping[str, object]],
        now_ms: Callable[[], float],
        push_seconds: float = 0.05,
        health_seconds: float = 1.0,
        *,
        alerts: AlertSource | None = None,
        plan: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self.run = secrets.token_hex(8)
        self._source = source
        self._health = health
        self._now_ms = now_ms
        self._push_seconds = push_seconds
        self._health_seconds = health_seconds
        self._alerts = alerts
        self._plan = plan
        self._viewers: set[Viewer] = set()
        self._gone: Counter[str] = Counter()

    @property
    def viewer_count(self) -> int:
        """Viewers connected now."""
        return len(self._viewers)

    @property
    def dropped_updates(self) -> int:
        """Pushes that full windows spared, over all viewers so far."""
        return self._gone["dropped_updates"] + sum(v.dropped_updates for v in self._viewers)

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[Server]:
        """Listen; on leaving, every viewer is closed with 1001.

        Raises:
            ConfigurationError: the port is taken or may not be used.
        """
        try:
            server = await serve(
                self._serve_viewer,
                host,
                port,
                process_request=self._route,
                compression=None,
                max_size=65_536,
                close_timeout=1,
            )
        except OSError as error:
            raise ConfigurationError(
                f"the live feed cannot listen on {host}:{port} ({error}): stop what uses the port, "
                "or set OPTIONLAKE_LIVE_PORT to another"
            ) from error
        async with server:
            yield server

    def _route(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let viewers through; answer everything else here."""
        address = urlsplit(request.path)
        path = address.path
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).hostname not in _LOOPBACK:
            return _json(connection, HTTPStatus.FORBIDDEN, {"error": f"origin {origin} is refused"})
        if path == LIVE_PATH:
            return _let_in(connection, address.query)
        answers = self._answers()
        if path in answers:
            return _json(connection, HTTPStatus.OK, answers[path]())
        known = [LIVE_PATH, *answers]
        return _json(connection, HTTPStatus.NOT_FOUND, {"error": f"no {path} here", "paths": known})

    def _answers(self) -> Mapping[str, Callable[[], Mapping[str, object]]]:
        answers = {HEALTH_PATH: self._health, PLAN_PATH: self._plan}
        if (alerts := self._alerts) is not None:
            answers[ALERTS_PATH] = lambda: alerts.as_json(ALERTS_ANSWERED)
        return answers

    async def _serve_viewer(self, connection: ServerConnection) -> None:
        viewer = Viewer.welcome(read_request(_query(connection)), self._now())
        self._viewers.add(viewer)
        pushing = asyncio.create_task(self._push(connection, viewer))
        try:
            async for message in connection:
                viewer.read(message)
        except FrameError as error:
            await connection.close(1008, str(error)[:120])
        except ConnectionClosed:
            pass  # how it ended is the viewer's business
        finally:
            self._viewers.discard(viewer)
            self._gone["dropped_updates"] += viewer.dropped_updates
            pushing.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await pushing

    async def _push(self, connection: ServerConnection, viewer: Viewer) -> None:
        clock = asyncio.get_running_loop().time
        with suppress(ConnectionClosed):
            while not viewer.is_lost(clock()):
                try:
                    async with asyncio.timeout(ACK_SECONDS):
                        for message in self._due(viewer, clock()):
                            await connection.send(message)
                except TimeoutError:
                    break
                await asyncio.sleep(self._push_seconds)
            await connection.close(1013, "no acknowledgement, come back later")

    def _due(self, viewer: Viewer, now: float) -> list[str | bytes]:
        """What to send now; taken at one moment, so that no frame speaks of unknown ids."""
        messages: list[str | bytes] = []
        if viewer.start or viewer.catalogue_version != self._source.catalogue_version:
            messages.append(self._hello(viewer))
        if now - viewer.health_at >= self._health_seconds:
            viewer.health_at = now
            messages.append(json.dumps(self._health()))
            messages.extend(self._new_alerts(viewer))
        if self._source.version > viewer.seen:
            if viewer.has_room():
                messages.extend(self._frame(viewer, now))
            else:
                viewer.dropped_updates += 1
        return messages

    def _new_alerts(self, viewer: Viewer) -> list[str]:
        if self._alerts is None or viewer.alerts_version == self._alerts.version:
            return []
        fresh = self._alerts.version - viewer.alerts_version
        limit = max(fresh, ALERTS_PUSHED) if viewer.alerts_version else ALERTS_ANSWERED
        viewer.alerts_version = self._alerts.version
        return [json.dumps(self._alerts.as_json(min(limit, ALERTS_ANSWERED)))]

    def _frame(self, viewer: Viewer, now: float) -> list[bytes]:
        version, since = self._source.version, viewer.held
        tables = self._source.changed(viewer.seen, viewer.groups)
        if not tables:
            viewer.seen = version
            return []
        number = viewer.take(version, now)
        return [encode(LiveFrame(number, self._now_ms(), tables, since, version))]

    def _now(self) -> Now:
        return Now(self.run, self._source.version, self._source.catalogue_version)

    def _hello(self, viewer: Viewer) -> str:
        """Who we are, how we begin, and what ids mean as far as the viewer does not know it."""
        told: dict[str, object] = {"type": "hello", "v": 1, "run": self.run}
        if viewer.start is not None:
            told["start"], viewer.start = str(viewer.start), None
        if viewer.catalogue_version != self._source.catalogue_version:
            viewer.catalogue_version = self._source.catalogue_version
            told["catalogue"] = self._source.catalogue()
        return json.dumps(told, separators=(",", ":"))


def _query(connection: ServerConnection) -> str:
    return urlsplit(connection.request.path).query if connection.request else ""


def _let_in(connection: ServerConnection, query: str) -> Response | None:
    """Refuse an address that cannot be read; None lets the viewer in."""
    try:
        read_request(query)
    except FrameError as error:
        return _json(connection, HTTPStatus.BAD_REQUEST, {"error": str(error)})
    return None


def _json(connection: ServerConnection, status: HTTPStatus, body: Mapping[str, object]) -> Response:
    response = connection.respond(status, json.dumps(body) + "\n")
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
