"""What nobody outside the simulator can see of its market, at one instant.

Records and how they are filled. What is on show stands in ``quotes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import numpy as np

from simulator.exchange.book import open_interest_lots, quoted_at, state_at, told_at
from simulator.exchange.days import DEVIATION, GAMMA_RATIO, STARTS, Day, log_spot, track_of
from simulator.exchange.liquidity import Terms, row_of
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.profiles import Burst
from simulator.exchange.timetable import MINUTE_MS, instant_of
from simulator.exchange.universe import Listing
from transforms.kernel import compiled


@dataclass(frozen=True, slots=True)
class Event:
    """A burst of volatility as it really was: ``starts_at <= t < ends_at``, aware UTC."""

    symbol: str
    starts_at: datetime
    ends_at: datetime
    multiple: float


@dataclass(frozen=True, slots=True)
class Truth:
    """The market's state behind what it shows.

    Attributes:
        at: the instant whose prices are on show: the last close if the market is shut.
        spot: ₹ by symbol, not rounded.
        forward: ₹ by (symbol, expiry).
        volatility_per_minute: deviation of the running minute's log return, by symbol.
        gamma_ratio: g of ``feedback`` at the start of the running minute, by symbol.
        hedging: λ of the indices.
        events: the bursts of the trading day, those to come as well.
        years_to_expiry, implied_volatility, price: over ``listing.rows``; volatility is NaN unless
            the row is an option, price is the model's, not rounded.
        open_interest_units: over ``listing.rows``, as it is on show.
    """

    at: datetime
    listing: Listing
    spot: Mapping[str, float]
    forward: Mapping[tuple[str, date], float]
    volatility_per_minute: Mapping[str, float]
    gamma_ratio: Mapping[str, float]
    hedging: float
    years_to_expiry: Floats
    implied_volatility: Floats
    price: Floats
    open_interest_units: Ints
    _starts_ms: Ints = field(repr=False)
    events: tuple[Event, ...] = ()

    def with_bursts(self, bursts: Mapping[str, tuple[Burst, ...]]) -> Truth:
        """The same with the day's events, from each symbol's bursts."""
        events = [
            Event(
                symbol,
                instant_of(int(self._starts_ms[burst.start_minute])),
                instant_of(int(self._starts_ms[burst.end_minute - 1]) + MINUTE_MS),
                burst.multiple,
            )
            for symbol, found in bursts.items()
            for burst in found
        ]
        return replace(self, events=tuple(events))


def truth_at(
    listing: Listing, day: Day, terms: Terms, *, traded_ms: int, at_ms: int, hedging: float
) -> Truth:
    """The truth of a day at an instant: ms of trading since its open, and epoch ms."""
    names = [symbol.underlying.symbol for symbol in listing.symbols]
    real = np.empty((5, terms.symbol.size))
    held = np.empty(terms.symbol.size, np.int64)
    _fill(day, terms, traded_ms, real, held)
    minute = min(traded_ms // MINUTE_MS, day.curves.shape[2] - 2)
    deviation, ratio = (
        dict(zip(names, day.curves[:, curve, minute].tolist(), strict=True))
        for curve in (DEVIATION, GAMMA_RATIO)
    )
    first_rows = {series: int(rows[0]) for series, rows in listing.chains.items()}
    return Truth(
        at=instant_of(at_ms),
        listing=listing,
        spot={name: float(real[0, listing.spot_row[name]]) for name in names},
        forward={series: float(real[1, row]) for series, row in first_rows.items()},
        volatility_per_minute=deviation,
        gamma_ratio=ratio,
        hedging=hedging,
        years_to_expiry=real[2],
        implied_volatility=real[3],
        price=real[4],
        open_interest_units=held,
        _starts_ms=day.curves[0, STARTS].astype(np.int64),
    )


@compiled
def _fill(day: Day, terms: Terms, traded_ms: int, real: Floats, held: Ints) -> None:
    symbol, here = -1, 0.0
    for i in range(terms.symbol.size):
        row = row_of(terms, i)
        if row.symbol != symbol:
            symbol, track = row.symbol, track_of(day, row.symbol)
            here = log_spot(track, traded_ms)
        told = told_at(quoted_at(row, traded_ms))
        true = state_at(track, row, traded_ms, here)
        real[0, i], real[1, i], real[2, i] = true.spot, true.forward, true.years
        real[3, i], real[4, i] = true.volatility, true.price
        held[i] = open_interest_lots(track, row, told) * row.lot_units
