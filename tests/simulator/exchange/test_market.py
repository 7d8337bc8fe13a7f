"""The market is a pure function of seed and instant; ticks, chains and candles tell of one tape."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.contract import Contract
from market.rules import rules_for
from simulator.exchange.bulk import Candles
from simulator.exchange.market import Market
from simulator.exchange.quotes import Bars, Quotes
from simulator.exchange.timetable import epoch_ms

_INSTANTS = st.datetimes(datetime(2026, 11, 20), datetime(2026, 12, 3), timezones=st.just(UTC))
_SYMBOLS = ("NIFTY", "ITC")
_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_DAY, _OPENS = date(2026, 11, 25), datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
_ONE_MS = timedelta(milliseconds=1)
_BAR = ("open", "high", "low", "close", "volume_units")


def _market(session: str = "nse", seed: int = 7) -> Market:
    return Market(seed, rules_for(session), _SYMBOLS)


_NSE, _ALWAYS = _market(), _market("always")


def _columns(quotes: Quotes) -> list[list[float]]:
    return [
        quotes.quoted_ms.tolist(),
        quotes.last_price.tolist(),
        quotes.bid_price.tolist(),
        quotes.ask_price.tolist(),
        quotes.volume_units.tolist(),
        quotes.open_interest_units.tolist(),
        quotes.previous_close_price.tolist(),
        quotes.previous_open_interest_units.tolist(),
    ]


def _contracts() -> list[Contract]:
    """Both spots, a future, and options from the money to the wings."""
    listing = _NSE.listing_of(_DAY)
    rows = listing.chain("NIFTY", date(2026, 12, 1))
    middle = rows.size // 2
    chosen = [listing.spot_row[s] for s in _SYMBOLS] + [listing.future_rows["NIFTY", _december()]]
    chosen += rows[[middle, middle + 9, middle - 20, 31]].tolist()
    return [listing.rows[row].contract for row in chosen]


def _december() -> date:
    return date(2026, 12, 29)


@settings(max_examples=15)
@given(st.lists(_INSTANTS, min_size=2, max_size=4))
def test_any_order_gives_the_same_answers(instants: list[datetime]) -> None:
    """Asking forwards, backwards or from a fresh market changes nothing."""
    first, second = _market(), _market()
    forwards = [_columns(first.quotes(t)) for t in instants]
    backwards = [_columns(second.quotes(t)) for t in reversed(instants)]
    assert forwards == backwards[::-1]


def test_seeds_make_different_markets() -> None:
    """And the same seed the same one."""
    spots = [_market(seed=s).truth(_NOON).spot["NIFTY"] for s in (7, 7, 8)]
    assert spots[0] == spots[1] != spots[2]


def test_symbols_do_not_depend_on_company() -> None:
    """A symbol's prices are the same whatever else is listed."""
    alone = Market(7, rules_for("nse"), ["ITC"]).truth(_NOON)
    assert alone.spot["ITC"] == _NSE.truth(_NOON).spot["ITC"]


@settings(max_examples=60)
@given(_INSTANTS, st.integers(1, 3_000))
def test_prices_are_piecewise_constant(instant: datetime, later_ms: int) -> None:
    """Between two of a row's own quotes nothing about it changes."""
    later = instant + timedelta(milliseconds=later_ms)
    if _ALWAYS.shown(instant).trading_day != _ALWAYS.shown(later).trading_day:
        return
    before, after = _ALWAYS.quotes(instant), _ALWAYS.quotes(later)
    still = before.quoted_ms == after.quoted_ms
    for a, b in zip(_columns(before), _columns(after), strict=True):
        assert (np.array(a)[still] == np.array(b)[still]).all()
    assert (after.quoted_ms >= before.quoted_ms).all()
    assert (after.volume_units >= before.volume_units).all()


@settings(max_examples=40)
@given(_INSTANTS)
def test_quotes_bracket_the_true_price(instant: datetime) -> None:
    """At a row's own quote its bid and ask lie around the model price, on ticks."""
    quotes, listing = _ALWAYS.quotes(instant), _ALWAYS.listing(instant)
    options = listing.sign[quotes.rows] != 0
    price, bid, ask = (x[options] for x in (quotes.model.price, quotes.bid_price, quotes.ask_price))
    assert (bid <= price + 1e-9).all()
    assert (ask >= price - 1e-9).all()
    assert (ask - bid > 0.049).all()
    assert np.allclose(ask * 20, np.round(ask * 20))


def test_counters_start_at_zero_and_grow() -> None:
    """Volume is zero at the open, in lots, and reaches the strikes near the money by noon."""
    listing = _NSE.listing(_OPENS)
    assert not _NSE.quotes(_OPENS).volume_units[listing.settles_ms > 0].any()
    volume = [_NSE.quotes(_OPENS + timedelta(minutes=m)).volume_units for m in range(0, 380, 19)]
    assert (np.diff(volume, axis=0) >= 0).all()
    assert (np.array(volume) % listing.lot_units == 0).all()
    rows = listing.chain("NIFTY", date(2026, 12, 1))
    near = np.abs(listing.strike[rows] - _NSE.truth(_OPENS).spot["NIFTY"]) < 500
    assert (volume[-1][rows[near]] > 0).all()


def test_prices_freeze_at_the_close() -> None:
    """From the close to the next open nothing moves, over night, holiday and listing change."""
    closes = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
    at_close = _NSE.quotes(closes)
    assert _columns(_NSE.quotes(closes + timedelta(hours=5))) == _columns(at_close)
    holiday = closes + timedelta(hours=20)
    now = _NSE.listing(holiday).row_of_key
    then = _NSE.quotes(holiday)
    both = [(i, now[row.key]) for i, row in enumerate(_NSE.listing(closes).rows) if row.key in now]
    assert len(both) > 1_000
    left, right = (np.array(rows) for rows in zip(*both, strict=True))
    assert (then.last_price[right] == at_close.last_price[left]).all()
    assert (then.volume_units[right] == at_close.volume_units[left]).all()


def test_yesterday_is_remembered() -> None:
    """Previous close and open interest are what was shown at the last close, where it traded."""
    close = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
    shown, now = _NSE.quotes(close), _NSE.quotes(_NOON)
    before = _NSE.listing(close).row_of_key
    rows = enumerate(_NSE.listing(_NOON).rows)
    both = [(before[row.key], i) for i, row in rows if row.key in before]
    left, right = (np.array(rows) for rows in zip(*both, strict=True))
    assert (now.previous_open_interest_units[right] == shown.open_interest_units[left]).all()
    traded = (shown.volume_units[left] > 0) | _NSE.listing(close).is_index[left]
    assert traded.sum() > 500
    same = now.previous_close_price[right] == shown.last_price[left]
    assert same[traded].all()


@pytest.mark.parametrize("contract", _contracts(), ids=str)
def test_a_candle_closes_at_the_chains_last_price(contract: Contract) -> None:
    """At the end of each of its minutes; volume and open interest are the chain's, too."""
    candles = _NSE.minute_candles(contract, _DAY)
    listing = _NSE.listing_of(_DAY)
    row = np.array([next(i for i, r in enumerate(listing.rows) if r.contract == contract)])
    assert candles.starts_ms.size
    traded = 0
    for i in range(0, candles.starts_ms.size, 7):
        traded = int(candles.volume_units[: i + 1].sum())
        ends = datetime.fromtimestamp(candles.starts_ms[i] / 1000 + 60, UTC) - _ONE_MS
        shown = _NSE.quotes(ends, row)
        assert candles.close[i] == shown.last_price[0]
        assert traded == shown.volume_units[0]
        assert candles.open_interest_units[i] == shown.open_interest_units[0]


@pytest.mark.parametrize("contract", _contracts(), ids=str)
def test_ticks_aggregate_to_the_candles(contract: Contract) -> None:
    """Watching the last price every quarter of a second makes the exchange's own minutes."""
    listing = _NSE.listing_of(_DAY)
    row = np.array([next(i for i, r in enumerate(listing.rows) if r.contract == contract)])
    candles = {int(s): i for i, s in enumerate(_NSE.minute_candles(contract, _DAY).starts_ms)}
    whole = _NSE.minute_candles(contract, _DAY)
    for minute in (0, 41, 200, 384):
        starts_at = _OPENS + timedelta(minutes=minute)
        ticks = _watched(row, starts_at)
        found = candles.get(epoch_ms(starts_at))
        if found is None:
            assert not ticks
        elif ticks or listing.is_index[row[0]]:
            bar = [getattr(whole, name)[found] for name in _BAR[:4]]
            assert bar == [ticks[0], max(ticks), min(ticks), ticks[-1]]


def _watched(row: np.ndarray, starts_at: datetime) -> list[float]:
    """Last prices of the trades (an index: of all values) that showed in a minute."""
    is_index = bool(_NSE.listing_of(_DAY).is_index[row[0]])
    before = _NSE.quotes(starts_at - _ONE_MS, row)
    volume = 0 if starts_at == _OPENS else int(before.volume_units[0])
    ticks: list[float] = []
    at_ms = -1
    for i in range(60_000 // 25):
        shown = _NSE.quotes(starts_at + timedelta(milliseconds=25 * i), row)
        is_new = (
            is_index and shown.quoted_ms[0] != at_ms and shown.quoted_ms[0] >= epoch_ms(starts_at)
        )
        at_ms = int(shown.quoted_ms[0])
        if is_new or int(shown.volume_units[0]) != volume:
            ticks.append(float(shown.last_price[0]))
        volume = int(shown.volume_units[0])
    return ticks


def _as_bars(candles: Candles) -> Bars:
    """A day's minutes put together."""
    return Bars(
        starts_ms=int(candles.starts_ms[0]),
        open=candles.open[:1],
        high=candles.high.max(keepdims=True),
        low=candles.low.min(keepdims=True),
        close=candles.close[-1:],
        volume_units=candles.volume_units.sum(keepdims=True),
    )


@pytest.mark.parametrize("contract", _contracts(), ids=str)
def test_a_days_bar_is_its_minutes(contract: Contract) -> None:
    """By itself, in history, and as a range among many rows at an instant."""
    listing = _NSE.listing_of(_DAY)
    row = np.array([next(i for i, r in enumerate(listing.rows) if r.contract == contract)])
    expected = _as_bars(_NSE.minute_candles(contract, _DAY))
    history = _NSE.day_candles(contract, [_DAY])
    range_ = _NSE.day_ranges(_OPENS + timedelta(minutes=385) - _ONE_MS, row)
    for name in _BAR:
        assert getattr(history, name)[0] == getattr(expected, name)[0], name
        assert getattr(range_, name)[0] == getattr(expected, name)[0], name


def test_bars_hold_the_last_price() -> None:
    """The day's range covers its last price; the minute is the last whole one."""
    rows = _NSE.listing(_NOON).chain("NIFTY", date(2026, 12, 1))
    day, minute = _NSE.day_ranges(_NOON, rows), _NSE.last_minutes(_NOON, rows)
    quotes = _NSE.quotes(_NOON, rows)
    last = quotes.last_price
    traded = quotes.volume_units > 0
    assert (day.close == last).all()
    assert ((day.low <= last) & (last <= day.high))[traded].all()
    assert minute.starts_ms == epoch_ms(_NOON) - 60_000
    assert (minute.volume_units <= day.volume_units).all()
    assert (minute.low <= minute.high).all()


def test_no_minute_is_told_before_it_is_over() -> None:
    """In a day's first minute nothing of it is known yet, and of later ones only the last."""
    rows = _NSE.listing(_NOON).chain("NIFTY", date(2026, 12, 1))[90:140]
    early = _NSE.last_minutes(_OPENS + timedelta(seconds=59), rows)
    assert not early.volume_units.any()
    assert early.starts_ms == epoch_ms(_OPENS)
    whole = _NSE.last_minutes(_OPENS + timedelta(seconds=60), rows)
    assert whole.starts_ms == epoch_ms(_OPENS)
    assert whole.volume_units.any()


def test_a_stretch_is_made_of_its_minutes() -> None:
    """From one instant up to another."""
    rows = _NSE.listing(_NOON).chain("NIFTY", date(2026, 12, 1))[90:140]
    ends = [_NOON + timedelta(minutes=m) for m in (1, 2, 3)]
    minutes = [_NSE.last_minutes(end, rows) for end in ends]
    whole = _NSE.bars_between(ends[-1], rows, _NOON, ends[-1])
    assert (whole.volume_units == sum(m.volume_units for m in minutes)).all()
    busy = whole.volume_units > 0
    highs = np.max([np.where(m.volume_units > 0, m.high, -np.inf) for m in minutes], axis=0)
    assert (whole.high == highs)[busy].all()
    assert (whole.close == minutes[-1].close).all()


def test_history_of_what_is_not_listed_is_empty() -> None:
    """An unknown symbol, a strike between the steps, a day before the listing, a holiday."""
    option = _contracts()[3]
    strange = Contract("NIFTY", option.kind, option.expiry, 26_013.0, option.right)
    asked = [(strange, _DAY), (option, date(2026, 6, 1)), (option, date(2026, 11, 24))]
    asked.append((Contract("TCS", _contracts()[1].kind), _DAY))
    for contract, day in asked:
        assert not _NSE.minute_candles(contract, day).starts_ms.size
        assert not _NSE.day_candles(contract, [day]).starts_ms.size


def test_spots_have_ten_years_of_days() -> None:
    """Also from before the first rules for expiries."""
    days = _NSE.timetable.trading_days(date(2016, 11, 21), date(2026, 11, 20))[::9]
    for contract in _contracts()[:2]:
        found = _NSE.day_candles(contract, days)
        assert found.starts_ms.size == len(days) > 250
        assert ((found.low <= found.open) & (found.open <= found.high)).all()


def test_a_muhurat_session_is_a_day() -> None:
    """An hour on a Sunday evening."""
    found = _NSE.minute_candles(_contracts()[0], date(2026, 11, 8))
    assert found.starts_ms.size == 60
    assert found.starts_ms[0] == epoch_ms(datetime(2026, 11, 8, 12, 30, tzinfo=UTC))


def test_settlement_leaves_finite_numbers() -> None:
    """After the settlement of its last day a contract is worth its intrinsic value."""
    evening = datetime(2026, 12, 1, 16, 0, tzinfo=UTC)
    truth = _ALWAYS.truth(evening)
    rows = truth.listing.chain("NIFTY", date(2026, 12, 1))
    intrinsic = np.maximum(
        truth.listing.sign[rows] * (truth.spot["NIFTY"] - truth.listing.strike[rows]), 0
    )
    assert truth.price[rows] == pytest.approx(intrinsic, abs=1.0)
    quotes = _ALWAYS.quotes(evening)
    assert all(np.isfinite(column).all() for column in map(np.array, _columns(quotes)))
