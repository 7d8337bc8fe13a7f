"""What a person types: help that explains, and errors that end clearly with their own code."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from optionlake import logs, recording, serve
from optionlake.cli import app
from simulator.access.tokens import mint
from simulator.faults.catalogue import CATALOGUE


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


def _invoked(*arguments: str, **environment: str) -> Result:
    """A command in this process; logging stays the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "configure", lambda level: None)
        return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"} | environment)


def _typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """What ``simulate`` hands over for arguments."""
    handed: list[Any] = []
    monkeypatch.setattr(serve, "simulator", lambda settings, typed, report: handed.append(typed))
    done = _invoked("simulate", *arguments)
    assert done.exit_code == 0, done.output
    return handed[0]


def test_simulate_hands_over_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flag reaches its place; those that repeat are all kept, in order."""
    typed = _typed(
        monkeypatch,
        *("--port", "1", "--proxy-port", "2", "--seed", "3", "--symbols", "NIFTY,TCS"),
        *("--session", "nse", "--feedback", "0.5", "--start", "2026-11-25 09:15", "--speed", "60"),
        *("--plan", "normal", "--no-limits", "--key-limits", "user"),
        *("--fault", "reset:at=+5s", "--fault", "mute", "--scenario", "s.yaml"),
    )
    assert (typed.port, typed.proxy_port, typed.seed, typed.symbols) == (1, 2, 3, "NIFTY,TCS")
    assert (typed.session, typed.start, typed.speed) == ("nse", "2026-11-25 09:15", 60)
    assert typed.feedback == 0.5
    assert (typed.is_plus, typed.has_limits, typed.key_limits) == (False, False, "user")
    assert list(typed.faults) == ["reset:at=+5s", "mute"]
    assert typed.scenario == Path("s.yaml")
    assert _typed(monkeypatch, "--replay", "r").replay == Path("r")


def test_simulate_without_flags_is_the_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing typed: limits on, no faults, and the settings' market."""
    typed = _typed(monkeypatch)
    assert typed == type(typed)()


def test_simulate_groups_its_help() -> None:
    """Whoever asks for help finds a flag under what it is about."""
    shown = _invoked("simulate", "--help").output
    panels = ["Server", "Market", "time", "Account and limits", "Faults", "Recordings"]
    places = [shown.index(panel) for panel in panels]
    assert places == sorted(places)


def test_every_fault_is_listed() -> None:
    """With its meaning and each of its settings."""
    shown = _invoked("simulate", "--list-faults").output
    for kind in CATALOGUE.values():
        assert kind.name in shown
        assert kind.meaning in shown
        for argument in kind.arguments:
            assert f"{argument.name}=" in shown


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--fault", "clsoe"), "close"),
        (("--start", "noon"), "'noon' is no time"),
        (("--feedback", "nan"), "expected -10 to 10"),
        (("--speed", "-1"), "expected 0 (paused)"),
        (("--symbols", "NOSUCH", "--port", "0"), "NOSUCH"),
        (("--replay", "nowhere"), "no recording in nowhere"),
        (("--replay", "nowhere", "--seed", "5"), "--seed cannot go with --replay"),
        (("--scenario", "nowhere.yaml"), "nowhere.yaml"),
        (("--session", "lunar"), "always"),
    ],
)
def test_wrong_flags_end_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], problem: str
) -> None:
    """Nothing is served, and the message says what would be right."""
    monkeypatch.chdir(tmp_path)
    done = _invoked("simulate", *arguments)
    assert done.exit_code == 2, done.output
    assert problem in done.output


def test_record_hands_over_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, each key flag, and for how long."""
    handed: list[Any] = []
    monkeypatch.setattr(
        recording, "record", lambda settings, wanted, console: handed.append(wanted)
    )
    flags = ("--keys", "A|1,A|2", "--keys", "@f", "--mode", "ltpc", "--minutes", "2")
    done = _invoked("record", "new", *flags, "--simulator", "http://here")
    assert done.exit_code == 0, done.output
    assert handed == [recording.Wanted(Path("new"), ("A|1,A|2", "@f"), "ltpc", 2, "http://here")]


def test_record_without_a_token_records_nothing(tmp_path: Path) -> None:
    """The real broker needs one; the folder is not made."""
    folder = tmp_path / "new"
    done = _run(tmp_path / "home", "record", str(folder), "--keys", "NSE_INDEX|Nifty 50")
    assert done.returncode == 3
    assert "UPSTOX_ACCESS_TOKEN" in done.stderr
    assert not folder.exists()


def test_login_that_gives_no_token_ends_with_code_3(tmp_path: Path) -> None:
    """Pasted rubbish, and a status without a token; nothing is kept."""
    for arguments in (("--token-stdin",), ("--status",)):
        done = _run(tmp_path / "home", "login", *arguments)
        assert done.returncode == 3, done.stderr
    assert "UPSTOX_CLIENT_ID" in _run(tmp_path / "home", "login", "--no-browser").stderr
    assert not (tmp_path / "home").exists()


def test_login_keeps_a_piped_token(tmp_path: Path) -> None:
    """It says whose it is and until when, and shows nothing of it."""
    token = mint(datetime.now(UTC))
    home = str(tmp_path / "home")
    flags = ("login", "--token-stdin", "--no-check")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "configure", lambda level: None)
        done = CliRunner().invoke(app, flags, env={"OPTIONLAKE_HOME": home}, input=f"{token}\n")
    assert done.exit_code == 0, done.output
    assert "analytics token of SIM001, until" in done.output
    assert token not in done.output
    assert (tmp_path / "home" / "run" / "token").read_text().strip() == token
