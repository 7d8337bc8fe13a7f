"""Small listings of instruments, as a broker would give them, for tests of plans."""

from __future__ import annotations

from datetime import date, timedelta

from brokers.interface import Instrument
from market.contract import Contract, Kind, Right, Underlying

TODAY = date(2026, 11, 25)
WEEKS = tuple(TODAY + timedelta(days=6 + 7 * n) for n in range(3))


def spot(symbol: str, kind: Kind = Kind.INDEX) -> Instrument:
    """An index or a stock."""
    name = "NSE_INDEX" if kind is Kind.INDEX else "NSE_EQ"
    return Instrument(Contract(symbol, kind), Underlying(symbol, kind, "NSE"), f"{name}|{symbol}")


def option(
    symbol: str, expiry: date, strike: float, right: Right, kind: Kind = Kind.INDEX
) -> Instrument:
    """An option; its key is its canonical name."""
    contract = Contract(symbol, Kind.OPTION, expiry, strike, right)
    return Instrument(contract, Underlying(symbol, kind, "NSE"), str(contract), 65, 0.05)


def future(symbol: str, expiry: date) -> Instrument:
    """An index future; its key is its canonical name."""
    contract = Contract(symbol, Kind.FUTURE, expiry)
    return Instrument(contract, Underlying(symbol, Kind.INDEX, "NSE"), str(contract), 65, 0.1)


def listing(
    symbol: str,
    expiries: tuple[date, ...] = WEEKS,
    strikes: tuple[float, ...] = (90, 100, 110),
    kind: Kind = Kind.INDEX,
) -> list[Instrument]:
    """A future (of an index), the options and the spot of a symbol, in a broker's odd order."""
    options = [
        option(symbol, e, k, r, kind) for e in reversed(expiries) for k in strikes for r in Right
    ]
    futures = [future(symbol, WEEKS[0])] if kind is Kind.INDEX else []
    return [*futures, *options, spot(symbol, kind)]
