"""Cached machine code: used again while nothing changed, dropped when anything did."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from transforms.black76 import price, vega
from transforms.implied_vol import implied_volatility
from transforms.kernel import fingerprint

CALLEE = """
from transforms.kernel import compiled
SHIFT = {shift}
@compiled
def shifted(x: float) -> float:
    return x + SHIFT
"""
CALLER = """
from callee_of_test import shifted
from transforms.kernel import compiled
@compiled
def tenfold(x: float) -> float:
    return 10.0 * shifted(x)
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], ModuleType]:
    """Write the two modules, with the callee's constant, and import both afresh."""

    def fresh(shift: float) -> ModuleType:
        sources = {"callee_of_test": CALLEE.format(shift=shift), "caller_of_test": CALLER}
        for name, source in sources.items():
            path = tmp_path / f"{name}.py"
            # The caller's file is left alone: numba looks at its time and size.
            if not path.exists() or path.read_text() != source:
                path.write_text(source)
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
        return module

    return fresh


def test_cache_is_used_again(load: Callable[[float], ModuleType]) -> None:
    """A second process would load what the first has compiled."""
    assert load(1.0).tenfold(2.0) == 30.0
    again = load(1.0)
    assert again.tenfold(2.0) == 30.0
    assert sum(again.tenfold.stats.cache_hits.values()) == 1


def test_cache_dies_with_a_callee(load: Callable[[float], ModuleType]) -> None:
    """A change in another module reaches the kernels that call it, though their file is as old."""
    assert load(1.0).tenfold(2.0) == 30.0
    changed = load(5.0)
    assert changed.tenfold(2.0) == 70.0
    assert sum(changed.tenfold.stats.cache_misses.values()) == 1


def test_fingerprints_tell_kernels_apart() -> None:
    """Each kernel has its own, and the same one each time."""
    kernels = (price, vega, implied_volatility)
    prints = {fingerprint(kernel.py_func) for kernel in kernels}
    assert len(prints) == len(kernels)
    assert fingerprint(price.py_func) in prints
