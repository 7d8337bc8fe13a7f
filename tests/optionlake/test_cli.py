"""What a person types: help that explains, and errors that end clearly with their own code."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from optionlake.cli import app
from simulator.tokens import mint


def _run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "optionlake", *arguments],
        env={"PATH": "/usr/bin:/bin", "OPTIONLAKE_HOME": str(home), "COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    """Each command has a line of its own that says what it does."""
    done = _run(tmp_path, "--help")
    assert done.returncode == 0
    for command in app.registered_commands:
        assert command.callback is not None
        assert command.callback.__name__ in done.stdout
        assert command.callback.__doc__


def test_up_without_token_starts_nothing(tmp_path: Path) -> None:
    """A missing token ends with its own code and a remedy, before anything is created."""
    done = _run(tmp_path / "home", "up")
    assert done.returncode == 3
    assert "UPSTOX_ACCESS_TOKEN" in done.stderr
    assert not (tmp_path / "home").exists()


def test_up_with_expired_token_says_when_it_died(tmp_path: Path) -> None:
    """An expired token is recognised locally; the token itself is not shown."""
    token = mint(datetime.now(UTC) - timedelta(days=2), timedelta(days=1))
    done = _run(tmp_path / "home", "up", UPSTOX_ACCESS_TOKEN=token)
    assert done.returncode == 3
    assert "expired" in done.stderr
    assert "IST" in done.stderr
    assert token not in done.stderr + done.stdout
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [("status",), ("demo",), ("sql", "select 1")])
def test_wrong_setting_ends_with_code_2(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Every command names the setting that is wrong."""
    done = _run(tmp_path, *command, OPTIONLAKE_WINDOW_MINUTES="99")
    assert done.returncode == 2
    assert "window_minutes" in done.stderr


def test_sql_without_a_database_says_what_to_start(tmp_path: Path) -> None:
    """The first thing a newcomer may type before starting anything."""
    done = _run(tmp_path, "sql", "select 1")
    assert done.returncode == 2
    assert "optionlake demo" in done.stderr


def test_status_of_nothing_is_clear_and_creates_nothing(tmp_path: Path) -> None:
    """Looking changes nothing; exit code 1 says that not all is well."""
    done = _run(tmp_path / "home", "status")
    assert done.returncode == 1
    assert "nothing is running" in done.stdout
    assert not (tmp_path / "home").exists()


def test_simulate_refuses_an_unknown_calendar(tmp_path: Path) -> None:
    """The option lists what it takes."""
    done = _run(tmp_path, "simulate", "--session", "lunar")
    assert done.returncode == 2
    assert "always" in done.stderr
