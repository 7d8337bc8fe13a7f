"""Warming: after it, nothing compiles."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC

import polars as pl
from numba.core.dispatcher import Dispatcher

import transforms
from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, quotes_of
from transforms import quality, warming
from transforms.chain import Analysis, analyse
from transforms.context import PREVIOUS, Context
from transforms.greeks import imply, price
from transforms.level_grid import LevelGrid
from transforms.marking import ChainMark

NEAR = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_020.0, 0.15, 50.0, 10)
FAR = Truth("NIFTY", EXPIRIES[2], 24_000.0, 24_110.0, 0.17, 100.0, 10)
QUOTES = pl.concat([quotes_of(NEAR), quotes_of(FAR)])


def compiled_signatures() -> dict[str, int]:
    """How often each kernel of the package has been compiled in this process."""
    found = {}
    for module in pkgutil.walk_packages(transforms.__path__, "transforms."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Dispatcher):
                found[f"{value.py_func.__module__}.{value.__name__}"] = len(value.signatures)
    return found


def everything() -> Analysis:
    """What live, batch and page ask of a chain."""
    first = analyse(QUOTES, AS_OF, RULES, has_profiles=True)
    later = QUOTES.with_columns(pl.col("quoted_at") + pl.duration(minutes=5))
    context = Context(previous=PREVIOUS.conform(first.contracts), forwards=first.expiries)
    second = analyse(later, None, RULES, context, has_profiles=True)
    quality.check_analysis(second, 0.05, ["NIFTY"])
    grid = LevelGrid(second.contracts, RULES, 24_000.0, AS_OF)
    grid.at(24_010.0, AS_OF.astimezone(UTC))
    ChainMark(second.contracts, RULES).at(24_010.0, AS_OF)
    price(second.contracts)
    imply(second.contracts)
    return second


def test_nothing_compiles_after_warming() -> None:
    """Whatever is asked of a chain runs on what was compiled at install."""
    assert len(list(warming.steps())) == warming.COUNT
    before = compiled_signatures()
    assert len(before) > 50
    everything()
    after = compiled_signatures()
    assert {name: n for name, n in after.items() if n != before.get(name)} == {}
