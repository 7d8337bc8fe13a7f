"""How fast a database was brought up to date is read from its own ledger."""

from __future__ import annotations

from math import isnan

import numpy as np

from tools.endurance.books import Frames, Ledger
from tools.endurance.runs import _drain


def _landed(received_ms: list[float], landed_ms: list[float], ticks: int) -> tuple[Frames, Ledger]:
    """A frame a batch."""
    count = len(received_ms)
    ones, numbers = np.ones(count, np.int64), np.arange(count)
    received = np.array(received_ms)
    rows = ones * ticks
    frames = Frames(received.astype(np.int64), ones, numbers, received, rows, rows, rows)
    return frames, Ledger(ones, numbers, np.array(landed_ms), rows)


def test_draining_lasts_until_nothing_is_late() -> None:
    """Ten seconds of frames, a second each, land in two from a second after the return."""
    received = [1_000.0 * n for n in range(10)]
    caught_up = [11_000.0 + 200 * n for n in range(10)]
    frames, book = _landed([-1_000.0, *received, 13_500.0], [-990.0, *caught_up, 13_600.0], 500)
    told = _drain(frames, book, 10_000, 500)
    assert told["first_landing_s"] == 1.0
    assert told["drained_s"] == 1.8
    # Nine batches of 500 rows after the first one.
    assert told["drain_factor"] == 9 * 500 / 1.8 / 500


def test_nothing_was_late() -> None:
    """An outage that held nothing up has nothing to drain."""
    frames, book = _landed([1_000.0, 2_000.0], [1_010.0, 2_010.0], 50)
    told = _drain(frames, book, 500, 50)
    assert isnan(told["drain_factor"])
    assert told["drained_s"] == 0.0
