"""Every fault of a call through a real call, and what the official SDK makes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import upstox_client
from upstox_client.rest import ApiException

from market.rules import IST
from simulator.access.tokens import mint
from simulator.faults.fault import fault
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official
from tests.simulator.sockets import NIFTY

_LAST = "/v3/market-quote/ltp"
_CANDLES = f"/v3/historical-candle/intraday/{NIFTY}/minutes/30"


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatedExchange]:
    """One exchange for the file."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",), limits=())) as exchange:
        yield exchange


@pytest.fixture
def exchange(shared: SimulatedExchange) -> Iterator[SimulatedExchange]:
    """The exchange without any fault."""
    yield shared
    shared.control.clear()


def _get(exchange: SimulatedExchange, path: str, **query: str) -> requests.Response:
    return requests.get(exchange.url + path, query, headers=exchange.headers, timeout=20)


def _last(exchange: SimulatedExchange) -> requests.Response:
    return _get(exchange, _LAST, instrument_key=NIFTY)


def _strike(exchange: SimulatedExchange, name: str, **more: Any) -> None:
    exchange.control.add(fault(name, **more))


def test_served_without_faults(exchange: SimulatedExchange) -> None:
    """The control of what follows."""
    assert _last(exchange).status_code == 200
    assert _get(exchange, _CANDLES).status_code == 200


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("rate_limited", 429, "UDAPI10005"),
        ("server_error", 500, "UDAPI100500"),
        ("bad_key", 400, "UDAPI1087"),
    ],
)
def test_errors_reach_the_official_sdk(
    exchange: SimulatedExchange, name: str, status: int, code: str
) -> None:
    """As its exception with status and body; the call after the burst is served."""
    _strike(exchange, name, times=1)
    api = upstox_client.MarketQuoteV3Api(official.client(exchange))
    with pytest.raises(ApiException) as caught:
        api.get_ltp(instrument_key=NIFTY)
    assert caught.value.status == status
    assert json.loads(caught.value.body)["errors"][0]["errorCode"] == code
    assert api.get_ltp(instrument_key=NIFTY).status == "success"


def test_the_edges_page_is_no_json(exchange: SimulatedExchange) -> None:
    """403 in HTML, for which a client must not blame its token."""
    _strike(exchange, "forbidden_page", code="1015")
    answer = _last(exchange)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Error 1015" in answer.text


def test_good_answers_with_nothing_in_them(exchange: SimulatedExchange) -> None:
    """200 with data: null, and 200 without candles."""
    _strike(exchange, "null_data", match=(_LAST,))
    _strike(exchange, "empty_candles")
    assert _last(exchange).json() == {"status": "success", "data": None}
    assert _get(exchange, _CANDLES).json() == {"status": "success", "data": {"candles": []}}
    status = _get(exchange, "/v2/market/status/NSE").json()
    assert status["data"] is not None


def test_throttled_candles_are_empty(exchange: SimulatedExchange) -> None:
    """Above the rate only."""
    _strike(exchange, "throttled_empty", calls=2, seconds=3_600.0)
    counts = [len(_get(exchange, _CANDLES).json()["data"]["candles"]) for _ in range(3)]
    assert counts[0] == counts[1] > 0 == counts[2]


def test_previous_ohlc_is_null(exchange: SimulatedExchange) -> None:
    """The rest of the entry is the exchange's own."""
    path = "/v3/market-quote/ohlc"
    plain = _get(exchange, path, instrument_key=NIFTY, interval="I1").json()["data"]
    _strike(exchange, "prev_ohlc_null")
    struck = _get(exchange, path, instrument_key=NIFTY, interval="I1").json()["data"]
    ((key, entry),) = struck.items()
    assert entry["prev_ohlc"] is None
    assert entry["live_ohlc"]
    assert set(entry) == set(plain[key])


def test_answers_are_late(exchange: SimulatedExchange) -> None:
    """By so many seconds of the machine's, or the client's patience ends first."""
    _strike(exchange, "slow", seconds=0.3)
    begun = time.monotonic()
    assert _last(exchange).status_code == 200
    assert time.monotonic() - begun >= 0.3
    with pytest.raises(requests.ReadTimeout):
        requests.get(exchange.url + "/v2/market/holidays", timeout=0.1)


@pytest.mark.parametrize("keeps", [0.0, 0.5, 1.0])
def test_bodies_are_torn(exchange: SimulatedExchange, keeps: float) -> None:
    """The length is promised, the connection ends before it."""
    _strike(exchange, "torn", keeps=keeps, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _last(exchange)
    assert _last(exchange).status_code == 200


def test_refusals_may_be_late_and_torn_too(exchange: SimulatedExchange) -> None:
    """Faults add up."""
    _strike(exchange, "rate_limited")
    _strike(exchange, "torn")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _last(exchange)


def test_dead_tokens_are_refused_and_new_ones_taken(exchange: SimulatedExchange) -> None:
    """As at 03:30: everything says 401 until someone logs in; open paths ask for none."""
    old = exchange.clock() - timedelta(hours=1)
    dead = {"Authorization": f"Bearer {mint(old, timedelta(days=1))}"}
    url = exchange.url + _LAST
    assert requests.get(url, {"instrument_key": NIFTY}, headers=dead, timeout=20).ok
    instant = exchange.clock().astimezone(IST) - timedelta(minutes=30)
    _strike(exchange, "token_death", starts_at=instant)
    refused = requests.get(url, {"instrument_key": NIFTY}, headers=dead, timeout=20)
    assert (refused.status_code, refused.json()["errors"][0]["errorCode"]) == (401, "UDAPI100050")
    feed = exchange.url + "/v3/feed/market-data-feed"
    assert requests.get(feed, headers=dead, allow_redirects=False, timeout=20).status_code == 401
    assert _last(exchange).status_code == 200
    assert requests.get(exchange.url + "/v2/market/holidays", timeout=20).ok


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x.y.z", "Basic x", "Bearer \xff"])
def test_no_token_is_the_guards_business(exchange: SimulatedExchange, header: str) -> None:
    """What cannot be read is refused in the broker's words, with the fault on or off."""
    _strike(exchange, "token_death")
    url = exchange.url + _LAST
    headers = {"Authorization": header.encode("latin-1")}
    answer = requests.get(url, {"instrument_key": NIFTY}, headers=headers, timeout=20)
    assert answer.json()["errors"][0]["errorCode"] == "UDAPI100050"


@pytest.mark.parametrize("match", [(NIFTY,), ("NIFTY",), ("/v3/historical-candle", "NIFTY")])
def test_calls_are_matched_by_what_they_name(
    exchange: SimulatedExchange, match: tuple[str, ...]
) -> None:
    """A key in the path as well as in the query; by key and by symbol."""
    _strike(exchange, "rate_limited", match=match)
    assert _get(exchange, _CANDLES).status_code == 429
    assert _last(exchange).status_code == (429 if len(match) == 1 else 200)
    assert _get(exchange, "/v2/market/status/NSE").status_code == 200


def test_the_console_is_never_struck(exchange: SimulatedExchange) -> None:
    """Whoever started a fault can end it."""
    _strike(exchange, "rate_limited")
    assert requests.get(exchange.url + "/simulator/state", timeout=20).ok


def test_a_failure_can_be_replayed() -> None:
    """Same seed, same calls, same answers, in another server; another seed, others."""

    def statuses(seed: int) -> list[int]:
        faults = (fault("rate_limited", share=0.5),)
        config = SimulatorConfig(symbols=("NIFTY",), faults=faults, fault_seed=seed)
        with running_simulator(config) as exchange:
            url = exchange.url + "/v2/market/timings/2026-11-25"
            return [requests.get(url, timeout=20).status_code for _ in range(24)]

    first, again, other = statuses(1), statuses(1), statuses(2)
    assert first == again != other
    assert set(first) == {200, 429}
