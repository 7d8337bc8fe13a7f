"""How the time of ``transforms.chain.analyse`` grows with the contracts, on one core.

The same made-up market (``universe``), cut at four sizes, analysed in a process of its own with one
thread; the budgets are a whole market's, with and without the profile over the underlying's price.
"""

from __future__ import annotations

import inspect
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import time as wall_time
from typing import Any

import numpy as np

from benchmarks import universe
from benchmarks.alone import Alone, pin
from benchmarks.report import Metric, within
from market.rules import Rules
from transforms import chain

SIZES = (12_500, 25_000, 50_000, 100_000)
ROUNDS = 7
CLOCK = wall_time(11, 0)
PLAIN_MS = 150.0
PROFILES_MS = 600.0
PROFILES = "has_profiles"


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Median milliseconds at each size, the exponent of growth and the budgets."""
    kinds = ("plain", "profiles") if _has_profiles() else ("plain",)
    with Alone("benchmarks.growth", *kinds) as program:
        if "error" in program.hello:
            raise SystemExit(f"the analysis did not run: {program.hello['error']}")
        found: dict[str, dict[str, list[float]]] = program.hello["milliseconds"]
    medians = {kind: [statistics.median(found[kind][str(n)]) for n in SIZES] for kind in kinds}
    metrics = {}
    for kind, limit in zip(kinds, (PLAIN_MS, PROFILES_MS), strict=False):
        metrics[f"analyse_{kind}_ms"] = _budget(medians[kind], limit)
        metrics[f"analyse_{kind}_exponent"] = _growth(medians[kind])
    details = {"sizes": SIZES, "rounds": ROUNDS, "milliseconds": medians, "not_measured": []}
    if len(kinds) == 1:
        details["not_measured"] = [f"analyse has no {PROFILES}"]
    return metrics, details


def exponent(sizes: Sequence[int], taken: Sequence[float]) -> float:
    """Slope of ln time over ln size by least squares: 1 is linear, 2 quadratic."""
    slope, _ = np.polyfit(np.log(sizes), np.log(taken), 1)
    return float(slope)


def _budget(medians: Sequence[float], limit_ms: float) -> Metric:
    meaning = f"{SIZES[-1]} contracts analysed on one core; goal: below the budget."
    return within(medians[-1], "ms", limit_ms, meaning)


def _growth(medians: Sequence[float]) -> Metric:
    meaning = "Exponent of time over contracts; 1 is linear, below it fixed costs still show."
    return within(exponent(SIZES, medians), "exponent", 1.0, meaning)


def _has_profiles() -> bool:
    return PROFILES in inspect.signature(chain.analyse).parameters


def _measured(kinds: Sequence[str]) -> dict[str, dict[int, list[float]]]:
    """Milliseconds of each kind and size in each round, all in turn; the first one warms up."""
    frames = {n: universe.quotes(n, CLOCK) for n in SIZES}
    as_of, rules = universe.instant(CLOCK), Rules()
    taken: dict[str, dict[int, list[float]]] = {k: {n: [] for n in SIZES} for k in kinds}
    for number in range(-1, ROUNDS):
        for kind in kinds:
            options: dict[str, Any] = {PROFILES: True} if kind == "profiles" else {}
            for size, quotes in frames.items():
                began = time.perf_counter()
                chain.analyse(quotes, as_of, rules, **options)
                spent_ms = (time.perf_counter() - began) * 1e3
                if number >= 0:
                    taken[kind][size].append(spent_ms)
    return taken


def _told(kinds: Sequence[str]) -> dict[str, object]:
    try:
        return {"milliseconds": _measured(kinds)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    mouth = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pin()
    mouth.write(json.dumps(_told(sys.argv[1:])) + "\n")
    mouth.flush()
