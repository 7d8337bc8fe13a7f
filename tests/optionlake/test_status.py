"""Status: never fails itself, names each thing that is wrong, fits a screen."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from optionlake import processes, status
from optionlake.settings import Settings


def _settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=None, live_port=1)  # type: ignore[call-arg]


def _rendered(found: status.Status) -> str:
    text = io.StringIO()
    status.render(found, Console(file=text, width=100))
    return text.getvalue()


def test_nothing_running(tmp_path: Path) -> None:
    """The screen says what is missing and what to type."""
    found = status.gather(_settings(tmp_path))
    assert not found.is_healthy
    assert "optionlake demo" in _rendered(found)


def test_dead_process_is_named(tmp_path: Path) -> None:
    """A program that died is a problem, not an absence."""
    settings = _settings(tmp_path)
    settings.layout.create()
    gone = processes.Started("stream", 2**22 - 3, 1.0)
    processes.write(settings.layout.processes_file, [gone])
    found = status.gather(settings)
    assert "stream is not running" in found.problems
    assert any(problem.startswith("feed:") for problem in found.problems)


def test_unreachable_database_is_a_problem_and_hides_its_password(tmp_path: Path) -> None:
    """Each part that needs the database says so; the rest is still shown."""
    settings = _settings(tmp_path)
    settings.layout.create()
    settings.layout.database_url_file.write_text("postgresql://u:hidden@127.0.0.1:1/db")
    found = status.gather(settings)
    assert found.landing is None
    assert any(problem.startswith("ticks:") for problem in found.problems)
    assert len(found.budget) == 3
    assert "hidden" not in _rendered(found)


def test_everything_fits_a_screen(tmp_path: Path) -> None:
    """One screen: no more than 24 lines of 100 characters when all is well."""
    found = status.Status(
        home=str(tmp_path),
        checked_at="2026-11-24T09:00:00+00:00",
        processes=[
            {"name": n, "pid": 10000, "is_alive": True, "address": "http://127.0.0.1:8050"}
            for n in ("simulate", "stream", "dashboard", "dagster-daemon", "dagster-webserver")
        ],
        feed={"state": "live", "last_frame_at_ms": 1795510799500.0, "subscribed": 345},
        token={"level": "ok", "minutes_left": 525_600},
        token_expires_at="2027-11-24T09:00:00+00:00",
        last_window={"trading_day": "2026-11-24", "slot": "14:30", "symbols": 15},
        landing={"rows": 1, "gaps": 0, "newest_event_at": "2026-11-24T09:00:00+00:00"},
        lake_bytes=12_345_678,
        budget=[{"seconds": 1.0, "used": 0, "calls": 50}],
        problems=[],
    )
    text = _rendered(found)
    assert found.is_healthy
    assert "all well" in text
    assert "last frame 0.5 s ago" in text
    assert "24 Nov 2027 14:30:00 IST, 365 days left" in text
    assert text.count("\n") <= 24


def test_who_tells_the_prices_is_told() -> None:
    """A stand-in and a comparison must not be overlooked."""
    socket = {"index": 0, "state": "live", "keys": 345}
    feed = {"mode": "hybrid", "sockets": [socket], "fallback_since_ms": 1795510799500}
    told = status._sources(feed)
    assert "socket 0 live (345 keys), [yellow]prices by REST since 14:29:59 IST" in told
    compared = {"within_share": 0.995, "compared": 200}
    told = status._sources({"mode": "shadow", "sockets": [socket], "parity": compared})
    assert told.endswith("parity 99.5% of 200 keys")
    told = status._sources({"mode": "rest", "sockets": [], "rest_calls_per_minute": 18.0})
    assert told == "all prices by REST, 18 calls/min"


def test_a_wrong_clock_is_a_problem() -> None:
    """In either direction; the way of a frame is none."""
    assert status._clock_problems({}) == status._clock_problems({"clock_skew_ms": 90.0}) == []
    (ahead,) = status._clock_problems({"clock_skew_ms": 5000.0})
    (behind,) = status._clock_problems({"clock_skew_ms": -5000.0})
    assert "5.0 s ahead of" in ahead
    assert "5.0 s behind" in behind


def test_token_is_the_feeds_or_this_process_own(tmp_path: Path) -> None:
    """The feed process knows what the broker says of it; without a feed the file is read."""
    settings = _settings(tmp_path).model_copy(update={"access_token": None, "session": "always"})
    feed = {
        "token_level": "warning",
        "token_detail": "soon",
        "token_expires_at_ms": 1795510799500,
        "token_minutes_left": 12,
    }
    told = status._token(settings, feed)
    assert (told["level"], told["minutes_left"]) == ("warning", 12)
    assert told["expires_at"].startswith("2026-11-24")
    assert status._token(settings, None)["level"] == "alarm"
    assert any(p.startswith("token:") for p in status.gather(settings).problems)
