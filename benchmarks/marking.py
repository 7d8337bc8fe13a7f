"""Microseconds that a tick costs: levels from the grid, an exact mark, what is held in the money.

One symbol of the made-up market (``universe``), two expiries of which one is today's, and ticks
that wander inside its grid. How exact the grid is, is asserted in its tests.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from datetime import time as wall_time

import numpy as np
import polars as pl

from benchmarks import universe
from benchmarks.report import Metric, against, within
from market.rules import Rules
from transforms import chain
from transforms.held import HeldInTheMoney
from transforms.layout import lay_out
from transforms.level_grid import MEASURES, LevelGrid, interpolate
from transforms.marking import ChainMark

SYMBOL = "NIFTY"
CLOCK = wall_time(11, 0)
CONTRACTS = 300
TICKS = 500
ROUNDS = 21
KERNEL_MICROSECONDS = 2.0
PYTHON_MICROSECONDS = 20.0

Tick = tuple[float, datetime]
Doors = Mapping[str, Callable[[float, datetime], object]]


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Median microseconds of each door over the rounds, all in turn; the first one warms up."""
    doors, walked = _doors(), ticks()
    taken: dict[str, list[float]] = {name: [] for name in doors}
    for number in range(-1, ROUNDS):
        for name, door in doors.items():
            microseconds = _timed(door, walked)
            if number >= 0:
                taken[name].append(microseconds)
    details = {"contracts": CONTRACTS, "expiries": 2, "ticks": TICKS, "rounds": ROUNDS}
    return metrics(taken), details


def metrics(taken: Mapping[str, Sequence[float]]) -> dict[str, Metric]:
    """The claims, from each door's microseconds a tick in each round."""
    kernel, grid, mark, held = (taken[name] for name in ("kernel", "grid", "mark", "held"))
    return {
        "grid_kernel_us": _budget(kernel, KERNEL_MICROSECONDS, "The compiled kernel alone"),
        "grid_at_us": _budget(grid, PYTHON_MICROSECONDS, "Levels of one symbol, forwards included"),
        "exact_mark_us": against(
            mark, "µs", grid, f"{CONTRACTS} contracts marked exactly, against the grid's levels."
        ),
        "held_in_the_money_us": _budget(held, PYTHON_MICROSECONDS, "What is in the money"),
    }


def snapshot() -> pl.DataFrame:
    """The symbol's ``CONTRACTS`` nearest the money, half of them in each expiry, as quotes."""
    quotes = universe.quotes(2_000, CLOCK).filter(symbol=SYMBOL)
    near = (pl.col("strike") - pl.col("spot")).abs()
    is_near = near.rank("ordinal").over("expiry") <= CONTRACTS // 2
    return quotes.filter(is_near)


def ticks() -> list[Tick]:
    """Spots within 1 % of the symbol's, a second and a bit apart, from the snapshot on."""
    random = np.random.default_rng(universe.SEED)
    spot = float(snapshot()["spot"][0])
    moves = random.uniform(-0.01, 0.01, TICKS)
    began = universe.instant(CLOCK)
    return [
        (spot * float(np.exp(move)), began + timedelta(seconds=1.1 * number))
        for number, move in enumerate(moves)
    ]


def _budget(taken: Sequence[float], limit: float, what: str) -> Metric:
    return within(statistics.median(taken), "µs", limit, f"{what}; goal: below the limit.")


def _doors() -> Doors:
    quotes, rules, began = snapshot(), Rules(), universe.instant(CLOCK)
    contracts = chain.analyse(quotes, began, rules).contracts
    book, spot = lay_out(quotes), float(quotes["spot"][0])
    grid, mark = LevelGrid(contracts, rules, spot, began), ChainMark(contracts, rules)
    held = HeldInTheMoney.of(book.strikes, len(book.expiries))
    return {
        "kernel": _kernel(spot),
        "grid": grid.at,
        "mark": mark.at,
        "held": lambda spot, _: held.at(spot),
    }


def _kernel(middle: float) -> Callable[[float, datetime], object]:
    """The grid's kernel on values of its shape; what they are costs nothing."""
    values = np.random.default_rng(universe.SEED).normal(size=(2, 3, 193, len(MEASURES)))
    return lambda spot, _: interpolate(values, spot, middle, 0.015, 60.0, 600.0)


def _timed(door: Callable[[float, datetime], object], walked: Sequence[Tick]) -> float:
    began = time.perf_counter()
    for spot, at in walked:
        door(spot, at)
    return (time.perf_counter() - began) / len(walked) * 1e6
