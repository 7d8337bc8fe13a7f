"""How a numeric kernel is compiled, and when its cached machine code is still valid.

The kernels themselves stand with their subject (``black76``, ``implied_vol``), the functions that
they are made of in ``elementary``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])
_CONSTANTS = (int, float, complex, str, bytes, type(None), np.generic)
# A product and a sum may become one fused operation, and the sign of a zero may be lost: the only
# liberties that leave NaN, infinities and the order of summation alone.
_CONTRACTION = frozenset({"contract", "nsz"})


def compiled(function: _Function) -> _Function:
    """Compile a kernel: without the interpreter's lock, cached on disk, IEEE division."""
    return _compile(function)


def tiled(function: _Function) -> _Function:
    """Compile a loop over a tile of rows: as ``compiled``, and products and sums may be fused."""
    return _compile(function, fastmath=set(_CONTRACTION))


def inlined(function: _Function) -> _Function:
    """Compile a part, under the rules of ``tiled``, that is copied into whatever calls it."""
    return _compile(function, fastmath=set(_CONTRACTION), forceinline=True)


def polynomial(coefficients: tuple[float, ...]) -> Callable[[float], float]:
    """A function for kernels: Σ cᵢ·xⁱ, written out without a loop.

    Groups of four coefficients are summed by Horner's rule, and the groups by Horner's rule in x⁴,
    which a processor can overlap (G. Estrin, 1960).
    """

    def written_out(builder: Any, x: Any) -> Any:
        def horner(parts: list[Any], power: Any) -> Any:
            total = parts[-1]
            for part in reversed(parts[:-1]):
                total = builder.fadd(builder.fmul(total, power), part)
            return total

        constants = [x.type(float(value)) for value in coefficients]
        groups = [constants[i : i + 4] for i in range(0, len(constants), 4)]
        square = builder.fmul(x, x)
        return horner([horner(group, x) for group in groups], builder.fmul(square, square))

    @intrinsic
    def evaluate(_typing_context: Any, x: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return written_out(builder, arguments[0])

        return x(x), generate

    return cast(Callable[[float], float], evaluate)


def _compile(function: _Function, **options: Any) -> _Function:
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy", **options)(function)
    dispatcher._cache = _KernelCache(function, options)
    return cast(_Function, dispatcher)


class _KernelCache(FunctionCache):
    """A cache whose entries also die when a called kernel, a constant or an option changes.

    Numba compares the caller's own file only, so that editing one module would leave the old code
    of its functions running inside the kernels of another.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._options = options

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        # Not numba's own key: it pickles what a function closes over, and a kernel's pickle is
        # another one in each process.
        # Nor the signature as it is: its pickle names classes, and an index that names one which is
        # gone cannot be read any more.
        return (
            _signature(sig),
            codegen.magic_tuple(),
            _shown(self._options),
            fingerprint(self._py_func),
        )


def _signature(types: Any) -> str:
    """Text of the arguments' types."""
    return "; ".join(
        f"{part} {_named_tuple(getattr(part, 'instance_class', None))}" for part in types
    )


def _named_tuple(value: Any) -> str:
    """Text of a named tuple's class; empty for anything else.

    Its order, since kernels read it by place; and its home, since machine code is kept together
    with the classes that it takes and returns, and cannot be read without them.
    """
    if not (isinstance(value, type) and hasattr(value, "_fields")):
        return ""
    return f"{value.__module__}.{value.__qualname__} {_shown(value._fields)}"


def fingerprint(function: Callable[..., Any]) -> str:
    """A hash of a function, of all compiled functions that it calls and of their constants."""
    digest = hashlib.sha256()
    for part in _parts(function, set()):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(function: Callable[..., Any], seen: set[int]) -> Iterator[str]:
    if id(function) in seen:
        return
    seen.add(id(function))
    yield from _code_parts(function.__code__)
    for name, value in sorted(_named(function).items()):
        yield from _value_parts(name, value, seen)


def _named(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function's names stand for: globals, closed-over values, and what modules hold."""
    names = _names(function.__code__)
    known = {name: function.__globals__[name] for name in names & function.__globals__.keys()}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    known |= {name: cell.cell_contents for name, cell in cells}
    for module_name, module in list(known.items()):
        if isinstance(module, ModuleType):
            held = {name: getattr(module, name) for name in names if hasattr(module, name)}
            known |= {f"{module_name}.{name}": value for name, value in held.items()}
    return known


def _code_parts(code: CodeType) -> Iterator[str]:
    """The instructions and constants of a function and of those defined inside it."""
    yield code.co_code.hex()
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _code_parts(value)
        elif _is_constant(value):
            yield _shown(value)


def _names(code: CodeType) -> set[str]:
    inner = (value for value in code.co_consts if isinstance(value, CodeType))
    return set(code.co_names).union(*(_names(part) for part in inner))


def _value_parts(name: str, value: Any, seen: set[int]) -> Iterator[str]:
    if _is_constant(value):
        yield f"{name}={_shown(value)}"
    if text := _named_tuple(value):
        yield f"{name} {text}"
    # A compiled function, an intrinsic, or a plain function that an intrinsic writes code with.
    called = getattr(value, "py_func", None) or getattr(value, "_defn", None)
    if called is None and isinstance(value, FunctionType) and "." not in name:
        called = value
    if called is not None:
        yield f"{name} {_shown(getattr(value, 'targetoptions', {}))}"
        yield from _parts(called, seen)


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_constant(part) for part in value)
    return isinstance(value, _CONSTANTS)


def _shown(value: Any) -> str:
    """Text that is the same in each process: sets have no order of their own."""
    if isinstance(value, dict):
        return repr([(key, _shown(value[key])) for key in sorted(value)])
    if isinstance(value, set | frozenset):
        return repr(sorted(value))
    return repr(value)
