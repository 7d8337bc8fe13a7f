"""The dashboard's web application: routes, start and end.

Answers are made in ``payloads``, browsers' sockets served in ``sessions``, the feed followed in
``upstream``; here they are only put together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from dashboard import openapi, payloads
from dashboard.hub import Hub
from dashboard.payloads import Problem
from dashboard.security import Guard
from dashboard.sessions import Sessions
from dashboard.upstream import Upstream

log = structlog.get_logger(__name__)

STATIC = Path(__file__).parent / "static"
MAX_BROWSER_MESSAGE_BYTES = 4096
_REVALIDATE = {"cache-control": "no-cache"}
_NOT_STORED = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class DashboardConfig:
    """What the dashboard needs to know.

    Attributes:
        live_url: the streaming process's feed, e.g. ``ws://127.0.0.1:8051/api/v1/live``.
        host: address to listen on; also accepted in ``Host`` headers.
        allowed_hosts: further names that ``Host`` headers may carry, e.g. behind a proxy.
    """

    live_url: str
    host: str = "127.0.0.1"
    port: int = 8050
    allowed_hosts: tuple[str, ...] = ()


class _Server:
    """The parts of one running dashboard."""

    def __init__(
        self,
        config: DashboardConfig,
        now_ms: Callable[[], float],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._on_failure = on_failure
        self.now_ms = now_ms
        self.hub = Hub()
        self.sessions = Sessions(self.hub, now_ms)
        self.upstream = Upstream(config.live_url, self.hub, self.sessions.announce, now_ms)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work) for work in (self.upstream.follow(), self._report())]
        for task in tasks:
            task.add_done_callback(self._ended)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Every failure that another attempt could mend was caught: this one is a mistake, and a
        # page that goes on without its feed would look alive.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("dashboard stops", exc_info=error)
            self._on_failure(error)

    async def health(self, _request: Request) -> Response:
        return _json(payloads.health(self.hub, self.upstream.status, self.now_ms()))

    async def alerts(self, _request: Request) -> Response:
        return _json(payloads.alerts(self.hub, self.now_ms()))

    async def underlyings(self, _request: Request) -> Response:
        return _json(payloads.underlyings(self.hub, self.now_ms()))

    async def chain(self, request: Request) -> Response:
        symbol, expiry = _choice(request)
        return _json(payloads.chain(self.hub, symbol, expiry, self.now_ms()))

    async def exposure(self, request: Request) -> Response:
        symbol, expiry = _choice(request)
        return _json(payloads.exposure(self.hub, symbol, expiry, self.now_ms()))

    async def live(self, socket: WebSocket) -> None:
        await self.sessions.serve(socket)

    async def _report(self) -> None:
        while True:
            status = self.upstream.status
            self.hub.report(payloads.live_health(self.hub, status, self.now_ms()))
            self.sessions.announce()
            await asyncio.sleep(1)


class _Files(StaticFiles):
    """Static files that the browser asks about each time: their names do not change."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_REVALIDATE)
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        # The page itself has one address, which is the root.
        if path.endswith(".html"):
            raise HTTPException(404)
        return await super().get_response(path, scope)


def create_app(
    config: DashboardConfig,
    now_ms: Callable[[], float] = lambda: time.time() * 1000,
    on_failure: Callable[[BaseException], None] = lambda _: None,
) -> Starlette:
    """The application; it follows the feed between start-up and shut-down.

    Args:
        now_ms: epoch milliseconds.
        on_failure: called if a background task ends by a mistake in the program.
    """
    server = _Server(config, now_ms, on_failure)
    routes = [
        Route("/", _page),
        Mount("/static", _Files(directory=STATIC)),
        Route("/api/v1/health", server.health),
        Route("/api/v1/alerts", server.alerts),
        Route("/api/v1/underlyings", server.underlyings),
        Route("/api/v1/chain/{symbol}", server.chain),
        Route("/api/v1/exposure/{symbol}", server.exposure),
        Route("/api/v1/openapi.json", _openapi),
        WebSocketRoute("/api/v1/live", server.live),
    ]
    return Starlette(
        routes=routes,
        lifespan=server.lifespan,
        middleware=[Middleware(Guard, allowed_hosts=(config.host, *config.allowed_hosts))],
        exception_handlers={HTTPException: _refused},
    )


class _Uvicorn(uvicorn.Server):
    """A web server that ends when the application cannot go on, and says why."""

    failure: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.failure = error
        self.should_exit = True


def create_server(config: DashboardConfig, log_level: str = "warning") -> _Uvicorn:
    """A web server for the application with the options that it relies on."""

    def fail(error: BaseException) -> None:
        server.fail(error)

    options = uvicorn.Config(
        create_app(config, on_failure=fail),
        host=config.host,
        port=config.port,
        ws="websockets-sansio",
        ws_max_size=MAX_BROWSER_MESSAGE_BYTES,
        # Typed arrays hardly shrink, and shrinking them costs more than sending them.
        ws_per_message_deflate=False,
        server_header=False,
        access_log=False,
        log_level=log_level,
        timeout_graceful_shutdown=2,
    )
    server = _Uvicorn(options)
    return server


def run(config: DashboardConfig, log_level: str = "warning") -> None:
    """Serve the page until a signal; a mistake in the program ends it with that exception."""
    server = create_server(config, log_level)
    server.run()
    if server.failure is not None:
        raise server.failure


async def _page(_request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers=_REVALIDATE)


async def _openapi(_request: Request) -> Response:
    return _json(openapi.document())


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    expected = ("/", "/api/v1/openapi.json")
    problem = Problem(
        status,
        {404: "not_found", 405: "method_not_allowed"}.get(status, "refused"),
        "nothing to be had here this way",
        expected,
        "see /api/v1/openapi.json for the addresses and methods there are",
    )
    return _json(problem)


def _choice(request: Request) -> tuple[str, str | None]:
    return request.path_params["symbol"].upper(), request.query_params.get("expiry")


def _json(answer: dict[str, Any] | Problem) -> Response:
    if isinstance(answer, Problem):
        return JSONResponse(answer.as_json(), answer.status, headers=_NOT_STORED)
    return JSONResponse(answer, headers=_NOT_STORED)
