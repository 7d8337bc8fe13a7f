"""How far answers lie from the exact roots: the sets that are measured, and the figures of each.

Finding the roots belongs in ``exact_roots``, making the sets in ``universe`` and ``grids``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks import exact_roots, grids, universe
from benchmarks.contender import IV
from benchmarks.exact_roots import Roots
from transforms import greeks

TIGHT = 1e-12
WELL_CONDITIONED = 2.5e-14
"""Half an ulp of the premium moves a well conditioned root by less."""
ALLOWED_HALF_ULPS = 16.0
UNIVERSE_ROWS = 20_000
GRID_ROWS = 2_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A set's rows and their exact answers."""

    name: str
    frame: pl.DataFrame
    roots: Roots


def measured_sets(rows: int | None = None) -> list[Measured]:
    """The universe and the three grids with exact roots; shows its progress on stderr.

    Args:
        rows: of each set; by default 20 000 of the universe and 2 000 of each grid.
    """
    market = exact_roots.sample(universe.market(), rows or UNIVERSE_ROWS, universe.SEED)
    # Our own answer saves Newton some steps; each root is certified all the same.
    starts = _floats(greeks.imply(market)[IV])
    sets = [Measured("universe", market, _roots("universe", market, starts))]
    made: Mapping[str, Callable[[int], grids.Grid]] = {
        "otm": grids.out_of_the_money,
        "itm": grids.in_the_money,
        "tail": grids.far_tail,
    }
    for name, make in made.items():
        grid = make(rows or GRID_ROWS)
        sets.append(Measured(name, grid.frame, _roots(name, grid.frame, grid.made_from)))
    return sets


def judge(measured: Measured, solved: pl.DataFrame) -> dict[str, float]:
    """The figures of one contender on one set.

    Args:
        solved: ``implied_volatility``, ``gamma`` and ``vega`` in our units, NaN where there is
            none, in the set's row order.
    """
    roots, answers = measured.roots, _floats(solved[IV])
    has_root = np.isfinite(roots.volatility)
    errors = roots.relative_errors(answers)
    found = _figures(errors[has_root])
    if measured.name == "itm":
        found |= _in_the_money(errors[has_root], roots.half_ulp[has_root])
    if not has_root.all():
        found["made_up_share"] = float(np.isfinite(answers[~has_root]).mean())
    for name, exact in (("gamma", roots.gamma), ("vega", roots.vega)):
        with np.errstate(all="ignore"):
            greek = np.abs(_floats(solved[name]) / exact - 1.0)[has_root]
        greek = greek[np.isfinite(greek)]
        if len(greek):
            found[f"{name}_p999"] = float(np.quantile(greek, 0.999))
    return found


def _figures(errors: Floats) -> dict[str, float]:
    return {
        "rows": len(errors),
        "within_1e_12": float((errors <= TIGHT).mean()),
        "within_1e_8": float((errors <= 1e-8).mean()),
        "p999": float(np.quantile(errors, 0.999)),
        "max": float(errors.max()),
    }


def _in_the_money(errors: Floats, half_ulp: Floats) -> dict[str, float]:
    """Apart for rows whose premium still tells the root, and for those where it hardly does."""
    is_well = half_ulp < WELL_CONDITIONED
    attainable = np.maximum(ALLOWED_HALF_ULPS * half_ulp, TIGHT)
    return {
        "well_conditioned_rows": int(is_well.sum()),
        "well_conditioned_max": float(errors[is_well].max()),
        "ill_conditioned_attained": float((errors <= attainable)[~is_well].mean()),
        "ill_conditioned_wrong": float((errors > 1e-4)[~is_well].mean()),
    }


def _roots(name: str, frame: pl.DataFrame, starts: Floats) -> Roots:
    def told(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
        screen = Console(stderr=True)
        title = f"exact roots, {name}"
        return track(rows, title, len(frame), console=screen, transient=True)

    return exact_roots.roots(frame, starts, told)


def _floats(values: pl.Series) -> Floats:
    return np.asarray(values.cast(pl.Float64).fill_null(float("nan")).to_numpy())
