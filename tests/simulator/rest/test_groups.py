"""The REST paths as a whole: the way to a socket, the checks before every call, the way nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests
import upstox_client
from upstox_client.rest import ApiException

from simulator.access.gate import Limit
from simulator.access.tokens import mint
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official

_NIFTY = "NSE_INDEX|Nifty 50"
_GUARDED = (
    "/v2/option/chain",
    "/v2/option/contract",
    "/v2/market-quote/quotes",
    "/v3/market-quote/quotes",
    "/v2/market-quote/ltp",
    "/v3/market-quote/ltp",
    "/v2/market-quote/ohlc",
    "/v3/market-quote/ohlc",
    "/v3/market-quote/option-greek",
    "/v2/market/status/NSE",
    "/v2/market/oi",
    "/v2/market/change-oi",
    "/v2/market/pcr",
    "/v2/market/max-pain",
    "/v3/feed/market-data-feed/authorize",
)


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """One exchange for the tests of this file that only read."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",), limits=())) as running:
        yield running


def _get(exchange: SimulatedExchange, path: str, **query: str) -> requests.Response:
    return requests.get(exchange.url + path, query, headers=exchange.headers, timeout=10)


def test_referee_is_authorized(exchange: SimulatedExchange) -> None:
    """The address comes in both casings, with a code that differs each time."""
    api = upstox_client.WebsocketApi(official.client(exchange))
    first, second = (
        api.get_market_data_feed_authorize_v3().data.authorized_redirect_uri for _ in range(2)
    )
    assert first.startswith(f"ws://127.0.0.1:{exchange.port}/market-data-feeder/v3/")
    assert first != second
    data = _get(exchange, "/v3/feed/market-data-feed/authorize").json()["data"]
    assert data["authorized_redirect_uri"] == data["authorizedRedirectUri"]


@pytest.mark.parametrize("token", ["", "garbage", "expired"])
def test_referee_is_refused_without_a_living_token(exchange: SimulatedExchange, token: str) -> None:
    """401 UDAPI100050, as an ApiException with the envelope in its body."""
    if token == "expired":
        token = mint(exchange.clock() - timedelta(days=2), timedelta(days=1))
    api = upstox_client.OptionsApi(official.client(exchange, token))
    with pytest.raises(ApiException) as caught:
        api.get_put_call_option_chain(_NIFTY, "2026-12-01")
    assert caught.value.status == 401
    body = json.loads(caught.value.body)
    assert body["errors"][0]["errorCode"] == "UDAPI100050"
    assert "data" not in body


@pytest.mark.parametrize("path", _GUARDED)
def test_paths_that_ask_for_a_token(exchange: SimulatedExchange, path: str) -> None:
    """Before anything else is looked at."""
    answer = requests.get(exchange.url + path, timeout=10)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["errorCode"] == "UDAPI100050"


def test_a_path_that_leads_nowhere(exchange: SimulatedExchange) -> None:
    """The gateway's 404, in the broker's envelope."""
    answer = _get(exchange, "/v2/nowhere")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["errorCode"], error["error_code"]) == (
        404,
        "UDAPI100060",
        "UDAPI100060",
    )


def test_rate_limits_are_the_users() -> None:
    """Beyond the limit 429 UDAPI10005 until the window has passed; the master is not counted."""
    config = SimulatorConfig(symbols=("NIFTY",), limits=(Limit(3, 3_600.0),))
    with running_simulator(config) as exchange:
        answers = [_get(exchange, "/v2/market/status/NSE") for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["errors"][0]["errorCode"] == "UDAPI10005"
        master = f"{exchange.url}/market-quote/instruments/exchange/NSE.json.gz"
        assert requests.get(master, timeout=10).status_code == 200


@pytest.mark.parametrize("status", [500, 429])
def test_chains_can_be_refused(exchange: SimulatedExchange, status: int) -> None:
    """A fault stands before the call, whatever it asks for; then the call is answered again."""
    query = {"instrument_key": _NIFTY, "expiry_date": "current_week"}
    exchange.control.refuse_chain("NIFTY", status, times=1)
    refused = _get(exchange, "/v2/option/chain", **query)
    code = refused.json()["errors"][0]["errorCode"]
    assert (refused.status_code, code) == (status, {500: "UDAPI100500", 429: "UDAPI10005"}[status])
    assert _get(exchange, "/v2/option/chain", **query).status_code == 200
