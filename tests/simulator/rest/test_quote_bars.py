"""Bars of quotes: against what the market shows, and without a look into the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from market.rules import IST, rules_for
from simulator.exchange.market import Market
from simulator.exchange.noise import Ints
from simulator.exchange.quotes import Bars
from simulator.exchange.timetable import epoch_ms
from simulator.rest.quote_bars import bars

_MARKET = Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])
_NOON = datetime(2026, 11, 25, 6, 30, 40, tzinfo=UTC)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def _rows(instant: datetime) -> Ints:
    listing = _MARKET.listing(instant)
    future = next(i for i, row in enumerate(listing.rows) if row.is_derivative)
    return np.array([0, *listing.chain("NIFTY", min(e for _, e in listing.chains))[40:44], future])


def _same(left: Bars, right: Bars) -> bool:
    names = ("open", "high", "low", "close", "volume_units")
    return all(np.array_equal(getattr(left, n), getattr(right, n)) for n in names)


def test_a_days_bar_is_the_markets() -> None:
    """Since midnight IST, and none before it."""
    rows = _rows(_NOON)
    pair = bars(_MARKET, _NOON, rows, "1d")
    assert _same(pair.live, _MARKET.day_ranges(_NOON, rows))
    assert pair.live.starts_ms == epoch_ms(_at("2026-11-25T00:00"))
    assert pair.before is None


def test_the_minute_before_is_the_markets() -> None:
    """The last whole minute, as the feed tells it too."""
    rows = _rows(_NOON)
    pair = bars(_MARKET, _NOON, rows, "I1")
    assert pair.before is not None
    assert _same(pair.before, _MARKET.last_minutes(_NOON, rows))
    assert pair.before.starts_ms == epoch_ms(_at("2026-11-25T11:59"))
    assert pair.live.starts_ms == epoch_ms(_at("2026-11-25T12:00"))


def test_a_bar_that_runs_ends_with_what_is_on_show() -> None:
    """And holds everything that was on show since it began."""
    rows = _rows(_NOON)
    for interval, starts_at in (("I1", "2026-11-25T12:00"), ("I30", "2026-11-25T11:45")):
        live = bars(_MARKET, _NOON, rows, interval).live
        assert live.starts_ms == epoch_ms(_at(starts_at))
        assert np.array_equal(live.close, _MARKET.quotes(_NOON, rows).last_price)
        shown = [_at(starts_at) + timedelta(seconds=s) for s in range(0, 60, 7)]
        seen = [_MARKET.quotes(at, rows) for at in shown if at <= _NOON]
        for quotes in seen[1:]:
            is_new = quotes.last_traded_ms >= live.starts_ms
            assert (live.low <= quotes.last_price)[is_new].all()
            assert (live.high >= quotes.last_price)[is_new].all()
        assert (live.low <= np.minimum(live.open, live.close)).all()
        assert (live.high >= np.maximum(live.open, live.close)).all()


def test_a_half_hour_holds_its_minutes() -> None:
    """Counted from the open; its range is that of its minutes, its volume their sum."""
    rows = _rows(_NOON)
    before = bars(_MARKET, _NOON, rows, "I30").before
    assert before is not None
    assert before.starts_ms == epoch_ms(_at("2026-11-25T11:15"))
    ends = [_at("2026-11-25T11:15") + timedelta(minutes=n) for n in range(1, 31)]
    minutes = [_MARKET.last_minutes(end, rows) for end in ends]
    assert np.array_equal(before.volume_units, sum(m.volume_units for m in minutes))
    # A minute without a trade stands at a price from before, which is not the bar's.
    is_index = _MARKET.listing(_NOON).is_index[rows]
    traded = [(m.volume_units > 0) | is_index for m in minutes]
    highs = [np.where(t, m.high, -np.inf) for t, m in zip(traded, minutes, strict=True)]
    lows = [np.where(t, m.low, np.inf) for t, m in zip(traded, minutes, strict=True)]
    busy = np.any(traded, axis=0)
    assert busy.sum() > 2
    assert np.array_equal(before.high[busy], np.max(highs, axis=0)[busy])
    assert np.array_equal(before.low[busy], np.min(lows, axis=0)[busy])
    assert np.array_equal(before.close, minutes[-1].close)


@pytest.mark.parametrize("interval", ["I1", "I30"])
def test_the_first_bar_of_a_day_has_none_before(interval: str) -> None:
    """Yesterday's last is not the one before."""
    instant = _at("2026-11-25T09:15:30")
    pair = bars(_MARKET, instant, _rows(instant), interval)
    assert pair.before is None
    assert pair.live.starts_ms == epoch_ms(_at("2026-11-25T09:15"))


def test_at_the_very_open_a_bar_is_one_price() -> None:
    """Nothing has happened yet."""
    instant = _at("2026-11-25T09:15")
    live = bars(_MARKET, instant, _rows(instant), "I1").live
    assert np.array_equal(live.open, live.close)
    assert not live.volume_units.any()


@pytest.mark.parametrize("interval", ["I1", "I30"])
def test_after_the_close_the_last_bar_stays(interval: str) -> None:
    """The evening and the weekend tell Friday's."""
    friday, evening = _at("2026-11-27T15:39:59.999"), _at("2026-11-27T20:00")
    sunday = _at("2026-11-29T12:00")
    rows = _rows(evening)
    last = bars(_MARKET, evening, rows, interval)
    starts = {"I1": "2026-11-27T15:39", "I30": "2026-11-27T15:15"}[interval]
    assert last.live.starts_ms == epoch_ms(_at(starts))
    assert np.array_equal(last.live.close, _MARKET.quotes(evening, rows).last_price)
    assert bars(_MARKET, friday, rows, interval).live.starts_ms == last.live.starts_ms
    keys = [_MARKET.listing(evening).rows[row].key for row in rows]
    known = _MARKET.listing(sunday).row_of_key
    later = bars(_MARKET, sunday, np.array([known[key] for key in keys]), interval)
    assert _same(later.live, last.live)


def test_contracts_that_were_not_listed_yet_stand_still() -> None:
    """On a holiday, contracts listed that morning did not trade on the day on show."""
    expired, holiday = _at("2026-11-23T18:00"), _at("2026-11-24T12:00")
    old = set(_MARKET.listing(expired).row_of_key)
    listing = _MARKET.listing(holiday)
    new = np.array([i for i, row in enumerate(listing.rows) if row.key not in old][:2], np.int64)
    assert new.size
    live = bars(_MARKET, holiday, np.append(new, 0), "I1").live
    assert np.array_equal(live.open[: new.size], live.close[: new.size])
    assert not live.volume_units[: new.size].any()
