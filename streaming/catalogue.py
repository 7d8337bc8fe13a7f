"""The rows that the live feed can speak of: who they are and which public ids they have.

Ids of underlyings, expiries and strikes count up within this process; a contract's id is its
instrument id in the database, so a contract is not shown before that is known. Values do not
belong here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from brokers.interface import Instrument
from market.contract import Right
from market.live_frame import (
    CONTRACT_COLUMNS,
    EXPIRY_COLUMNS,
    STRIKE_COLUMNS,
    UNDERLYING_COLUMNS,
)
from streaming.table import VersionedTable
from transforms.forward import FORWARD_STATUSES
from transforms.implied_vol import IV_STATUSES


@dataclass(frozen=True, slots=True)
class Option:
    """An option as the catalogue names it."""

    contract_id: str
    symbol: str
    expiry: date
    strike: float
    right: Right
    lot_size_units: int | None


class Catalogue:
    """The four tables and what their rows stand for."""

    def __init__(self) -> None:
        self.version = 0
        self.underlyings: VersionedTable[str] = VersionedTable(
            "underlying",
            UNDERLYING_COLUMNS,
            ("socket_spot", "socket_received_at_ms", "chain_spot", "previous_close_price"),
        )
        self.expiries: VersionedTable[tuple[str, date]] = VersionedTable("expiry", EXPIRY_COLUMNS)
        self.strikes: VersionedTable[tuple[str, date, float]] = VersionedTable(
            "strike", STRIKE_COLUMNS
        )
        self.contracts: VersionedTable[str] = VersionedTable(
            "contract",
            CONTRACT_COLUMNS,
            ("socket_price", "chain_price", "previous_open_interest_units"),
        )
        self.tables = (self.underlyings, self.expiries, self.strikes, self.contracts)
        self._spots: dict[str, Instrument] = {}
        self._options: dict[str, Option] = {}
        self._json: Mapping[str, object] | None = None
        self._described = -1

    def add_spot(self, spot: Instrument) -> int:
        """The row of an underlying."""
        symbol = spot.contract.symbol
        if symbol not in self._spots:
            self._spots[symbol] = spot
            self.version += 1
        return self.underlyings.row(symbol, len(self.underlyings) + 1, None)

    def add_option(self, option: Option, instrument_id: int | None, version: int) -> int:
        """The row of an option, with those of its strike and expiry; takes its id when known."""
        if option.contract_id not in self._options:
            self._add(option)
        row = self.contracts.row(option.contract_id, float("nan"), _group(option))
        if instrument_id is not None and self.contracts.public_id(row) != instrument_id:
            self.contracts.identify(row, instrument_id, version)
            self.version += 1
        return row

    def describe(self) -> Mapping[str, object]:
        """What the ids stand for, as JSON."""
        if self._json is None or self._described != self.version:
            self._json, self._described = self._describe(), self.version
        return self._json

    def _add(self, option: Option) -> None:
        self._options[option.contract_id] = option
        group = _group(option)
        expiry, strike = (option.symbol, option.expiry), option.strike
        self.expiries.row(expiry, len(self.expiries) + 1, group)
        self.strikes.row((option.symbol, option.expiry, strike), len(self.strikes) + 1, group)
        self.version += 1

    def _describe(self) -> Mapping[str, object]:
        return {
            "version": self.version,
            "underlyings": [
                {
                    "id": self.underlyings.keys()[symbol] + 1,
                    "symbol": symbol,
                    "kind": str(spot.underlying.kind),
                    "exchange": spot.underlying.exchange,
                }
                for symbol, spot in self._spots.items()
            ],
            "expiries": [
                {"id": row + 1, "symbol": symbol, "expiry": expiry.isoformat()}
                for (symbol, expiry), row in self.expiries.keys().items()
            ],
            "strikes": [
                {"id": row + 1, "symbol": symbol, "expiry": expiry.isoformat(), "strike": strike}
                for (symbol, expiry, strike), row in self.strikes.keys().items()
            ],
            "contracts": [
                entry for option in self._options.values() if (entry := self._entry(option))
            ],
            "iv_statuses": list(IV_STATUSES),
            "forward_statuses": list(FORWARD_STATUSES),
        }

    def _entry(self, option: Option) -> Mapping[str, object] | None:
        row = self.contracts.keys()[option.contract_id]
        public_id = self.contracts.public_id(row)
        if math.isnan(public_id):
            return None
        return {
            "id": int(public_id),
            "symbol": option.symbol,
            "expiry": option.expiry.isoformat(),
            "strike": option.strike,
            "right": str(option.right),
            "lot_size_units": option.lot_size_units,
        }


def _group(option: Option) -> tuple[str, str]:
    """What viewers choose by: symbol and ISO expiry."""
    return option.symbol, option.expiry.isoformat()
