"""``optionlake record``: whom, what and for how long, and that it ends in order."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from market.errors import AuthenticationError, ConfigurationError
from optionlake.recording import Wanted, keys_of, record, silent, target_of
from optionlake.settings import Settings
from simulator.access.tokens import holder
from simulator.recordings.recording import About, Recording
from simulator.server import SimulatorConfig
from tests.fix_simulator import running_simulator, wall_clock
from tests.optionlake.test_serve import WAIT_SECONDS, running
from tests.optionlake.test_supervisor import eventually
from tests.simulator.recorded import OPTION, START, STOCK, feeds, last, write

NIFTY = "NSE_INDEX|Nifty 50"


def test_keys_are_typed_or_in_files(tmp_path: Path) -> None:
    """Commas, repeats and lines; blanks around and inside a key are told apart."""
    path = tmp_path / "keys"
    path.write_text(f"NSE_FO|1\n\n  {NIFTY}  \n")
    assert keys_of([f"{NIFTY},NSE_FO|2", f"@{path}", "NSE_FO|3,"]) == (
        NIFTY,
        "NSE_FO|2",
        "NSE_FO|1",
        "NSE_FO|3",
    )
    with pytest.raises(ConfigurationError, match="one instrument key a line"):
        keys_of([f"@{tmp_path}"])


def test_a_simulator_never_sees_the_real_token() -> None:
    """It gets one of its own kind; the broker gets the one that was set."""
    real = SecretStr("a.real.token")
    settings = Settings(access_token=real, api_url="https://a", assets_url="https://b")  # type: ignore[call-arg]
    target = target_of(settings, "http://127.0.0.1:1/")
    assert (target.api_url, target.assets_url) == ("http://127.0.0.1:1",) * 2
    assert holder(target.token, wall_clock()) is not None
    broker = target_of(settings, None)
    assert (broker.api_url, broker.assets_url, broker.token) == (
        "https://a",
        "https://b",
        "a.real.token",
    )
    with pytest.raises(ConfigurationError, match="http://127"):
        target_of(settings, "localhost:80")
    with pytest.raises(AuthenticationError):
        target_of(Settings(access_token=None), None)  # type: ignore[call-arg]


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_no_time_is_refused(tmp_path: Path, minutes: float) -> None:
    """Before anything is called or made."""
    with pytest.raises(ConfigurationError, match="more than 0"):
        record(Settings(), Wanted(tmp_path, (NIFTY,), minutes=minutes), Console())  # type: ignore[call-arg]


def test_it_records_for_as_long_as_was_asked(tmp_path: Path) -> None:
    """And says what came of it, for which keys nothing did, and how to serve it again."""
    out = StringIO()
    with running_simulator(SimulatorConfig(symbols=("NIFTY",), frame_seconds=0.05)) as exchange:
        wanted = Wanted(tmp_path / "r", (NIFTY, "NSE_FO|1"), "full", 0.01, exchange.url)
        about = record(Settings(), wanted, Console(file=out))  # type: ignore[call-arg]
    assert about.is_complete
    assert f"{about.frames} frames" in out.getvalue()
    assert re.search(r"nothing came for .*NSE_FO\|1\n", out.getvalue())
    assert f"simulate --replay {tmp_path / 'r'}" in out.getvalue()


def test_silent_keys_are_found(tmp_path: Path) -> None:
    """Those that no frame told of; all of them if there is no frame."""
    about = About("here", (STOCK, OPTION), "full", START, frames=1)
    write(tmp_path / "journal", [(0, feeds(0, stock=last(1)))])
    (tmp_path / "about.json").write_text(about.to_json())
    assert silent(tmp_path, about) == [OPTION]
    assert silent(tmp_path / "empty", replace(about, frames=0)) == [STOCK, OPTION]


def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    """As a command of its own: code 0 and a complete recording."""
    folder = tmp_path / "r"
    with running_simulator(SimulatorConfig(symbols=("NIFTY",))) as exchange:
        arguments = ("record", str(folder), "--keys", NIFTY, "--simulator", exchange.url)
        with running(tmp_path, *arguments) as process:
            eventually(lambda: any(len(line.view.followed()) for line in [*exchange.control.lines]))
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT_SECONDS) == 0
    about = Recording(folder).about
    assert about is not None
    assert about.is_complete
