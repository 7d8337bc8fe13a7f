"""Longer bars from shorter ones, and series made in pieces."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market.rules import IST, at_ist, rules_for
from simulator.exchange.bulk import Candles
from simulator.exchange.market import Market
from simulator.exchange.timetable import epoch_ms
from simulator.rest import bars
from simulator.rest.candle_windows import Unit, bar_start, resolution
from tests.simulator.standing import ist

_DAY = date(2026, 11, 20)
_OPENS = np.array([epoch_ms(at_ist(_DAY, time(9, 15)))])
_MARKET = Market(7, rules_for("nse"), ("NIFTY",))


def _candles(starts_ms: list[int], seed: int = 1) -> Candles:
    draw = np.random.default_rng(seed)
    prices = draw.integers(1, 1_000, (len(starts_ms), 2)) / 20
    return Candles(
        starts_ms=np.array(starts_ms, np.int64),
        open=prices[:, 0],
        high=prices.max(1) + 1,
        low=prices.min(1) - 1,
        close=prices[:, 1],
        volume_units=draw.integers(0, 9_999, len(starts_ms)),
        open_interest_units=draw.integers(0, 9_999, len(starts_ms)),
    )


_MINUTES = st.lists(st.integers(0, 384), unique=True, max_size=60).map(sorted)


def _traded(minutes: list[int]) -> Candles:
    return _candles([int(_OPENS[0]) + minute * 60_000 for minute in minutes])


def _same(left: Candles, right: Candles) -> None:
    for name in Candles.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@given(minutes=_MINUTES, short=st.integers(1, 20), times=st.integers(1, 15))
def test_longer_bars_do_not_depend_on_the_way(minutes: list[int], short: int, times: int) -> None:
    """From minutes to N and on to M·N is from minutes to M·N."""
    traded = _traded(minutes)
    at_once = bars.from_open(traded, short * times, _OPENS)
    _same(bars.from_open(bars.from_open(traded, short, _OPENS), short * times, _OPENS), at_once)


@given(minutes=_MINUTES.filter(bool), length=st.integers(1, 300))
def test_a_bar_is_what_was_traded_in_it(minutes: list[int], length: int) -> None:
    """Each bar against a plain loop over its minutes; only bars that traded are there."""
    traded = _traded(minutes)
    found = bars.from_open(traded, length, _OPENS)
    places = {m // length for m in minutes}
    assert found.starts_ms.tolist() == [_OPENS[0] + p * length * 60_000 for p in sorted(places)]
    for i, place in enumerate(sorted(places)):
        inside = [j for j, m in enumerate(minutes) if m // length == place]
        assert found.open[i] == traded.open[inside[0]]
        assert found.close[i] == traded.close[inside[-1]]
        assert found.high[i] == max(traded.high[inside])
        assert found.low[i] == min(traded.low[inside])
        assert found.volume_units[i] == sum(traded.volume_units[inside])
        assert found.open_interest_units[i] == traded.open_interest_units[inside[-1]]


def test_bars_are_counted_from_each_sessions_open() -> None:
    """Two sessions of a day have each their own first bar, even where a longer bar would span."""
    opens = np.array([epoch_ms(at_ist(_DAY, t)) for t in (time(9, 15), time(13, 47))])
    starts = [int(opens[0]), int(opens[1]) - 60_000, int(opens[1]), int(opens[1]) + 29 * 60_000]
    found = bars.from_open(_candles(starts), 30, opens)
    stamps = [datetime.fromtimestamp(ms / 1000, IST) for ms in found.starts_ms.tolist()]
    assert [f"{stamp:%H:%M}" for stamp in stamps] == ["09:15", "13:45", "13:47"]


@given(
    first=st.dates(date(2020, 1, 1), date(2029, 1, 1)),
    gaps=st.lists(st.integers(1, 12), max_size=80),
    unit=st.sampled_from([Unit.WEEKS, Unit.MONTHS]),
)
def test_weeks_and_months_hold_their_days(first: date, gaps: list[int], unit: Unit) -> None:
    """One bar for each week or month with a day in it, stamped at its first day's midnight IST."""
    days = [first + timedelta(days=sum(gaps[:i])) for i in range(len(gaps))]
    daily = _candles([epoch_ms(at_ist(day, time(0))) for day in days])
    found = bars.by_calendar(daily, unit)
    starts = sorted({bar_start(day, unit) for day in days})
    assert found.starts_ms.tolist() == [epoch_ms(at_ist(day, time(0))) for day in starts]
    assert found.volume_units.sum() == daily.volume_units.sum()


@given(
    first=st.dates(date(2020, 1, 1), date(2029, 1, 1)),
    count=st.integers(0, 400),
    unit=st.sampled_from(tuple(Unit)),
)
def test_pieces_are_all_days_once_and_cut_no_bar(first: date, count: int, unit: Unit) -> None:
    """Newest piece first, ascending inside, no day lost, no bar in two pieces."""
    days = [first + timedelta(days=i) for i in range(count)]
    found = list(bars.pieces(days, unit))
    assert [day for piece in reversed(found) for day in piece] == days
    in_pieces = [{bar_start(day, unit) for day in piece} for piece in found]
    assert sum(map(len, in_pieces)) == len(set().union(*in_pieces))
    assert all(len(piece) < 64 + 31 for piece in found)


def test_series_of_a_day_are_one_anothers_sums() -> None:
    """The market's minutes, half-hours, hours and its day tell of the same trades."""
    listing = _MARKET.listing_of(_DAY)
    chain = listing.chain("NIFTY", min(expiry for _, expiry in listing.chains))
    contract = listing.rows[chain[len(chain) // 2]].contract
    minutes = bars.series(_MARKET, contract, [_DAY], resolution("minutes", "1"))
    assert 0 < minutes.starts_ms.size <= 385
    for unit, interval in (("minutes", "30"), ("hours", "1"), ("days", "1")):
        longer = bars.series(_MARKET, contract, [_DAY], resolution(unit, interval))
        assert longer.open[0] == minutes.open[0]
        assert longer.close[-1] == minutes.close[-1]
        assert longer.high.max() == minutes.high.max()
        assert longer.volume_units.sum() == minutes.volume_units.sum()


def test_a_trading_day_is_made_while_it_is_read() -> None:
    """Contracts come one at a time, each as asked for alone; what is not read is not made."""
    listing = _MARKET.listing_of(_DAY)
    until = ist("2026-11-20 09:30")
    endless = bars.trading_day(_MARKET, _DAY, range(len(listing.rows)), until)
    for row in range(3):
        listed, candles = next(endless)
        assert listed == listing.rows[row]
        _same(candles, _MARKET.minute_candles(listed.contract, _DAY, until))
        assert candles.starts_ms.size <= 15
