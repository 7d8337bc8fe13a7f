"""The true paths of one trading day: spots, volatility levels, activity, minute by minute.

A day starts and ends where the seeded daily walk says, and is a Brownian bridge in between whose
volatility follows the day's shape, its bursts and dealers' hedging; so any day can be had without
those before it. What a day is at an instant stands in ``days``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from market import tables
from market.rules import Rules, at_ist
from simulator.exchange import feedback, noise, profiles
from simulator.exchange.activity import (
    OPEN_SLOW,
    contract_stream,
    future_lots,
    open_lots,
    open_lots_scale,
    symbol_stream,
)
from simulator.exchange.days import (
    CURVES,
    DEVIATION,
    GAMMA_RATIO,
    KEYS_PER_DAY,
    LEVEL,
    LEVEL_VOLATILITY,
    LEVERAGE,
    LOG_SPOT,
    MIN_YEARS,
    MULTIPLE,
    SLOW,
    STARTS,
    TURNOVER,
    Day,
    Track,
    day_of,
    trading_ms,
    variances,
    years_to,
)
from simulator.exchange.noise import Floats, Ints
from simulator.exchange.profiles import Burst
from simulator.exchange.symbols import Symbol
from simulator.exchange.timetable import MINUTE_MS, Grid, Timetable, epoch_ms
from transforms.kernel import compiled

_HEDGED_EXPIRIES, _HEDGED_STRIKES = 2, 40
_TURNOVER_NOISE = 0.35


@dataclass(frozen=True, slots=True)
class _Shape:
    """What all symbols share of a day: variance and turnover by minute."""

    variance: Floats
    turnover: Floats


class Paths:
    """The days of a seeded market, for all its symbols or some of them.

    Args:
        hedging: λ of the indices; stocks have none.
    """

    def __init__(
        self,
        seed: int,
        symbols: tuple[Symbol, ...],
        rules: Rules,
        timetable: Timetable,
        hedging: float,
    ) -> None:
        self._seed = seed
        self._symbols = symbols
        self._rules = rules
        self._timetable = timetable
        self._hedging = hedging
        self._is_flat = timetable.night_share == 0.0
        self._shape = lru_cache(maxsize=8)(self._shape_of)
        self._track = lru_cache(maxsize=1024)(self._make_track)
        self._day = lru_cache(maxsize=8)(self._make_day)

    def day(self, day: date) -> Day:
        """A trading day of every symbol."""
        return self._day(day)

    def tracks(self, day: date) -> tuple[Track, ...]:
        """A trading day of every symbol, one by one."""
        return tuple(self._track(day, i) for i in range(len(self._symbols)))

    def track(self, day: date, symbol: int) -> Track:
        """A trading day of one symbol."""
        return self._track(day, symbol)

    def bursts(self, symbol: int, day: date) -> tuple[Burst, ...]:
        """The bursts of a symbol's day."""
        chosen = self._symbols[symbol]
        grid = self._timetable.grid(day)
        stream = noise.stream(self._seed, "bursts", chosen.underlying.symbol)
        expires = day in self._expiries(chosen, day, 1)
        return profiles.bursts(stream, grid.number, grid.starts_ms.size, is_expiry=expires)

    def closes(self, symbol: int, days: Sequence[date]) -> Floats:
        """₹ of a symbol at the end of each of ``days``."""
        at = np.array([self._timetable.number(day) + 1.0 for day in days])
        spots: Floats = self._symbols[symbol].level * np.exp(self._daily(symbol, at))
        return spots

    def _expiries(self, symbol: Symbol, day: date, count: int) -> tuple[date, ...]:
        """The next expiries of a symbol; none before the rules know of any."""
        name, exchange = symbol.underlying.symbol, symbol.underlying.exchange
        known_from = min(r.valid_from for r in tables.EXPIRY_RULES if r.exchange == exchange)
        if not symbol.has_derivatives or day < known_from:
            return ()
        return self._rules.expiries(name, exchange, day, count)

    def _shape_of(self, minutes: int) -> _Shape:
        variance = profiles.variance_shape(minutes, is_flat=self._is_flat)
        part = (1.0 - self._timetable.night_share) / self._timetable.days_per_year
        return _Shape(variance * part, profiles.turnover_shape(minutes, is_flat=self._is_flat))

    @property
    def _year_ms(self) -> float:
        return noise.MS_PER_YEAR / self._timetable.days_per_year

    def _daily(self, symbol: int, at: Floats, first_octave: int = 0) -> Floats:
        """ln(spot/level) by the daily walk; ``at`` counts trading days."""
        at_ms, share = at * self._year_ms, self._symbols[symbol].market_share
        market, own = self._streams(symbol)
        together = noise.walk(np.array([market]), at_ms, first_octave)
        alone = noise.walk(np.array([own]), at_ms, first_octave)
        moved = share * together + math.sqrt(1.0 - share * share) * alone
        path: Floats = self._symbols[symbol].volatility * moved
        return path

    def _streams(self, symbol: int) -> tuple[np.uint64, np.uint64]:
        """The common factor's and the symbol's own."""
        name = self._symbols[symbol].underlying.symbol
        market = noise.stream(self._seed, "market")
        return np.uint64(market), np.uint64(noise.stream(self._seed, "spot", name))

    def _make_day(self, day: date) -> Day:
        return day_of(self.tracks(day))

    def _make_track(self, day: date, symbol: int) -> Track:
        grid = self._timetable.grid(day)
        made = self._empty_track(grid, symbol)
        start, end = self._daily(symbol, grid.number + np.array([made.night_share, 1.0]))
        made.curves[LOG_SPOT, 0] = start
        held = self._held(day, self._symbols[symbol], made)
        _walk_day(made, float(end), self._shape(made.minutes).variance, held)
        return made

    def _empty_track(self, grid: Grid, symbol: int) -> Track:
        chosen, (market, own) = self._symbols[symbol], self._streams(symbol)
        minutes = grid.starts_ms.size
        continuous, auction = self._cash_hours(grid)
        return Track(
            market=market,
            own=own,
            share=chosen.market_share,
            level=chosen.level,
            volatility=chosen.volatility,
            basis=chosen.basis,
            correlation=chosen.smile.correlation,
            steepness=chosen.smile.steepness,
            rate=self._rules.rate(grid.day),
            night_share=self._timetable.night_share,
            year_ms=self._year_ms,
            number=grid.number,
            minutes=minutes,
            cash_closes=continuous,
            auction_closes=auction,
            curves=self._curves(grid, symbol, own),
        )

    def _curves(self, grid: Grid, symbol: int, own: np.uint64) -> Floats:
        """The curves that do not depend on the path."""
        minutes, night = grid.starts_ms.size, self._timetable.night_share
        curves = np.zeros((CURVES, minutes + 1))
        borders = np.append(grid.starts_ms, grid.closes_ms).astype(np.float64)
        passed = night + (1.0 - night) * np.arange(minutes + 1) / minutes
        level = noise.walk(np.array([own + np.uint64(1)]), borders, noise.SLOW)
        multiples = profiles.multiples(self.bursts(symbol, grid.day), minutes)
        curves[STARTS] = borders
        curves[LEVEL] = LEVEL_VOLATILITY * math.sqrt(1.0 - LEVERAGE**2) * level
        curves[SLOW] = self._daily(symbol, grid.number + passed, OPEN_SLOW)
        curves[TURNOVER] = _turnover(own, grid.number, self._shape(minutes).turnover, multiples)
        curves[MULTIPLE] = np.append(multiples, 1.0)
        return curves

    def _cash_hours(self, grid: Grid) -> tuple[int, int]:
        """When the stocks' continuous market and their auction end, ms of trading."""
        everything = grid.starts_ms.size * MINUTE_MS
        if self._rules.sessions(grid.day)[0].name != "regular":
            return everything, everything
        hours = self._rules.cash_hours(grid.day)
        continuous, auction = (
            grid.traded_ms(epoch_ms(at_ist(grid.day, at)))
            for at in (hours.continuous_until, hours.auction_until or hours.continuous_until)
        )
        return continuous, auction

    def _held(self, day: date, symbol: Symbol, made: Track) -> feedback.Held:
        """What hedgers of the nearest expiries hold, as it is at the open."""
        ahead = self._expiries(symbol, day, _HEDGED_EXPIRIES) if self._hedging else ()
        if not (symbol.is_index and ahead):
            return feedback.NOTHING
        name = symbol.underlying.symbol
        settles = np.array([epoch_ms(self._rules.settlement_at(e)) for e in ahead], np.int64)
        lots = np.array([symbol.lot_units or self._rules.lot_units(name, e) or 0 for e in ahead])
        nearest = round(symbol.level * math.exp(made.curves[LOG_SPOT, 0]) / symbol.step)
        places = np.arange(nearest - _HEDGED_STRIKES, nearest + _HEDGED_STRIKES + 1)
        strikes = (places * symbol.step).astype(np.float64)
        own = np.uint64(symbol_stream(symbol, self._seed))
        scale = open_lots_scale(symbol, self._seed)
        net = _net_lots(made, own, settles, strikes, symbol.step, scale)
        return feedback.Held(
            feedback=self._hedging,
            settles_ms=settles,
            strike=strikes,
            net_units=net * lots[:, None],
            future_units=future_lots(symbol, self._seed) * float(lots[-1]),
        )


def _turnover(own: np.uint64, number: int, shape: Floats, multiples: Floats) -> Floats:
    """Share of the day's turnover that has passed at each border of minutes."""
    indices = number * KEYS_PER_DAY + np.arange(shape.size)
    draws = noise.uniform(np.array([own + np.uint64(2)]), indices)
    weights = shape * np.exp(_TURNOVER_NOISE * 3.46 * (draws - 0.5)) * (2.0 * multiples - 1.0)
    passed = np.cumsum(weights)
    return np.append(0.0, passed / passed[-1])


@compiled
def _walk_day(track: Track, end: float, variance: Floats, held: feedback.Held) -> None:
    """Fill ``LOG_SPOT``, ``DEVIATION`` and ``GAMMA_RATIO`` from the start that is there.

    The Brownian bridge to ``end``, step by step: toward the end by its share of the variance that
    is left, and a step of the minute's own volatility.
    """
    rest, unit = math.sqrt(1.0 - track.share * track.share), track.volatility**2
    left, here = variance.sum() * unit, track.curves[LOG_SPOT, 0]
    for minute in range(track.minutes):
        step = variance[minute] * unit
        ratio = _gamma_ratio(track, minute, here, held)
        hedged = feedback.multiple(held.feedback, ratio)
        deviation = math.sqrt(step) * track.curves[MULTIPLE, minute] * hedged
        key = (track.number * KEYS_PER_DAY + minute) << 8
        draw = track.share * noise.normal_at(track.market, key)
        draw += rest * noise.normal_at(track.own, key)
        here += (end - here) * step / left
        here += deviation * math.sqrt(max(left - step, 0.0) / left) * draw
        left = max(left - step, 1e-300)
        track.curves[GAMMA_RATIO, minute] = ratio
        track.curves[DEVIATION, minute] = deviation
        track.curves[LOG_SPOT, minute + 1] = here
    track.curves[LOG_SPOT, track.minutes] = end


@compiled
def _gamma_ratio(track: Track, minute: int, here: float, held: feedback.Held) -> float:
    """g of ``feedback`` at the start of a minute; 0 where nobody hedges."""
    if held.settles_ms.size == 0:
        return 0.0
    spot = track.level * math.exp(here)
    now, far = variances(track, here, track.curves[LEVEL, minute])
    total = 0.0
    for i in range(held.settles_ms.size):
        years = (held.settles_ms[i] - track.curves[STARTS, minute]) / noise.MS_PER_YEAR
        if years > MIN_YEARS:
            total += feedback.gamma_crore(
                spot,
                held.net_units[i],
                held.strike,
                years,
                track.rate + track.basis,
                track.rate,
                now,
                far,
                track.correlation,
                track.steepness,
            )
    traded = feedback.crore(held.future_units * spot * _trailing_turnover(track, minute))
    return total / max(traded, 1e-9)


@compiled
def _trailing_turnover(track: Track, minute: int) -> float:
    """Share of the day's turnover of the half hour before a minute, or of the day's first."""
    last = min(max(minute, feedback.TRAILING_MINUTES), track.minutes)
    turnover = track.curves[TURNOVER]
    return float(turnover[last] - turnover[max(last - feedback.TRAILING_MINUTES, 0)])


@compiled
def _net_lots(
    track: Track, contracts: np.uint64, settles_ms: Ints, strikes: Floats, step: float, scale: float
) -> Floats:
    """Calls less puts open at the day's start, lots; shape (expiries, strikes)."""
    net = np.zeros((settles_ms.size, strikes.size))
    slow = track.curves[SLOW, 0]
    centre, lean = track.level * math.exp(slow), track.curves[LOG_SPOT, 0] - slow
    for i in range(settles_ms.size):
        years = years_to(settles_ms[i], int(track.curves[STARTS, 0]))
        for j in range(strikes.size):
            is_round = round(strikes[j] / step) % 10 == 0
            for sign in (1.0, -1.0):
                lots = open_lots(
                    contract_stream(contracts, settles_ms[i], strikes[j], sign),
                    sign,
                    sign * (strikes[j] - centre) / step,
                    is_round,
                    scale,
                    lean / track.volatility,
                    trading_ms(track, 0),
                    years,
                )
                net[i, j] += sign * lots
    return net
