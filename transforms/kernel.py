"""How a numeric kernel is compiled, and when its cached machine code is still valid.

The kernels themselves stand with their subject (``black76``, ``implied_vol``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

_Function = TypeVar("_Function", bound=Callable[..., Any])
_CONSTANTS = (int, float, complex, str, bytes, type(None))


def compiled(function: _Function) -> _Function:
    """Compile a kernel: without the interpreter's lock, cached on disk, IEEE division."""
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    dispatcher._cache = _KernelCache(function)  # type: ignore[no-untyped-call]
    return cast(_Function, dispatcher)


class _KernelCache(FunctionCache):
    """A cache whose entries also die when a called kernel or a constant changes.

    Numba compares the caller's own file only, so that editing one module would leave the old code
    of its functions running inside the kernels of another.
    """

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*own, fingerprint(self._py_func))


def fingerprint(function: Callable[..., Any]) -> str:
    """A hash of a function, of all compiled functions that it calls and of their constants."""
    digest = hashlib.sha256()
    for part in _parts(function, set()):
        digest.update(part.encode())
    return digest.hexdigest()


def _parts(function: Callable[..., Any], seen: set[CodeType]) -> Iterator[str]:
    code = function.__code__
    if code in seen:
        return
    seen.add(code)
    yield code.co_code.hex()
    yield from (repr(value) for value in code.co_consts if isinstance(value, _CONSTANTS))
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, _CONSTANTS):
            yield f"{name}={value!r}"
        elif called := getattr(value, "py_func", None):
            yield name
            yield from _parts(called, seen)
