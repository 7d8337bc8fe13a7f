"""What the feed tells of the shares' closing auction: indicative price, quantity and imbalance.

Made up from the true price and the day's volume, a pure function of the instant. When there is an
auction is the rules' business, and which step it is in is that of ``phases``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np

from market.rules import IST, at_ist
from simulator.exchange import noise
from simulator.exchange.market import Market
from simulator.exchange.noise import Floats, Ints, Streams
from simulator.exchange.quotes import Quotes, round_to_tick
from simulator.exchange.timetable import epoch_ms
from simulator.exchange.universe import Listing
from simulator.socket.wire import HAS_AUCTION, Entries

_REFERENCE_MINUTES = 15
_TOLD_EVERY_MS = 1000
_LARGEST_SHARE = 0.08  # of the day's volume that crosses in the auction
_LARGEST_IMBALANCE = 0.3  # of the indicative quantity, to either side
_QUANTITY_DRAW, _IMBALANCE_DRAW, _MARKET_DRAW = (np.uint64(n) for n in (32, 33, 34))


@dataclass(frozen=True, slots=True)
class Indications:
    """What the auction tells of some shares at one instant; ₹, units, imbalances signed.

    Attributes:
        market_imbalance_units: the part of market orders.
    """

    indicative_price: Floats
    reference_price: Floats
    indicative_quantity_units: Ints
    imbalance_units: Ints
    market_imbalance_units: Ints

    def news(self) -> Floats:
        """What makes an update when it changes; shape (n, 2)."""
        return np.column_stack((self.indicative_price, self.indicative_quantity_units))

    def fill(self, entries: Entries, rows: Ints) -> None:
        """Put them into the records at ``rows``."""
        for f in fields(self):
            entries[f.name][rows] = getattr(self, f.name)
        entries["is_auction_eligible"][rows] = 1
        entries["content"][rows] |= HAS_AUCTION


class ClosingAuction:
    """The auction of a market's shares; remembers only what it would compute again."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._references: dict[str, float] = {}
        self._continuous_until: datetime | None = None

    def is_on(self, now: datetime) -> bool:
        """Whether shares are in auction."""
        return self._market.rules.underlying_phase(now) == "auction"

    def told(self, quotes: Quotes, listing: Listing, now: datetime) -> Indications:
        """What it tells of shares while it is on."""
        streams, second = listing.streams[quotes.rows], np.array([epoch_ms(now) // _TOLD_EVERY_MS])
        crossing = _crossing_units(streams, second, quotes.volume_units)
        imbalance, market_imbalance = _imbalances(streams, second, crossing)
        return Indications(
            indicative_price=round_to_tick(quotes.model.price),
            reference_price=self._reference_prices(listing, quotes.rows, now),
            indicative_quantity_units=crossing,
            imbalance_units=imbalance,
            market_imbalance_units=market_imbalance,
        )

    def _reference_prices(self, listing: Listing, rows: Ints, now: datetime) -> Floats:
        """The average price of the last quarter of an hour of trading, ₹, weighted by volume."""
        day = now.astimezone(IST).date()
        until = at_ist(day, self._market.rules.cash_hours(day).continuous_until)
        if until != self._continuous_until:
            self._continuous_until = until
            self._references.clear()
        keys = [listing.rows[row].key for row in rows]
        missing = np.array([key not in self._references for key in keys], np.bool_)
        if missing.any():
            found = self._averages(rows[missing], until).tolist()
            new = [key for key in keys if key not in self._references]
            self._references.update(zip(new, found, strict=True))
        return np.array([self._references[key] for key in keys])

    def _averages(self, rows: Ints, until: datetime) -> Floats:
        ends = [until - timedelta(minutes=back) for back in range(_REFERENCE_MINUTES)]
        minutes = [self._market.last_minutes(end, rows) for end in ends]
        closes = np.array([minute.close for minute in minutes])
        weights = np.array([minute.volume_units for minute in minutes], np.float64)
        # A share that nobody traded in that time has the plain average.
        weights[:, ~weights.any(axis=0)] = 1.0
        return round_to_tick(np.average(closes, axis=0, weights=weights))


def _crossing_units(streams: Streams, second: Ints, volume_units: Ints) -> Ints:
    share = _LARGEST_SHARE * noise.uniform(streams ^ _QUANTITY_DRAW, second)
    return np.floor(share * volume_units).astype(np.int64)


def _imbalances(streams: Streams, second: Ints, crossing_units: Ints) -> tuple[Ints, Ints]:
    """The whole imbalance, positive for buyers, and its part of market orders."""
    side = 2.0 * noise.uniform(streams ^ _IMBALANCE_DRAW, second) - 1.0
    whole = np.round(_LARGEST_IMBALANCE * side * crossing_units)
    part = np.round(noise.uniform(streams ^ _MARKET_DRAW, second) * whole)
    return whole.astype(np.int64), part.astype(np.int64)
