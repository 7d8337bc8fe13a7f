"""The market itself: every price, quantity and truth as a pure function of seed and instant.

Any instant may be asked for in any order, by several threads; what is remembered between calls is
only what would be computed again alike. The mathematics stand in ``paths``, ``book`` and ``tape``;
nothing here knows the broker's protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from functools import lru_cache

import numpy as np

from market.contract import Contract
from market.rules import IST, Rules, at_ist
from simulator.exchange import bulk, liquidity, quotes
from simulator.exchange.bulk import Candles
from simulator.exchange.days import STARTS, Day, Track
from simulator.exchange.liquidity import Row, Terms
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.paths import Paths
from simulator.exchange.quotes import Bars, Quotes, Settled
from simulator.exchange.series import Calendar, places, spans
from simulator.exchange.symbols import Symbol, choose
from simulator.exchange.timetable import MINUTE_MS, Shown, Timetable, epoch_ms
from simulator.exchange.truth import Truth, truth_at
from simulator.exchange.universe import Listing, list_day

HEDGING = 0.35  # λ of the indices, unless another is asked for


class Market:
    """A seeded market over the symbols of ``symbols``.

    Args:
        seed: equal seeds, equal markets.
        rules: sessions, expiries, lots and rate.
        symbols: which underlyings; None for all.
        hedging: λ, how strongly dealers' hedging acts on the indices; 0 for not at all.

    Raises:
        ConfigurationError: for a symbol that the universe does not have.
    """

    def __init__(
        self,
        seed: int,
        rules: Rules,
        symbols: Sequence[str] | None = None,
        hedging: float = HEDGING,
    ) -> None:
        self.rules = rules
        self.symbols = choose(symbols)
        self.hedging = hedging
        self.timetable = Timetable(rules)
        self._seed = seed
        self._paths = Paths(seed, self.symbols, rules, self.timetable, hedging)
        self._places = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._list = lru_cache(maxsize=16)(self._list_day)
        self._band_of = lru_cache(maxsize=4096)(self._lowest_and_highest)
        self._terms = lru_cache(maxsize=16)(self._terms_of)
        self._settled = lru_cache(maxsize=8)(self._settled_of)
        self._extremes = lru_cache(maxsize=2)(self._extremes_of)
        self._strikes = lru_cache(maxsize=4096)(self._strikes_of)

    def shown(self, instant: datetime) -> Shown:
        """Which moment is on show at ``instant`` and whether trading goes on."""
        return self.timetable.shown(instant)

    def listing(self, instant: datetime) -> Listing:
        """Everything listed on the IST date of ``instant``."""
        return self._list(instant.astimezone(IST).date())

    def listing_of(self, day: date) -> Listing:
        """Everything listed on ``day``."""
        return self._list(day)

    def truth(self, instant: datetime) -> Truth:
        """The true state; prices not rounded, volatility as the surface has it."""
        listing, shown = self.listing(instant), self.shown(instant)
        day, terms = self._day_and_terms(listing, shown)
        traded_ms = self._traded_ms(shown)
        found = truth_at(
            listing, day, terms, traded_ms=traded_ms, at_ms=shown.at_ms, hedging=self.hedging
        )
        bursts = {
            symbol.underlying.symbol: self._paths.bursts(i, shown.trading_day)
            for i, symbol in enumerate(self.symbols)
        }
        return found.with_bursts(bursts)

    def quotes(self, instant: datetime, rows: Ints | None = None) -> Quotes:
        """What is on show at ``instant`` for ``rows`` of its listing; all rows for None."""
        listing, shown = self.listing(instant), self.shown(instant)
        chosen = np.arange(len(listing.rows)) if rows is None else rows
        day, terms = self._day_and_terms(listing, shown)
        before = self._settled(listing.day, self.timetable.day_before(shown.trading_day))
        return quotes.quotes_at(day, terms, chosen, self._traded_ms(shown), before)

    def bars_between(
        self, instant: datetime, rows: Ints, starts_at: datetime, ends_at: datetime
    ) -> Bars:
        """What showed at ``starts_at <= t < ends_at`` of the trading day on show at ``instant``.

        A row that did not trade then stands still at its last price.
        """
        grid = self.timetable.grid(self.shown(instant).trading_day)
        start, end = (grid.traded_ms(epoch_ms(at)) for at in (starts_at, ends_at))
        return self._bars(instant, rows, start, end)

    def last_minutes(self, instant: datetime, rows: Ints) -> Bars:
        """The last completed minute of each row; a row that did not trade stands still.

        Before the day's first is over every row stands, in a bar of no length at the open.
        """
        end = self._traded_ms(self.shown(instant)) // MINUTE_MS * MINUTE_MS
        return self._bars(instant, rows, max(end - MINUTE_MS, 0), end)

    def _bars(self, instant: datetime, rows: Ints, start: int, end: int) -> Bars:
        """What showed at ``start <= t < end``, ms of trading."""
        listing, shown = self.listing(instant), self.shown(instant)
        day, terms = self._day_and_terms(listing, shown)
        prices, units = bulk.bars(day, terms, rows, start, end)
        before = self._settled(listing.day, self.timetable.day_before(shown.trading_day))
        last = quotes.quotes_at(day, terms, rows, max(end - 1, 0), before).last_price
        minute = min(start // MINUTE_MS, day.curves.shape[2] - 2)
        starts_ms = int(day.curves[0, STARTS, minute]) + start - minute * MINUTE_MS
        return _standing(prices, last, units, starts_ms)

    def day_ranges(self, instant: datetime, rows: Ints) -> Bars:
        """Each row's day so far, from midnight IST as the broker counts it."""
        listing, shown = self.listing(instant), self.shown(instant)
        day, terms = self._day_and_terms(listing, shown)
        end = self._traded_ms(shown) + 1
        known = self._extremes(shown.trading_day)
        known.cover(np.unique(terms.symbol[rows]), end)
        prices, units = bulk.day_bars(day, terms, rows, end, known.low, known.high)
        midnight_ms = epoch_ms(at_ist(shown.trading_day, time(0)))
        last = self.quotes(instant, rows).last_price
        return _standing(prices, last, units, midnight_ms)

    def minute_candles(
        self, contract: Contract, day: date, until: datetime | None = None
    ) -> Candles:
        """The whole minutes of a trading day, up to ``until``; none if it is not listed then."""
        found = self._alone(contract, day)
        if found is None:
            return bulk.NO_CANDLES
        is_spot = contract.expiry is None
        before = self._close_before(contract, day) if is_spot else 0.0
        return bulk.minute_candles(*found, self._minutes(day, until), before)

    def day_candles(
        self, contract: Contract, days: Sequence[date], until: datetime | None = None
    ) -> Candles:
        """One bar for each of ``days`` that the contract was listed and traded on."""
        bars = []
        for day in days:
            found = self._alone(contract, day)
            if found and (minutes := self._minutes(day, until)):
                midnight_ms = epoch_ms(at_ist(day, time(0)))
                bars.append(bulk.day_candle(*found, minutes * MINUTE_MS, midnight_ms))
        return bulk.joined(bars)

    def _minutes(self, day: date, until: datetime | None) -> int:
        """Whole minutes of the day that have passed."""
        if until is None:
            return self.timetable.grid(day).starts_ms.size
        return self.timetable.grid(day).traded_ms(epoch_ms(until)) // MINUTE_MS

    def _close_before(self, contract: Contract, day: date) -> float:
        """₹ of a spot at the last close before a day."""
        found = self._alone(contract, self.timetable.day_before(day))
        return quotes.close_price(*found) if found else 0.0

    def _alone(self, contract: Contract, day: date) -> tuple[Track, Row] | None:
        """The path and terms of one contract; None on a day that has no bar of it."""
        place = self._place_of(contract)
        if place is None or not self.rules.is_trading_day(day) or not self._lists(contract, day):
            return None
        track, symbol = self._paths.track(day, place), self.symbols[place]
        return track, liquidity.row_alone(contract, symbol, self.rules, self._seed, track)

    def _place_of(self, contract: Contract) -> int | None:
        for i, symbol in enumerate(self.symbols):
            if symbol.underlying.symbol == contract.symbol:
                return i
        return None

    def _lists(self, contract: Contract, day: date) -> bool:
        if contract.expiry is None:
            return True
        key = contract.symbol, contract.expiry
        strikes, has_future = self._strikes(*key, day)
        return has_future if contract.strike is None else contract.strike in strikes

    def _strikes_of(self, name: str, expiry: date, day: date) -> tuple[frozenset[float], bool]:
        """The strikes of a series on a day, and whether a future ends with it."""
        symbol = next(s for s in self.symbols if s.underlying.symbol == name)
        calendar = Calendar(day, self.rules)
        for series in calendar.series(symbol):
            if series.expiry == expiry:
                steps = places(spans(series, calendar, self._band))
                return frozenset(step * symbol.step for step in steps), series.has_future
        return frozenset(), False

    def _day_and_terms(self, listing: Listing, shown: Shown) -> tuple[Day, Terms]:
        return self._paths.day(shown.trading_day), self._terms(listing.day, shown.trading_day)

    def _traded_ms(self, shown: Shown) -> int:
        return self.timetable.grid(shown.trading_day).traded_ms(shown.at_ms)

    def _terms_of(self, listing_day: date, trading_day: date) -> Terms:
        """What a listing's contracts were like on a day: not there yet, if they were not listed."""
        listing, tracks = self._list(listing_day), self._paths.tracks(trading_day)
        terms = liquidity.terms(listing, self.symbols, self._seed, tracks)
        known = self._list(trading_day).row_of_key
        is_listed = np.array([row.key in known for row in listing.rows])
        return liquidity.without(terms, ~is_listed)

    def _settled_of(self, listing_day: date, trading_day: date) -> Settled:
        return quotes.settle(self._paths.day(trading_day), self._terms(listing_day, trading_day))

    def _extremes_of(self, trading_day: date) -> bulk.Extremes:
        grids = [liquidity.quote_grid(symbol, self._seed) for symbol in self.symbols]
        return bulk.Extremes(self._paths.tracks(trading_day), grids)

    def _list_day(self, day: date) -> Listing:
        return list_day(day, self.symbols, self._band, self.rules, self._seed)

    def _band(self, symbol: Symbol, first: date, last: date) -> tuple[float, float]:
        """The lowest and highest close of a symbol from one trading day to another."""
        return self._band_of(self._places[symbol], first, last)

    def _lowest_and_highest(self, place: int, first: date, last: date) -> tuple[float, float]:
        closes = self._paths.closes(place, self.timetable.trading_days(first, last))
        return float(closes.min()), float(closes.max())


def _standing(prices: Floats, last: Floats, units: Ints, starts_ms: int) -> Bars:
    """Bars in which a row that did not trade keeps its last price."""
    still = np.where(np.isnan(prices[0]), last, prices)
    return Bars(starts_ms, still[0], still[1], still[2], still[3], units)
