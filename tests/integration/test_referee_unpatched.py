"""The acceptance gate: the broker's official SDK, unmodified, takes the simulator for the broker.

The SDK runs in a process of its own with its literal addresses; only its environment and its own
settings lead it here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator

_PROGRAM = Path(__file__).parent / "referee" / "unpatched.py"
_SECONDS = 60.0
_SPOT = "NSE_INDEX|Nifty 50"
_MEMBERS = {
    "ltpc": "ltpc",
    "option_greeks": "firstLevelWithGreeks",
    "full": "fullFeed",
    "full_d30": "fullFeed",
}


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """One exchange behind a proxy."""
    config = SimulatorConfig(symbols=("NIFTY",), frame_seconds=0.05, proxy_port=0)
    with running_simulator(config) as running:
        yield running


@pytest.fixture(scope="module")
def keys(exchange: SimulatedExchange) -> list[str]:
    """The spot and two options at the money."""
    listing = exchange.market.listing(exchange.clock())
    rows = listing.chain("NIFTY", min(e for s, e in listing.chains if s == "NIFTY"))
    middle = len(rows) // 2
    return [_SPOT, *(listing.rows[row].key for row in rows[middle : middle + 2])]


@pytest.fixture(scope="module")
def told(exchange: SimulatedExchange, keys: list[str]) -> list[dict[str, Any]]:
    """All that the SDK's program was told."""
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), *keys],
        env=_environment(exchange),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _environment(exchange: SimulatedExchange) -> dict[str, str]:
    assert exchange.proxy is not None
    ours = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    return ours | {
        "https_proxy": exchange.proxy.url,
        "CA_FILE": str(exchange.proxy.authority_path),
        "ACCESS_TOKEN": exchange.token,
    }


def _only(told: list[dict[str, Any]], name: str) -> Any:
    (found,) = (line[name] for line in told if name in line)
    return found


def test_rest_answers_at_the_real_address(told: list[dict[str, Any]], keys: list[str]) -> None:
    """Prices, holidays and the socket's address, deserialised by the SDK's own models."""
    assert _only(told, "hosts") == ["https://api.upstox.com"]
    prices = _only(told, "last_prices")
    assert set(prices) == set(keys)
    assert all(price > 0 for price in prices.values())
    assert _only(told, "holidays")
    feed = "wss://wsfeeder-api.upstox.com/market-data-feeder/v3/upstox-developer-api/feeds"
    assert _only(told, "authorized") == feed


def test_a_stranger_is_refused_in_the_brokers_words(told: list[dict[str, Any]]) -> None:
    """401 with the error field for field, in both casings."""
    assert _only(told, "refused") == 401
    (error,) = _only(told, "errors")
    assert error["errorCode"] == error["error_code"] == "UDAPI100050"


@pytest.mark.parametrize("mode", list(_MEMBERS))
def test_the_socket_streams_from_its_literal_address(
    told: list[dict[str, Any]], keys: list[str], mode: str
) -> None:
    """State, then a snapshot of every key, then updates, each entry of the mode's own kind."""
    (frames,) = (line["frames"] for line in told if line.get("mode") == mode)
    info, *snapshots = frames[:-1]
    assert info["type"] == "market_info"
    assert info["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
    feeds = {key: feed for frame in snapshots for key, feed in frame.get("feeds", {}).items()}
    assert set(feeds) == set(keys)
    assert all("type" not in frame for frame in snapshots if "feeds" in frame)
    assert frames[-1]["type"] == "live_feed"
    for feed in [*feeds.values(), *frames[-1]["feeds"].values()]:
        assert _MEMBERS[mode] in feed
