"""The steps of a day, against those that are on record."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import IST, rules_for
from simulator.exchange.hours import EXCHANGE_OF_SEGMENT, hours
from simulator.exchange.phases import (
    Phase,
    auctioned_status,
    closing_auction_status,
    exchange_status,
    pre_open_status,
    segment_status,
)
from simulator.exchange.timetable import epoch_ms

_NSE, _ALWAYS = rules_for("nse"), rules_for("always")
_INSTANTS = st.datetimes(datetime(2025, 2, 1), datetime(2026, 12, 31), timezones=st.just(UTC))
_SEGMENTS = st.sampled_from(sorted(EXCHANGE_OF_SEGMENT))
_WORDS = {
    "PRE_OPEN_START",
    "PRE_OPEN_END",
    "NORMAL_OPEN",
    "NORMAL_CLOSE",
    "CLOSING_START",
    "CLOSING_END",
}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def _told(phase: Phase | None) -> str | None:
    if phase is None:
        return None
    return f"{phase.status} {datetime.fromtimestamp(phase.since_ms / 1000, IST):%d %H:%M}"


@pytest.mark.parametrize(
    ("segment", "instant", "told"),
    [
        ("NSE_EQ", "2026-11-25T08:59", "CLOSING_END 23 16:00"),
        ("NSE_EQ", "2026-11-25T09:00", "PRE_OPEN_START 25 09:00"),
        ("NSE_EQ", "2026-11-25T09:14", "PRE_OPEN_END 25 09:0[89]"),
        ("NSE_INDEX", "2026-11-25T09:15", "NORMAL_OPEN 25 09:15"),
        ("NSE_EQ", "2026-11-25T15:15", "NORMAL_OPEN 25 09:15"),
        ("NSE_EQ", "2026-11-25T15:35", "NORMAL_CLOSE 25 15:30"),
        ("NSE_FO", "2026-11-25T15:39", "NORMAL_OPEN 25 09:15"),
        ("BSE_FO", "2026-11-25T15:40", "NORMAL_CLOSE 25 15:40"),
        ("BSE_EQ", "2026-11-25T15:50", "CLOSING_START 25 15:50"),
        ("BSE_EQ", "2026-11-25T19:33", "CLOSING_END 25 16:00"),
        ("NSE_FO", "2026-11-25T19:33", "NORMAL_CLOSE 25 15:40"),
        ("NSE_FO", "2026-11-29T12:00", "NORMAL_CLOSE 27 15:40"),
        ("NSE_FO", "2025-12-05T09:05", "NORMAL_CLOSE 04 15:30"),
        ("NSE_FO", "2025-12-08T09:05", "PRE_OPEN_START 08 09:00"),
        ("NSE_EQ", "2025-12-05T09:09", "PRE_OPEN_END 05 09:08"),
        ("NSE_EQ", "2026-07-31T15:40", "CLOSING_START 31 15:40"),
        ("NSE_EQ", "2026-11-08T17:50", "PRE_OPEN_START 08 17:45"),
        ("NSE_EQ", "2026-11-08T20:00", "NORMAL_CLOSE 08 19:00"),
        ("MCX_FO", "2026-11-24T18:00", "NORMAL_OPEN 24 17:00"),
        ("NSE_COM", "2026-11-25T23:54", "NORMAL_OPEN 25 09:00"),
        ("NCD_FO", "2026-11-25T17:00", "NORMAL_CLOSE 25 17:00"),
    ],
)
def test_statuses_of_a_day(segment: str, instant: str, told: str) -> None:
    """Each step at its dated time; at night and on closed days the last one of the last day."""
    found = _told(segment_status(_NSE, segment, _at(instant)))
    assert found is not None
    assert found in (told, told.replace("[89]", "8"), told.replace("[89]", "9"))


@pytest.mark.parametrize(
    ("instant", "told"),
    [
        ("2026-08-03T15:14", None),
        ("2026-08-03T15:15", "CTS_CLOSE 03 15:15"),
        ("2026-08-03T15:20", "CAS_LM_START 03 15:20"),
        ("2026-08-03T15:25", "CAS_M_STOP 03 15:25"),
        ("2026-08-03T15:35", None),
        ("2026-12-07T15:30", "CTS_CLOSE 07 15:30"),
        ("2026-12-07T15:40", None),
        ("2026-07-31T15:20", None),
        ("2026-11-08T18:50", None),
    ],
)
def test_steps_of_the_closing_auction(instant: str, told: str | None) -> None:
    """Only since there is one, and only on whole days."""
    assert _told(closing_auction_status(_NSE, _at(instant))) == told


@pytest.mark.parametrize(
    ("exchange", "instant", "told"),
    [
        ("NSE", "2026-07-31T12:00", None),
        ("NFO", "2026-08-03T12:00", None),
        ("MCX", "2026-08-03T12:00", None),
        ("BSE", "2026-08-03T12:00", "NORMAL_OPEN 03 09:15"),
        ("BSE", "2026-08-03T15:16", "CTS_CLOSE 03 15:15"),
        ("NSE", "2026-08-03T15:36", "NORMAL_CLOSE 03 15:35"),
        ("NSE", "2026-08-03T19:33", "CLOSING_END 03 16:00"),
        ("NSE", "2026-08-04T08:00", "CLOSING_END 03 16:00"),
        ("NSE", "2026-11-08T20:00", "NORMAL_CLOSE 08 19:00"),
    ],
)
def test_statuses_of_the_shares_with_an_auction(
    exchange: str, instant: str, told: str | None
) -> None:
    """The auction's step while it lasts, else as their exchange; at 19:33 as was seen."""
    assert _told(auctioned_status(_NSE, exchange, _at(instant))) == told


@pytest.mark.parametrize(
    ("instant", "told"),
    [
        ("2026-09-07T08:59", None),
        ("2026-09-07T09:00", "PRE_OPEN_START 07 09:00"),
        ("2026-09-07T09:05", "PRE_OPEN_M_END 07 09:05"),
        ("2026-09-07T09:15", None),
        ("2026-09-04T09:06", "PRE_OPEN_START 04 09:00"),
        ("2026-09-04T09:14", "PRE_OPEN_END 04 09:08"),
        ("2026-11-24T09:05", None),
    ],
)
def test_steps_of_the_pre_open(instant: str, told: str | None) -> None:
    """Market orders end on their own since September 2026; nothing on a holiday."""
    assert _told(pre_open_status(_NSE, _at(instant))) == told


def test_drawn_ends_fall_where_the_exchange_draws_them() -> None:
    """Order entry ends from 09:08 to 09:10 and from 15:28 to 15:30, not always alike."""
    days = [day for n in range(60) if _NSE.sessions(day := date(2026, 9, 8) + timedelta(n))]
    ends: list[tuple[float, float]] = []
    for day in days:
        opens = pre_open_status(_NSE, _at(f"{day}T09:14:59"))
        closes = closing_auction_status(_NSE, _at(f"{day}T15:34:59"))
        assert opens is not None
        assert closes is not None
        assert (opens.status, closes.status) == ("PRE_OPEN_END", "CAS_STOP")
        midnight_ms = epoch_ms(_at(f"{day}"))
        ends.append(((opens.since_ms - midnight_ms) / 60e3, (closes.since_ms - midnight_ms) / 60e3))
    assert all(548 <= opened <= 550 and 928 <= closed <= 930 for opened, closed in ends)
    assert len(set(ends)) == len(ends)


@given(segment=_SEGMENTS, instant=_INSTANTS)
def test_a_status_is_one_of_the_brokers_words_and_has_begun(
    segment: str, instant: datetime
) -> None:
    """And it is NORMAL_OPEN exactly within the hours of the exchange."""
    phase = segment_status(_NSE, segment, instant)
    assert phase.status in _WORDS
    assert phase.since_ms <= epoch_ms(instant)
    found = hours(_NSE, EXCHANGE_OF_SEGMENT[segment], instant.astimezone(IST).date())
    is_within = found is not None and found.opens_at <= instant < found.closes_at
    assert (phase.status == "NORMAL_OPEN") == is_within


@given(segment=_SEGMENTS, instant=_INSTANTS)
def test_a_status_holds_since_it_says(segment: str, instant: datetime) -> None:
    """At the told instant it is the same phase, and a moment before another one."""
    phase = segment_status(_NSE, segment, instant)
    began = datetime.fromtimestamp(phase.since_ms / 1000, UTC)
    assert segment_status(_NSE, segment, began) == phase
    assert segment_status(_NSE, segment, began - timedelta(milliseconds=1)) != phase


@given(segment=_SEGMENTS, instant=_INSTANTS)
def test_an_exchange_that_never_closes_has_one_status(segment: str, instant: datetime) -> None:
    """Trading is on, without pre-open or auction."""
    assert segment_status(_ALWAYS, segment, instant).status == "NORMAL_OPEN"
    assert closing_auction_status(_ALWAYS, instant) is None
    assert pre_open_status(_ALWAYS, instant) is None
    told = auctioned_status(_ALWAYS, "NSE", instant)
    assert told is None or told.status == "NORMAL_OPEN"


def test_a_segment_has_its_exchanges_status() -> None:
    """``NFO`` is what the broker calls the exchange of ``NSE_FO``."""
    instant = _at("2026-11-25T12:00")
    assert exchange_status(_NSE, "NFO", instant) == segment_status(_NSE, "NSE_FO", instant)
