"""The REST paths, judged by the broker's official SDK and by plain HTTP."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import requests
import upstox_client
from upstox_client.rest import ApiException

from simulator.access import Limit
from simulator.server import SimulatorConfig
from simulator.tokens import mint
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official

_NIFTY = "NSE_INDEX|Nifty 50"


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """One exchange for the tests of this file that only read."""
    config = SimulatorConfig(symbols=("NIFTY", "SENSEX", "RELIANCE"), limits=())
    with running_simulator(config) as running:
        yield running


def _expiry(exchange: SimulatedExchange) -> str:
    listing = exchange.market.listing(exchange.clock())
    return min(e for s, e in listing.chains if s == "NIFTY").isoformat()


def _get(exchange: SimulatedExchange, path: str, **query: str) -> requests.Response:
    return requests.get(exchange.url + path, query, headers=exchange.headers, timeout=10)


def test_referee_reads_the_chain(exchange: SimulatedExchange) -> None:
    """The official client sees every strike of the listing, with prices and percent volatility."""
    api = upstox_client.OptionsApi(official.client(exchange))
    chain = api.get_put_call_option_chain(_NIFTY, _expiry(exchange))
    assert chain.status == "success"
    assert len(chain.data) == 41
    assert [row.strike_price for row in chain.data] == sorted(r.strike_price for r in chain.data)
    for row in chain.data:
        assert isinstance(row.expiry, datetime)
        assert row.call_options.market_data.ask_price > row.call_options.market_data.bid_price > 0
        assert 1 < row.call_options.option_greeks.iv < 300


def test_referee_reads_the_contracts(exchange: SimulatedExchange) -> None:
    """Every contract of two expiries, or of one."""
    api = upstox_client.OptionsApi(official.client(exchange))
    every = api.get_option_contracts(_NIFTY).data
    one = api.get_option_contracts(_NIFTY, expiry_date=_expiry(exchange)).data
    assert (len(every), len(one)) == (164, 82)
    assert {c.instrument_type for c in every} == {"CE", "PE"}
    assert {c.lot_size for c in every} == {65}


def test_referee_reads_last_prices(exchange: SimulatedExchange) -> None:
    """Index and stock in one call, under colon names."""
    api = upstox_client.MarketQuoteV3Api(official.client(exchange))
    data = api.get_ltp(instrument_key=f"{_NIFTY},NSE_EQ|INE002A01018").data
    assert set(data) == {"NSE_INDEX:Nifty 50", "NSE_EQ:RELIANCE"}
    spot = exchange.market.truth(exchange.clock()).spot["NIFTY"]
    assert data["NSE_INDEX:Nifty 50"].last_price == pytest.approx(spot, rel=1e-3)


def test_referee_reads_calendar_and_status(exchange: SimulatedExchange) -> None:
    """Status with a token, holidays and timings without."""
    api = upstox_client.MarketHolidaysAndTimingsApi(official.client(exchange))
    assert api.get_market_status("NSE").data.status == "NORMAL_OPEN"
    assert api.get_exchange_timings("2026-11-25").data
    assert len(api.get_holidays().data) == 16
    for path in ("/v2/market/holidays/2026-11-24", "/v2/market/timings/2026-11-25"):
        assert requests.get(exchange.url + path, timeout=10).json()["data"]


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
        api.get_put_call_option_chain(_NIFTY, _expiry(exchange))
    assert caught.value.status == 401
    body = json.loads(caught.value.body)
    assert body["errors"][0]["errorCode"] == "UDAPI100050"
    assert "data" not in body


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/v2/option/chain", {}, 400, "UDAPI1009"),
        ("/v2/option/chain", {"instrument_key": _NIFTY}, 400, "UDAPI1009"),
        ("/v2/option/chain", {"instrument_key": _NIFTY, "expiry_date": "x"}, 400, "UDAPI1088"),
        ("/v2/option/contract", {"instrument_key": "nonsense"}, 400, "UDAPI1011"),
        ("/v2/option/contract", {"instrument_key": "NSE_EQ|INE000000000"}, 400, "UDAPI100011"),
        ("/v3/market-quote/ltp", {"instrument_key": f"{_NIFTY},NSE_FO|0"}, 400, "UDAPI1087"),
        ("/v2/market/status/NYSE", {}, 400, "UDAPI1089"),
        ("/v2/market/timings/soon", {}, 400, "UDAPI1088"),
        ("/v2/nowhere", {}, 404, "UDAPI100060"),
    ],
)
def test_wrong_requests_get_the_brokers_codes(
    exchange: SimulatedExchange, path: str, query: dict[str, str], status: int, code: str
) -> None:
    """Each mistake has its own code, in both casings."""
    answer = _get(exchange, path, **query)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["errorCode"], error["error_code"]) == (status, code, code)


def test_at_most_500_quotes(exchange: SimulatedExchange) -> None:
    """One key too many voids the call."""
    keys = ",".join(f"NSE_FO|{i}" for i in range(501))
    answer = _get(exchange, "/v3/market-quote/ltp", instrument_key=keys)
    assert answer.json()["errors"][0]["errorCode"] == "UDAPI100043"


def test_master_wants_a_normal_client(exchange: SimulatedExchange) -> None:
    """Gzipped JSON without a token; an HTML 403 for scripts without a User-Agent."""
    url = f"{exchange.url}/market-quote/instruments/exchange/complete.json.gz"
    records = json.loads(gzip.decompress(requests.get(url, timeout=10).content))
    assert {"INDEX", "EQ", "FUT", "CE", "PE"} == {r["instrument_type"] for r in records}
    for agent in ("", "Python-urllib/3.11"):
        refused = requests.get(url, headers={"User-Agent": agent}, timeout=10)
        assert refused.status_code == 403
        assert refused.headers["Content-Type"].startswith("text/html")
    assert requests.get(url.replace("complete", "MCX"), timeout=10).status_code == 404


def test_rate_limits_are_the_users() -> None:
    """Beyond the limit 429 UDAPI10005 until the window has passed; the master is not counted."""
    config = SimulatorConfig(symbols=("NIFTY",), limits=(Limit(3, 3_600.0),))
    with running_simulator(config) as exchange:
        answers = [_get(exchange, "/v2/market/status/NSE") for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["errors"][0]["errorCode"] == "UDAPI10005"
        master = f"{exchange.url}/market-quote/instruments/exchange/NSE.json.gz"
        assert requests.get(master, timeout=10).status_code == 200


def test_chains_can_be_refused(exchange: SimulatedExchange) -> None:
    """One symbol fails as told, the others are served."""
    query = {"instrument_key": _NIFTY, "expiry_date": _expiry(exchange)}
    for status, code in ((500, "UDAPI100500"), (429, "UDAPI10005")):
        exchange.control.refuse_chain("NIFTY", status, times=1)
        refused = _get(exchange, "/v2/option/chain", **query)
        assert refused.status_code == status
        assert refused.json()["errors"][0]["errorCode"] == code
        assert _get(exchange, "/v2/option/chain", **query).status_code == 200
