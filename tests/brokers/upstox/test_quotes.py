"""Quotes answers: what a reader takes from one, and that a broken one is only ever refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

from brokers.budget import Budget
from brokers.interface import FEED_COLUMNS, FrameKind, Mode, Secret
from brokers.upstox.auth import StaticToken
from brokers.upstox.codec import decode, subscribe
from brokers.upstox.quotes import read_quotes
from brokers.upstox.rest import Upstox
from market.errors import FrameError
from simulator.server import SimulatorConfig
from tests.fix_simulator import running_simulator

# As documented by the broker, with two of its ten levels.
ENTRY: dict[str, Any] = {
    "ohlc": {"open": 120.5, "high": 131.0, "low": 118.05, "close": 119.0},
    "depth": {
        "buy": [
            {"quantity": 650, "price": 125.35, "orders": 3},
            {"quantity": 65, "price": 125.3, "orders": 1},
        ],
        "sell": [
            {"quantity": 130, "price": 125.45, "orders": 2},
            {"quantity": 0, "price": 0.0, "orders": 0},
        ],
    },
    "timestamp": "2026-11-25T12:00:40.250+05:30",
    "instrument_token": "NSE_FO|43001",
    "symbol": "NIFTY26D0124000CE",
    "last_price": 125.4,
    "volume": 1_234_500,
    "average_price": 124.87,
    "oi": 2_345_005.0,
    "net_change": 6.4,
    "total_buy_quantity": 5_000.0,
    "total_sell_quantity": 6_000.0,
    "lower_circuit_limit": 0.05,
    "upper_circuit_limit": 900.0,
    "last_trade_time": "1795588240000",
    "oi_day_high": 2_400_000.0,
    "oi_day_low": 2_300_000.0,
}
READ = {
    "last_price": 125.4,
    "traded_at_ms": 1_795_588_240_000,
    "previous_close_price": 119.0,
    "bid_price": 125.35,
    "bid_quantity_units": 650,
    "ask_price": 125.45,
    "ask_quantity_units": 130,
    "volume_units": 1_234_500,
    "open_interest_units": 2_345_005.0,
    "average_price": 124.87,
    "total_bid_quantity_units": 5_000.0,
    "total_ask_quantity_units": 6_000.0,
    "day_open_price": 120.5,
    "day_high_price": 131.0,
    "day_low_price": 118.05,
}
PUBLISHED_MS = 1_795_588_240_250
NOON = datetime(2026, 11, 25, 6, 30, 40, tzinfo=UTC)

figures = st.none() | st.just(0) | st.floats(0.01, 1e9).map(lambda x: round(x, 2))


def _answer(*entries: object) -> bytes:
    data = {f"NSE_FO:{n}": entry for n, entry in enumerate(entries)}
    return json.dumps({"status": "success", "data": data}).encode()


def _told(body: bytes) -> dict[str, float]:
    """What the first row tells."""
    values = read_quotes(body).values[0]
    return {n: v for n, v in zip(FEED_COLUMNS, values.tolist(), strict=True) if not np.isnan(v)}


def test_documented_answer_reads_as_a_snapshot() -> None:
    """Each figure in its column, everything else NaN, keyed by the key that stands inside."""
    frame = read_quotes(_answer(ENTRY))
    assert (frame.kind, frame.published_at_ms) == (FrameKind.SNAPSHOT, PUBLISHED_MS)
    assert frame.keys == ("NSE_FO|43001",)
    assert _told(_answer(ENTRY)) == READ


def test_codec_reads_it_like_any_frame() -> None:
    """A journal that holds both needs no second way to read it."""
    body = _answer(ENTRY)
    assert np.array_equal(decode(body).values, read_quotes(body).values, equal_nan=True)
    with pytest.raises(FrameError) as caught:
        decode(b'{"status":"error"}')
    # A cause is what tells the session that bytes stood in the place of ticks.
    assert caught.value.__cause__ is not None


def test_answer_is_as_new_as_its_newest_entry() -> None:
    """The frame has one time; an entry that tells none, or null instead of an entry, is borne."""
    older = {**ENTRY, "instrument_token": "A", "timestamp": "2026-11-25T06:30:39Z"}
    silent = {"instrument_token": "B"}
    frame = read_quotes(_answer(older, None, ENTRY, silent))
    assert frame.keys == ("A", "NSE_FO|43001", "B")
    assert frame.published_at_ms == PUBLISHED_MS
    assert np.isnan(frame.values[2]).all()
    assert read_quotes(_answer(silent)).published_at_ms is None


@pytest.mark.parametrize(
    ("told", "close"),
    [
        ({"net_change": 0.0}, 125.4),
        ({"net_change": None}, None),
        ({"net_change": 125.4}, None),
        ({"last_price": 0, "net_change": 0}, None),
        ({"prev_close_price": 118.9}, 118.9),
        ({"prev_close_price": 0}, 119.0),
    ],
)
def test_previous_close_is_told_or_worked_out(told: dict[str, Any], close: float | None) -> None:
    """No change is a change of zero; without a price there is nothing to subtract from."""
    assert _told(_answer({**ENTRY, **told})).get("previous_close_price") == close


@given(st.dictionaries(st.sampled_from(sorted(ENTRY.keys() - {"timestamp"})), figures))
def test_nothing_is_made_up(told: dict[str, Any]) -> None:
    """A figure that is absent, null or zero is NaN; one that is told arrives unchanged."""
    flat = {k: v for k, v in told.items() if k not in {"ohlc", "depth", "instrument_token"}}
    read = _told(_answer({"instrument_token": "K", **flat}))
    names = {
        "last_price": "last_price",
        "volume_units": "volume",
        "open_interest_units": "oi",
        "average_price": "average_price",
    }
    for column, name in names.items():
        assert read.get(column) == (flat.get(name) or None)
    assert read.keys() <= READ.keys()
    assert 0 not in read.values()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"data": null}',
        b'{"data": {}}',
        b'{"data": []}',
        b'{"data": {"a": {}}}',
        b'{"data": {"a": {"instrument_token": ""}}}',
        b'{"data": ' + b"[" * 100_000,
        b'{"data": {"a": {"instrument_token": "K", "last_price": 1' + b"0" * 5000 + b"}}}",
        b'{"data": {"a": {"instrument_token": "\xff"}}}',
        _answer({**ENTRY, "timestamp": "2026-11-25T12:00:40"}),
        _answer({**ENTRY, "timestamp": "1970-01-01T00:00:00Z"}),
        _answer({**ENTRY, "timestamp": "yesterday"}),
        _answer({**ENTRY, "last_price": True}),
        _answer({**ENTRY, "last_price": "dear"}),
        _answer(ENTRY, ENTRY),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """By type and with the reason; nothing is read from half of it."""
    with pytest.raises(FrameError, match="quotes call"):
        read_quotes(body)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        *((name,) for name in ENTRY),
        ("ohlc", "high"),
        ("depth", "buy"),
        ("depth", "sell"),
        ("depth", "buy", 0),
        ("depth", "sell", 0, "price"),
    ]
)


@given(paths, junk)
@example(("depth", "buy"), [])
@example(("timestamp",), "9999-12-31T23:59:59+00:00")
@example(("last_price",), float("inf"))
def test_junk_in_a_field_is_read_or_refused(path: tuple[Any, ...], value: object) -> None:
    """Whatever stands where a figure should: a whole row or FrameError, and no infinity."""
    entry = json.loads(json.dumps(ENTRY))
    *way, last = path
    place = entry
    for step in way:
        place = place[step]
    place[last] = value
    _read_or_refused(_answer(entry))


@given(st.integers(0, 10_000), st.binary(max_size=6), st.integers(0, 12))
@settings(max_examples=400)
def test_mutated_bytes_are_read_or_refused(at: int, put: bytes, cut: int) -> None:
    """Bytes replaced, inserted or cut anywhere: nothing but FrameError comes out."""
    body = _answer(ENTRY)
    at %= len(body)
    _read_or_refused(body[:at] + put + body[at + cut :])


def _read_or_refused(body: bytes) -> None:
    try:
        frame = read_quotes(body)
    except FrameError:
        return
    assert frame.values.shape == (len(frame.keys), len(FEED_COLUMNS))
    assert not np.isinf(frame.values).any()
    assert not (frame.values == 0).any()


def test_500_keys_say_what_the_socket_says(tmp_path: Path) -> None:
    """Over the real server, at one instant: both sources agree on all that both tell."""
    config = SimulatorConfig(symbols=("NIFTY", "RELIANCE"), session="nse", limits=())
    with running_simulator(config, lambda: NOON) as exchange:
        tokens = StaticToken(Secret(exchange.token), exchange.clock)
        broker = Upstox(exchange.url, exchange.url, tokens, Budget(tmp_path / "b"), ("NIFTY",))
        keys = [row.key for row in exchange.market.listing(NOON).rows][:500]
        over_rest = decode(broker.quotes(keys))
        with connect(broker.authorize_feed(), max_size=2**24, proxy=None) as socket:
            socket.recv(10)
            socket.send(subscribe(keys, Mode.FULL))
            frame = socket.recv(10)
    assert isinstance(frame, bytes)
    on_socket = decode(frame)
    assert len(keys) == 500 and set(over_rest.keys) == set(on_socket.keys) == set(keys)
    assert over_rest.published_at_ms == on_socket.published_at_ms == NOON.timestamp() * 1000
    order = np.array([list(on_socket.keys).index(key) for key in over_rest.keys])
    not_told = {"last_quantity_units", *(c for c in FEED_COLUMNS if c.startswith("vendor_"))}
    for column in FEED_COLUMNS:
        told, expected = over_rest.column(column), on_socket.column(column)[order]
        if column in not_told:
            assert np.isnan(told).all(), column
        elif column == "traded_at_ms":
            # The socket tells the trades of an index in whole seconds.
            assert (told - expected < 1000).all() and (told >= expected).all()
        else:
            np.testing.assert_allclose(told, expected, atol=0.0051, rtol=1e-12, err_msg=column)
