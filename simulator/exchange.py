"""The market itself: every price, quantity and truth as a pure function of seed and instant.

Any instant may be asked for in any order; what is remembered between calls is only what would be
computed again alike. Nothing here knows the broker's protocol (``records``, ``frames``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import numpy as np

from market.contract import Contract
from market.rules import IST, Rules, Session, at_ist
from simulator import liquidity, noise, quotes
from simulator.dynamics import Dynamics, State
from simulator.liquidity import Pace
from simulator.noise import Floats, Ints
from simulator.quotes import Quotes
from simulator.symbols import Symbol, choose
from simulator.timetable import Shown, Timetable, epoch_ms
from simulator.universe import Listing, list_day

_BAR_SAMPLE_MS = 15_000
_RANGE_SAMPLE_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Truth:
    """What nobody outside the simulator can see, at one instant.

    Attributes:
        at: the instant whose prices are on show: the last close if the market is shut.
        spot: ₹ by symbol, not rounded.
        forward: ₹ by (symbol, expiry).
        years_to_expiry, implied_volatility, price: over ``listing.rows``; volatility is NaN unless
            the row is an option, price is the model's, not rounded.
        open_interest_units: over ``listing.rows``, as it is on show.
    """

    at: datetime
    listing: Listing
    spot: Mapping[str, float]
    forward: Mapping[tuple[str, date], float]
    years_to_expiry: Floats
    implied_volatility: Floats
    price: Floats
    open_interest_units: Ints


@dataclass(frozen=True, slots=True)
class Bars:
    """Open, high, low and close of each row, ₹, its volume, and the bar's start, epoch ms."""

    starts_ms: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume_units: Ints


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars of one contract, oldest first; ₹, units, epoch ms.

    Only bars with a trade are there, except for spots: an index or a stock has every one.

    Attributes:
        starts_ms: start of each bar; midnight IST for a bar of a whole day.
        open_interest_units: at the end of each bar; 0 for spots.
    """

    starts_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume_units: Ints
    open_interest_units: Ints


@dataclass(frozen=True, slots=True)
class _Day:
    """What one trading day fixes for the rows of a listing."""

    pace: Pace
    previous_close_price: Floats
    previous_open_interest_units: Ints
    open_price: Floats


class Market:
    """A seeded market over the symbols of ``universe``.

    Args:
        seed: equal seeds, equal markets.
        rules: sessions, expiries, lots and rate.
        symbols: which underlyings; None for all.

    Raises:
        ConfigurationError: for a symbol that the universe does not have.
    """

    def __init__(self, seed: int, rules: Rules, symbols: Sequence[str] | None = None) -> None:
        self.rules = rules
        self.symbols = choose(symbols)
        self._seed = seed
        self._dynamics = Dynamics(seed, self.symbols)
        self._timetable = Timetable(rules)
        self._list = lru_cache(maxsize=16)(self._list_day)
        self._closes = lru_cache(maxsize=1_024)(self._closes_of)
        self._extremes = lru_cache(maxsize=256)(self._extremes_of)
        self._pace = lru_cache(maxsize=32)(self._pace_of)
        self._day = lru_cache(maxsize=16)(self._day_of)

    def shown(self, instant: datetime) -> Shown:
        """Which moment is on show at ``instant`` and whether trading goes on."""
        return self._timetable.shown(instant)

    def listing(self, instant: datetime) -> Listing:
        """Everything listed on the IST date of ``instant``."""
        return self._list(instant.astimezone(IST).date())

    def listing_of(self, day: date) -> Listing:
        """Everything listed on ``day``."""
        return self._list(day)

    def truth(self, instant: datetime) -> Truth:
        """The true state; prices not rounded, volatility as the surface has it."""
        listing, shown = self.listing(instant), self.shown(instant)
        rows = np.arange(len(listing.rows))
        state = self._state(listing, rows, np.full(rows.size, float(shown.at_ms)))
        spots = self._dynamics.spots(shown.at_ms)
        return Truth(
            at=datetime.fromtimestamp(shown.at_ms / 1000, instant.tzinfo),
            listing=listing,
            spot=dict(zip(self._names(), spots.tolist(), strict=True)),
            forward={key: float(state.forward[r[0]]) for key, r in listing.chains.items()},
            years_to_expiry=state.years,
            implied_volatility=np.where(listing.sign != 0, state.volatility, np.nan),
            price=state.priced.price,
            open_interest_units=self.quotes(instant).open_interest_units,
        )

    def quotes(self, instant: datetime, rows: Ints | None = None) -> Quotes:
        """What is on show at ``instant`` for ``rows`` of its listing; all rows for None."""
        listing, shown = self.listing(instant), self.shown(instant)
        chosen = np.arange(len(listing.rows)) if rows is None else rows
        pace = self._pace(listing.day, shown.trading_day)
        changed = _changed_ms(listing, chosen, np.full(chosen.size, shown.at_ms), shown, pace)
        return self._quotes_at(listing, chosen, changed, shown)

    def changed_ms(self, instant: datetime, rows: Ints) -> Ints:
        """When each row last changed, at or before ``instant``; epoch ms."""
        listing, shown = self.listing(instant), self.shown(instant)
        pace = self._pace(listing.day, shown.trading_day)
        return _changed_ms(listing, rows, np.full(rows.size, shown.at_ms), shown, pace)

    def minute_bars(self, instant: datetime, rows: Ints) -> Bars:
        """The last completed minute, from last prices 15 s apart."""
        end = self.shown(instant).at_ms // 60_000 * 60_000
        moments_ms = np.arange(end - 60_000, end + 1, _BAR_SAMPLE_MS)
        return self._bars(instant, rows, moments_ms, end - 60_000)

    def day_bars(self, instant: datetime, rows: Ints) -> Bars:
        """The day so far, from last prices an hour apart and the present one.

        As at the broker, the bar starts at midnight IST, not at the open.
        """
        shown = self.shown(instant)
        grid = np.arange(shown.opened_ms, shown.at_ms, _RANGE_SAMPLE_MS)
        midnight_ms = epoch_ms(at_ist(shown.trading_day, time(0)))
        return self._bars(instant, rows, np.append(grid, shown.at_ms), midnight_ms)

    def last_minutes(self, instant: datetime, rows: Ints) -> Bars:
        """The last completed minute of each row."""
        return self.minute_bars(instant, rows)

    def day_ranges(self, instant: datetime, rows: Ints) -> Bars:
        """Each row's day so far, from midnight IST as the broker counts it."""
        return self.day_bars(instant, rows)

    def minute_candles(
        self, contract: Contract, day: date, until: datetime | None = None
    ) -> Candles:
        """The whole minutes of a trading day, up to ``until``; none if it is not listed then."""
        listing = self._list(day)
        found = [i for i, row in enumerate(listing.rows) if row.contract == contract]
        starts = [
            ms
            for session in self.rules.sessions(day)
            for ms in range(epoch_ms(session.opens_at), epoch_ms(session.closes_at), 60_000)
            if until is None or ms + 60_000 <= epoch_ms(until)
        ]
        if not found or not starts:
            return _candles([])
        rows = np.array(found, np.int64)
        bars = [self.minute_bars(_instant(ms + 60_000), rows) for ms in starts]
        is_spot = contract.expiry is None
        kept = [b for b in bars if is_spot or b.volume_units[0] > 0]
        return _candles(kept)

    def day_candles(
        self, contract: Contract, days: Sequence[date], until: datetime | None = None
    ) -> Candles:
        """One bar for each of ``days`` that the contract was listed and traded on."""
        found = [self.minute_candles(contract, day, until) for day in days]
        traded = [
            Bars(
                starts_ms=epoch_ms(at_ist(day, time(0))),
                open=c.open[:1],
                high=c.high.max(keepdims=True),
                low=c.low.min(keepdims=True),
                close=c.close[-1:],
                volume_units=c.volume_units.sum(keepdims=True),
            )
            for day, c in zip(days, found, strict=True)
            if c.starts_ms.size
        ]
        return _candles(traded)

    def _bars(self, instant: datetime, rows: Ints, moments_ms: Ints, starts_ms: int) -> Bars:
        listing, shown = self.listing(instant), self.shown(instant)
        pace = self._pace(listing.day, shown.trading_day)
        many = np.tile(rows, moments_ms.size)
        changed = _changed_ms(listing, many, np.repeat(moments_ms, rows.size), shown, pace)
        state = self._state(listing, many, changed.astype(np.float64))
        _, _, last = self._prices(listing, many, changed, state, pace)
        table = last.reshape(moments_ms.size, rows.size)
        traded = self._volume(listing, many, changed, shown, pace).reshape(table.shape)
        return Bars(
            starts_ms=starts_ms,
            open=table[0],
            high=table.max(0),
            low=table.min(0),
            close=table[-1],
            volume_units=traded[-1] - traded[0],
        )

    def _quotes_at(self, listing: Listing, rows: Ints, changed: Ints, shown: Shown) -> Quotes:
        day = self._day(listing.day, shown.trading_day, shown.opened_ms)
        streams, lots = listing.streams[rows], listing.lot_units[rows]
        at_ms = changed.astype(np.float64)
        state = self._state(listing, rows, at_ms)
        bid, ask, last = self._prices(listing, rows, changed, state, day.pace)
        volume = self._volume(listing, rows, changed, shown, day.pace)
        bids = quotes.quantity_units(streams ^ np.uint64(6), changed, lots, 60)
        asks = quotes.quantity_units(streams ^ np.uint64(7), changed, lots, 60)
        return Quotes(
            rows=rows,
            quoted_ms=changed,
            last_traded_ms=changed,
            last_price=last,
            last_quantity_units=quotes.quantity_units(streams ^ np.uint64(5), changed, lots, 12)
            * ~listing.is_index[rows],
            bid_price=bid,
            ask_price=ask,
            bid_quantity_units=bids,
            ask_quantity_units=asks,
            total_bid_quantity_units=bids * 180,
            total_ask_quantity_units=asks * 180,
            volume_units=volume,
            open_interest_units=self._open_interest(listing, rows, at_ms, state.years),
            average_price=np.where(volume > 0, 0.5 * (day.open_price[rows] + last), 0.0),
            previous_close_price=day.previous_close_price[rows],
            previous_open_interest_units=day.previous_open_interest_units[rows],
            implied_volatility=np.where(listing.sign[rows] != 0, state.volatility, np.nan),
            model=state.priced,
        )

    def _prices(
        self, listing: Listing, rows: Ints, changed: Ints, state: State, pace: Pace
    ) -> tuple[Floats, Floats, Floats]:
        """Bid, ask and last price on show since ``changed``."""
        price = state.priced.price
        volatility = self._dynamics.volatility[listing.symbol_index[rows]]
        half = quotes.half_spread(
            price, state.priced.delta, state.spot, volatility, pace.period_ms[rows]
        )
        # Spots and futures trade within a tick or two, whatever they cost.
        half = np.where(listing.sign[rows] == 0, quotes.TICK, half)
        draw = noise.uniform(listing.streams[rows] ^ np.uint64(4), changed)
        bid, ask, last = quotes.on_ticks(price, half, draw)
        is_index = listing.is_index[rows]
        last = np.where(is_index, quotes.round_to_tick(price), last)
        return np.where(is_index, 0.0, bid), np.where(is_index, 0.0, ask), last

    def _volume(
        self, listing: Listing, rows: Ints, changed: Ints, shown: Shown, pace: Pace
    ) -> Ints:
        elapsed_ms = changed - shown.opened_ms
        rates, lots = pace.lots_per_ms[rows], listing.lot_units[rows]
        return liquidity.volume_units(listing.streams[rows], rates, lots, elapsed_ms)

    def _state(self, listing: Listing, rows: Ints, at_ms: Floats) -> State:
        return self._dynamics.state(listing, rows, at_ms, self.rules.rate(listing.day))

    def _open_interest(self, listing: Listing, rows: Ints, at_ms: Floats, years: Floats) -> Ints:
        slow = self._dynamics.slow_spot(listing.symbol_index[rows], at_ms)
        return liquidity.open_interest_units(listing, rows, slow, at_ms, years)

    def _names(self) -> list[str]:
        return [symbol.underlying.symbol for symbol in self.symbols]

    def _session_before(self, day: date) -> Session:
        return self._timetable.session_before(day)

    def _levels_before(self, day: date) -> Floats:
        """Spots at the last close before ``day``, which its strikes are counted from."""
        return self._dynamics.spots(epoch_ms(self._session_before(day).closes_at))

    def _list_day(self, day: date) -> Listing:
        return list_day(day, self.symbols, self._band, self.rules, self._seed)

    def _band(self, symbol: Symbol, first: date, last: date) -> tuple[float, float]:
        """The lowest and highest close of a symbol from one trading day to another."""
        place = self._names().index(symbol.underlying.symbol)
        low, high = self._extremes(first, last)
        return float(low[place]), float(high[place])

    def _extremes_of(self, first: date, last: date) -> tuple[Floats, Floats]:
        days = (first + timedelta(days=i) for i in range((last - first).days + 1))
        closes = np.array([self._closes(d) for d in days if self.rules.is_trading_day(d)])
        return closes.min(0), closes.max(0)

    def _closes_of(self, day: date) -> Floats:
        return self._dynamics.spots(epoch_ms(self.rules.sessions(day)[-1].closes_at))

    def _pace_of(self, listing_day: date, trading_day: date) -> Pace:
        return liquidity.pace(
            self._list(listing_day), trading_day, self._levels_before(trading_day)
        )

    def _day_of(self, listing_day: date, trading_day: date, opened_ms: int) -> _Day:
        listing, pace = self._list(listing_day), self._pace(listing_day, trading_day)
        rows = np.arange(len(listing.rows))
        before = self._session_before(trading_day)
        close = np.full(rows.size, epoch_ms(before.closes_at))
        pace_before = self._pace(listing_day, before.day)
        closed = noise.last_change_ms(listing.streams, pace_before.period_ms, close)
        closed_ms = closed.astype(np.float64)
        at_close = self._state(listing, rows, closed_ms)
        opened = np.full(rows.size, opened_ms)
        at_open = self._state(listing, rows, opened.astype(np.float64))
        return _Day(
            pace=pace,
            previous_close_price=self._prices(listing, rows, closed, at_close, pace_before)[2],
            previous_open_interest_units=self._open_interest(
                listing, rows, closed_ms, at_close.years
            ),
            open_price=self._prices(listing, rows, opened, at_open, pace)[2],
        )


def _candles(bars: Sequence[Bars]) -> Candles:
    def column(name: str) -> Floats:
        return np.array([getattr(bar, name)[0] for bar in bars], np.float64)

    return Candles(
        starts_ms=np.array([bar.starts_ms for bar in bars], np.int64),
        open=column("open"),
        high=column("high"),
        low=column("low"),
        close=column("close"),
        volume_units=column("volume_units").astype(np.int64),
        open_interest_units=np.zeros(len(bars), np.int64),
    )


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _changed_ms(listing: Listing, rows: Ints, at_ms: Ints, shown: Shown, pace: Pace) -> Ints:
    """The last change of each row by ``at_ms``; the open is every row's first one."""
    changed = noise.last_change_ms(listing.streams[rows], pace.period_ms[rows], at_ms)
    return np.maximum(changed, shown.opened_ms)
