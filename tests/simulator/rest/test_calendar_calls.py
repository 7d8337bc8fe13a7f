"""Holidays, hours and states, judged by the official SDK and against what is on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import requests
import upstox_client
from hypothesis import given
from hypothesis import strategies as st

from market.rules import IST, rules_for
from simulator.exchange.hours import EXCHANGES
from simulator.rest.calendar_calls import holidays, status, timings
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator import official

_NSE, _ALWAYS = rules_for("nse"), rules_for("always")
_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_TOLD = {"MCX", "NSE", "NFO", "CDS", "BSE", "BCD", "BFO"}


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """An exchange at noon of a trading day."""
    config = SimulatorConfig(symbols=("NIFTY",), session="nse", limits=())
    with running_simulator(config, lambda: _NOON) as running:
        yield running


def _api(exchange: SimulatedExchange) -> upstox_client.MarketHolidaysAndTimingsApi:
    return upstox_client.MarketHolidaysAndTimingsApi(official.client(exchange))


def _code(answer: requests.Response) -> str:
    (error,) = answer.json()["errors"]
    assert error["errorCode"] == error["error_code"]
    assert "data" not in answer.json()
    return str(error["errorCode"])


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=IST).timestamp() * 1000)


def test_referee_reads_the_years_holidays(exchange: SimulatedExchange) -> None:
    """As many of each kind as the broker lists for 2026, in order."""
    read = _api(exchange).get_holidays().data
    kinds = Counter(row.holiday_type for row in read)
    assert kinds == {"TRADING_HOLIDAY": 16, "SETTLEMENT_HOLIDAY": 4, "SPECIAL_TIMING": 2}
    days = [row._date.date() for row in read]
    assert days == sorted(days)
    assert {day.year for day in days} == {2026}
    assert all(row.description for row in read)


@pytest.mark.parametrize(
    ("day", "kind", "is_open"),
    [
        ("2026-01-26", "TRADING_HOLIDAY", set()),
        ("2026-11-24", "TRADING_HOLIDAY", {"MCX"}),
        ("2026-02-19", "SETTLEMENT_HOLIDAY", {"MCX", "NSE", "NFO", "BSE", "BFO"}),
        ("2026-02-01", "SPECIAL_TIMING", {"MCX", "NSE", "NFO", "BSE", "BFO"}),
        ("2026-11-08", "SPECIAL_TIMING", _TOLD),
    ],
)
def test_referee_reads_a_holiday(
    exchange: SimulatedExchange, day: str, kind: str, is_open: set[str]
) -> None:
    """Every exchange is on exactly one of the two lists; hours are those of ``timings``."""
    (read,) = _api(exchange).get_holiday(day).data
    assert read.holiday_type == kind
    assert {row.exchange for row in read.open_exchanges} == is_open
    assert set(read.closed_exchanges) == _TOLD - is_open
    hours = _api(exchange).get_exchange_timings(day).data
    assert [row.to_dict() for row in read.open_exchanges] == [row.to_dict() for row in hours]


def test_an_ordinary_day_is_no_holiday(exchange: SimulatedExchange) -> None:
    """An empty list, not an error."""
    assert _api(exchange).get_holiday("2026-11-25").data == []


def test_referee_reads_the_hours(exchange: SimulatedExchange) -> None:
    """Seven exchanges in the broker's order, epoch ms, no pre-open."""
    read = _api(exchange).get_exchange_timings("2026-11-25").data
    assert [row.exchange for row in read] == ["MCX", "NSE", "NFO", "CDS", "BSE", "BCD", "BFO"]
    hours = {row.exchange: (row.start_time, row.end_time) for row in read}
    assert hours["NFO"] == (_ms("2026-11-25T09:15"), _ms("2026-11-25T15:40"))
    assert hours["NSE"] == (_ms("2026-11-25T09:15"), _ms("2026-11-25T15:30"))
    assert hours["MCX"] == (_ms("2026-11-25T09:00"), _ms("2026-11-25T23:55"))


@pytest.mark.parametrize("day", ["2026-01-26", "2026-11-28", "2026-11-29"])
def test_nothing_opens_on_a_full_holiday(exchange: SimulatedExchange, day: str) -> None:
    """Nor on a weekend."""
    assert _api(exchange).get_exchange_timings(day).data == []


@given(day=st.dates(date(2025, 1, 1), date(2026, 12, 31)))
def test_openness_can_be_read_from_the_lists(day: date) -> None:
    """A day without a holiday record is open on all exchanges, or a weekend."""
    record = [row for row in holidays(_NSE, day.year) if row["date"] == day.isoformat()]
    is_open = {row["exchange"] for row in timings(_NSE, day)}
    if record:
        assert is_open == _TOLD - set(record[0]["closed_exchanges"])
    else:
        assert is_open == (set() if day.weekday() >= 5 else _TOLD)


def test_an_exchange_that_never_closes_keeps_its_holidays_open() -> None:
    """The list is the same, but no exchange is closed on any of the days."""
    always = holidays(_ALWAYS, 2026)
    assert [row["date"] for row in always] == [row["date"] for row in holidays(_NSE, 2026)]
    for row in always:
        assert row["closed_exchanges"] == []
        assert {hours["exchange"] for hours in row["open_exchanges"]} == _TOLD


@pytest.mark.parametrize("name", EXCHANGES)
def test_referee_reads_every_exchanges_status(exchange: SimulatedExchange, name: str) -> None:
    """At noon all of them are open, since the morning."""
    read = _api(exchange).get_market_status(name).data
    assert (read.exchange, read.status) == (name, "NORMAL_OPEN")
    opens = "09:15" if name in ("NSE", "BSE", "NFO", "BFO") else "09:00"
    assert read.last_updated == _ms(f"2026-11-25T{opens}")


@pytest.mark.parametrize(
    ("name", "at", "told", "auctioned"),
    [
        ("NSE", "2026-11-25T12:00", "NORMAL_OPEN", "NORMAL_OPEN"),
        ("NSE", "2026-11-25T15:16", "NORMAL_OPEN", "CTS_CLOSE"),
        ("BSE", "2026-11-25T19:33", "CLOSING_END", "CLOSING_END"),
        ("MCX", "2026-11-25T19:33", "NORMAL_OPEN", None),
        ("NFO", "2026-11-25T15:16", "NORMAL_OPEN", None),
        ("NSE", "2026-07-31T15:16", "NORMAL_OPEN", None),
    ],
)
def test_shares_with_an_auction_have_a_status_of_their_own(
    name: str, at: str, told: str, auctioned: str | None
) -> None:
    """Only where there are some; the broker was seen to tell both at 19:33."""
    found = status(_NSE, datetime.fromisoformat(at).replace(tzinfo=IST), name)
    assert found["status"] == told
    assert found.get("cas_eligible_status", {}).get("status") == auctioned


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("status/NYSE", "UDAPI1089"),
        ("status/nse", "UDAPI1089"),
        ("status/NSE_FO", "UDAPI1089"),
        ("timings/soon", "UDAPI1088"),
        ("timings/2026-02-30", "UDAPI1088"),
        ("holidays/24-11-2026", "UDAPI1088"),
    ],
)
def test_wrong_calls(exchange: SimulatedExchange, path: str, code: str) -> None:
    """An exchange is not a segment; a date is a date."""
    answer = requests.get(f"{exchange.url}/v2/market/{path}", headers=exchange.headers, timeout=10)
    assert (answer.status_code, _code(answer)) == (400, code)


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("holidays", True),
        ("holidays/2026-11-24", True),
        ("timings/2026-11-25", True),
        ("status/NSE", False),
    ],
)
def test_only_the_state_asks_for_a_token(
    exchange: SimulatedExchange, path: str, is_open: bool
) -> None:
    """The official client sends none for holidays and hours."""
    answer = requests.get(f"{exchange.url}/v2/market/{path}", timeout=10)
    assert answer.status_code == (200 if is_open else 401)
    if not is_open:
        assert _code(answer) == "UDAPI100050"
