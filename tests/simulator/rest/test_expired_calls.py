"""Paths of expired contracts, judged by the official SDK, at a time that stands still."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests
import upstox_client
from upstox_client.rest import ApiException

from market.rules import rules_for
from simulator.access.tokens import mint
from simulator.rest.candle_windows import CandleOptions
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official
from tests.simulator.standing import StandingClock, ist

_NIFTY, _RELIANCE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"
_CLOCK = StandingClock(ist("2026-11-23 10:30"))
_CONFIG = SimulatorConfig(session="nse", symbols=("NIFTY", "RELIANCE"), limits=())


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange on a Monday that an expiry was moved to, as Tuesday is a holiday."""
    with running_simulator(_CONFIG, _CLOCK) as running:
        yield running


@pytest.fixture(scope="module")
def expired(exchange: SimulatedExchange) -> Any:
    """The SDK's calls with the token of a paying user."""
    return upstox_client.ExpiredInstrumentApi(official.client(exchange))


def _middle(contracts: list[Any]) -> Any:
    return sorted(contracts, key=lambda contract: contract.strike_price)[len(contracts) // 2]


def test_expiries_of_six_months(expired: Any) -> None:
    """Each weekly expiry from six months ago to yesterday, ascending, as text; monthly for a stock.

    The one that is going on today has not expired yet.
    """
    weekly = [date.fromisoformat(text) for text in expired.get_expiries(_NIFTY).data]
    rules = rules_for("nse")
    assert weekly == sorted(weekly)
    assert (weekly[0], weekly[-1]) == (date(2026, 5, 26), date(2026, 11, 17))
    assert len(weekly) == 26
    assert all(expiry == rules.expiries("NIFTY", "NSE", expiry, 1)[0] for expiry in weekly)
    monthly = [date.fromisoformat(text) for text in expired.get_expiries(_RELIANCE).data]
    assert [expiry.month for expiry in monthly] == [5, 6, 7, 8, 9, 10]


def test_contracts_as_they_were_on_their_last_day(
    exchange: SimulatedExchange, expired: Any
) -> None:
    """All options of an expiry, under the key of old with the expiry behind it."""
    found = expired.get_expired_option_contracts(_NIFTY, "2026-11-17").data
    listing = exchange.market.listing_of(date(2026, 11, 17))
    rows = [listing.rows[i] for i in listing.chain("NIFTY", date(2026, 11, 17))]
    assert {c.instrument_key for c in found} == {f"{row.key}|17-11-2026" for row in rows}
    assert {c.strike_price for c in found} == {row.contract.strike for row in rows}
    assert {c.instrument_type for c in found} == {"CE", "PE"}
    one = found[0]
    assert isinstance(one.expiry, datetime)
    assert one.expiry.date() == date(2026, 11, 17)
    assert (one.lot_size, one.minimum_lot, one.tick_size) == (65, 65, 5.0)
    assert (one.underlying_key, one.underlying_symbol, one.weekly) == (_NIFTY, "NIFTY", True)
    assert one.instrument_key.split("|")[1] == one.exchange_token


def test_futures_expire_once_a_month(exchange: SimulatedExchange, expired: Any) -> None:
    """One future on a month's last expiry, none on a weekly one; no strike, no weekly."""
    assert expired.get_expired_future_contracts(_NIFTY, "2026-11-17").data == []
    (future,) = expired.get_expired_future_contracts(_NIFTY, "2026-10-27").data
    assert (future.instrument_type, future.expiry) == ("FUT", "2026-10-27")
    assert future.instrument_key.endswith("|27-10-2026")
    query = {"instrument_key": _NIFTY, "expiry_date": "2026-10-27"}
    raw = _get(exchange, "future/contract", query).json()["data"][0]
    assert not {"strike_price", "weekly"} & set(raw)


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-18", "2026-05-19", "2030-01-01"])
def test_other_days_have_no_contracts(expired: Any, day: str) -> None:
    """Not expired yet, no expiry at all, longer ago than is kept, far ahead: an empty list."""
    assert expired.get_expired_option_contracts(_NIFTY, day).data == []


def test_candles_of_an_expired_option(exchange: SimulatedExchange, expired: Any) -> None:
    """Minutes of its last days, newest first, what the market made; longer bars are sums of it."""
    contract = _middle(expired.get_expired_option_contracts(_NIFTY, "2026-11-17").data)
    key, window = contract.instrument_key, ("2026-11-20", "2026-11-16")
    minutes = _candles(expired, key, "1minute", *window)
    stamps = [candle[0] for candle in minutes]
    assert stamps == sorted(stamps, reverse=True)
    assert {stamp[:10] for stamp in stamps} == {"2026-11-16", "2026-11-17"}
    listing = exchange.market.listing_of(date(2026, 11, 17))
    listed = listing.rows[listing.row_of_key[key.rpartition("|")[0]]]
    last_day = exchange.market.minute_candles(listed.contract, date(2026, 11, 17))
    newest = [candle for candle in minutes if candle[0].startswith("2026-11-17")]
    assert [candle[4] for candle in newest] == last_day.close[::-1].tolist()
    assert [candle[6] for candle in newest] == last_day.open_interest_units[::-1].tolist()
    for interval in ("3minute", "5minute", "15minute", "30minute", "day"):
        longer = _candles(expired, key, interval, *window)
        assert sum(candle[5] for candle in longer) == sum(candle[5] for candle in minutes)
        assert (longer[0][4], longer[-1][1]) == (minutes[0][4], minutes[-1][1])
        assert max(candle[2] for candle in longer) == max(candle[2] for candle in minutes)


def test_candles_are_those_from_before_the_expiry(
    exchange: SimulatedExchange, expired: Any
) -> None:
    """What a living contract's history said, its expired one says, under another key."""
    contract = _middle(expired.get_expired_option_contracts(_NIFTY, "2026-11-17").data)
    key = contract.instrument_key.rpartition("|")[0]
    with _CLOCK.showing("2026-11-17 20:00"):
        api = upstox_client.HistoryV3Api(official.client(exchange))
        window = ("2026-11-16", "2026-11-16")
        then = api.get_historical_candle_data1(key, "minutes", 30, *window).data.candles
    assert _candles(expired, contract.instrument_key, "30minute", *window) == then
    assert then


def _candles(expired: Any, key: str, interval: str, to_date: str, from_date: str) -> list[Any]:
    found = expired.get_expired_historical_candle_data(key, interval, to_date, from_date)
    assert found.status == "success"
    return list(found.data.candles)


def _get(exchange: SimulatedExchange, path: str, query: dict[str, str]) -> requests.Response:
    url = f"{exchange.url}/v2/expired-instruments/{quote(path)}"
    return requests.get(url, query, headers=exchange.headers, timeout=30)


_DAY = "day/2026-11-17/2026-11-16"


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("expiries", {}, "UDAPI1009"),
        ("expiries", {"instrument_key": "Nifty 50"}, "UDAPI1011"),
        ("expiries", {"instrument_key": "NSE_INDEX|NIFTY 50"}, "UDAPI100011"),
        ("option/contract", {"instrument_key": _NIFTY, "expiry_date": "soon"}, "UDAPI1088"),
        (f"historical-candle/NSE_FO|1|17-11-2026/{_DAY}", {}, "UDAPI100011"),
        (f"historical-candle/NSE_FO|1|31-02-2026/{_DAY}", {}, "UDAPI100011"),
        (f"historical-candle/NSE_FO|1|17-11-2020/{_DAY}", {}, "UDAPI100011"),
        (f"historical-candle/NSE_FO|1|17-11-2036/{_DAY}", {}, "UDAPI100011"),
        (f"historical-candle/{_NIFTY}/{_DAY}", {}, "UDAPI100011"),
        (f"historical-candle/Nifty/{_DAY}", {}, "UDAPI1021"),
        ("historical-candle/NSE_FO|1|17-11-2026/week/2026-11-17/2026-11-16", {}, "UDAPI1020"),
        ("historical-candle/NSE_FO|1|17-11-2026/day/2026-11-16/2026-11-17", {}, "UDAPI1015"),
    ],
)
def test_wrong_requests(
    exchange: SimulatedExchange, path: str, query: dict[str, str], code: str
) -> None:
    """Each mistake has the broker's code."""
    answer = _get(exchange, path, query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["errorCode"] == code


def test_a_living_contract_is_not_expired(exchange: SimulatedExchange) -> None:
    """Neither is one on its last day, which comes to an end at midnight."""
    listing = exchange.market.listing(exchange.clock())
    expiry = min(e for s, e in listing.chains if s == "NIFTY")
    chain = listing.chain("NIFTY", expiry)
    key = listing.rows[chain[len(chain) // 2]].key
    path = f"historical-candle/{key}|{expiry:%d-%m-%Y}/day/2026-11-23/2026-11-20"
    assert _get(exchange, path, {}).json()["errors"][0]["errorCode"] == "UDAPI100011"
    with _CLOCK.showing("2026-11-24 00:00"):
        candles = _get(exchange, path, {}).json()["data"]["candles"]
        assert candles[0][0] == "2026-11-23T00:00:00+05:30"


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_expiries", (_NIFTY,)),
        ("get_expired_option_contracts", (_NIFTY, "2026-11-17")),
        ("get_expired_future_contracts", (_NIFTY, "2026-11-17")),
        (
            "get_expired_historical_candle_data",
            ("NSE_FO|1|17-11-2026", "day", "2026-11-17", "2026-11-16"),
        ),
    ],
)
def test_only_for_the_paid_plan(
    exchange: SimulatedExchange, call: str, arguments: tuple[str, ...]
) -> None:
    """401 UDAPI1149 without Plus, 401 UDAPI100050 without a token."""
    normal = mint(_CLOCK(), timedelta(days=1), is_plus=False)
    for token, code in ((normal, "UDAPI1149"), ("", "UDAPI100050")):
        api = upstox_client.ExpiredInstrumentApi(official.client(exchange, token))
        with pytest.raises(ApiException) as refused:
            getattr(api, call)(*arguments)
        assert refused.value.status == 401
        assert json.loads(refused.value.body)["errors"][0]["errorCode"] == code


def test_how_far_back_and_how_wide_are_options() -> None:
    """More months show more expiries, up to where the rules begin; width can be capped."""
    options = CandleOptions(expired_months=60, expired_window_months=1)
    config = SimulatorConfig(session="nse", symbols=("NIFTY",), limits=(), candles=options)
    with running_simulator(config, _CLOCK) as exchange:
        api = upstox_client.ExpiredInstrumentApi(official.client(exchange))
        assert len(api.get_expiries(_NIFTY).data) > 90
        (future,) = api.get_expired_future_contracts(_NIFTY, "2026-10-27").data
        path = f"historical-candle/{future.instrument_key}/day"
        assert _get(exchange, f"{path}/2026-10-20/2026-10-19", {}).status_code == 200
        wide = _get(exchange, f"{path}/2026-10-20/2026-09-19", {})
        assert wide.json()["errors"][0]["errorCode"] == "UDAPI1148"
