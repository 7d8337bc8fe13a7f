"""The live feed, the health answer and the newest alerts, on one loopback port.

WebSocket ``/api/v1/live``: ``hello``, binary frames of changed rows, ``health`` each second and
``alerts`` with it if there are new ones. ``GET /api/v1/health`` and ``/api/v1/alerts``: the same
once. Who is owed what is decided in ``viewers``; pages for browsers belong to the dashboard.
"""

from __future__ import annotations

import asyncio
import json
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
from streaming.viewers import ACK_SECONDS, Viewer

LIVE_PATH = "/api/v1/live"
HEALTH_PATH = "/api/v1/health"
ALERTS_PATH = "/api/v1/alerts"
# A day's worth for whoever asks; a push only carries what a page shows.
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
    ) -> None:
        self._source = source
        self._health = health
        self._now_ms = now_ms
        self._push_seconds = push_seconds
        self._health_seconds = health_seconds
        self._alerts = alerts
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
        path = urlsplit(request.path).path
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).hostname not in _LOOPBACK:
            return _json(connection, HTTPStatus.FORBIDDEN, {"error": f"origin {origin} is refused"})
        if path == LIVE_PATH:
            return None
        if path == HEALTH_PATH:
            return _json(connection, HTTPStatus.OK, self._health())
        if path == ALERTS_PATH and self._alerts is not None:
            return _json(connection, HTTPStatus.OK, self._alerts.as_json(ALERTS_ANSWERED))
        known = [LIVE_PATH, HEALTH_PATH, ALERTS_PATH]
        return _json(connection, HTTPStatus.NOT_FOUND, {"error": f"no {path} here", "paths": known})

    async def _serve_viewer(self, connection: ServerConnection) -> None:
        viewer = Viewer()
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
        if viewer.catalogue_version != self._source.catalogue_version:
            viewer.catalogue_version = self._source.catalogue_version
            messages.append(_hello(self._source.catalogue()))
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
        viewer.alerts_version = self._alerts.version
        return [json.dumps(self._alerts.as_json(ALERTS_PUSHED))]

    def _frame(self, viewer: Viewer, now: float) -> list[bytes]:
        version = self._source.version
        tables = self._source.changed(viewer.seen, viewer.groups)
        if not tables:
            viewer.seen = version
            return []
        return [encode(LiveFrame(viewer.take(version, now), self._now_ms(), tables))]


def _hello(catalogue: Mapping[str, object]) -> str:
    return json.dumps({"type": "hello", "v": 1, "catalogue": catalogue}, separators=(",", ":"))


def _json(connection: ServerConnection, status: HTTPStatus, body: Mapping[str, object]) -> Response:
    response = connection.respond(status, json.dumps(body) + "\n")
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
