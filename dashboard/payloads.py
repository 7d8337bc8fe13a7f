"""The JSON answers of the HTTP API, version 1: made from the hub's last values.

Names are those of the live feed, with the unit in the name; null is "not known" and stands beside
a status. Nothing is computed here: a payload rearranges what the feed told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.catalogue import Catalogue, ContractEntry, ExpiryEntry
from dashboard.hub import Hub
from dashboard.upstream import Status
from market.live_frame import (
    CONTRACT_COLUMNS,
    EXPIRY_COLUMNS,
    STRIKE_COLUMNS,
    UNDERLYING_COLUMNS,
)

VERSION = 1
CONVENTION = {
    "name": "naive",
    "sign": "calls +, puts −",
    "formula": "gamma × open interest (units) × spot² × 0.01 / 1e7",
    "unit": "₹ crore per 1 %",
}

STALE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer other than the one asked for: what was expected and what to do.

    Attributes:
        status: HTTP status.
        code: stable name for programs.
        expected: what would have been right, e.g. the symbols known.
    """

    status: int
    code: str
    message: str
    expected: tuple[str, ...]
    remedy: str

    def as_json(self) -> dict[str, object]:
        """The body of the answer."""
        return {
            "v": VERSION,
            "error": {
                "code": self.code,
                "message": self.message,
                "expected": list(self.expected),
                "remedy": self.remedy,
            },
        }


_NOT_CONNECTED = Problem(
    503,
    "feed_not_connected",
    "the live feed has not been reached yet",
    ("a running streaming process",),
    "start it with `optionlake stream` (or `optionlake up`) and ask again",
)


def health(hub: Hub, status: Status, now_ms: float) -> dict[str, Any]:
    """State of the page's own connection, and the feed's health as it told it."""
    return {
        "v": VERSION,
        "status": _status(status, now_ms),
        "now_ms": now_ms,
        "clients": hub.client_count,
        "unknown_rows": hub.unknown_rows,
        "upstream": status.as_json(),
        "feed": {k: v for k, v in status.feed.items() if k != "type"} or None,
    }


def live_health(hub: Hub, status: Status, now_ms: float) -> dict[str, Any]:
    """The feed's health message with ours beside it, for browsers."""
    ours = {"upstream": status.as_json(), "clients": hub.client_count, "now_ms": now_ms}
    return {**status.feed, **ours}


def alerts(hub: Hub, now_ms: float) -> dict[str, Any]:
    """The newest alerts, newest first; none if the feed has told none."""
    return {"v": VERSION, "now_ms": now_ms, "alerts": hub.alerts.newest_first()}


def underlyings(hub: Hub, now_ms: float) -> dict[str, Any] | Problem:
    """Every underlying with its last values and its expiries."""
    if not hub.has_catalogue:
        return _NOT_CONNECTED
    known = hub.catalogue
    rows = [
        {
            "symbol": entry.symbol,
            "kind": entry.kind,
            "exchange": entry.exchange,
            "expiries": list(known.expiries_of(entry.symbol)),
            **_pick(UNDERLYING_COLUMNS, hub.row("underlying", entry.id)),
        }
        for entry in known.underlyings
    ]
    return {"v": VERSION, "now_ms": now_ms, "underlyings": rows}


def chain(hub: Hub, symbol: str, expiry: str | None, now_ms: float) -> dict[str, Any] | Problem:
    """One option chain: a row for each strike with its call and its put."""
    known, entry = hub.catalogue, _expiry(hub, symbol, expiry)
    if isinstance(entry, Problem):
        return entry
    contracts = [c for c in known.contracts if (c.symbol, c.expiry) == (symbol, entry.expiry)]
    strikes: dict[float, dict[str, Any]] = {}
    for contract in sorted(contracts, key=lambda c: c.strike):
        row = strikes.setdefault(
            contract.strike, {"strike": contract.strike, "call": None, "put": None}
        )
        row["call" if contract.right == "CE" else "put"] = _contract(hub, known, contract)
    return {**_head(hub, known, entry, now_ms), "strikes": list(strikes.values())}


def exposure(hub: Hub, symbol: str, expiry: str | None, now_ms: float) -> dict[str, Any] | Problem:
    """Gamma exposure by strike, with the convention that its signs follow."""
    known, entry = hub.catalogue, _expiry(hub, symbol, expiry)
    if isinstance(entry, Problem):
        return entry
    strikes = [s for s in known.strikes if (s.symbol, s.expiry) == (symbol, entry.expiry)]
    rows = [
        {"strike": s.strike, **_pick(STRIKE_COLUMNS, hub.row("strike", s.id))}
        for s in sorted(strikes, key=lambda s: s.strike)
    ]
    return {**_head(hub, known, entry, now_ms), "convention": CONVENTION, "strikes": rows}


def _status(status: Status, now_ms: float) -> str:
    if status.state != "connected":
        return "lost"
    last = status.feed.get("last_frame_at_ms")
    if last is None or now_ms - float(last) > STALE_SECONDS * 1000:
        return "stale"
    return "ok"


def _expiry(hub: Hub, symbol: str, expiry: str | None) -> ExpiryEntry | Problem:
    if not hub.has_catalogue:
        return _NOT_CONNECTED
    known = hub.catalogue
    if symbol not in known.symbols:
        return Problem(
            404,
            "unknown_symbol",
            f"no underlying {symbol!r} in the feed",
            known.symbols,
            "use one of the expected symbols, or add it to OPTIONLAKE_SYMBOLS and restart",
        )
    dates = known.expiries_of(symbol)
    wanted = expiry or (dates[0] if dates else "")
    if wanted not in dates:
        return Problem(
            404,
            "unknown_expiry",
            f"no expiry {wanted!r} of {symbol} in the feed",
            dates,
            "leave out the expiry for the nearest, or use one of the expected dates",
        )
    return next(e for e in known.expiries if (e.symbol, e.expiry) == (symbol, wanted))


def _head(hub: Hub, known: Catalogue, entry: ExpiryEntry, now_ms: float) -> dict[str, Any]:
    underlying = next(u for u in known.underlyings if u.symbol == entry.symbol)
    spot = hub.row("underlying", underlying.id)
    totals = _pick(EXPIRY_COLUMNS, hub.row("expiry", entry.id))
    totals["forward_status"] = _name(known.forward_statuses, totals["forward_status"])
    return {
        "v": VERSION,
        "now_ms": now_ms,
        "symbol": entry.symbol,
        "expiry": entry.expiry,
        "spot": spot.get("spot"),
        "spot_at_ms": spot.get("spot_at_ms"),
        "totals": totals,
    }


def _contract(hub: Hub, known: Catalogue, contract: ContractEntry) -> dict[str, Any]:
    values = _pick(CONTRACT_COLUMNS, hub.row("contract", contract.id))
    values["iv_status"] = _name(known.iv_statuses, values["iv_status"])
    live = values.pop("last_price_is_live")
    source = None if live is None else "socket" if live else "chain"
    return {
        "instrument_id": contract.id,
        "lot_size_units": contract.lot_size_units,
        "last_price_source": source,
        **values,
    }


def _pick(columns: Sequence[str], row: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: row.get(name) for name in columns}


def _name(statuses: Sequence[str], code: float | None) -> str | None:
    if code is None or not 0 <= int(code) < len(statuses):
        return None
    return statuses[int(code)]
