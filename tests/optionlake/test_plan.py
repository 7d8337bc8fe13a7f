"""The plan on a screen: of the streaming process if it tells one, computed else, never guessed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from brokers.interface import Capabilities
from brokers.planner import chain_cadence, chain_plan, explain, feed_plan, poll_cadence
from brokers.upstox.limits import KEYS_ALONE, KEYS_COMBINED
from market.errors import ConfigurationError
from optionlake import compose, plan
from optionlake.settings import Settings
from storage import instruments, timescale
from storage.interval import write_interval
from tests.listings import TODAY, WEEKS, listing


def _settings(tmp_path: Path, **given: Any) -> Settings:
    return Settings(home=tmp_path, live_port=1, symbols="NIFTY", **given)


def _told() -> dict[str, Any]:
    listed = listing("NIFTY")
    made = feed_plan(
        listed, {"NIFTY": 100.0}, 1, TODAY, Capabilities(2, KEYS_ALONE, KEYS_COMBINED), alive=(0,)
    )
    cadence = chain_cadence(chain_plan(listed, ("NIFTY",), 2, TODAY), 5, 48)
    return explain(made, cadence, poll_cadence(0, 30, 10)).as_json()


@contextmanager
def _telling(body: bytes) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _screen(found: Any) -> str:
    text = io.StringIO()
    plan.render(found, Console(file=text, width=110))
    return text.getvalue()


def test_a_running_process_tells_its_own(tmp_path: Path) -> None:
    """What is in force, on one screen: sockets, tiers, chains, staleness, reasons."""
    with _telling(json.dumps(_told()).encode()) as port:
        found = plan.gather(_settings(tmp_path).model_copy(update={"live_port": port}))
    screen = _screen(found)
    assert found["source"].startswith("in force")
    assert all(word in screen for word in ("dead", "full 8", "1,992", "5 × 2", "staleness: 0.3 s"))
    assert len(screen.splitlines()) <= 24


def test_nothing_known_is_said(tmp_path: Path, database: str) -> None:
    """No process and no instruments: the error says what to start."""
    timescale.migrate(database)
    settings = _settings(tmp_path, database_url=database)
    with pytest.raises(ConfigurationError, match="optionlake up"):
        plan.gather(settings)


def test_it_is_computed_from_what_is_known(tmp_path: Path, database: str) -> None:
    """From the instruments of the day; a symbol without a price is said to wait for it."""
    timescale.migrate(database)
    today: date = compose.now().date()
    days = tuple(today + timedelta(days=6 + 7 * n) for n in range(len(WEEKS)))
    instruments.register(database, [i for i in listing("NIFTY", days) if "FUT" not in i.broker_key])
    found = plan.gather(_settings(tmp_path, database_url=database))
    assert found["source"].startswith("computed")
    assert found["without_price"] == ("NIFTY",)
    assert "wait for a first price" in _screen(found)


def test_the_interval_that_was_set_is_used(tmp_path: Path) -> None:
    """The setting until then."""
    settings = _settings(tmp_path)
    assert compose.interval_seconds(settings) == 30
    write_interval(settings.layout.interval_file, 300)
    assert compose.interval_seconds(settings) == 300
