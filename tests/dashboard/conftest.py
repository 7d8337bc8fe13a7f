"""A scripted feed and a dashboard that follows it, both real servers on free ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import requests

from dashboard.app import DashboardConfig, create_server
from tests.dashboard.fake_upstream import Background, FakeUpstream
from tests.dashboard.until import until


class Dashboard:
    """A running dashboard."""

    def __init__(self, background: Background, live_url: str, port: int) -> None:
        self._background = background
        self._server = create_server(DashboardConfig(live_url=live_url, port=port))
        self._serving = asyncio.run_coroutine_threadsafe(self._server.serve(), background.loop)
        until(lambda: self._server.started)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def live_url(self) -> str:
        """Address of the live feed."""
        return f"ws://127.0.0.1:{self.port}/api/v1/live"

    def get(self, path: str, **headers: str) -> requests.Response:
        """One request."""
        return requests.get(self.url + path, headers=headers, timeout=5)

    def stop(self) -> None:
        """Shut down in order."""
        self._server.should_exit = True
        self._serving.result(10)


@pytest.fixture
def background() -> Iterator[Background]:
    """A thread for the servers."""
    started = Background()
    yield started
    started.close()


@pytest.fixture
def upstream(background: Background) -> Iterator[FakeUpstream]:
    """The feed."""
    started = FakeUpstream(background).start()
    yield started
    started.stop()


@pytest.fixture
def start_dashboard(background: Background) -> Iterator[Callable[..., Dashboard]]:
    """Starts dashboards that follow an address."""
    started: list[Dashboard] = []

    def start(live_url: str, port: int = 0) -> Dashboard:
        started.append(Dashboard(background, live_url, port))
        return started[-1]

    yield start
    for dashboard in started:
        dashboard.stop()


@pytest.fixture
def dashboard(upstream: FakeUpstream, start_dashboard: Callable[..., Dashboard]) -> Dashboard:
    """A dashboard that has everything the feed holds."""
    started = start_dashboard(upstream.url)
    until(lambda: started.get("/api/v1/underlyings").ok)
    until(lambda: started.get("/api/v1/health").json()["upstream"]["frames"] > 0)
    return started
