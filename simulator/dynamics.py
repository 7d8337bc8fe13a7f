"""How the true market moves: spots, forwards, the volatility level, model prices.

Arrays in, arrays out, each row at its own instant (epoch ms). What is listed and what is shown of
it stand in ``universe`` and ``quotes``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from simulator import noise, pricing, surface
from simulator.noise import Floats, Ints, Mask
from simulator.pricing import Priced
from simulator.symbols import Symbol
from simulator.universe import Listing

_MIN_YEARS = 1_000.0 / noise.MS_PER_YEAR  # one second: arithmetic stays finite at settlement
_SLOW = 20  # octaves from three days on: where open interest gathers does not follow each swing
_FAR_OVER_REALISED = 1.1  # long-run implied volatility over that of the spot
_LEVEL_VOLATILITY = 0.8  # of log implied volatility, per √year
_LEVERAGE = -0.6  # correlation of the volatility level with the market


@dataclass(frozen=True, slots=True)
class State:
    """The truth of each row; ₹, years to settlement (at least one second), volatility as fraction.

    For a spot or future ``priced.price`` is its forward, its delta 1 and its other Greeks 0.
    """

    spot: Floats
    forward: Floats
    years: Floats
    volatility: Floats
    priced: Priced


class Dynamics:
    """The paths of a seeded market, in the order of ``symbols``."""

    def __init__(self, seed: int, symbols: tuple[Symbol, ...]) -> None:
        names = [symbol.underlying.symbol for symbol in symbols]
        self._factor = np.array([noise.stream(seed, "market")], np.uint64)
        self._spot_streams = np.array([noise.stream(seed, "spot", n) for n in names], np.uint64)
        self._level_streams = np.array([noise.stream(seed, "level", n) for n in names], np.uint64)
        self._level = np.array([symbol.level for symbol in symbols])
        self._share = np.array([symbol.market_share for symbol in symbols])
        self._basis = np.array([symbol.basis for symbol in symbols])
        self._correlation = np.array([symbol.smile.correlation for symbol in symbols])
        self._steepness = np.array([symbol.smile.steepness for symbol in symbols])
        self.volatility = np.array([symbol.volatility for symbol in symbols])

    def spots(self, at_ms: int) -> Floats:
        """Every symbol's spot at one instant."""
        every = np.arange(self._level.size)
        return self._spot_path(every, np.full(every.size, float(at_ms)))

    def slow_spot(self, symbol: Ints, at_ms: Floats) -> Floats:
        """The spot without its moves within a session."""
        return self._spot_path(symbol, at_ms, _SLOW)

    def state(self, listing: Listing, rows: Ints, at_ms: Floats, rate: float) -> State:
        """The truth of ``rows``, each at its own instant, under a continuous ``rate``."""
        symbol, sign = listing.symbol_index[rows], listing.sign[rows]
        spot = self._spot_path(symbol, at_ms)
        settles_ms = listing.settles_ms[rows]
        years = np.maximum((settles_ms - at_ms) / noise.MS_PER_YEAR, _MIN_YEARS)
        carry = np.where(settles_ms > 0, (rate + self._basis[symbol]) * years, 0.0)
        forward = spot * np.exp(carry)
        is_option = sign != 0
        strike = np.where(is_option, listing.strike[rows], forward)
        volatility = self._implied_volatility(symbol, np.log(strike / forward), years, at_ms)
        side = np.where(is_option, sign, 1.0)
        rates = np.full(rows.size, rate)
        priced = pricing.black76(forward, strike, years, volatility, rate=rates, sign=side)
        return State(spot, forward, years, volatility, _straight(priced, ~is_option, forward))

    def _spot_path(self, symbol: Ints, at_ms: Floats, first_octave: int = 0) -> Floats:
        share = self._share[symbol]
        market = noise.walk(self._factor, at_ms, first_octave)
        own = noise.walk(self._spot_streams[symbol], at_ms, first_octave)
        moved = share * market + np.sqrt(1.0 - share * share) * own
        path: Floats = self._level[symbol] * np.exp(self.volatility[symbol] * moved)
        return path

    def _implied_volatility(
        self, symbol: Ints, log_moneyness: Floats, years: Floats, at_ms: Floats
    ) -> Floats:
        market = noise.walk(self._factor, at_ms, noise.SLOW)
        own = noise.walk(self._level_streams[symbol], at_ms, noise.SLOW)
        moved = _LEVERAGE * market + np.sqrt(1.0 - _LEVERAGE * _LEVERAGE) * own
        far = _FAR_OVER_REALISED * self.volatility[symbol]
        now = far * np.exp(_LEVEL_VOLATILITY * moved)
        theta = surface.at_the_money_variance(years, now * now, far * far)
        total = surface.total_variance(
            log_moneyness, theta, self._correlation[symbol], self._steepness[symbol]
        )
        deviation: Floats = np.sqrt(total / years)
        return deviation


def _straight(priced: Priced, is_straight: Mask, forward: Floats) -> Priced:
    """Put the forward in the place of an option's price where the row is no option."""
    columns = {f.name: np.where(is_straight, 0.0, getattr(priced, f.name)) for f in fields(priced)}
    columns["price"] = np.where(is_straight, forward, priced.price)
    columns["delta"] = np.where(is_straight, 1.0, priced.delta)
    return Priced(**columns)
