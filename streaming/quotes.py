"""A socket frame's quotes into the table of contracts, in one compiled pass.

What merging by age means belongs to ``table``, what follows from the merged values to ``derived``;
here is only what a frame tells of a contract and in which order that happens.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arrays by position.

from __future__ import annotations

from typing import Any

import numpy as np

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS
from streaming.derived import CONTRACT_DERIVED, CONTRACT_SOURCES, contract_row
from streaming.table import Floats, Indices, VersionedTable, merge_cell, plain, put_cell
from transforms.kernel import compiled

ABSENT = -1
_TAKEN = {
    "socket_price": "last_price",
    "bid_price": "bid_price",
    "ask_price": "ask_price",
    "volume_units": "volume_units",
    "open_interest_units": "open_interest_units",
}
_SOURCES = tuple(CONTRACT_SOURCES.index(name) for name in _TAKEN)
_TOLD = tuple(FEED_COLUMN_INDEX[name] for name in _TAKEN.values())
_WIDTH, _TRADED_AT = len(FEED_COLUMNS), FEED_COLUMN_INDEX["traded_at_ms"]


def take_quotes(
    contracts: VersionedTable[str],
    rows: Indices,
    values: Floats,
    at_ms: float,
    is_snapshot: bool,
    version: int,
) -> bool:
    """Merge a frame into the rows that its keys have, and derive those rows anew.

    Args:
        rows: of each key: a row of the table, ``ABSENT``, or less for what is of another table.
        values: shape (rows, ``FEED_COLUMNS``), NaN is "not told".
        at_ms: when the frame was published, epoch ms.
        is_snapshot: state, not news: its prices are as old as their trades.

    Returns:
        Whether there are rows of another table.
    """
    told = plain(values, (len(rows), _WIDTH))
    sources, derived = contracts.places(CONTRACT_SOURCES), contracts.places(CONTRACT_DERIVED)
    cells = contracts.cells()
    has_others: bool = _take(
        *cells, rows, told, sources, derived, float(at_ms), bool(is_snapshot), version
    )
    return has_others


def warm() -> None:
    """Compile the pass, or read it from the cache."""
    columns = tuple(dict.fromkeys((*CONTRACT_SOURCES, *CONTRACT_DERIVED)))
    table: VersionedTable[str] = VersionedTable("warm", columns)
    rows = np.array([table.row("row", 0.0, None), ABSENT])
    take_quotes(table, rows, np.zeros((2, _WIDTH)), 0.0, True, 1)


@compiled
def _take(
    values: Any,
    instants: Any,
    versions: Any,
    rows: Any,
    told: Any,
    sources: Any,
    derived: Any,
    at_ms: float,
    is_snapshot: bool,
    version: int,
) -> bool:
    has_others = False
    for i in range(len(rows)):
        row = rows[i]
        if row < 0:
            has_others |= row < ABSENT
            continue
        price_at = np.fmin(at_ms, told[i, _TRADED_AT]) if is_snapshot else at_ms
        for j in range(len(_TOLD)):
            place, new, at = sources[_SOURCES[j]], told[i, _TOLD[j]], at_ms
            if j == 0:
                at = price_at
            merge_cell(values, instants, versions, row, place, new, at, version)
        found = contract_row(values, instants, row, sources)
        for j in range(len(derived)):
            put_cell(values, versions, row, derived[j], found[j], version)
    return has_others
