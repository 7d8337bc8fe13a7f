"""What was typed becomes a configuration and a clock; what was not keeps the settings' value."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from market.errors import ConfigurationError
from optionlake import compose
from optionlake.settings import Settings
from optionlake.simulation import Run, Typed, fault_rows, instant_of, prepared, welcome
from simulator.access.tokens import holder
from simulator.clocks import FastClock
from simulator.faults.catalogue import CATALOGUE
from simulator.recordings.recording import Recording
from simulator.server import SimulatorConfig, serve
from tests.simulator.recorded import at, feeds, info, last, write


def _prepared(**typed: Any) -> Run:
    settings = Settings(symbols="NIFTY,TCS", seed=3, simulator_port=0)  # type: ignore[call-arg]
    return prepared(settings, Typed(**typed))


def test_nothing_typed_is_the_settings_market_in_real_time() -> None:
    """As the demo starts it."""
    run = _prepared()
    settings = Settings(symbols="NIFTY,TCS", seed=3, simulator_port=0)  # type: ignore[call-arg]
    assert run.config == compose.simulator_config(settings)
    assert run.clock is compose.now
    assert run.config.faults == ()


def test_what_was_typed_wins() -> None:
    """Each in its place."""
    config = _prepared(
        port=5, proxy_port=0, seed=9, session="always", symbols=" infy, tcs,INFY", has_limits=False
    ).config
    assert (config.port, config.proxy_port, config.seed) == (5, 0, 9)
    assert (config.session, config.symbols, config.limits) == ("always", ("INFY", "TCS"), ())
    assert _prepared(feedback=0.0).config.feedback == 0
    assert _prepared(symbols="all").config.symbols is None
    assert _prepared(is_plus=False).config.login.is_plus is False


@pytest.mark.parametrize(
    ("typed", "scope", "has_limits"),
    [("socket", "socket", True), ("user", "user", True), ("off", "socket", False)],
)
def test_key_limits(typed: Any, scope: str, has_limits: bool) -> None:
    """Whom they count for, or not at all."""
    feed = _prepared(key_limits=typed).config.feed
    assert (feed.limit_scope, feed.has_limits) == (scope, has_limits)


def test_faults_of_file_and_flags_are_all_there(tmp_path: Path) -> None:
    """The file's first, with its seed."""
    path = tmp_path / "s.yaml"
    path.write_text("seed: 12\nfaults:\n- {name: mute, from: +5s}\n")
    config = _prepared(scenario=path, faults=("reset:at=+1s",)).config
    assert [fault.name for fault in config.faults] == ["mute", "reset"]
    assert config.fault_seed == 12
    assert _prepared(faults=("mute",)).config.fault_seed is None


def test_time_begins_when_it_is_told_to() -> None:
    """A fast exchange does not lose its first minutes while it starts."""
    run = _prepared(start="2026-11-25 09:15", speed=60.0)
    assert isinstance(run.clock, FastClock)
    begin = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
    assert run.clock() == run.clock() == begin
    run.begin()
    assert run.clock.speed == 60
    assert run.clock() >= begin


def test_a_speed_alone_begins_now() -> None:
    """And a start alone goes on in real time."""
    before = compose.now()
    assert before <= _prepared(speed=2.0).clock() <= compose.now()
    assert _prepared(start="2030-01-01").speed == 1


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-11-25 09:15", 3), ("2026-11-25T09:15+00:00", 9), ("2026-11-25T09:15:00Z", 9)],
)
def test_an_instant_without_a_zone_is_indian(text: str, hour: int) -> None:
    """As the exchange's hours are."""
    minute = 45 if hour == 3 else 15
    assert instant_of(text) == datetime(2026, 11, 25, hour, minute, tzinfo=UTC)


def test_a_recording_brings_its_own_time(tmp_path: Path) -> None:
    """It begins with its first frame, or anywhere inside."""
    write(tmp_path, [(0, info(0)), (60, feeds(60, stock=last(1)))])
    run = _prepared(replay=tmp_path)
    assert run.clock() == at(0)
    assert isinstance(run.config.recording, Recording)
    later = at(30).isoformat()
    assert _prepared(replay=tmp_path, start=later, speed=5.0).clock() == at(30)
    with pytest.raises(ConfigurationError, match=r"expected 2026-11-25 09:15:00 IST to .*09:16:00"):
        _prepared(replay=tmp_path, start="2026-11-25 09:14")


def _welcomed(run: Run, *, has_token: bool = False) -> str:
    async def told() -> str:
        async with serve(run.config, run.clock) as running:
            run.begin()
            return "\n".join(welcome(run, running, has_token=has_token))

    return asyncio.run(told())


def test_the_start_tells_how_to_come_in() -> None:
    """Addresses, the console, time, plan, faults; a token only where no log reads it."""
    run = _prepared(start="2026-01-02 10:00", speed=5.0, is_plus=False, faults=("mute:from=+9s",))
    told = _welcomed(run, has_token=True)
    for part in ("http://127.0.0.1:", "/v3/feed/market-data-feed", "/simulator/", "x5", "mute"):
        assert part in told
    assert "2026-01-02 10:00:00 IST" in told
    assert "normal plan" in told
    account = holder(told.splitlines()[-1], compose.now())
    assert account is not None
    assert not account.is_plus
    assert account.expires_at > compose.now() + timedelta(days=300)
    assert "token" not in _welcomed(run)


def test_the_start_tells_of_the_proxy_and_the_recording(tmp_path: Path) -> None:
    """What a client needs to reach it unchanged, and what a bare journal cannot tell."""
    write(tmp_path, [(0, info(0))])
    told = _welcomed(_prepared(replay=tmp_path, proxy_port=0))
    for part in ("HTTPS_PROXY=http://", "SSL_CERT_FILE=", "1 frames", "master is not in it"):
        assert part in told


def test_every_fault_is_explained() -> None:
    """One row each, whatever the catalogue holds."""
    assert [row[0] for row in fault_rows()] == list(CATALOGUE)
    assert all(row[1] and row[2] for row in fault_rows())


def test_the_default_configuration_needs_no_flag() -> None:
    """The flags' defaults are the simulator's own, so that leaving one out changes nothing."""
    config, plain = _prepared(symbols="all", seed=7).config, SimulatorConfig()
    assert (config.limits, config.login, config.feed) == (plain.limits, plain.login, plain.feed)
