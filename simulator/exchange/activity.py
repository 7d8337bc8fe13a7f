"""How much of each contract is held, and how large a symbol's market is.

Needed both for a day's path, which hedgers push, and for what is shown of its contracts
(``liquidity``). Volume and open interest are counted in lots here.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from simulator.exchange import noise
from simulator.exchange.symbols import Symbol
from transforms.kernel import compiled

# What the largest index has open at the money and what its future turns over, in lots of a day;
# the same for the largest stock; and what the other indices have of it.
INDEX_OPEN_LOTS, STOCK_OPEN_LOTS = 15_000.0, 6_000.0
INDEX_FUTURE_LOTS, STOCK_FUTURE_LOTS = 450_000.0, 12_000.0
_SHARE_OF_LARGEST: Mapping[str, float] = {
    "NIFTY": 1.0,
    "SENSEX": 0.5,
    "BANKNIFTY": 0.6,
    "FINNIFTY": 0.05,
    "MIDCPNIFTY": 0.12,
}
_OPEN_INTEREST_SWING = 1.5  # volatility of log open interest per √year: about 8 % in a day
_BUILD_UP = 1.5  # of log open interest, at most, for each unit that the spot leans by
OPEN_SLOW = 20  # octaves from three days on: where open interest gathers
_HUMP_STEPS, _HUMP_WIDTH_STEPS = 3.0, 7.5
_TASTE, _SWING, _LEANING = 3, np.uint64(2 << 20), 5


def symbol_stream(symbol: Symbol, seed: int) -> int:
    """The stream that those of a symbol's contracts come from."""
    return noise.stream(seed, "contracts", symbol.underlying.symbol)


@compiled
def contract_stream(symbol: np.uint64, settles_ms: int, strike: float, sign: float) -> np.uint64:
    """The random stream of a contract: of what it is, so that it is the same every day.

    Args:
        strike, sign: 0 for what is no option.
    """
    written = round(strike * 100.0) * 4 + int(sign) + 1
    return noise.hashed(noise.hashed(symbol, settles_ms), written)


def open_lots_scale(symbol: Symbol, seed: int) -> float:
    """``Terms.open_lots`` of a symbol's derivatives."""
    own = symbol_stream(symbol, seed)
    base = INDEX_OPEN_LOTS if symbol.is_index else STOCK_OPEN_LOTS
    return base * weight(symbol, own)


def future_lots(symbol: Symbol, seed: int) -> float:
    """Lots of the nearest future that trade in an average day."""
    own = symbol_stream(symbol, seed)
    base = INDEX_FUTURE_LOTS if symbol.is_index else STOCK_FUTURE_LOTS
    return base * weight(symbol, own)


def weight(symbol: Symbol, stream: int) -> float:
    """A symbol's share of the largest one's turnover."""
    if symbol.is_index:
        return _SHARE_OF_LARGEST.get(symbol.underlying.symbol, 0.02)
    draw = float(noise.uniform(np.array([stream], np.uint64), np.array([7]))[0])
    return 0.15 + 1.85 * draw * draw


@compiled
def open_lots(
    stream: np.uint64,
    sign: float,
    steps_out: float,
    is_round: bool,
    scale: float,
    lean: float,
    trading_ms: float,
    years: float,
) -> float:
    """Open lots of a derivative: a hump out of the money, heavier at round strikes.

    Args:
        steps_out: strikes between the slow spot and the contract's, counted out of the money.
        scale: ``Terms.open_lots``.
        lean: how far the spot stands from its slow path, in units of its yearly deviation: some
            contracts are built up as it rises, others as it falls.
        trading_ms: the day's number and the part of it that has passed, as ms of a year of
            trading: open interest does not move while the exchange is shut.
    """
    out = (steps_out - _HUMP_STEPS) / _HUMP_WIDTH_STEPS
    hump = math.exp(-0.5 * out * out) + 0.02 if sign != 0.0 else 1.0
    taste = 0.4 + 1.2 * noise.uniform_at(stream, _TASTE)
    swing = _OPEN_INTEREST_SWING * noise.walk_at(stream + _SWING, trading_ms, noise.SLOW)
    built = _BUILD_UP * (2.0 * noise.uniform_at(stream, _LEANING) - 1.0) * lean
    heavy = 1.8 if is_round else 1.0
    return scale * hump * heavy * taste * math.exp(swing + built) / (1.0 + 8.0 * years)
