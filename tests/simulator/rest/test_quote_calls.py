"""Quotes in both versions, judged by the official SDK against the market itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
import requests
import upstox_client

from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official

_NOON = datetime(2026, 11, 25, 6, 30, 40, tzinfo=UTC)
_NIFTY, _RELIANCE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange whose clock stands still, so that what is served can be compared exactly."""
    config = SimulatorConfig(symbols=("NIFTY", "RELIANCE"), session="nse", limits=())
    with running_simulator(config, lambda: _NOON) as running:
        yield running


@pytest.fixture(scope="module")
def keys(exchange: SimulatedExchange) -> list[str]:
    """An index, a share, a future, and options."""
    rows = exchange.market.listing(_NOON).rows
    derivatives = [row.key for row in rows if row.is_derivative]
    return [_NIFTY, _RELIANCE, *derivatives[:1], *derivatives[100:104]]


def _get(exchange: SimulatedExchange, path: str, **query: str) -> requests.Response:
    url = f"{exchange.url}{path}"
    return requests.get(url, query, headers=exchange.headers, timeout=20)


def _rows(exchange: SimulatedExchange, keys: list[str]) -> np.ndarray:
    known = exchange.market.listing(_NOON).row_of_key
    return np.array([known[key] for key in keys], np.int64)


def test_referee_reads_full_quotes(exchange: SimulatedExchange, keys: list[str]) -> None:
    """Version 2 under colon names, each figure as the market has it."""
    api = upstox_client.MarketQuoteApi(official.client(exchange))
    read = api.get_full_market_quote(",".join(keys), "2.0")
    rows = _rows(exchange, keys)
    quotes = exchange.market.quotes(_NOON, rows)
    day = exchange.market.day_ranges(_NOON, rows)
    names = [exchange.market.listing(_NOON).rows[row].quote_name for row in rows]
    assert list(read.data) == names
    for i, (name, told) in enumerate(read.data.items()):
        assert told.instrument_token == keys[i]
        assert told.symbol == name.partition(":")[2]
        assert told.last_price == quotes.last_price[i]
        assert told.volume == quotes.volume_units[i]
        assert told.oi == quotes.open_interest_units[i]
        assert told.net_change == pytest.approx(
            quotes.last_price[i] - quotes.previous_close_price[i], abs=0.006
        )
        assert told.last_trade_time == str(quotes.last_traded_ms[i])
        assert told.timestamp == "2026-11-25T12:00:40.000+05:30"
        bar = told.ohlc
        assert (bar.open, bar.high, bar.low, bar.close) == (
            day.open[i],
            day.high[i],
            day.low[i],
            day.close[i],
        )
        assert len(told.depth.buy) == len(told.depth.sell) == 5
        assert told.depth.buy[0].price == quotes.bid_price[i]
        assert told.depth.sell[0].price == quotes.ask_price[i]


def test_referee_reads_full_quotes_of_version_3(
    exchange: SimulatedExchange, keys: list[str]
) -> None:
    """As version 2, and more of the days before; nothing of an auction at noon."""
    api = upstox_client.MarketQuoteV3Api(official.client(exchange))
    read = api.get_full_market_quote_v3(instrument_key=",".join(keys)).data
    older = _get(exchange, "/v2/market-quote/quotes", symbol=",".join(keys)).json()["data"]
    quotes = exchange.market.quotes(_NOON, _rows(exchange, keys))
    for i, (name, told) in enumerate(read.items()):
        same = set(older[name]) - {"ohlc", "depth"}
        assert {field: getattr(told, field) for field in same} == {
            field: older[name][field] for field in same
        }
        assert told.prev_close_price == quotes.previous_close_price[i]
        assert told.previous_oi == quotes.previous_open_interest_units[i]
        assert told.year_low <= told.ohlc.low <= told.ohlc.high <= told.year_high
        assert told.ohlc.volume >= 0
        assert told.ohlc.ts == int(datetime(2026, 11, 24, 18, 30, tzinfo=UTC).timestamp()) * 1000
        assert told.indicative_equilibrium_price == told.indicative_equilibrium_quantity == 0
        assert told.cas_eligible is (keys[i] == _RELIANCE)


def test_referee_reads_last_prices(exchange: SimulatedExchange, keys: list[str]) -> None:
    """Both versions have the same price; the newer one has the trade beside it."""
    joined = ",".join(keys)
    old = upstox_client.MarketQuoteApi(official.client(exchange)).ltp(joined, "2.0").data
    new = upstox_client.MarketQuoteV3Api(official.client(exchange)).get_ltp(instrument_key=joined)
    quotes = exchange.market.quotes(_NOON, _rows(exchange, keys))
    assert list(old) == list(new.data)
    for i, (before, told) in enumerate(zip(old.values(), new.data.values(), strict=True)):
        assert before.last_price == told.last_price == quotes.last_price[i]
        assert before.instrument_token == told.instrument_token == keys[i]
        assert told.ltq == quotes.last_quantity_units[i]
        assert told.volume == quotes.volume_units[i]
        assert told.cp == quotes.previous_close_price[i]


def test_referee_reads_greeks(exchange: SimulatedExchange, keys: list[str]) -> None:
    """Volatility as a fraction here, in contrast to the chain; nothing for what is no option."""
    api = upstox_client.MarketQuoteV3Api(official.client(exchange))
    read = api.get_market_quote_option_greek(instrument_key=",".join(keys)).data
    rows = _rows(exchange, keys)
    quotes, signs = exchange.market.quotes(_NOON, rows), exchange.market.listing(_NOON).sign[rows]
    for i, told in enumerate(read.values()):
        if signs[i] == 0:
            assert told.iv == told.delta == told.gamma == told.theta == told.vega == 0.0
            continue
        assert told.iv == quotes.implied_volatility[i]
        assert told.delta == pytest.approx(quotes.model.delta[i], abs=1e-4)
        assert told.theta == pytest.approx(quotes.model.theta_per_day[i], abs=1e-4)
        assert told.oi == quotes.open_interest_units[i]


@pytest.mark.parametrize("interval", ["1d", "I1", "I30"])
def test_referee_reads_bars(exchange: SimulatedExchange, keys: list[str], interval: str) -> None:
    """A bar that runs and one before it; a day has none before, which is null and not missing."""
    joined = ",".join(keys)
    api = upstox_client.MarketQuoteV3Api(official.client(exchange))
    read = api.get_market_quote_ohlc(interval, instrument_key=joined).data
    raw = _get(exchange, "/v3/market-quote/ohlc", instrument_key=joined, interval=interval).json()
    older = upstox_client.MarketQuoteApi(official.client(exchange))
    bars = older.get_market_quote_ohlc(joined, interval, "2.0").data
    for name, told in read.items():
        live = told.live_ohlc
        assert live.low <= told.last_price <= live.high
        assert bars[name].ohlc.to_dict() == {
            field: getattr(live, field) for field in ("open", "high", "low", "close")
        }
        assert "prev_ohlc" in raw["data"][name]
        assert (told.prev_ohlc is None) == (interval == "1d")
        if told.prev_ohlc is not None:
            assert live.ts - told.prev_ohlc.ts == {"I1": 60_000, "I30": 1_800_000}[interval]


_KEYED = (
    "/v2/market-quote/quotes",
    "/v3/market-quote/quotes",
    "/v2/market-quote/ltp",
    "/v3/market-quote/ltp",
    "/v2/market-quote/ohlc",
    "/v3/market-quote/ohlc",
    "/v3/market-quote/option-greek",
)
_MOST = dict.fromkeys(_KEYED, (500, "UDAPI100043")) | {
    "/v2/market-quote/quotes": (500, "UDAPI100042"),
    "/v3/market-quote/quotes": (500, "UDAPI100042"),
    "/v3/market-quote/option-greek": (50, "UDAPI100076"),
}


def _refused(answer: requests.Response) -> str:
    body = answer.json()
    (error,) = body["errors"]
    assert answer.status_code == 400
    assert set(body) == {"status", "errors"}
    assert body["status"] == "error"
    for camel, snake in (
        ("errorCode", "error_code"),
        ("propertyPath", "property_path"),
        ("invalidValue", "invalid_value"),
    ):
        assert error[camel] == error[snake]
    return str(error["errorCode"])


@pytest.mark.parametrize("path", _KEYED)
def test_one_unknown_key_voids_the_call(exchange: SimulatedExchange, path: str) -> None:
    """However many good ones stand beside it."""
    query = {"instrument_key": f"{_NIFTY},NSE_FO|0", "interval": "1d"}
    expected = "UDAPI100011" if path == "/v3/market-quote/quotes" else "UDAPI1087"
    assert _refused(_get(exchange, path, **query)) == expected


@pytest.mark.parametrize("path", _KEYED)
def test_keys_must_be_there_and_well_spelt(exchange: SimulatedExchange, path: str) -> None:
    """The two mistakes differ."""
    assert _refused(_get(exchange, path, interval="1d")) == "UDAPI1009"
    query = {"instrument_key": "NSE_FO", "interval": "1d"}
    assert _refused(_get(exchange, path, **query)) == "UDAPI1011"


@pytest.mark.parametrize("path", _KEYED)
def test_calls_take_so_many_keys(exchange: SimulatedExchange, path: str) -> None:
    """One more voids the call; as many as allowed are only unknown."""
    most, code = _MOST[path]
    found = []
    for count in (most, most + 1):
        joined = ",".join(f"BSE_FO|{i}" for i in range(count))
        found.append(_refused(_get(exchange, path, instrument_key=joined, interval="1d")))
    assert found[0] in ("UDAPI1087", "UDAPI100011")
    assert found[1] == code


@pytest.mark.parametrize("path", ["/v2/market-quote/ohlc", "/v3/market-quote/ohlc"])
@pytest.mark.parametrize(
    ("query", "code"),
    [({}, "UDAPI1027"), ({"interval": "I5"}, "UDAPI1028"), ({"interval": "1D"}, "UDAPI1028")],
)
def test_bars_have_three_intervals(
    exchange: SimulatedExchange, path: str, query: dict[str, str], code: str
) -> None:
    """None is one mistake, another one another."""
    assert _refused(_get(exchange, path, instrument_key=_NIFTY, **query)) == code
