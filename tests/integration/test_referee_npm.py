"""A second referee: the broker's official Node SDK, unmodified, with its own schema and decoder.

Installed once into ``.tools``, from the lock beside its programs. A machine without Node, or that
cannot install it, skips with the reason "npm referee".
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as python_schema

from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.protos import described, shape
from tests.simulator.sockets import NIFTY, keys_near_money

_HERE = Path(__file__).parent / "referee" / "npm"
_INSTALLED = Path(__file__).resolve().parents[2] / ".tools" / "npm-referee"
_FILES = ("package.json", "package-lock.json", ".npmrc")
_INSTALL_SECONDS, _SECONDS = 200.0, 60.0
_MODES = {"ltpc": 0, "option_greeks": 1, "full": 5, "full_d30": 30}  # levels


@pytest.fixture(scope="module")
def referee() -> Path:
    """The folder of the installed SDK."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("npm referee: no Node on this machine")
    stamp = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _FILES)).hexdigest()
    marker = _INSTALLED / "installed"
    if not marker.exists() or marker.read_text() != stamp:
        _install()
        marker.write_text(stamp)
    return _INSTALLED


def _install() -> None:
    shutil.rmtree(_INSTALLED, ignore_errors=True)
    _INSTALLED.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(_HERE / name, _INSTALLED)
    try:
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=_INSTALLED,
            check=True,
            capture_output=True,
            timeout=_INSTALL_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm referee: cannot be installed here: {str(error.stderr)[-300:]}")


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """One exchange behind a proxy."""
    config = SimulatorConfig(symbols=("NIFTY",), frame_seconds=0.05, proxy_port=0)
    with running_simulator(config) as running:
        yield running


@pytest.fixture(scope="module")
def told(referee: Path, exchange: SimulatedExchange) -> list[dict[str, Any]]:
    """All that the SDK's program was told."""
    assert exchange.proxy is not None
    done = subprocess.run(
        [
            *("node", "--require", str(_HERE / "tunnel.cjs")),
            *(str(_HERE / "program.cjs"), *keys_near_money(exchange, 4)),
        ],
        cwd=referee,
        env=os.environ
        | {
            "HTTPS_PROXY": exchange.proxy.url,
            "NODE_EXTRA_CA_CERTS": str(exchange.proxy.authority_path),
            "ACCESS_TOKEN": exchange.token,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _frames(told: list[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    (frames,) = (line["frames"] for line in told if line.get("mode") == mode)
    return list(frames)


def _entries(frame: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each entry's key and the message inside that carries its figures."""
    for key, feed in frame.get("feeds", {}).items():
        full = feed.get("fullFeed", {})
        body = full.get("marketFF") or full.get("indexFF") or feed.get("firstLevelWithGreeks")
        yield key, body or feed


def _depth(body: dict[str, Any]) -> list[dict[str, Any]]:
    first = [body["firstDepth"]] if "firstDepth" in body else []
    return first or body.get("marketLevel", {}).get("bidAskQuote", [])


def test_both_official_schemas_are_one(referee: Path, tmp_path: Path) -> None:
    """The Node SDK's ``.proto`` describes what the Python SDK's generated code describes."""
    folder = referee / "node_modules/upstox-js-sdk/dist/feeder/proto"
    made = tmp_path / "described"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}"]
    subprocess.run(
        [*command, f"--descriptor_set_out={made}", "MarketDataFeedV3.proto"],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    (theirs,) = FileDescriptorSet.FromString(made.read_bytes()).file
    ours = described(python_schema)
    assert theirs.package == ours.package
    # Generated code does not say proto3's default names of fields in JSON; protoc does.
    for file in (theirs, ours):
        for message in file.message_type:
            for part in (message, *message.nested_type):
                for field in part.field:
                    field.ClearField("json_name")
    assert shape(theirs) == shape(ours)


def test_rest_answers_at_the_real_address(
    told: list[dict[str, Any]], exchange: SimulatedExchange
) -> None:
    """The SDK's own model of a quote holds every key's price."""
    prices = dict(told[0]["lastPrices"])
    assert set(prices) == set(keys_near_money(exchange, 4))
    assert all(price > 0 for price in prices.values())


@pytest.mark.parametrize("mode", list(_MODES))
def test_frames_come_in_order(
    told: list[dict[str, Any]], exchange: SimulatedExchange, mode: str
) -> None:
    """State, snapshot of every key, update; each entry with the levels of its mode."""
    info, *snapshots, live = _frames(told, mode)
    assert info["type"] == "market_info"
    assert info["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
    entries = {key: body for frame in snapshots for key, body in _entries(frame)}
    assert set(entries) == set(keys_near_money(exchange, 4))
    assert live["type"] == "live_feed"
    for key, body in entries.items():
        assert len(_depth(body)) == (
            0 if key == NIFTY and mode != "option_greeks" else _MODES[mode]
        )


@pytest.mark.parametrize("mode", list(_MODES))
def test_values_are_the_exchanges(
    told: list[dict[str, Any]], exchange: SimulatedExchange, mode: str
) -> None:
    """Decoded by the Node SDK: the market's own quotes at the instant that the frame names."""
    rows = exchange.market.listing(exchange.clock()).row_of_key
    compared = 0
    for frame in _frames(told, mode)[1:]:
        at = datetime.fromtimestamp(int(frame["currentTs"]) / 1000, UTC)
        quotes = exchange.market.quotes(at)
        for key, body in _entries(frame):
            row = rows[key]
            last = body["ltpc"]
            assert last["ltp"] == quotes.last_price[row]
            # An index tells whole seconds.
            traded_ms = int(quotes.last_traded_ms[row])
            assert int(last["ltt"]) == (traded_ms // 1000 * 1000 if key == NIFTY else traded_ms)
            if key != NIFTY and _depth(body):
                assert _depth(body)[0]["bidP"] == quotes.bid_price[row]
                assert _depth(body)[0]["askP"] == quotes.ask_price[row]
            if "optionGreeks" in body and key != NIFTY:
                assert body["iv"] == pytest.approx(quotes.implied_volatility[row], abs=1e-3)
            compared += 1
    assert compared > 0
