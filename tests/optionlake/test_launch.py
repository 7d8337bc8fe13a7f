"""What stops a launch before anything is started, and what the demo chooses for itself."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from brokers.interface import Secret
from brokers.upstox.auth import StaticToken
from market.errors import AuthenticationError, ConfigurationError, DatabaseUnavailable
from optionlake import launch
from optionlake.settings import Settings


def _settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(**({"home": tmp_path, "access_token": None, "database_url": None} | given))  # type: ignore[arg-type]


def _run(settings: Settings, *, is_demo: bool) -> None:
    launch.run(settings, is_demo=is_demo, report=lambda _: None, on_ready=lambda: None)


def test_demo_differs_by_address_token_and_calendar(tmp_path: Path) -> None:
    """The programs are the same; the exchange behind the addresses is ours and never closes."""
    demo = launch.demo_settings(_settings(tmp_path, simulator_port=9999))
    assert demo.api_url == demo.assets_url == "http://127.0.0.1:9999"
    assert (demo.session, demo.window_minutes, demo.home) == ("always", 1, tmp_path)
    assert demo.access_token is not None
    token = StaticToken(Secret(demo.access_token.get_secret_value()), lambda: datetime.now(UTC))
    assert (token.expires_at() - datetime.now(UTC)).days > 300


def test_demo_keeps_away_from_live_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home of its own choosing the demo never writes where real data lie."""
    monkeypatch.delenv("OPTIONLAKE_HOME", raising=False)
    assert launch.demo_settings(Settings()).home != Settings().home


def test_up_needs_a_token_first(tmp_path: Path) -> None:
    """Nothing is half-started: not even a folder is made."""
    with pytest.raises(AuthenticationError):
        _run(_settings(tmp_path / "home"), is_demo=False)
    assert not (tmp_path / "home").exists()


def test_taken_port_is_named(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> None:
    """The message names the port and the setting that moves it."""
    dagster, live, simulator = free_ports(3)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = launch.demo_settings(
            _settings(
                tmp_path,
                page_port=port,
                dagster_port=dagster,
                live_port=live,
                simulator_port=simulator,
            )
        )
        with pytest.raises(ConfigurationError, match=f"{port}.*OPTIONLAKE_PAGE_PORT"):
            _run(settings, is_demo=True)


def test_one_launcher_per_home(tmp_path: Path) -> None:
    """A second one would stop the first one's programs as leftovers."""
    settings = launch.demo_settings(_settings(tmp_path))
    settings.layout.create()
    with (settings.layout.run / "launcher.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="already running"):
            _run(settings, is_demo=True)


def test_database_that_is_down_is_told_once_and_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> None:
    """A database of one's own that does not answer: one clear message, retries, then an end."""
    monkeypatch.setattr(launch, "DATABASE_DELAYS", (0.01, 0.01))
    page, dagster, live, simulator, database = free_ports(5)
    said: list[str] = []
    settings = launch.demo_settings(
        _settings(
            tmp_path,
            page_port=page,
            dagster_port=dagster,
            live_port=live,
            simulator_port=simulator,
            database_url=SecretStr(f"postgresql://u:hidden@127.0.0.1:{database}/db"),
        )
    )
    with pytest.raises(DatabaseUnavailable, match=str(database)):
        launch.run(settings, is_demo=True, report=said.append, on_ready=lambda: None)
    assert len([line for line in said if str(database) in line]) == 1
    assert "hidden" not in "".join(said)


def test_welcome_names_every_address(tmp_path: Path) -> None:
    """Page, Dagster and API, what to try and how to stop."""
    text = launch.welcome(_settings(tmp_path, page_port=1234, dagster_port=2345))
    assert "http://127.0.0.1:1234" in text
    assert "http://127.0.0.1:2345" in text
    assert "optionlake status" in text
    assert "Ctrl-C" in text
