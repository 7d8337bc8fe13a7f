"""What the exchange tells of an auction while it goes on: the price that matches most, and more.

Shares with derivatives go through the pre-open and, since it exists, the closing auction. When
those are stands in ``phases``. How the book of an auction fills is nobody's record: here the
indicative price is the true one, the quantity grows as the auction goes on, and what is left
unmatched shrinks, a part of it from orders without a price, which are over at some point.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from market.rules import Rules
from simulator import noise
from simulator.noise import Floats, Ints, Mask
from simulator.phases import AUCTION_SEGMENTS, closing_auction_status, pre_open_status
from simulator.quotes import Quotes, round_to_tick
from simulator.timetable import epoch_ms
from simulator.universe import Listing

_LONGEST_MS = 20 * 60_000.0
_MOST_SHARES = 400_000.0
_REDRAWN_EVERY_MS = 5_000
_NO_MARKET_ORDERS = ("PRE_OPEN_M_END", "PRE_OPEN_END", "CAS_M_STOP", "CAS_STOP")


@dataclass(frozen=True, slots=True)
class Indicative:
    """The auction's numbers for each of a quote's rows; all 0 outside an auction.

    Attributes:
        equilibrium_price: at which most shares would change hands, ₹.
        reference_price: that the auction's price band is laid around, ₹.
        imbalance_units: bought less sold at that price, what stays unmatched.
        market_imbalance_units: the part of it that stems from orders without a price.
        is_eligible: whether the row has auctions at all; also outside of them.
    """

    equilibrium_price: Floats
    reference_price: Floats
    equilibrium_quantity_units: Ints
    imbalance_units: Ints
    market_imbalance_units: Ints
    is_eligible: Mask


def indicative(rules: Rules, instant: datetime, listing: Listing, quotes: Quotes) -> Indicative:
    """The numbers at ``instant`` for ``quotes``, rows of ``listing``."""
    step = closing_auction_status(rules, instant) or pre_open_status(rules, instant)
    has_closing = rules.cash_hours(listing.day).auction_until is not None
    eligible = np.array([listing.rows[row].segment in AUCTION_SEGMENTS for row in quotes.rows])
    eligible = eligible.astype(np.bool_) & has_closing
    if step is None:
        none, nothing = np.zeros(eligible.size), np.zeros(eligible.size, np.int64)
        return Indicative(none, none, nothing, nothing, nothing, eligible)
    taking = eligible.astype(np.float64)
    grown = min((epoch_ms(instant) - step.since_ms) / _LONGEST_MS, 1.0)
    matched, left, from_market = _draws(listing, quotes, epoch_ms(instant))
    total = (_MOST_SHARES * (1.0 - grown) * (left - 0.5) * taking).astype(np.int64)
    has_market_orders = step.status not in _NO_MARKET_ORDERS
    is_closing = step.status.startswith("C")
    reference = quotes.last_price if is_closing else quotes.previous_close_price
    return Indicative(
        equilibrium_price=round_to_tick(quotes.model.price) * taking,
        reference_price=reference * taking,
        equilibrium_quantity_units=(_MOST_SHARES * (0.2 + grown) * (0.5 + matched) * taking).astype(
            np.int64
        ),
        imbalance_units=total,
        market_imbalance_units=(total * from_market * has_market_orders).astype(np.int64),
        is_eligible=eligible,
    )


def _draws(listing: Listing, quotes: Quotes, at_ms: int) -> tuple[Floats, Floats, Floats]:
    """Three numbers in [0, 1) for each row, new ones every few seconds."""
    streams = listing.streams[quotes.rows]
    cells = np.full(streams.size, at_ms // _REDRAWN_EVERY_MS, np.int64)
    first, second, third = (
        noise.uniform(streams ^ np.uint64(purpose), cells) for purpose in (21, 22, 23)
    )
    return first, second, third
