"""What is timed is what a tick meets; the timing itself is not tested."""

from __future__ import annotations

import pytest

from benchmarks import universe
from benchmarks.marking import (
    CLOCK,
    CONTRACTS,
    KERNEL_MICROSECONDS,
    PYTHON_MICROSECONDS,
    TICKS,
    metrics,
    snapshot,
    ticks,
)
from market.rules import Rules
from transforms.chain import analyse
from transforms.level_grid import LevelGrid


def test_snapshot_is_one_symbol_of_two_expiries() -> None:
    """Three hundred contracts around the money, one expiry settling today."""
    quotes = snapshot()
    assert (len(quotes), quotes["symbol"].n_unique()) == (CONTRACTS, 1)
    assert quotes["expiry"].n_unique() == 2
    assert quotes["expiry"].min() == universe.DAY
    below = (quotes["strike"] < quotes["spot"]).sum()
    assert below == pytest.approx(CONTRACTS / 2, abs=4)


def test_every_tick_is_read_from_the_grid() -> None:
    """Else the quick way out would be timed."""
    quotes, began = snapshot(), universe.instant(CLOCK)
    contracts = analyse(quotes, began, Rules()).contracts
    grid = LevelGrid(contracts, Rules(), float(quotes["spot"][0]), began)
    walked = ticks()
    assert len(set(walked)) == TICKS
    assert all(grid.covers(spot, at) for spot, at in walked)


def test_metrics_hold_medians_against_limits_and_the_grid() -> None:
    """Limits for the grid and its kernel; the exact mark against the grid of the same round."""
    taken = {
        "kernel": [1.0, 9.0, 1.0],
        "grid": [5.0, 50.0, 4.0],
        "mark": [30.0, 300.0, 32.0],
        "held": [2.0, 2.0, 8.0],
    }
    found = metrics(taken)
    assert (found["grid_kernel_us"].value, found["grid_kernel_us"].reference) == (
        1.0,
        KERNEL_MICROSECONDS,
    )
    assert found["grid_at_us"].ratio == 5.0 / PYTHON_MICROSECONDS
    assert (found["exact_mark_us"].value, found["exact_mark_us"].ratio) == (32.0, 6.0)
    assert found["held_in_the_money_us"].value == 2.0
