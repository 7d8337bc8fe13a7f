"""A tiny feed to play with: two underlyings, two expiries each, a few strikes and contracts."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from market.live_frame import LiveFrame, LiveTable

SYMBOLS = ("NIFTY", "TCS")
EXPIRIES = ("2026-12-01", "2026-12-29")


def hello(version: int = 1, strikes: tuple[float, ...] = (100.0, 110.0)) -> dict[str, Any]:
    """A hello whose ids count up in the order of the entries."""
    pairs = [{"symbol": s, "expiry": e} for s in SYMBOLS for e in EXPIRIES]
    ladder = [{**pair, "strike": strike} for pair in pairs for strike in strikes]
    contracts = [
        {**rung, "right": right, "lot_size_units": 75} for rung in ladder for right in ("CE", "PE")
    ]
    underlyings = [
        {"symbol": "NIFTY", "kind": "INDEX", "exchange": "NSE"},
        {"symbol": "TCS", "kind": "EQUITY", "exchange": "NSE"},
    ]
    return {
        "type": "hello",
        "v": 1,
        "catalogue": {
            "version": version,
            "underlyings": _numbered(underlyings),
            "expiries": _numbered(pairs),
            "strikes": _numbered(ladder),
            "contracts": _numbered(contracts),
            "iv_statuses": ["ok", "no_quote"],
            "forward_statuses": ["parity", "spot"],
        },
    }


def table(name: str, rows: Mapping[int, Mapping[str, float]]) -> LiveTable:
    """Rows as a table of a frame."""
    columns = next(iter(rows.values())).keys() if rows else ()
    return LiveTable(
        name,
        array("d", map(float, rows)),
        {c: array("d", [row[c] for row in rows.values()]) for c in columns},
    )


def frame(*tables: LiveTable, sequence: int = 1) -> LiveFrame:
    """A frame of these tables."""
    return LiveFrame(sequence, 0.0, tables)


def _numbered(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": i, **entry} for i, entry in enumerate(entries, 1)]
