"""What the exchange shows of its contracts at an instant, as arrays over rows.

The instant's books, last trades and counters gathered from ``book`` and ``tape``; and the depth
behind a quote. Which rows there are stands in ``universe``, what a broker makes of a quote in the
groups of calls and in ``frames``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.exchange import noise, pricing, tape
from simulator.exchange.book import (
    TICK,
    TICKS_PER_RUPEE,
    book,
    open_interest_at,
    open_interest_lots,
    quoted_at,
    state,
    state_at,
    told_at,
)
from simulator.exchange.days import Day, Track, epoch_ms_of, log_spot, track_of
from simulator.exchange.liquidity import INDEX, OPTION, Row, Terms, row_of
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.pricing import Priced
from simulator.exchange.timetable import MINUTE_MS
from transforms.kernel import compiled

_MOST_OFFERED_LOTS = 60
_BID_SIZE, _ASK_SIZE = np.uint64(6), np.uint64(7)
_BOOK_MULTIPLE = 180  # of the best level's quantity: what the whole book holds
_FLOATS, _INTS = 12, 8


@dataclass(frozen=True, slots=True)
class Quotes:
    """What is on show, one entry for each of ``rows``; prices ₹, quantities in units.

    Attributes:
        rows: places in the listing.
        quoted_ms: the instant that bid, ask, volatility and model belong to, epoch ms.
        last_traded_ms: when the last trade was, epoch ms; may lie on an earlier day.
        bid_price, ask_price: 0 where nobody offers, as for an index.
        total_bid_quantity_units, total_ask_quantity_units: the whole book, beyond the levels told.
        implied_volatility: the true one at ``quoted_ms``; NaN unless an option.
        model: price and Greeks at ``quoted_ms``; only options' Greeks mean anything. Of a spot it
            is the true price, also while its market is shut or in auction.
    """

    rows: Ints
    quoted_ms: Ints
    last_traded_ms: Ints
    last_price: Floats
    last_quantity_units: Ints
    bid_price: Floats
    ask_price: Floats
    bid_quantity_units: Ints
    ask_quantity_units: Ints
    total_bid_quantity_units: Ints
    total_ask_quantity_units: Ints
    volume_units: Ints
    open_interest_units: Ints
    average_price: Floats
    previous_close_price: Floats
    previous_open_interest_units: Ints
    implied_volatility: Floats
    model: Priced


@dataclass(frozen=True, slots=True)
class Bars:
    """Open, high, low and close of each row, ₹, its volume, and the bar's start, epoch ms.

    Where a row did not trade in it, all four are its last price.
    """

    starts_ms: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume_units: Ints


@dataclass(frozen=True, slots=True)
class Settled:
    """What the trading day before left behind, over the rows of a listing."""

    close_price: Floats
    last_traded_ms: Ints
    open_interest_units: Ints


@dataclass(frozen=True, slots=True)
class Ladder:
    """Depth of each quote, arrays of shape (quotes, levels), the best level first.

    A level that nobody offers is 0 throughout, as are all levels of an index.
    """

    bid_price: Floats
    bid_quantity_units: Ints
    bid_orders: Ints
    ask_price: Floats
    ask_quantity_units: Ints
    ask_orders: Ints


def quotes_at(day: Day, terms: Terms, rows: Ints, traded_ms: int, before: Settled) -> Quotes:
    """The quotes of ``rows`` at an instant of a day.

    Args:
        before: over all rows of the terms.
    """
    real, whole = np.empty((_FLOATS, rows.size)), np.empty((_INTS, rows.size), np.int64)
    _fill(day, terms, rows, traded_ms, real, whole)
    is_traded = whole[2] > 0
    last = np.where(is_traded, real[2], before.close_price[rows])
    return Quotes(
        rows=rows,
        quoted_ms=whole[0],
        last_traded_ms=np.where(is_traded, whole[1], before.last_traded_ms[rows]),
        last_price=last,
        last_quantity_units=whole[3],
        bid_price=real[0],
        ask_price=real[1],
        bid_quantity_units=whole[4],
        ask_quantity_units=whole[5],
        total_bid_quantity_units=whole[4] * _BOOK_MULTIPLE,
        total_ask_quantity_units=whole[5] * _BOOK_MULTIPLE,
        volume_units=whole[6],
        open_interest_units=whole[7],
        average_price=np.where(whole[6] > 0, 0.5 * (real[3] + last), 0.0),
        previous_close_price=before.close_price[rows],
        previous_open_interest_units=before.open_interest_units[rows],
        implied_volatility=real[4],
        model=Priced(*real[5:12]),
    )


def settle(day: Day, terms: Terms) -> Settled:
    """What the end of a day leaves to the next one.

    A contract without a trade that day is left at the price in the middle of its last book.
    """
    count = terms.symbol.size
    closes, traded, held = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    _settle(day, terms, closes, traded, held)
    return Settled(closes, traded, held)


def round_to_tick(price: Floats) -> Floats:
    """The nearest price on a tick, ₹."""
    rounded: Floats = np.round(price * TICKS_PER_RUPEE) / TICKS_PER_RUPEE
    return rounded


def ladder(quotes: Quotes, levels: int) -> Ladder:
    """The depth that belongs to ``quotes``: a tick between levels, larger further away."""
    depth = np.arange(levels)
    bid = np.round(quotes.bid_price[:, None] - depth * TICK, 2)
    ask = np.round(quotes.ask_price[:, None] + depth * TICK, 2)
    bids, asks = (bid > 0) & (quotes.bid_price > 0)[:, None], (quotes.ask_price > 0)[:, None]
    bid_units = quotes.bid_quantity_units[:, None] * (depth + 1) * bids
    ask_units = quotes.ask_quantity_units[:, None] * (depth + 1) * asks
    return Ladder(
        bid_price=np.where(bids, bid, 0.0),
        bid_quantity_units=bid_units,
        bid_orders=np.where(bids, 1 + bid_units % 7, 0),
        ask_price=np.where(asks, ask, 0.0),
        ask_quantity_units=ask_units,
        ask_orders=np.where(asks, 1 + ask_units % 7, 0),
    )


@compiled
def close_price(track: Track, row: Row) -> float:
    """₹ that a day leaves a contract at: its last trade, or else the middle of its last book."""
    end_ms = track.minutes * MINUTE_MS
    trade = tape.last_trade(track, row, end_ms)
    if trade.number:
        return tape.price_of(track, row, trade)
    price = state(track, row, quoted_at(row, end_ms)).price
    return max(round(price * TICKS_PER_RUPEE), 1.0) / TICKS_PER_RUPEE


@compiled
def _fill(day: Day, terms: Terms, rows: Ints, traded_ms: int, real: Floats, whole: Ints) -> None:
    """Fill one column for each of ``rows``; neighbours share a spot, which is asked for once."""
    symbol, at, here, held_here = -1, -1, 0.0, 0.0
    for i in range(rows.size):
        row = row_of(terms, rows[i])
        quoted = quoted_at(row, traded_ms)
        if row.symbol != symbol or quoted != at:
            symbol, at, track = row.symbol, quoted, track_of(day, row.symbol)
            here, held_here = log_spot(track, at), log_spot(track, told_at(at))
        _fill_book(track, row, at, here, i, real, whole)
        whole[7, i] = open_interest_at(track, row, told_at(at), held_here) * row.lot_units
        _fill_trade(track, row, at, i, real, whole)


@compiled
def _fill_book(
    track: Track, row: Row, at: int, here: float, i: int, real: Floats, whole: Ints
) -> None:
    true = state_at(track, row, at, here)
    quoted, key = book(track, row, at, true), epoch_ms_of(track, at)
    real[0, i], real[1, i] = quoted.bid / TICKS_PER_RUPEE, quoted.ask / TICKS_PER_RUPEE
    real[4, i], real[5, i], real[6, i] = true.volatility, true.price, true.delta
    real[7:12, i] = 0.0
    if row.kind == OPTION:
        more = pricing.greeks(
            true.forward, row.strike, true.years, true.volatility, track.rate, row.sign
        )
        real[7, i], real[8, i], real[9, i] = more.gamma, more.theta_per_day, more.vega_per_vol_point
        real[10, i], real[11, i] = more.rho_per_percent, more.profit_probability
    whole[0, i] = key
    whole[4, i] = _offered(row.stream ^ _BID_SIZE, key, row.lot_units) if quoted.bid > 0 else 0
    whole[5, i] = _offered(row.stream ^ _ASK_SIZE, key, row.lot_units) if quoted.ask > 0 else 0


@compiled
def _fill_trade(track: Track, row: Row, at: int, i: int, real: Floats, whole: Ints) -> None:
    if row.kind == INDEX:
        real[2, i] = real[3, i] = round(real[5, i] * TICKS_PER_RUPEE) / TICKS_PER_RUPEE
        whole[1, i], whole[2, i] = whole[0, i], 1
        whole[3, i] = whole[6, i] = 0
        return
    trade = tape.last_trade(track, row, at)
    real[2, i] = real[3, i] = 0.0
    whole[2, i], whole[3, i], whole[6, i] = trade.number, trade.last_units, trade.units
    whole[1, i] = 0
    if trade.number:
        real[2, i] = tape.price_of(track, row, trade)
        real[3, i] = tape.first_price(track, row)
        whole[1, i] = epoch_ms_of(track, trade.traded_ms)


@compiled
def _offered(stream: np.uint64, key: int, lot_units: int) -> int:
    return (1 + int(noise.uniform_at(stream, key) * _MOST_OFFERED_LOTS)) * lot_units


@compiled
def _settle(day: Day, terms: Terms, closes: Floats, traded: Ints, held: Ints) -> None:
    for i in range(terms.symbol.size):
        row = row_of(terms, i)
        track = track_of(day, row.symbol)
        end_ms = track.minutes * MINUTE_MS
        trade = tape.last_trade(track, row, end_ms)
        closes[i] = close_price(track, row)
        traded[i] = epoch_ms_of(track, trade.traded_ms if trade.number else end_ms)
        held[i] = open_interest_lots(track, row, quoted_at(row, end_ms)) * row.lot_units
