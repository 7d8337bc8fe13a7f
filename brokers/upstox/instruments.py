"""The instrument master: broker keys and records to our contracts, for the symbols asked for.

Pure: bytes in, instruments out. The master lists ~117 000 things, of which a run follows a few
thousand, so records are dropped while they are parsed. Option chains are read in ``chain``.

A broker key is unique only within a trading day: the exchange re-uses tokens after expiry, so a key
identifies a contract only together with its expiry.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from brokers.interface import Instrument
from brokers.upstox.units import expiry_from_ms, rupees_from_paise
from market.contract import Contract, Kind, Right, Underlying
from market.errors import MalformedResponse

# Case-sensitive, and not derivable from the symbol.
INDEX_KEYS: Mapping[str, str] = {
    "NIFTY": "NSE_INDEX|Nifty 50",
    "BANKNIFTY": "NSE_INDEX|Nifty Bank",
    "FINNIFTY": "NSE_INDEX|Nifty Fin Service",
    "MIDCPNIFTY": "NSE_INDEX|NIFTY MID SELECT",
    "NIFTYNXT50": "NSE_INDEX|Nifty Next 50",
    "INDIAVIX": "NSE_INDEX|India VIX",
    "SENSEX": "BSE_INDEX|SENSEX",
    "BANKEX": "BSE_INDEX|BANKEX",
}
_INDEX_SYMBOLS = {key: symbol for symbol, key in INDEX_KEYS.items()}
# Both exchanges list dummies to test members' systems: 071NSETEST, DUMMYSAN, expiring in 2036.
_TEST_SYMBOL = re.compile(r"\d*(NSE|BSE)TEST|DUMMY")
# The real file is ~90 MB; what unpacks to more than this is no list but a trap for our memory.
_LONGEST_MASTER_BYTES = 512 * 1024 * 1024
_LONGEST_COMPLAINT = 300
_KINDS = {"FUT": Kind.FUTURE, "CE": Kind.OPTION, "PE": Kind.OPTION}

_Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Master:
    """What the master says about the symbols asked for.

    Attributes:
        instruments: spots first, then derivatives by symbol, expiry and strike.
        unlisted: symbols asked for that have no spot record.
        rejected: what was wrong with each record that could not be read.
    """

    instruments: tuple[Instrument, ...]
    unlisted: tuple[str, ...]
    rejected: tuple[str, ...]


def exchange_of(symbol: str) -> str:
    """``NSE`` or ``BSE``: where an underlying's options trade. Stocks are followed on the NSE."""
    return INDEX_KEYS.get(symbol, "NSE_").partition("_")[0]


def symbol_of_index(broker_key: str) -> str | None:
    """``NSE_INDEX|Nifty 50`` → ``NIFTY``; None for any other key."""
    return _INDEX_SYMBOLS.get(broker_key)


def read_master(files: Sequence[bytes], symbols: Collection[str]) -> Master:
    """Read one or more master files (gzip or plain JSON), keeping what belongs to ``symbols``.

    A record that breaks the format is rejected alone: one odd listing must not stop a morning.

    Raises:
        MalformedResponse: if a file is not the master at all.
    """
    wanted = frozenset(s for s in symbols if not _TEST_SYMBOL.match(s))
    records = [record for body in files for record in _records(body, wanted)]
    spots, rejected_spots = _collect((r for r in records if not _is_derivative(r)), _spot)
    by_key = {spot.broker_key: spot.underlying for spot in spots}
    derivatives, rejected = _collect(
        (r for r in records if _is_derivative(r)), lambda record: _derivative(record, by_key)
    )
    spots, doubled_spots = _once(spots)
    derivatives, doubled = _once(derivatives)
    return Master(
        instruments=(*_in_order(spots), *_in_order(derivatives)),
        unlisted=tuple(sorted(frozenset(symbols) - {s.contract.symbol for s in spots})),
        rejected=(*rejected_spots, *rejected, *doubled_spots, *doubled),
    )


def _records(body: bytes, wanted: frozenset[str]) -> list[_Record]:
    def keep(record: dict[str, Any]) -> dict[str, Any] | None:
        return record if _is_wanted(record, wanted) else None

    try:
        # A proxy may have undone the compression on the way.
        text = _unzipped(body) if body[:2] == b"\x1f\x8b" else body
        parsed = json.loads(text, object_hook=keep)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise MalformedResponse(
            f"instrument master of {len(body)} bytes is not gzipped JSON: {error}"
        ) from error
    if not isinstance(parsed, list):
        raise MalformedResponse("instrument master is not a JSON array of records")
    return [record for record in parsed if isinstance(record, dict)]


def _unzipped(body: bytes) -> bytes:
    with gzip.open(io.BytesIO(body)) as file:
        text = file.read(_LONGEST_MASTER_BYTES + 1)
    if len(text) > _LONGEST_MASTER_BYTES:
        raise ValueError(f"it unpacks to more than {_LONGEST_MASTER_BYTES} bytes")
    return text


def _is_wanted(record: _Record, wanted: frozenset[str]) -> bool:
    segment = record.get("segment")
    if segment in ("NSE_INDEX", "BSE_INDEX"):
        return symbol_of_index(str(record.get("instrument_key"))) in wanted
    if segment == "NSE_EQ":
        symbol = record.get("trading_symbol")
        return record.get("instrument_type") == "EQ" and _is_stock(symbol, wanted)
    if segment in ("NSE_FO", "BSE_FO"):
        underlying_key = record.get("underlying_key")
        symbol = symbol_of_index(str(underlying_key)) or record.get("underlying_symbol")
        return isinstance(symbol, str) and symbol in wanted
    return False


def _is_stock(symbol: object, wanted: frozenset[str]) -> bool:
    return isinstance(symbol, str) and symbol in wanted and symbol not in INDEX_KEYS


def _is_derivative(record: _Record) -> bool:
    return str(record["segment"]).endswith("_FO")


def _collect(
    records: Iterable[_Record], read: Callable[[_Record], Instrument | None]
) -> tuple[list[Instrument], list[str]]:
    found: list[Instrument] = []
    rejected: list[str] = []
    for record in records:
        try:
            instrument = read(record)
        except (KeyError, TypeError, ValueError) as error:
            complaint = f"{record.get('instrument_key')!r:.60}: {type(error).__name__} {error}"
            rejected.append(complaint[:_LONGEST_COMPLAINT])
        else:
            found += [instrument] if instrument else []
    return found, rejected


def _once(instruments: Iterable[Instrument]) -> tuple[list[Instrument], list[str]]:
    """Each contract's first listing, and a complaint of each other one."""
    first: dict[Contract, Instrument] = {}
    doubled: list[str] = []
    for instrument in instruments:
        kept = first.setdefault(instrument.contract, instrument)
        if kept is not instrument:
            doubled.append(
                f"{instrument.broker_key}: {instrument.contract} is {kept.broker_key} already"
            )
    return list(first.values()), doubled


def _spot(record: _Record) -> Instrument:
    key = _text(record, "instrument_key")
    index_symbol = symbol_of_index(key)
    symbol = index_symbol or _text(record, "trading_symbol")
    kind = Kind.INDEX if index_symbol else Kind.EQUITY
    underlying = Underlying(symbol, kind, exchange_of(symbol))
    if index_symbol:
        return Instrument(Contract(symbol, kind), underlying, key)
    return Instrument(Contract(symbol, kind), underlying, key, _lot(record), _tick(record))


def _derivative(record: _Record, by_key: Mapping[str, Underlying]) -> Instrument | None:
    """None for what is no future or option of a listed underlying on that underlying's exchange."""
    underlying = by_key.get(_text(record, "underlying_key"))
    kind = _KINDS.get(_text(record, "instrument_type"))
    if underlying is None or kind is None or record["segment"] != f"{underlying.exchange}_FO":
        return None
    is_option = kind is Kind.OPTION
    contract = Contract(
        underlying.symbol,
        kind,
        expiry_from_ms(int(_number(record, "expiry"))),
        _number(record, "strike_price") if is_option else None,
        Right(record["instrument_type"]) if is_option else None,
    )
    key = _text(record, "instrument_key")
    return Instrument(contract, underlying, key, _lot(record), _tick(record))


def _lot(record: _Record) -> int:
    lot = _number(record, "lot_size")
    if lot != int(lot):
        raise ValueError(f"lot_size is {lot!r}, expected whole units")
    return int(lot)


def _tick(record: _Record) -> float:
    return rupees_from_paise(_number(record, "tick_size"))


def _text(record: _Record, name: str) -> str:
    value = record[name]
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise ValueError(f"{name} is {value!r:.80}, expected text")
    return value


def _number(record: _Record, name: str) -> float:
    value = record[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # The upper bound keeps whole numbers exact in a float and rules out infinities.
    if not is_number or not 0 < value < 2**53:
        raise ValueError(f"{name} is {value!r:.80}, expected a number above 0")
    return float(value)


def _in_order(instruments: Iterable[Instrument]) -> list[Instrument]:
    """By symbol, kind, expiry, strike and right, so that equal masters give equal results."""

    def place(instrument: Instrument) -> tuple[str, str, date, float, str]:
        contract = instrument.contract
        expiry, strike = contract.expiry or date.min, contract.strike or 0.0
        return contract.symbol, contract.kind, expiry, strike, contract.right or ""

    return sorted(instruments, key=place)
