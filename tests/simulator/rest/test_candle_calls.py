"""Candle paths, judged by the official SDK and by plain HTTP, at a time that stands still."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import requests
import upstox_client

from market.contract import Contract
from market.rules import at_ist
from simulator.access.gate import Limit
from simulator.exchange.bulk import Candles
from simulator.exchange.market import Market
from simulator.exchange.timetable import epoch_ms
from simulator.rest import candle_calls
from simulator.rest.candle_windows import CandleOptions, Unit, bar_start
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official
from tests.simulator.standing import StandingClock, ist

_NIFTY, _RELIANCE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"
_MONDAY_MORNING = "2026-11-23 10:30:30"
_CONFIG = SimulatorConfig(session="nse", symbols=("NIFTY", "RELIANCE"), limits=())
_CLOCK = StandingClock(ist(_MONDAY_MORNING))


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange on a Monday, an hour and a quarter after the open; Tuesday is a holiday."""
    with running_simulator(_CONFIG, _CLOCK) as running:
        yield running


@pytest.fixture(scope="module")
def third(exchange: SimulatedExchange) -> Any:
    """The SDK's version 3, without any token."""
    return upstox_client.HistoryV3Api(official.client(exchange, ""))


@pytest.fixture(scope="module")
def second(exchange: SimulatedExchange) -> Any:
    """The SDK's version 2, without any token."""
    return upstox_client.HistoryApi(official.client(exchange, ""))


def _get(exchange: SimulatedExchange, path: str) -> requests.Response:
    return requests.get(exchange.url + quote(path), timeout=30)


def _code(exchange: SimulatedExchange, path: str) -> str:
    answer = _get(exchange, path)
    assert answer.status_code == 400
    return str(answer.json()["errors"][0]["errorCode"])


def _starts(answer: Any) -> list[str]:
    assert answer.status == "success"
    return [candle[0] for candle in answer.data.candles]


def _option(exchange: SimulatedExchange, away: int = 0) -> tuple[str, Contract]:
    """A listed option, ``away`` rows from the middle of the nearest chain."""
    listing = exchange.market.listing(exchange.clock())
    chain = listing.chain("NIFTY", min(e for s, e in listing.chains if s == "NIFTY"))
    row = listing.rows[chain[len(chain) // 2 + away]]
    return row.key, row.contract


def test_minutes_of_a_past_day(third: Any) -> None:
    """All 385 minutes of a day, newest first, as text with the IST offset and whole numbers."""
    found = third.get_historical_candle_data1(_NIFTY, "minutes", 1, "2026-11-20", "2026-11-20")
    candles = found.data.candles
    stamps = [datetime.fromisoformat(candle[0]) for candle in candles]
    assert candles[0][0] == "2026-11-20T15:39:00+05:30"
    assert candles[-1][0] == "2026-11-20T09:15:00+05:30"
    assert {later - earlier for later, earlier in pairwise(stamps)} == {timedelta(minutes=1)}
    for _, first, high, low, last, volume, interest in candles:
        assert low <= min(first, last) <= max(first, last) <= high
        assert type(volume) is type(interest) is int


def test_longer_bars_start_with_the_session(third: Any) -> None:
    """Bars are counted from 09:15, the last one is shorter, and two days do not run together."""
    found = _starts(
        third.get_historical_candle_data1(_NIFTY, "minutes", 75, "2026-11-20", "2026-11-19")
    )
    clocks = ["15:30", "14:15", "13:00", "11:45", "10:30", "09:15"]
    assert [stamp[:16] for stamp in found] == [
        f"2026-11-{day}T{clock}" for day in (20, 19) for clock in clocks
    ]
    hours = _starts(
        third.get_historical_candle_data1(_NIFTY, "hours", 5, "2026-11-20", "2026-11-20")
    )
    assert [stamp[11:16] for stamp in hours] == ["14:15", "09:15"]


def test_days_weeks_and_months(third: Any) -> None:
    """Every day that traded up to yesterday; weeks from Monday, months from the first hold them.

    On 8 November, a Sunday, there was an hour's session; the 10th was a holiday.
    """
    with _CLOCK.showing("2026-11-11 09:00"):
        days = third.get_historical_candle_data1(_NIFTY, "days", 1, "2026-11-30", "2026-11-02")
        weeks = third.get_historical_candle_data1(_NIFTY, "weeks", 1, "2026-11-30", "2026-11-04")
        months = third.get_historical_candle_data1(_NIFTY, "months", 1, "2026-11-30", "2026-11-09")
    expected = [f"2026-11-{day:02}T00:00:00+05:30" for day in (9, 8, 6, 5, 4, 3, 2)]
    assert _starts(days) == expected
    assert [stamp[:10] for stamp in _starts(weeks)] == ["2026-11-09", "2026-11-02"]
    assert [stamp[:10] for stamp in _starts(months)] == ["2026-11-01"]
    (month,), daily = months.data.candles, days.data.candles
    assert month[1] == weeks.data.candles[1][1] == daily[-1][1]
    assert month[2] == max(week[2] for week in weeks.data.candles) == max(d[2] for d in daily)
    assert month[4] == weeks.data.candles[0][4] == daily[0][4]


def test_history_ends_yesterday_and_intraday_is_today(third: Any) -> None:
    """No bar of today in history, none but today's whole minutes in intraday."""
    past = third.get_historical_candle_data1(_NIFTY, "minutes", 15, "2026-11-23", "2026-11-20")
    assert {stamp[:10] for stamp in _starts(past)} == {"2026-11-20"}
    today = third.get_intra_day_candle_data(_NIFTY, "minutes", 1)
    assert _starts(today)[0] == "2026-11-23T10:29:00+05:30"
    assert _starts(today)[-1] == "2026-11-23T09:15:00+05:30"
    assert len(_starts(today)) == 75
    half_hours = third.get_intra_day_candle_data(_NIFTY, "minutes", 30)
    assert [stamp[11:16] for stamp in _starts(half_hours)] == ["10:15", "09:45", "09:15"]
    (day,) = third.get_intra_day_candle_data(_NIFTY, "days", 1).data.candles
    assert day[0] == "2026-11-23T00:00:00+05:30"
    assert (day[1], day[4]) == (today.data.candles[-1][1], today.data.candles[0][4])


def test_yesterdays_intraday_is_todays_history(third: Any) -> None:
    """What intraday showed after the close is what history shows from the next day on."""
    with _CLOCK.showing("2026-11-20 18:00"):
        then = third.get_intra_day_candle_data(_NIFTY, "minutes", 30).data.candles
    now = third.get_historical_candle_data1(_NIFTY, "minutes", 30, "2026-11-20", "2026-11-20")
    assert now.data.candles == then


def test_version_2(second: Any, third: Any) -> None:
    """The older paths give the same bars under their own names."""
    for name, unit, interval in (("30minute", "minutes", 30), ("day", "days", 1)):
        window = ("2026-11-20", "2026-11-19")
        old = second.get_historical_candle_data1(_RELIANCE, name, *window, "2.0")
        new = third.get_historical_candle_data1(_RELIANCE, unit, interval, *window)
        assert old.data.candles == new.data.candles
        assert old.data.candles
    today = second.get_intra_day_candle_data(_RELIANCE, "30minute", "2.0")
    assert [stamp[11:16] for stamp in _starts(today)] == ["10:15", "09:45", "09:15"]
    week = second.get_historical_candle_data1(_RELIANCE, "week", "2026-11-20", "2026-11-18", "2.0")
    assert _starts(week) == ["2026-11-16T00:00:00+05:30"]


def test_an_option_has_the_bars_that_traded(exchange: SimulatedExchange, third: Any) -> None:
    """Of an option what the market says was traded, no empty minutes; a stock has every minute."""
    key, contract = _option(exchange, 18)
    found = third.get_historical_candle_data1(key, "minutes", 1, "2026-11-20", "2026-11-20")
    made = exchange.market.minute_candles(contract, date(2026, 11, 20))
    assert len(_starts(found)) == made.starts_ms.size
    assert [candle[5] for candle in found.data.candles] == made.volume_units[::-1].tolist()
    assert all(candle[5] > 0 for candle in found.data.candles)
    stock = third.get_intra_day_candle_data(_RELIANCE, "minutes", 1)
    assert len(_starts(stock)) == 75


def test_days_before_a_contract_was_listed_are_empty(
    exchange: SimulatedExchange, third: Any
) -> None:
    """A window that starts before the contract did is served from its first day on."""
    key, contract = _option(exchange)
    first = date(2026, 11, 20)
    while any(row.contract == contract for row in exchange.market.listing_of(first).rows):
        first -= timedelta(days=1)
    window = (first + timedelta(days=5), first - timedelta(days=3))
    found = _starts(third.get_historical_candle_data1(key, "days", 1, *map(str, window)))
    assert found
    assert first < date.fromisoformat(found[-1][:10])


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A market that makes candles at once, one a day: for wide windows."""
    ten = time(10)
    monkeypatch.setattr(Market, "minute_candles", lambda _s, _c, day, _until: _flat([day], ten))
    monkeypatch.setattr(Market, "day_candles", lambda _s, _c, days, _until: _flat(days))


@pytest.mark.usefixtures("flat")
@pytest.mark.parametrize(
    ("unit", "interval", "first"),
    [
        ("minutes", 15, "2026-10-19"),
        ("minutes", 16, "2026-08-19"),
        ("hours", 1, "2026-08-19"),
    ],
)
def test_without_from_date_as_wide_as_allowed(
    third: Any, unit: str, interval: int, first: str
) -> None:
    """A month or a quarter, the first day as inclusive as the last."""
    found = _starts(third.get_historical_candle_data(_NIFTY, unit, interval, "2026-11-19"))
    assert (found[0][:10], found[-1][:10]) == ("2026-11-19", first)


@pytest.mark.usefixtures("flat")
def test_history_goes_back_to_where_the_rules_begin(
    exchange: SimulatedExchange, third: Any
) -> None:
    """What the market can list is served, and nothing is asked for that it cannot."""
    began = candle_calls.first_served(exchange.market, date(2000, 1, 1), date(2026, 11, 20))
    exchange.market.listing_of(began)
    with pytest.raises(ValueError, match="rule"):
        exchange.market.listing_of(began - timedelta(days=1))
    week = (began + timedelta(days=n) for n in range(9))
    first = next(day for day in week if exchange.market.rules.sessions(day))
    for unit in (Unit.DAYS, Unit.WEEKS, Unit.MONTHS):
        found = _starts(third.get_historical_candle_data(_NIFTY, unit.value, 1, "2026-11-19"))
        assert found[-1][:10] == str(bar_start(first, unit))


@pytest.mark.parametrize(
    "at", ["2026-11-21 12:00", "2026-11-22 23:59", "2026-11-23 09:14", "2026-11-24 11:00"]
)
def test_intraday_while_closed_is_the_last_trading_day(third: Any, at: str) -> None:
    """On a weekend, before the open, on a holiday: the reported behaviour, as the default."""
    with _CLOCK.showing(at):
        found = _starts(third.get_intra_day_candle_data(_NIFTY, "minutes", 300))
    day = "2026-11-23" if at > "2026-11-23 09:15" else "2026-11-20"
    assert found == [f"{day}T14:15:00+05:30", f"{day}T09:15:00+05:30"]


def test_options_of_the_candle_paths() -> None:
    """Intraday can be empty while closed; wide daily windows can lack their newest bar."""
    options = CandleOptions(has_intraday_when_closed=False, late_day_above_days=5)
    config = SimulatorConfig(session="nse", symbols=("NIFTY",), limits=(), candles=options)
    clock = StandingClock(ist("2026-11-21 12:00"))
    with running_simulator(config, clock) as exchange:
        api = upstox_client.HistoryV3Api(official.client(exchange, ""))
        assert _starts(api.get_intra_day_candle_data(_NIFTY, "days", 1)) == []
        for first, newest in (("2026-11-15", "2026-11-20"), ("2026-11-14", "2026-11-19")):
            found = api.get_historical_candle_data1(_NIFTY, "days", 1, "2026-11-20", first)
            assert _starts(found)[0][:10] == newest
        with clock.showing("2026-11-23 09:16"):
            today = api.get_intra_day_candle_data(_NIFTY, "minutes", 1)
            assert _starts(today) == ["2026-11-23T09:15:00+05:30"]


_V3, _V2 = "/v3/historical-candle", "/v2/historical-candle"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{_V3}/{_NIFTY}/minutes/1/2026-03-16/2026-02-15", "UDAPI1148"),
        (f"{_V3}/{_NIFTY}/minutes/16/2026-03-16/2025-12-15", "UDAPI1148"),
        (f"{_V3}/{_NIFTY}/hours/1/2026-03-16/2025-12-15", "UDAPI1148"),
        (f"{_V3}/{_NIFTY}/days/1/2026-03-16/2016-03-15", "UDAPI1148"),
        (f"{_V3}/{_NIFTY}/minutes/1/2026-11-19/2026-11-20", "UDAPI1015"),
        (f"{_V3}/{_NIFTY}/minutes/1/20-11-2026", "UDAPI1015"),
        (f"{_V3}/{_NIFTY}/minutes/1", "UDAPI1022"),
        (f"{_V3}/{_NIFTY}/minute/1/2026-11-20", "UDAPI1146"),
        (f"{_V3}/{_NIFTY}/minutes/301/2026-11-20", "UDAPI1147"),
        (f"{_V3}/Nifty 50/minutes/1/2026-11-20", "UDAPI1021"),
        (f"{_V3}/NSE_EQ:INE002A01018/days/1/2026-11-20", "UDAPI1021"),
        (f"{_V3}/NSE_EQ|INE000000000/days/1/2026-11-20", "UDAPI100011"),
        (f"{_V3}/NSE_INDEX|NIFTY 50/days/1/2026-11-20", "UDAPI100011"),
        (f"{_V3}/intraday/{_NIFTY}/weeks/1", "UDAPI1146"),
        (f"{_V3}/intraday/{_NIFTY}/minutes/0", "UDAPI1147"),
        (f"{_V3}/intraday/NSE_FO|1/minutes/1", "UDAPI100011"),
        (f"{_V2}/{_NIFTY}/5minute/2026-11-20", "UDAPI1020"),
        (f"{_V2}/{_NIFTY}/1minute", "UDAPI1022"),
        (f"{_V2}/{_NIFTY}/1minute/2026-03-16/2026-02-15", "UDAPI1148"),
        (f"{_V2}/intraday/{_NIFTY}/day", "UDAPI1020"),
    ],
)
def test_wrong_requests(exchange: SimulatedExchange, path: str, code: str) -> None:
    """Each mistake has the broker's code, and no data."""
    assert _code(exchange, path) == code


def test_an_expired_key_is_unknown(exchange: SimulatedExchange) -> None:
    """The day after its expiry a key is refused, plain or with its expiry, as are future ones."""
    key, contract = _option(exchange)
    assert contract.expiry == date(2026, 11, 23)
    path = f"{_V3}/{key}/days/1/2026-11-20/2026-11-20"
    assert _get(exchange, path).status_code == 200
    with _CLOCK.showing("2026-11-24 09:00"):
        assert _code(exchange, path) == "UDAPI100011"
        assert _code(exchange, path.replace(key, f"{key}|23-11-2026")) == "UDAPI100011"


def test_calls_count_for_the_rate_limits() -> None:
    """Without a token too, a call too many is 429 UDAPI10005."""
    config = SimulatorConfig(session="nse", symbols=("NIFTY",), limits=(Limit(2, 3_600.0),))
    with running_simulator(config, _CLOCK) as exchange:
        path = f"{_V3}/intraday/{_NIFTY}/days/1"
        assert [_get(exchange, path).status_code for _ in range(4)] == [200, 200, 429, 429]
        assert _get(exchange, path).json()["errors"][0]["errorCode"] == "UDAPI10005"


def test_a_long_request_does_not_hold_the_others(
    exchange: SimulatedExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one client's ten years are being made, another's call is answered."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(_contract: Contract, days: list[date], _until: datetime | None = None) -> Candles:
        begun.set()
        assert may_end.wait(20)
        return _flat(days)

    monkeypatch.setattr(Market, "day_candles", lambda _self, *asked: slow(*asked))
    answers: list[requests.Response] = []
    path = f"{_V3}/{_NIFTY}/days/1/2026-11-20/2016-11-20"
    client = threading.Thread(target=lambda: answers.append(_get(exchange, path)))
    client.start()
    assert begun.wait(20)
    assert _get(exchange, f"{_V3}/intraday/{_NIFTY}/minutes/1").status_code == 200
    assert not answers
    may_end.set()
    client.join(20)
    stamps = [candle[0] for candle in answers[0].json()["data"]["candles"]]
    assert stamps == sorted(stamps, reverse=True)
    assert len(set(stamps)) == len(stamps) > 300


def _flat(days: list[date], clock: time = time(0)) -> Candles:
    """A bar on each day, all alike."""
    price, quantity = np.full(len(days), 100.0), np.ones(len(days), np.int64)
    starts = np.array([epoch_ms(at_ist(day, clock)) for day in days])
    return Candles(starts, price, price, price, price, quantity, quantity)
