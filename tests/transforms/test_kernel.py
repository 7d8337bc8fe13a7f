"""Cached machine code: used again while nothing changed, dropped when anything did."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from transforms.black76 import price, vega
from transforms.implied_vol import implied_volatility, implied_volatility_of_rows
from transforms.kernel import compiled, fingerprint, inlined, polynomial, tiled

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


SHARED = """
from typing import NamedTuple
class {name}(NamedTuple):
    {first}: float
    {second}: float
"""
READER = """
from transforms.kernel import compiled
@compiled
def first_of(pair) -> float:
    return pair[0] + 10.0 * pair[1]
"""


@pytest.fixture
def load_tuples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[ModuleType, ModuleType]]:
    """A module with one named tuple, and a kernel that takes it without naming it, both afresh."""

    def fresh(
        home: str, name: str = "Pair", first: str = "left", second: str = "right"
    ) -> tuple[ModuleType, ModuleType]:
        for gone in tmp_path.glob("home*.py"):
            gone.unlink()
            monkeypatch.delitem(sys.modules, gone.stem, raising=False)
        shared = SHARED.format(name=name, first=first, second=second)
        held = _imported(tmp_path / f"{home}.py", shared, monkeypatch)
        return held, _imported(tmp_path / "reader_of_test.py", READER, monkeypatch)

    return fresh


def _imported(path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # A file that is as it was is left alone: numba looks at its time and size.
    if not path.exists() or path.read_text() != source:
        path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], ModuleType]:
    """Write the two modules, with the callee's constant, and import both afresh."""

    def fresh(shift: float) -> ModuleType:
        callee = CALLEE.format(shift=shift)
        _imported(tmp_path / "callee_of_test.py", callee, monkeypatch)
        return _imported(tmp_path / "caller_of_test.py", CALLER, monkeypatch)

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


def test_cache_of_named_tuples_is_used_again(
    load_tuples: Callable[..., tuple[ModuleType, ModuleType]],
) -> None:
    """A tuple of the same name, home and fields finds the machine code that was made for it."""
    held, reader = load_tuples("home")
    assert reader.first_of(held.Pair(1.0, 2.0)) == 21.0
    held, reader = load_tuples("home")
    assert reader.first_of(held.Pair(1.0, 3.0)) == 31.0
    assert sum(reader.first_of.stats.cache_hits.values()) == 1


@pytest.mark.parametrize(
    "change", [{"name": "Couple"}, {"home": "home_moved"}, {"first": "right", "second": "left"}]
)
def test_cache_dies_with_its_named_tuple(
    load_tuples: Callable[..., tuple[ModuleType, ModuleType]], change: dict[str, str]
) -> None:
    """Code that was kept for a class which is gone, moved or changed is passed over in silence."""
    held, reader = load_tuples("home")
    assert reader.first_of(held.Pair(1.0, 2.0)) == 21.0
    held, reader = load_tuples(**{"home": "home", **change})
    changed = getattr(held, change.get("name", "Pair"))
    assert reader.first_of(changed(1.0, 2.0)) == 21.0
    assert sum(reader.first_of.stats.cache_misses.values()) == 1


def test_index_of_another_key_is_no_obstacle(
    load_tuples: Callable[..., tuple[ModuleType, ModuleType]],
) -> None:
    """What an index holds is text: it is read, and lengthened, when all its classes are gone."""
    for name in ("Pair", "Couple", "Twins"):
        held, reader = load_tuples("home", name=name)
        assert reader.first_of(getattr(held, name)(1.0, 2.0)) == 21.0
    held, reader = load_tuples("home", name="Pair")
    assert reader.first_of(held.Pair(1.0, 2.0)) == 21.0
    assert sum(reader.first_of.stats.cache_hits.values()) == 1


def test_fingerprint_sees_the_order_of_a_named_tuple(
    load_tuples: Callable[..., tuple[ModuleType, ModuleType]],
) -> None:
    """Kernels read it by place: fields in another order are other code, as is another home."""
    code = compile("def f(x): return Pair(x, 1.0).left", "held", "exec").co_consts[0]
    ways = (("home", "left", "right"), ("home", "right", "left"), ("home_moved", "left", "right"))
    prints = [
        fingerprint(FunctionType(code, {"Pair": load_tuples(home, "Pair", *fields)[0].Pair}))
        for home, *fields in (*ways, ways[0])
    ]
    assert len(set(prints)) == len(ways)
    assert prints[0] == prints[-1]


def test_fingerprints_tell_kernels_apart() -> None:
    """Each kernel has its own, and the same one each time."""
    kernels = (price, vega, implied_volatility)
    prints = {fingerprint(kernel.py_func) for kernel in kernels}
    assert len(prints) == len(kernels)
    assert fingerprint(price.py_func) in prints


def evaluating(coefficients: tuple[float, ...]) -> Callable[[float], float]:
    """A function that closes over a polynomial."""
    evaluate = polynomial(coefficients)

    def evaluated(x: float) -> float:
        return evaluate(x)

    return evaluated


def doubled(x: float) -> float:
    """Something to compile."""
    return x + x


def calling(called: Callable[[float], float]) -> Callable[[float], float]:
    """A function that closes over another."""

    def caller(x: float) -> float:
        return called(x)

    return caller


def test_fingerprint_sees_a_polynomial() -> None:
    """A coefficient inside an intrinsic that a kernel closes over is a part of the kernel."""
    assert fingerprint(evaluating((1.0, 2.0))) == fingerprint(evaluating((1.0, 2.0)))
    assert fingerprint(evaluating((1.0, 2.0))) != fingerprint(evaluating((1.0, 3.0)))


def test_fingerprint_sees_options() -> None:
    """The same callee compiled in another way is another one."""
    ways = (compiled, tiled, inlined)
    assert len({fingerprint(calling(way(doubled))) for way in ways}) == len(ways)


@pytest.mark.parametrize("values", [(2.5, (1.0, 3.0)), ((1, (2, 3)), (1, (2, 4)))])
def test_fingerprint_sees_through_modules(values: tuple[object, object]) -> None:
    """A constant that is named through its module, a tuple too, is a part of the kernel."""
    prints = set()
    for value in values:
        module = ModuleType("held")
        module.SHIFT = value
        code = compile("def f(x): return x + held.SHIFT", "held", "exec").co_consts[0]
        prints.add(fingerprint(FunctionType(code, {"held": module})))
    assert len(prints) == len(values)


def test_fingerprint_is_the_same_in_each_process() -> None:
    """Or else the cache would never be used: nothing of it depends on order, hash or address."""
    script = (
        "from transforms.implied_vol import implied_volatility_of_rows as kernel\n"
        "from transforms.kernel import fingerprint\n"
        "print(fingerprint(kernel.py_func))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == fingerprint(implied_volatility_of_rows.py_func)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 9, 27])
def test_polynomial(size: int) -> None:
    """It gives what Horner's rule gives, for any number of coefficients."""
    coefficients = tuple(1.0 / (1 + i) for i in range(size))
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * 0.7 + coefficient
    assert compiled(evaluating(coefficients))(0.7) == pytest.approx(value, rel=1e-15)
