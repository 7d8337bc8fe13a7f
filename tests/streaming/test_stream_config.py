"""What the process is told reaches each part."""

from __future__ import annotations

from pathlib import Path

import pytest

from streaming.fallback import PriceMode
from streaming.stream_config import StreamConfig


@pytest.mark.parametrize("mode", list(PriceMode))
def test_only_rest_uses_no_sockets(mode: PriceMode) -> None:
    """Both parts are told the same."""
    config = StreamConfig("", Path("j"), "127.0.0.1", 0, ("NIFTY",), 3, mode=mode)
    assert config.planning().uses_sockets is (mode is not PriceMode.REST)
    assert config.rest().mode is mode


def test_limits_and_paces_are_handed_on() -> None:
    """Under their own names."""
    config = StreamConfig(
        "",
        Path("j"),
        "127.0.0.1",
        0,
        ("NIFTY", "TCS"),
        3,
        journal_sync_seconds=0.5,
        journal_cap_bytes=7,
        journal_keep_days=2.0,
        feed_sockets=1,
        is_limit_per_socket=True,
        rest_calls_per_minute=9.0,
        interval_seconds=lambda: 300.0,
    )
    planning, rest, frames = config.planning(), config.rest(), config.log()
    assert (planning.symbols, planning.strikes_each_side) == (("NIFTY", "TCS"), 3)
    assert (planning.feed_sockets, planning.is_limit_per_socket) == (1, True)
    assert (rest.calls_per_minute, rest.interval_seconds()) == (9.0, 300.0)
    assert (frames.folder, frames.sync_seconds) == (Path("j"), 0.5)
    assert (frames.cap_bytes, frames.keep_days) == (7, 2.0)
