"""What the tables show beyond what a source told: the newer of two prices, ages, changes.

Pure and compiled: called for each frame, of which a quiet market sends many small ones. Where the
columns live and who is told of a change stands in ``table`` and ``live``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled, inlined

Floats = NDArray[np.float64]

CONTRACT_SOURCES = (
    "socket_price",
    "chain_price",
    "bid_price",
    "ask_price",
    "volume_units",
    "open_interest_units",
    "previous_open_interest_units",
)
CONTRACT_DERIVED = (
    "last_price",
    "last_price_at_ms",
    "last_price_is_live",
    "quote_at_ms",
    "volume_at_ms",
    "open_interest_at_ms",
    "open_interest_change_units",
)


def contract_columns(values: Floats, at_ms: Floats) -> Floats:
    """``CONTRACT_DERIVED`` of each row.

    Args:
        values: shape (rows, ``CONTRACT_SOURCES``); NaN is "not told".
        at_ms: instant of each value, same shape, epoch ms.
    """
    derived: Floats = _contract_columns(values, at_ms)
    return derived


def newest(values: Floats, at_ms: Floats) -> Floats:
    """Price, its instant and whether the socket vouches for it, of each row; the newer source wins.

    Equal prices confirm each other: the socket's stays live and takes the later instant.

    Args:
        values: shape (rows, 2): what the socket and what the chain says.
        at_ms: instant of each, same shape, epoch ms.
    """
    found: Floats = _newest_rows(values, at_ms)
    return found


def warm() -> None:
    """Compile both, or read them from the cache."""
    contract_columns(np.zeros((1, len(CONTRACT_SOURCES))), np.zeros((1, len(CONTRACT_SOURCES))))
    newest(np.zeros((1, 2)), np.zeros((1, 2)))


@inlined
def _newest(
    socket: float, socket_at: float, chain: float, chain_at: float
) -> tuple[float, float, float]:
    has_socket, has_chain = not np.isnan(socket), not np.isnan(chain)
    is_overtaken = has_chain and chain_at > socket_at and chain != socket
    if has_socket and not is_overtaken:
        return socket, np.fmax(socket_at, chain_at) if chain == socket else socket_at, 1.0
    return chain, chain_at, 0.0 if has_chain else np.nan


@compiled
def _newest_rows(values: Any, at_ms: Any) -> Any:
    found = np.empty((len(values), 3))
    for i in range(len(values)):
        price, at, is_live = _newest(values[i, 0], at_ms[i, 0], values[i, 1], at_ms[i, 1])
        found[i, 0], found[i, 1], found[i, 2] = price, at, is_live
    return found


@inlined
def contract_row(values: Any, at_ms: Any, row: int, places: Any) -> tuple[float, ...]:
    """``CONTRACT_DERIVED`` of one row whose ``CONTRACT_SOURCES`` stand at ``places``."""
    socket, chain = places[0], places[1]
    price, at, is_live = _newest(
        values[row, socket], at_ms[row, socket], values[row, chain], at_ms[row, chain]
    )
    return (
        price,
        at,
        is_live,
        np.fmax(at_ms[row, places[2]], at_ms[row, places[3]]),
        at_ms[row, places[4]],
        at_ms[row, places[5]],
        values[row, places[5]] - values[row, places[6]],
    )


@compiled
def _contract_columns(values: Any, at_ms: Any) -> Any:
    found = np.empty((len(values), 7))
    for i in range(len(values)):
        columns = contract_row(values, at_ms, i, (0, 1, 2, 3, 4, 5, 6))
        for j in range(len(columns)):
            found[i, j] = columns[j]
    return found
