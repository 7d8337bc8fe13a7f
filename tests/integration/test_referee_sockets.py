"""The broker's official SDK on the simulated socket: what it does here is what it does there.

Every mode, every request and every end of a connection that the SDK tells apart. The doors and the
frames themselves are tested by a plain client in ``tests/simulator``; the SDK at its literal
address in ``test_referee_unpatched``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import upstox_client
from upstox_client.rest import ApiException

from simulator.access.tokens import mint
from simulator.faults.fault import fault
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official
from tests.simulator.official import Streamer
from tests.simulator.sockets import NIFTY, eventually, keys_near_money

_CONFIG = SimulatorConfig(
    symbols=("NIFTY",), limits=(), max_sockets=50, frame_seconds=0.03, ping_seconds=0.2
)
_TRIES = 5
_MODES = ("ltpc", "full", "option_greeks", "full_d30")  # in the SDK's order
_REQUEST_MODE = {"option_greeks": "option_greeks", "full": "full_d5", "full_d30": "full_d30"}
_MARKET = {"ltpc", "marketLevel", "optionGreeks", "marketOHLC"}


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatedExchange]:
    """One exchange for the file, to which the SDK's sockets are led."""
    with running_simulator(_CONFIG) as exchange, official.redirected_sockets(exchange):
        yield exchange


@pytest.fixture
def exchange(shared: SimulatedExchange) -> Iterator[SimulatedExchange]:
    """The exchange without any fault or connection."""
    yield shared
    shared.control.clear()
    eventually(lambda: not shared.control.lines)


@pytest.fixture
def streamers(exchange: SimulatedExchange) -> Iterator[list[Streamer]]:
    """Streamers to be ended with the test, in order."""
    started: list[Streamer] = []
    yield started
    exchange.control.clear()
    exchange.control.close_sockets(1000)
    for streamer in started:
        streamer.end()


def _connected(
    exchange: SimulatedExchange,
    streamers: list[Streamer],
    keys: list[str],
    mode: str,
    token: str | None = None,
) -> Streamer:
    streamer = Streamer(exchange, keys, mode, token)
    streamer.sdk.auto_reconnect(True, 0.02, _TRIES)
    streamers.append(streamer)
    streamer.sdk.connect()
    return streamer


def _snapshot(streamer: Streamer, keys: list[str]) -> dict[str, Any]:
    """Entries of ``keys`` in frames without a type: ``initial_feed`` is 0, which proto3 omits."""
    found: dict[str, Any] = {}
    while set(keys) - set(found):
        frame = streamer.message()
        found |= frame["feeds"] if "type" not in frame else {}
    return found


def _fence(streamer: Streamer, key: str) -> list[dict[str, Any]]:
    """Subscribe to one more key; every frame up to its snapshot."""
    streamer.sdk.subscribe([key], "ltpc")
    frames = [streamer.message()]
    while "type" in frames[-1] or key not in frames[-1].get("feeds", {}):
        frames.append(streamer.message())
    return frames


@pytest.mark.parametrize("mode", _MODES)
def test_state_snapshot_and_updates(
    exchange: SimulatedExchange, streamers: list[Streamer], mode: str
) -> None:
    """In this order, for a Plus account in every mode, all of what was asked for and no more."""
    keys = keys_near_money(exchange)
    streamer = _connected(exchange, streamers, keys, mode)
    info = streamer.message()
    assert info["type"] == "market_info"
    assert info["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
    assert set(_snapshot(streamer, keys)) == set(keys)
    live = streamer.message()
    assert live["type"] == "live_feed"
    assert set(live["feeds"]) <= set(keys)


def test_ltpc_carries_the_last_trade_alone(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """Price, time, quantity, close; the mode is 0, which proto3 omits."""
    keys = keys_near_money(exchange, 4)
    snapshot = _snapshot(_connected(exchange, streamers, keys, "ltpc"), keys)
    for key, feed in snapshot.items():
        assert set(feed) == {"ltpc"}
        assert {"ltp", "ltt", "cp"} <= set(feed["ltpc"]), key


def test_option_greeks_carries_one_level(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """Last trade, the best quote, Greeks and counters of an option."""
    key = keys_near_money(exchange, 2)[1]
    feed = _snapshot(_connected(exchange, streamers, [key], "option_greeks"), [key])[key]
    assert set(feed) == {"firstLevelWithGreeks", "requestMode"}
    assert feed["requestMode"] == "option_greeks"
    first = feed["firstLevelWithGreeks"]
    assert {"ltpc", "firstDepth", "optionGreeks", "oi", "iv"} <= set(first)
    assert set(first["firstDepth"]) == {"bidQ", "bidP", "askQ", "askP"}
    assert set(first["optionGreeks"]) == {"delta", "theta", "gamma", "vega", "rho"}


@pytest.mark.parametrize(("mode", "levels"), [("full", 5), ("full_d30", 30)])
def test_full_carries_depth_and_bars(
    exchange: SimulatedExchange, streamers: list[Streamer], mode: str, levels: int
) -> None:
    """As many levels as the mode is named for, two bars; of an index its price and bars alone."""
    keys = keys_near_money(exchange, 2)
    snapshot = _snapshot(_connected(exchange, streamers, keys, mode), keys)
    for feed in snapshot.values():
        assert feed["requestMode"] == _REQUEST_MODE[mode]
    index = snapshot[keys[0]]["fullFeed"]["indexFF"]
    assert set(index) == {"ltpc", "marketOHLC"}
    market = snapshot[keys[1]]["fullFeed"]["marketFF"]
    assert set(market) >= _MARKET
    assert len(market["marketLevel"]["bidAskQuote"]) == levels
    for bars in (index["marketOHLC"]["ohlc"], market["marketOHLC"]["ohlc"]):
        assert {bar["interval"] for bar in bars} <= {"1d", "I1"}
        assert bars[0]["interval"] == "1d"


def test_thirty_levels_are_silence_without_plus(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """A normal account that asks for them gets no entry and no error."""
    token = mint(exchange.clock(), timedelta(days=1), is_plus=False, user="NORMAL")
    keys = keys_near_money(exchange, 4)
    streamer = _connected(exchange, streamers, keys[:3], "full_d30", token)
    streamer.until("open")
    frames = _fence(streamer, keys[3]) + [streamer.message() for _ in range(3)]
    assert {key for frame in frames for key in frame.get("feeds", {})} == {keys[3]}
    assert "error" not in streamer.names()


def test_change_mode_takes_effect(exchange: SimulatedExchange, streamers: list[Streamer]) -> None:
    """A snapshot in the new mode, and nothing in the old one after it."""
    key = keys_near_money(exchange, 2)[1]
    streamer = _connected(exchange, streamers, [key], "ltpc")
    _snapshot(streamer, [key])
    streamer.sdk.change_mode([key], "option_greeks")
    while "firstLevelWithGreeks" not in streamer.message().get("feeds", {}).get(key, {}):
        pass
    for _ in range(3):
        assert "firstLevelWithGreeks" in streamer.message()["feeds"][key]


def test_unsubscribed_keys_fall_silent(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """After the request nothing of theirs comes; the others go on."""
    keys = keys_near_money(exchange, 10)
    streamer = _connected(exchange, streamers, keys[:9], "full")
    _snapshot(streamer, keys[:9])
    streamer.sdk.unsubscribe(keys[1:9])
    _fence(streamer, keys[9])
    later = [key for _ in range(5) for key in streamer.message().get("feeds", {})]
    assert set(later) <= {keys[0], keys[9]}
    assert later


def test_batches_add_up(exchange: SimulatedExchange, streamers: list[Streamer]) -> None:
    """Subscribed in pieces, one after the other without waiting, every key is answered."""
    keys = keys_near_money(exchange, 60)
    streamer = _connected(exchange, streamers, keys[:10], "ltpc")
    streamer.until("open")
    for begin in range(10, len(keys), 10):
        streamer.sdk.subscribe(keys[begin : begin + 10], "ltpc")
    assert set(_snapshot(streamer, keys)) == set(keys)


def test_a_text_frame_is_passed_over(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """The SDK's own request, sent as text: no answer, no error, and the connection stays."""
    keys = keys_near_money(exchange, 2)
    streamer = _connected(exchange, streamers, [], "ltpc")
    streamer.until("open")
    feeder = streamer.sdk.feeder
    feeder.ws.send(feeder.build_request([keys[0]], "sub", "full").decode())
    frames = _fence(streamer, keys[1])
    assert not [frame for frame in frames if keys[0] in frame.get("feeds", {})]


def test_a_reset_is_followed_by_the_same_subscriptions(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """Error, close without a code, another try, and a snapshot of each key in its mode."""
    keys = keys_near_money(exchange, 3)
    streamer = _connected(exchange, streamers, [keys[0]], "ltpc")
    streamer.until("open")
    wanted = dict(zip(keys, _MODES, strict=False))
    for key, mode in list(wanted.items())[1:]:
        streamer.sdk.subscribe([key], mode)
    _snapshot(streamer, keys)
    exchange.control.abort_sockets()
    streamer.until("error")
    assert streamer.until("close") == (None, None)
    assert streamer.until("reconnecting") == (f"Auto reconnect attempt 1/{_TRIES}",)
    streamer.until("open")
    again = _snapshot(streamer, keys)
    assert [again[key].get("requestMode", "ltpc") for key in keys] == [
        "ltpc",
        "full_d5",
        "option_greeks",
    ]


def test_a_close_in_good_order_is_the_end(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """After 1000 the SDK never comes back."""
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    _snapshot(streamer, [NIFTY])
    exchange.control.close_sockets(1000)
    assert streamer.until("close")[0] == 1000
    streamer.end()
    assert "reconnecting" not in streamer.names()


@pytest.mark.parametrize("code", [1001, 1011])
def test_any_other_close_is_not(
    exchange: SimulatedExchange, streamers: list[Streamer], code: int
) -> None:
    """The SDK comes back and subscribes again."""
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    _snapshot(streamer, [NIFTY])
    exchange.control.close_sockets(code)
    assert streamer.until("close")[0] == code
    streamer.until("open")
    _snapshot(streamer, [NIFTY])


def test_garbage_is_an_error_and_no_end(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """What cannot be decoded is told as an error; the next frame is read."""
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    _snapshot(streamer, [NIFTY])
    exchange.control.send_garbage()
    streamer.until("error")
    assert NIFTY in streamer.message()["feeds"]
    assert "close" not in streamer.names()


def test_an_expired_token_is_not_tried_again(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """401 at the handshake: one error, no second try."""
    token = mint(exchange.clock() - timedelta(days=2), timedelta(days=1))
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc", token)
    streamer.end()
    assert "401 Unauthorized" in str(streamer.until("error")[0])
    assert streamer.names().count("error") == 1
    assert "reconnecting" not in streamer.names()


@pytest.mark.parametrize(
    ("name", "told"), [("feed_forbidden", "403"), ("handshake_rate_limited", "429")]
)
def test_other_refusals_are_tried_to_the_end(
    exchange: SimulatedExchange, streamers: list[Streamer], name: str, told: str
) -> None:
    """403 and 429: every try is used up, then the SDK says that it stops."""
    exchange.control.add(fault(name))
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    assert told in str(streamer.until("error")[0])
    assert streamer.until("autoReconnectStopped") == (f"retryCount of {_TRIES} exhausted.",)
    streamer.end()
    assert streamer.names().count("reconnecting") == _TRIES
    assert streamer.names().count("error") == _TRIES + 1
    assert "open" not in streamer.names()


def test_a_refusal_that_ends_lets_the_sdk_in(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """Two refusals, then the feed."""
    exchange.control.add(fault("feed_forbidden", times=2))
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    streamer.until("open")
    _snapshot(streamer, [NIFTY])
    assert streamer.names().count("reconnecting") == 2


def test_a_dying_token_leaves_the_open_socket(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """Whether the broker cuts it is not known; by default frames go on while REST says 401."""
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    _snapshot(streamer, [NIFTY])
    exchange.control.add(fault("token_death", after_seconds=0.0))
    with pytest.raises(ApiException) as caught:
        _last_price(exchange)
    assert caught.value.status == 401
    assert NIFTY in streamer.message()["feeds"]


def test_a_cut_at_the_tokens_death_is_the_end(
    exchange: SimulatedExchange, streamers: list[Streamer]
) -> None:
    """Reset, one try, 401: the SDK needs a new token."""
    streamer = _connected(exchange, streamers, [NIFTY], "ltpc")
    _snapshot(streamer, [NIFTY])
    exchange.control.add(fault("token_death", cuts_sockets=True))
    streamer.until("reconnecting")
    assert "401 Unauthorized" in str(streamer.until("error")[0])
    streamer.end()
    assert streamer.names().count("reconnecting") == 1


def _last_price(exchange: SimulatedExchange) -> Any:
    api = upstox_client.MarketQuoteV3Api(official.client(exchange))
    return api.get_ltp(instrument_key=NIFTY)
