"""Recording keeps what a feed sent, through lost connections, and ends in order."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from market.errors import AuthenticationError, BrokerUnavailable, ConfigurationError
from simulator.recordings.recorder import Progress, Recorder, Target, Wish
from simulator.recordings.recording import About, Recording
from simulator.server import SimulatorConfig
from storage.segments import segments
from tests.fix_simulator import (
    DEADLINE_SECONDS,
    SimulatedExchange,
    running_simulator,
    wall_clock,
)

NIFTY, RELIANCE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"
CONFIG = SimulatorConfig(symbols=("NIFTY", "RELIANCE"), frame_seconds=0.02)


def _target(exchange: SimulatedExchange) -> Target:
    return Target(exchange.url, exchange.url, exchange.token)


def _recorded(target: Target, wish: Wish, folder: Path, until: Callable[[Progress], bool]) -> About:
    """Record until the progress is such."""

    async def run() -> About:
        stop = asyncio.Event()

        def tell(progress: Progress) -> None:
            if until(progress):
                stop.set()

        async with asyncio.timeout(DEADLINE_SECONDS):
            return await Recorder(target, wish, folder, wall_clock, tell).run(stop)

    return asyncio.run(run())


def test_a_feed_is_recorded_as_it_came(tmp_path: Path) -> None:
    """State, snapshot, then updates; the master as the exchange gave it; and who and when."""
    with running_simulator(CONFIG) as exchange:
        wish = Wish((NIFTY, RELIANCE), "full")
        before = datetime.now(UTC)
        about = _recorded(_target(exchange), wish, tmp_path / "new", lambda p: p.frames >= 6)
    recording = Recording(tmp_path / "new")
    assert recording.about == about
    assert about.is_complete
    assert (about.source, about.keys, about.mode) == (exchange.url, wish.keys, "full")
    assert before <= about.started_at <= (about.first_at or before) < (about.last_at or before)
    assert recording.frames == about.frames >= 6
    assert recording.keys == sorted(wish.keys)
    kinds = [
        wire.FeedResponse.FromString(recording.frame(i).only({*wish.keys}) or b"").type
        for i in range(3)
    ]
    assert kinds == [wire.market_info, wire.initial_feed, wire.live_feed]
    keys = {row["instrument_key"] for row in json.loads(gzip.decompress(recording.master or b""))}
    assert {NIFTY, RELIANCE} < keys
    assert exchange.token not in (tmp_path / "new" / "about.json").read_text()


def test_a_lost_connection_begins_a_new_epoch(tmp_path: Path) -> None:
    """A reset in the middle leaves one recording, that goes on with a new snapshot."""
    with running_simulator(CONFIG) as exchange:
        was_cut = False

        def until(progress: Progress) -> bool:
            nonlocal was_cut
            if progress.frames >= 4 and not was_cut:
                was_cut = True
                exchange.control.abort_sockets()
            return progress.connections == 2 and progress.frames >= 10

        about = _recorded(_target(exchange), Wish((NIFTY,)), tmp_path, until)
    assert about.is_complete
    assert len({segment.epoch for segment in segments(tmp_path / "journal")}) == 2
    assert Recording(tmp_path).frames == about.frames


def test_it_stops_by_itself(tmp_path: Path) -> None:
    """After the time that was asked for."""
    with running_simulator(CONFIG) as exchange:
        about = _recorded(
            _target(exchange), Wish((NIFTY,), "ltpc", seconds=0.5), tmp_path, lambda _: False
        )
    assert about.is_complete
    assert (about.last_at or about.started_at) - about.started_at < timedelta(seconds=10)


def test_a_refused_token_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not even an empty folder, and the token is not told."""
    with running_simulator(CONFIG) as exchange:
        target = replace(_target(exchange), token="wrong.token")
        with pytest.raises(AuthenticationError, match="UPSTOX_ACCESS_TOKEN") as caught:
            _recorded(target, Wish((NIFTY,)), tmp_path / "new", lambda _: True)
    assert "wrong.token" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_an_exchange_that_is_not_there_is_told(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    """With its address."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(BrokerUnavailable, match=url):
        _recorded(Target(url, url, "t"), Wish((NIFTY,)), tmp_path / "new", lambda _: True)
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that holds anything, or a file, is refused before anybody is called."""
    (tmp_path / "file").write_text("precious")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(ConfigurationError, match="record into a new one"):
            Recorder(Target("", "", ""), Wish((NIFTY,)), taken, wall_clock)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"keys": ()}, "expected instrument keys"),
        ({"keys": ("NIFTY",)}, "keys NIFTY: expected instrument keys"),
        ({"keys": (NIFTY,), "mode": "full_d5"}, "expected one of ltpc"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, wish: dict[str, Any], problem: str
) -> None:
    """The feed itself would pass over it in silence."""
    with pytest.raises(ConfigurationError, match=problem):
        Recorder(Target("", "", ""), Wish(**wish), tmp_path / "new", wall_clock)
