"""Invented closing prices for tests of listings: a path for each symbol, by the day."""

from __future__ import annotations

from datetime import date

import numpy as np

from simulator.exchange import noise
from simulator.exchange.series import Band
from simulator.exchange.symbols import Symbol

_FIRST = date(2024, 6, 3)
_DAYS = 1_500


def closes(seed: int = 1) -> Band:
    """A band over a random walk of the symbol's own volatility, a step each calendar day."""

    def band(symbol: Symbol, first: date, last: date) -> tuple[float, float]:
        assert first <= last
        path = _path(seed, symbol)[(first - _FIRST).days : (last - _FIRST).days + 1]
        return float(path.min()), float(path.max())

    return band


def _path(seed: int, symbol: Symbol) -> noise.Floats:
    stream = np.array([noise.stream(seed, symbol.underlying.symbol)], np.uint64)
    moves = (noise.uniform(stream, np.arange(_DAYS)) - 0.5) * 12.0**0.5
    deviations = np.cumsum(moves) * symbol.volatility / 365.0**0.5
    path: noise.Floats = symbol.level * np.exp(np.clip(deviations, -1.0, 1.0))
    return path
