"""From a true price to what the exchange shows: bid, ask and last trade on ticks.

Spreads widen with price and with how far the contract can move before it is quoted again, as a
market maker's do. When a contract is quoted stands in ``liquidity``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import noise
from simulator.noise import Floats, Ints, Streams
from simulator.pricing import Priced

TICK = 0.05
_TICKS_PER_RUPEE = 20.0


@dataclass(frozen=True, slots=True)
class Quotes:
    """What is on show, one entry for each of ``rows``; prices ₹, quantities in units.

    Attributes:
        rows: places in the listing.
        quoted_ms: the instant that bid, ask, volatility and model belong to, epoch ms.
        last_traded_ms: when the last trade was, epoch ms; may lie on an earlier day.
        bid_price, ask_price: 0 for an index.
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


def half_spread(
    price: Floats, delta: Floats, spot: Floats, volatility: Floats, life_ms: Ints
) -> Floats:
    """Half the width that a market maker asks for, ₹.

    Args:
        delta: per ₹ of spot.
        life_ms: how long the quote has to stand.
    """
    drift = np.abs(delta) * spot * volatility * np.sqrt(life_ms / noise.MS_PER_YEAR)
    wide: Floats = 0.5 * TICK + 0.0006 * price + 0.6 * drift
    return wide


def on_ticks(price: Floats, half: Floats, draw: Floats) -> tuple[Floats, Floats, Floats]:
    """Bid, ask and last price, ₹: ticks around ``price``, the last at a drawn place inside.

    The bid never falls below one tick and the ask stands at least one tick above the bid.

    Args:
        draw: uniform in [0, 1).
    """
    # In whole ticks; the small shift keeps a price that stands on a tick from slipping below it.
    bid = np.maximum(np.floor((price - half) * _TICKS_PER_RUPEE + 1e-7), 1.0)
    ask = np.maximum(np.ceil((price + half) * _TICKS_PER_RUPEE - 1e-7), bid + 1.0)
    last = bid + np.floor(draw * (ask - bid + 1.0))
    return bid / _TICKS_PER_RUPEE, ask / _TICKS_PER_RUPEE, last / _TICKS_PER_RUPEE


def round_to_tick(price: Floats) -> Floats:
    """The nearest price on a tick, ₹."""
    rounded: Floats = np.round(price * _TICKS_PER_RUPEE) / _TICKS_PER_RUPEE
    return rounded


def quantity_units(streams: Streams, changed_ms: Ints, lots: Ints, most_lots: int) -> Ints:
    """A quantity on offer, from one lot to ``most_lots``."""
    return (1 + np.floor(noise.uniform(streams, changed_ms) * most_lots)).astype(np.int64) * lots
