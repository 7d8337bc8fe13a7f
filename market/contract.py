"""What can be traded or observed, and its one canonical name.

The canonical id is optionlake's own and outlives the broker's keys, which the exchange re-uses::

    NIFTY                     an index or a stock (spot)
    NIFTY-20261229-FUT        a future
    NIFTY-20261201-24000-CE   an option (strike without trailing zeros, at most two decimals)

Broker keys, tick sizes in paise and other foreign spellings do not belong here but in ``brokers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Right(StrEnum):
    """The right that an option gives; the exchange's own two letters."""

    CALL = "CE"
    PUT = "PE"


class Kind(StrEnum):
    """What an instrument is."""

    INDEX = "INDEX"
    EQUITY = "EQUITY"
    FUTURE = "FUTURE"
    OPTION = "OPTION"


@dataclass(frozen=True, slots=True)
class Underlying:
    """An index or stock that options are written on.

    Attributes:
        symbol: the exchange's short name, e.g. ``NIFTY``, ``RELIANCE``.
        kind: ``Kind.INDEX`` or ``Kind.EQUITY``.
        exchange: ``NSE`` or ``BSE``; decides which dated rules apply.
    """

    symbol: str
    kind: Kind
    exchange: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A spot instrument, a future or an option, by what it is and not by who lists it.

    Attributes:
        symbol: the underlying's symbol.
        kind: what it is.
        expiry: the exchange's expiry date (IST), None for spot.
        strike: ₹, None unless an option.
        right: call or put, None unless an option.
    """

    symbol: str
    kind: Kind
    expiry: date | None = None
    strike: float | None = None
    right: Right | None = None

    def __str__(self) -> str:
        if self.expiry is None:
            return self.symbol
        if self.right is None or self.strike is None:
            return f"{self.symbol}-{self.expiry:%Y%m%d}-FUT"
        return f"{self.symbol}-{self.expiry:%Y%m%d}-{format_strike(self.strike)}-{self.right}"


def format_strike(strike: float) -> str:
    """Write a strike in ₹ without trailing zeros: ``24000``, ``102.5``."""
    text = f"{Decimal(repr(strike)).quantize(Decimal('0.01')):f}"
    return text.rstrip("0").rstrip(".")


def parse_contract(text: str, spot_kind: Kind = Kind.INDEX) -> Contract:
    """Read a canonical id back; the inverse of ``str(contract)``.

    Symbols may hold hyphens (``BAJAJ-AUTO``), so the fixed parts are read from the right.

    Args:
        text: a canonical id.
        spot_kind: kind to give a bare symbol, which does not tell index from stock.

    Raises:
        ValueError: if the date, strike or right cannot be read.
    """
    head, _, last = text.rpartition("-")
    if last == "FUT" and (future := _symbol_and_expiry(head)):
        return Contract(future[0], Kind.FUTURE, future[1])
    if last in {"CE", "PE"}:
        dated, _, strike = head.rpartition("-")
        if option := _symbol_and_expiry(dated):
            return Contract(option[0], Kind.OPTION, option[1], float(strike), Right(last))
    return Contract(text, spot_kind)


def _symbol_and_expiry(text: str) -> tuple[str, date] | None:
    symbol, _, day = text.rpartition("-")
    if not symbol or len(day) != 8 or not day.isdigit():
        return None
    return symbol, date.fromisoformat(day)
