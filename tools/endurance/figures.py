"""Figures of a series: its slope, its shares, its growth. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The least-squares slope of ``y`` over ``x``; NaN for fewer than two different ``x``."""
    at, value = np.asarray(x, np.float64), np.asarray(y, np.float64)
    away = at - at.mean() if len(at) else at
    spread = float(away @ away)
    return float(away @ value) / spread if spread else float("nan")


def percentile(values: Floats, weights: Floats, share: float) -> float:
    """The least value that at least ``share`` of the weight does not exceed; NaN for none."""
    total = float(weights.sum())
    if not total:
        return float("nan")
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weights[order])
    # An integer's worth of weight must not be missed by the last bit of a product.
    at = int(np.searchsorted(passed, share * total * (1 - 1e-12)))
    return float(values[order][min(at, len(values) - 1)])
