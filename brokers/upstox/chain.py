"""The option chain's answer to a ``transforms.schemas.QUOTES`` frame.

Pure, so payloads kept from any day can be read again. What the rows mean (forward, volatility,
exposure) belongs to ``transforms.chain``.

Zeros. The broker writes 0 where it has nothing, so a zero bid, ask, price, open interest or
volatility is null. Volume alone is a fact at zero: JSON states it, and a listed contract without
a trade today has traded 0 units. Only on a row where everything is zero (a placeholder) it is null.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from brokers.interface import ChainPayload, Instrument
from brokers.upstox.units import fraction_from_percent, known
from market.contract import Contract, Kind, Right
from market.errors import MalformedResponse
from transforms.schemas import QUOTES

_SIDES = (("call_options", Right.CALL), ("put_options", Right.PUT))
# Plain ASCII, so that any key can be stored; an expired contract's key ends with its date.
_OPTION_KEY = re.compile(r"(NSE|BSE)_FO\|[0-9A-Za-z]+(\|\d\d-\d\d-\d{4})?", re.ASCII)
_STRIKE_RANGE = (0.01, 1e9)
_INT64_END = 2**63

_Json = Mapping[str, Any]
_Listed = Mapping[tuple[str, Contract], Instrument]


def read_chain(payload: ChainPayload, listed: Sequence[Instrument]) -> pl.DataFrame:
    """Every contract of the payload, by strike, call before put.

    What a row is, it says itself; the listing adds the lot where key *and* contract agree, so
    neither a strike listed since this morning nor a re-used key can go wrong. ``quoted_at`` is when
    the answer was complete: the payload has no time, and anything earlier would look ahead.

    Raises:
        MalformedResponse: naming symbol and expiry, what was found and what was expected.
    """
    by_identity = {(i.broker_key, i.contract): i for i in listed}
    try:
        rows = [
            _quote(payload, row, side, right, by_identity)
            for row in _rows(payload)
            for side, right in _present_sides(row)
        ]
        _check(rows)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        found = f"lacks {error}" if isinstance(error, KeyError) else str(error)[:300]
        raise MalformedResponse(
            f"option chain of {payload.symbol} for {payload.expiry}: {found}"
        ) from error
    return QUOTES.conform(pl.DataFrame(rows, schema=QUOTES.polars)).sort("strike", "is_call")


def _rows(payload: ChainPayload) -> list[_Json]:
    answer = json.loads(payload.body)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise ValueError("the answer is not an object with status success")
    rows = answer.get("data")
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"data is {type(rows).__name__}, expected an array of at least one strike")
    for row in rows:
        if row["expiry"] != payload.expiry.isoformat():
            raise ValueError(f"a row is of expiry {row['expiry']!r:.80}, another was asked for")
    return rows


def _present_sides(row: _Json) -> Iterator[tuple[_Json, Right]]:
    for name, right in _SIDES:
        side = row.get(name)
        if side:
            yield side, right


def _check(rows: Sequence[Mapping[str, object]]) -> None:
    ids = [row["contract_id"] for row in rows]
    if not ids:
        raise ValueError("no row has a call or a put")
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise ValueError(f"{twice} stands in it twice, expected each contract once")


def _quote(
    payload: ChainPayload,
    row: _Json,
    side: _Json,
    right: Right,
    by_identity: _Listed,
) -> dict[str, object]:
    """One QUOTES row, keyed by column because that is what Polars takes."""
    key, strike = _key(side["instrument_key"]), _strike(row["strike_price"])
    contract = Contract(payload.symbol, Kind.OPTION, payload.expiry, strike, right)
    listed = by_identity.get((key, contract))
    return {
        "symbol": payload.symbol,
        "expiry": payload.expiry,
        "strike": strike,
        "is_call": right is Right.CALL,
        "contract_id": str(contract),
        "broker_key": key,
        "exchange": key.partition("_")[0],
        "lot_size_units": listed.lot_size_units if listed else None,
        **_market_data(_object(side, "market_data")),
        **_vendor_figures(_object(side, "option_greeks") if "option_greeks" in side else {}),
        "spot": _number(row, "underlying_spot_price"),
        "quoted_at": payload.responded_at,
        "source": "live",
    }


def _market_data(data: _Json) -> dict[str, object]:
    quoted = {
        "bid_price": _number(data, "bid_price"),
        "bid_quantity_units": _units(data, "bid_qty"),
        "ask_price": _number(data, "ask_price"),
        "ask_quantity_units": _units(data, "ask_qty"),
        "last_price": _number(data, "ltp"),
        # The chain does not tell when a contract last traded.
        "last_traded_at": None,
        "previous_close_price": _number(data, "close_price"),
        "open_interest_units": _number(data, "oi"),
        "previous_open_interest_units": _number(data, "prev_oi"),
    }
    volume = _units(data, "volume")
    has_anything = any(value is not None for value in quoted.values())
    is_true_zero = volume is None and has_anything and data.get("volume") is not None
    return {**quoted, "volume_units": 0 if is_true_zero else volume}


def _vendor_figures(greeks: _Json) -> dict[str, object]:
    percent = _number(greeks, "iv")
    return {
        "vendor_implied_volatility": None if percent is None else fraction_from_percent(percent),
        "vendor_delta": _number(greeks, "delta", is_signed=True),
    }


def _object(parent: _Json, name: str) -> _Json:
    value = parent[name]
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {type(value).__name__}, expected an object")
    return value


def _key(value: object) -> str:
    if not isinstance(value, str) or not _OPTION_KEY.fullmatch(value):
        raise ValueError(f"instrument_key is {value!r:.80}, expected NSE_FO|token or BSE_FO|token")
    return value


def _strike(value: object) -> float:
    strike = _finite(value, "strike_price")
    lowest, highest = _STRIKE_RANGE
    if not lowest <= strike <= highest:
        raise ValueError(f"strike_price is {value!r:.80}, expected ₹{lowest} to ₹{highest:.0f}")
    return strike


def _number(parent: _Json, name: str, *, is_signed: bool = False) -> float | None:
    """The number ``name``; None if absent, null or zero."""
    value = parent.get(name)
    if value is None:
        return None
    number = _finite(value, name)
    if number < 0 and not is_signed:
        raise ValueError(f"{name} is {value!r:.80}, expected a number from 0 up")
    return known(number)


def _units(parent: _Json, name: str) -> int | None:
    number = _number(parent, name)
    if number is None:
        return None
    if number >= _INT64_END or number != int(number):
        raise ValueError(f"{name} is {number!r:.80}, expected whole units")
    return int(number)


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r:.80}, expected a finite number")
    return float(value)
