"""Every kernel compiled once and left in the cache, so that no live path ever compiles.

Called when the environment is installed, and once by each program that analyses; takes a minute
the first time, then well under a second. What a module's kernels need stands in its own ``warm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from transforms import (
    barriers,
    build_up,
    flips,
    forward,
    held,
    implied_vol,
    level_grid,
    marking,
    max_pain,
    moneyness,
    profile,
    quality,
    settlement,
    smile,
    term,
    volatility,
    walls,
)


class _Warmed(Protocol):
    __name__: str

    def warm(self) -> None:
        """Compile the module's kernels."""


_MODULES: tuple[_Warmed, ...] = (
    implied_vol,
    settlement,
    forward,
    smile,
    volatility,
    term,
    build_up,
    max_pain,
    moneyness,
    held,
    walls,
    flips,
    profile,
    level_grid,
    marking,
    barriers,
    quality,
)
COUNT = len(_MODULES)


def steps() -> Iterator[str]:
    """Warm module by module; tells the name of each when it is done."""
    for module in _MODULES:
        module.warm()
        yield module.__name__


def warm() -> None:
    """Warm all."""
    for _ in steps():
        pass
