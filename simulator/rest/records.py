"""One listed instrument as the broker writes it: in the instrument master, and in contract lists.

Shapes only: which file holds which instruments stands in ``instrument_calls``, which contracts
answer a call in ``option_calls``. Prices are in paise here, and nowhere else at the broker.
"""

from __future__ import annotations

from datetime import date, time
from typing import Any

from market.contract import Kind
from market.rules import at_ist
from simulator.exchange import noise
from simulator.exchange.book import TICK
from simulator.exchange.timetable import epoch_ms
from simulator.exchange.universe import Listed

Json = dict[str, Any]

_TICK_PAISE = TICK * 100
_MIDNIGHT_LESS_A_SECOND = time(23, 59, 59)
_FREEZE_LOTS = 40
_SHARES_FREEZE_UNITS = 100_000.0
_TEST_EXPIRY = date(2036, 12, 30)
# Both exchanges list dummies for their members' tests; a client has to leave them out.
_TEST_CONTRACTS = (
    ("NSE_FO", "NSE", "071NSETEST", "FUT", 0.0, "999001"),
    ("BSE_FO", "BSE", "DUMMYSAN1", "CE", 100.0, "999002"),
)
_ONLY_IN_MASTER = ("asset_symbol", "asset_key", "asset_type", "qty_multiplier")


def master_record(row: Listed, *, has_auction: bool) -> Json:
    """A record of the master: ``expiry`` in epoch ms, ``tick_size`` in paise.

    Args:
        has_auction: whether shares with derivatives have a closing auction yet, which the record
            then says; a share without is not said to be without.
    """
    if row.is_derivative:
        return _derivative(row)
    record = _spot(row)
    if row.contract.kind is Kind.EQUITY:
        record |= _share(row)
        record |= {"cas_eligible": True} if has_auction else {}
    return record


def contract_record(row: Listed) -> Json:
    """An option in a list of contracts: ``expiry`` as a date."""
    record = {name: v for name, v in _derivative(row).items() if name not in _ONLY_IN_MASTER}
    return record | {"expiry": f"{row.contract.expiry}"}


def dummy_records() -> list[Json]:
    """The dummies that both exchanges list."""
    return [_test_record(row) for row in _TEST_CONTRACTS]


def _derivative(row: Listed) -> Json:
    symbol, kind = row.symbol, row.symbol.underlying.kind.value
    return {
        "weekly": row.is_weekly,
        "segment": row.segment,
        "name": symbol.name,
        "exchange": symbol.underlying.exchange,
        "expiry": _expiry_ms(row.contract.expiry or date.min),
        "instrument_type": row.contract.right.value if row.contract.right else "FUT",
        "asset_symbol": symbol.underlying.symbol,
        "underlying_symbol": symbol.underlying.symbol,
        "instrument_key": row.key,
        "lot_size": row.lot_units,
        "freeze_quantity": float(row.lot_units * _FREEZE_LOTS),
        "exchange_token": row.token,
        "minimum_lot": row.lot_units,
        "asset_key": symbol.key,
        "underlying_key": symbol.key,
        "tick_size": _TICK_PAISE,
        "asset_type": kind,
        "underlying_type": kind,
        "trading_symbol": row.trading_symbol,
        "strike_price": row.contract.strike or 0.0,
        "qty_multiplier": 1.0,
    }


def _spot(row: Listed) -> Json:
    return {
        "segment": row.segment,
        "name": row.symbol.name,
        "exchange": row.symbol.underlying.exchange,
        "instrument_type": "EQ" if row.contract.kind is Kind.EQUITY else "INDEX",
        "instrument_key": row.key,
        "exchange_token": row.token,
        "trading_symbol": row.trading_symbol,
    }


def _share(row: Listed) -> Json:
    record: Json = {
        "isin": row.key.partition("|")[2],
        "lot_size": 1,
        "freeze_quantity": _SHARES_FREEZE_UNITS,
        "tick_size": _TICK_PAISE,
        "qty_multiplier": 1.0,
    }
    # Of real shares three in ten have no short name, and half are bought on margin.
    draw = noise.stream(0, "record", row.key) % 100
    record |= {"short_name": row.symbol.name} if draw >= 30 else {}
    record |= {"mtf_enabled": True, "mtf_bracket": 25.0 + draw} if draw % 2 else {}
    return record | ({"security_type": "NORMAL"} if row.segment == "NSE_EQ" else {})


def _test_record(row: tuple[str, str, str, str, float, str]) -> Json:
    segment, exchange, symbol, kind, strike, token = row
    tail = f"{strike:g} {kind}" if strike else kind
    return {
        "weekly": False,
        "segment": segment,
        "name": symbol,
        "exchange": exchange,
        "expiry": _expiry_ms(_TEST_EXPIRY),
        "instrument_type": kind,
        "asset_symbol": symbol,
        "underlying_symbol": symbol,
        "instrument_key": f"{segment}|{token}",
        "lot_size": 1,
        "freeze_quantity": 1.0,
        "exchange_token": token,
        "minimum_lot": 1,
        "tick_size": _TICK_PAISE,
        "asset_type": "EQUITY",
        "underlying_type": "EQUITY",
        "trading_symbol": f"{symbol} {tail} {_TEST_EXPIRY:%d %b %y}".upper(),
        "strike_price": strike,
        "qty_multiplier": 1.0,
    }


def _expiry_ms(expiry: date) -> int:
    """An expiry as the master has it: the last second of its day in IST."""
    return epoch_ms(at_ist(expiry, _MIDNIGHT_LESS_A_SECOND))
