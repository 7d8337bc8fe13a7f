"""The list of all contenders: ours, and every package that implies volatilities on this platform.

A package that is not installed, or does not work here, stays in the list and is told as missing.
How each is called belongs in ``array_peers`` and ``scalar_peers``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks import array_peers, scalar_peers
from benchmarks.contender import Contender
from transforms import greeks

OURS = "optionlake"


def _optionlake() -> Contender:
    return Contender(greeks.imply, greeks.price, 5)


def _unadapted(module: str) -> Contender:
    """A package that could not be brought to work where this was written."""
    importlib.import_module(module)
    raise ImportError("it imports here, unlike elsewhere: write its adapter")


CONTENDERS: Mapping[str, Callable[[], Contender]] = {
    OURS: _optionlake,
    "vanilla-option-pricers": array_peers.vanilla,
    "iv-engine": array_peers.iv_engine,
    "polars-vol": array_peers.polars_vol,
    "lbriv": array_peers.lbriv,
    "pyvolr": array_peers.pyvolr,
    "fast-vollib": partial(array_peers.fast_vollib, "numba"),
    "fast-vollib (numpy)": partial(array_peers.fast_vollib, "numpy"),
    "fast-vollib (jackel)": array_peers.fast_vollib_jackel,
    "quantkit-rs": array_peers.quantkit,
    "py-vollib-vectorized": array_peers.py_vollib_vectorized,
    "vollib": scalar_peers.vollib,
    "py-lets-be-rational": scalar_peers.py_lets_be_rational,
    "QuantLib": scalar_peers.quantlib,
    "opengreeks": partial(_unadapted, "opengreeks"),
    "volfi": partial(_unadapted, "volfi"),
}
"""Each contender by its package's name, and what loads it; raises ImportError if it is missing."""
