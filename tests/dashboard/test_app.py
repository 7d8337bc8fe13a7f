"""The web application as a whole, through a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from dashboard.app import STATIC, DashboardConfig, run
from dashboard.upstream import Upstream
from tests.dashboard.conftest import Dashboard


def test_the_page_and_its_files_are_served(dashboard: Dashboard) -> None:
    """One address each; browsers ask each time, since the names never change."""
    page = dashboard.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in ("page.js", "page.css"):
        assert f"/static/{name}" in page.text
        answer = dashboard.get(f"/static/{name}")
        assert answer.ok
        assert answer.headers["cache-control"] == "no-cache"
        unchanged = dashboard.get(f"/static/{name}", **{"If-None-Match": answer.headers["etag"]})
        assert unchanged.status_code == 304


@pytest.mark.parametrize("path", ["/static/index.html", "/static/../app.py", "/static/nothing"])
def test_nothing_else_is_served(dashboard: Dashboard, path: str) -> None:
    """Neither files outside nor a second address of the page."""
    assert dashboard.get(path).status_code == 404


def test_the_page_asks_nobody_else() -> None:
    """No address of another host stands in what is shipped, except names of standards."""
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "https://" not in text.replace("https://github.com/leeoniya/uPlot", ""), file
        assert "http://" not in text.replace("http://www.w3.org/", ""), file


def test_the_shipped_page_stays_small() -> None:
    """All of it, before compression."""
    assert sum(file.stat().st_size for file in STATIC.iterdir()) < 200_000


def test_other_methods_are_refused_with_a_remedy(dashboard: Dashboard) -> None:
    """The API only answers questions."""
    answer = requests.post(dashboard.url + "/api/v1/underlyings", timeout=5)
    assert answer.status_code == 405
    assert answer.json()["error"]["remedy"]


def test_a_mistake_in_a_background_task_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its exception: a page that went on without its feed would look alive."""

    async def broken(self: Upstream) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr(Upstream, "follow", broken)
    with pytest.raises(AssertionError, match="a mistake"):
        run(DashboardConfig(live_url="ws://127.0.0.1:1/", port=0))


def test_the_lock_of_the_front_end_names_no_registry() -> None:
    """So that it installs behind any."""
    lock = Path(STATIC.parent / "web" / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
