"""``optionlake replay``: what is typed, what is told, what lands."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from brokers.interface import Instrument
from market.contract import Contract, Kind, Underlying
from market.errors import ConfigurationError
from optionlake.cli import app
from optionlake.replaying import Wanted, run, speed_of, stretch_of, told
from optionlake.settings import Settings
from storage import instruments
from storage.journal import JournalWriter
from streaming.replay import Landed, Quiet, Stretch, Summary
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told

START = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)  # 09:15 in India
NIFTY = "NSE_INDEX|Nifty 50"
MORNING = ("2026-11-25 09:15", "2026-11-25 09:16")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose journal has a frame a second for two minutes, all of one index."""
    made = JournalWriter(tmp_path / "journal", 7, 3600.0)
    for second in range(120):
        at_ms = int(START.timestamp() + second) * 1000
        told = {NIFTY: Told(last_price=24_000.0 + second)}
        made.append(at_ms * 1_000_000, feed_frames.data(told, at_ms))
    made.close()
    return tmp_path


def replayed(settings: Settings, wanted: Wanted) -> str:
    """What is printed."""
    console = Console(file=StringIO(), width=200)
    run(settings, wanted, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_dry_run_tells_what_the_stretch_held(home: Path) -> None:
    """Frames, keys, first and last, ticks by segment; without any database."""
    out = replayed(Settings(home=home, database_url=None), Wanted(*MORNING))  # type: ignore[call-arg]
    assert "60 frames, 1 connections, 1 keys" in out
    assert "from 2026-11-25 09:15:00 IST to 2026-11-25 09:15:59 IST" in out
    assert "60 ticks of NSE_INDEX" in out
    assert "landed" not in out
    empty = replayed(Settings(home=home), Wanted("2026-11-26", "2026-11-27"))
    assert "no frame from 2026-11-26 00:00:00 IST" in empty


def test_landing_twice_lands_once(home: Path, database: str) -> None:
    """What was missing, then nothing."""
    spot = Underlying("NIFTY", Kind.INDEX, "NSE")
    index = Contract("NIFTY", Kind.INDEX, None, None, None)
    instruments.register(database, [Instrument(index, spot, NIFTY, None, None)])
    settings = Settings(home=home, database_url=SecretStr(database))  # type: ignore[call-arg]
    wanted = Wanted(*MORNING, lands=True)
    assert "60 rows landed" in replayed(settings, wanted)
    assert "all landed already" in replayed(settings, wanted)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM tick").fetchone() == (60,)


def test_alerts_of_the_past_are_told_and_not_stored(tmp_path: Path, database: str) -> None:
    """A calm morning that is left upwards at 11:00: no word before, the same words each time."""
    index = Instrument(Contract("NIFTY", Kind.INDEX), Underlying("NIFTY", Kind.INDEX, "NSE"), NIFTY)
    instruments.register(database, [index])
    made = JournalWriter(tmp_path / "journal", 7, 3600.0)
    for second in range(0, 2 * 3600, 10):
        at_ms = int(START.timestamp() + second) * 1000
        price = 24_000.0 + second // 10 % 5 + max(0, second - 6300) * 0.2
        made.append(at_ms * 1_000_000, feed_frames.data({NIFTY: Told(last_price=price)}, at_ms))
    made.close()
    settings = Settings(home=tmp_path, database_url=SecretStr(database))  # type: ignore[call-arg]

    def alerts_until(end: str) -> list[str]:
        out = replayed(settings, Wanted(MORNING[0], end, has_alerts=True))
        return [line for line in out.splitlines() if "breakout" in line]

    found = alerts_until("2026-11-25 11:15")
    assert any("opening_range_breakout" in line for line in found)
    assert all(line >= "2026-11-25 11:00" for line in found)
    assert alerts_until("2026-11-25 11:15") == found
    assert alerts_until("2026-11-25 11:00") == []
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM alert").fetchone() == (0,)


def test_times_are_indian_unless_they_say_otherwise(tmp_path: Path) -> None:
    """As for the simulator; the earlier one first."""
    settings = Settings(home=tmp_path)
    made = stretch_of(settings, Wanted(*MORNING))
    assert made == Stretch(tmp_path / "journal", START, START + timedelta(minutes=1))
    assert stretch_of(settings, Wanted("2026-11-25T03:45Z", MORNING[1])) == made
    for begin, end in ((MORNING[1], MORNING[0]), (MORNING[0], MORNING[0])):
        with pytest.raises(ConfigurationError, match="earlier one first"):
            stretch_of(settings, Wanted(begin, end))


def test_speed_is_a_number_or_max() -> None:
    """Nothing that would never end, or never begin."""
    assert (speed_of("max"), speed_of("0.5"), speed_of("60")) == (math.inf, 0.5, 60.0)
    for wrong in ("0", "-1", "nan", "inf", "fast", ""):
        with pytest.raises(ConfigurationError, match="number above 0, or max"):
            speed_of(wrong)


def test_what_is_amiss_is_told() -> None:
    """Unreadable frames, quiet stretches (the first ten), unknown instruments."""
    quiet = Quiet(START, START + timedelta(seconds=30))
    summary = Summary(5, 2, (("NSE_FO", 9),), 3, 1, (quiet,) * 12, START, START)
    lines = told(Stretch(Path(), START, START), summary, Landed(7, 2))
    assert "  2 frames could not be decoded" in lines
    assert sum("nothing from 2026-11-25 09:15:00 IST to 2026" in line for line in lines) == 10
    assert "  nothing 2 times more" in lines
    assert lines[-2:] == ["7 rows landed", "2 ticks of instruments that the database does not know"]


@pytest.mark.parametrize(
    "typed", [("tomorrow", MORNING[1]), (MORNING[1], MORNING[0]), (*MORNING, "--speed", "no")]
)
def test_what_cannot_be_ends_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...]
) -> None:
    """And the message names what was typed."""
    monkeypatch.setenv("OPTIONLAKE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["replay", *typed])
    assert done.exit_code == 2
    assert repr(typed[-1]) in done.output or repr(typed[0]) in done.output
