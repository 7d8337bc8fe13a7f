"""The broker's JSON shapes over a market: master, contracts, chain, quotes, calendar, errors.

Pure: market and instant in, plain JSON values out. Which request gets which stands in ``rest``,
the socket's frames in ``frames``. Field names and units are the broker's (paise, percent, IST).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np

from market import tables
from market.contract import Kind
from market.rules import Rules, at_ist
from simulator.exchange import Market
from simulator.noise import Ints
from simulator.quotes import TICK, Quotes
from simulator.timetable import epoch_ms
from simulator.universe import Listed, Listing

Json = dict[str, Any]

_TICK_PAISE = TICK * 100
_MIDNIGHT_LESS_A_SECOND = time(23, 59, 59)
# Both exchanges list dummies for their members' tests; a client has to leave them out.
_TEST_CONTRACTS = (
    ("NSE_FO", "NSE", "071NSETEST", "FUT", 0.0, "999001"),
    ("BSE_FO", "BSE", "DUMMYSAN1", "CE", 100.0, "999002"),
)
_DERIVATIVE_NAMES = {"NSE": "NFO", "BSE": "BFO"}


def success(data: object) -> Json:
    """The envelope of a good answer."""
    return {"status": "success", "data": data}


def master(listing: Listing, exchange: str | None) -> bytes:
    """The instrument master, gzipped; of one exchange, or complete for None."""
    rows = [_master_record(row) for row in listing.rows] + [*map(_test_record, _TEST_CONTRACTS)]
    chosen = [row for row in rows if exchange in (None, row["exchange"])]
    return gzip.compress(json.dumps(chosen).encode(), compresslevel=6, mtime=0)


def _master_record(row: Listed) -> Json:
    if not row.is_derivative:
        return _spot_record(row)
    symbol, expiry = row.symbol, row.contract.expiry or date.min
    return {
        "weekly": row.is_weekly,
        "segment": row.segment,
        "name": symbol.name,
        "exchange": symbol.underlying.exchange,
        "expiry": epoch_ms(at_ist(expiry, _MIDNIGHT_LESS_A_SECOND)),
        "instrument_type": _instrument_type(row),
        "asset_symbol": symbol.underlying.symbol,
        "underlying_symbol": symbol.underlying.symbol,
        "instrument_key": row.key,
        "lot_size": row.lot_units,
        "freeze_quantity": float(row.lot_units * 40),
        "exchange_token": row.token,
        "minimum_lot": row.lot_units,
        "asset_key": symbol.key,
        "underlying_key": symbol.key,
        "tick_size": _TICK_PAISE,
        "asset_type": symbol.underlying.kind.value,
        "underlying_type": symbol.underlying.kind.value,
        "trading_symbol": row.trading_symbol,
        "strike_price": row.contract.strike or 0.0,
        "qty_multiplier": 1.0,
    }


def _spot_record(row: Listed) -> Json:
    record: Json = {
        "segment": row.segment,
        "name": row.symbol.name,
        "exchange": row.symbol.underlying.exchange,
        "instrument_type": "EQ" if row.contract.kind is Kind.EQUITY else "INDEX",
        "instrument_key": row.key,
        "exchange_token": row.token,
        "trading_symbol": row.trading_symbol,
    }
    if row.contract.kind is Kind.EQUITY:
        isin = row.key.partition("|")[2]
        traded = {"lot_size": 1, "freeze_quantity": 100_000.0, "tick_size": _TICK_PAISE}
        record |= {"isin": isin, "short_name": row.symbol.name, "security_type": "NORMAL"}
        record |= {**traded, "qty_multiplier": 1.0, "cas_eligible": True}
    return record


def _test_record(row: tuple[str, str, str, str, float, str]) -> Json:
    segment, exchange, symbol, kind, strike, token = row
    tail = f"{strike:g} {kind}" if strike else kind
    return {
        "weekly": False,
        "segment": segment,
        "name": symbol,
        "exchange": exchange,
        "expiry": epoch_ms(at_ist(date(2036, 12, 30), _MIDNIGHT_LESS_A_SECOND)),
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
        "trading_symbol": f"{symbol} {tail} 30 DEC 36",
        "strike_price": strike,
        "qty_multiplier": 1.0,
    }


def contracts(listing: Listing, symbol: str, expiry: date | None) -> list[Json]:
    """The option contracts of a symbol; of one expiry, or all for None."""
    chosen = [e for s, e in listing.chains if s == symbol and expiry in (None, e)]
    rows = [listing.rows[i] for e in chosen for i in listing.chain(symbol, e)]
    return [_contract_record(row) for row in rows]


def _contract_record(row: Listed) -> Json:
    record = _master_record(row)
    dropped = ("asset_symbol", "asset_key", "asset_type", "qty_multiplier")
    kept = {name: value for name, value in record.items() if name not in dropped}
    return kept | {"expiry": f"{row.contract.expiry}"}


def _instrument_type(row: Listed) -> str:
    return row.contract.right.value if row.contract.right else "FUT"


def chain(market: Market, instant: datetime, symbol: str, expiry: date) -> list[Json]:
    """The option chain: one row per strike, no time anywhere, volatility in percent."""
    listing = market.listing(instant)
    rows = listing.chain(symbol, expiry)
    if not rows.size:
        return []
    spot_row = next(i for i, row in enumerate(listing.rows) if row.contract.symbol == symbol)
    spot = float(market.quotes(instant, np.array([spot_row])).last_price[0])
    sides = _sides(listing, market.quotes(instant, rows))
    return [
        {
            "expiry": expiry.isoformat(),
            "pcr": _ratio(put["market_data"]["oi"], call["market_data"]["oi"]),
            "strike_price": float(listing.strike[row]),
            "underlying_key": listing.rows[row].symbol.key,
            "underlying_spot_price": spot,
            "call_options": call,
            "put_options": put,
        }
        for row, call, put in zip(rows[::2], sides[::2], sides[1::2], strict=True)
    ]


def _sides(listing: Listing, quotes: Quotes) -> list[Json]:
    return [
        {
            "instrument_key": listing.rows[row].key,
            "market_data": _market_data(quotes, i),
            "option_greeks": _greeks(quotes, i),
        }
        for i, row in enumerate(quotes.rows)
    ]


def _market_data(quotes: Quotes, i: int) -> Json:
    return {
        "ltp": float(quotes.last_price[i]),
        "volume": int(quotes.volume_units[i]),
        "oi": float(quotes.open_interest_units[i]),
        "close_price": float(quotes.previous_close_price[i]),
        "bid_price": float(quotes.bid_price[i]),
        "bid_qty": int(quotes.bid_quantity_units[i]),
        "ask_price": float(quotes.ask_price[i]),
        "ask_qty": int(quotes.ask_quantity_units[i]),
        "prev_oi": float(quotes.previous_open_interest_units[i]),
    }


def _greeks(quotes: Quotes, i: int) -> Json:
    model = quotes.model
    return {
        "vega": round(float(model.vega_per_vol_point[i]), 4),
        "theta": round(float(model.theta_per_day[i]), 4),
        "gamma": round(float(model.gamma[i]), 6),
        "delta": round(float(model.delta[i]), 4),
        "iv": round(float(quotes.implied_volatility[i]) * 100.0, 2),
        "pop": round(float(model.profit_probability[i]) * 100.0, 2),
    }


def _ratio(put: float, call: float) -> float:
    return round(put / call, 2) if call else 0.0


def last_prices(market: Market, instant: datetime, rows: Ints) -> Json:
    """Version 3 last-price quotes, under colon names."""
    listing = market.listing(instant)
    quotes = market.quotes(instant, rows)
    return {
        listing.rows[row].quote_name: {
            "last_price": float(quotes.last_price[i]),
            "instrument_token": listing.rows[row].key,
            "ltq": int(quotes.last_quantity_units[i]),
            "volume": int(quotes.volume_units[i]),
            "cp": float(quotes.previous_close_price[i]),
        }
        for i, row in enumerate(rows)
    }


def status(market: Market, instant: datetime, exchange: str) -> Json:
    """One exchange's state and since when."""
    shown = market.shown(instant)
    return {
        "exchange": exchange,
        "status": "NORMAL_OPEN" if shown.is_open else "NORMAL_CLOSE",
        "last_updated": shown.opened_ms if shown.is_open else shown.at_ms,
    }


def holidays(year: int) -> list[Json]:
    """The weekday holidays of a year."""
    closed = ["NSE", "NFO", "CDS", "BSE", "BFO", "BCD"]
    return [
        {
            "date": day.isoformat(),
            "description": description,
            "holiday_type": "TRADING_HOLIDAY",
            "closed_exchanges": closed,
            "open_exchanges": [],
        }
        for day, description in sorted(tables.HOLIDAYS.items())
        if day.year == year
    ]


def timings(rules: Rules, day: date) -> list[Json]:
    """Opening hours of a day, epoch ms; empty on a full holiday."""
    return [
        {
            "exchange": exchange,
            "start_time": epoch_ms(session.opens_at),
            "end_time": epoch_ms(session.closes_at),
        }
        for session in rules.sessions(day)
        for pair in _DERIVATIVE_NAMES.items()
        for exchange in pair
    ]


def truth(market: Market, instant: datetime, symbols: Sequence[str]) -> Json:
    """The truth as JSON, for those who check the client's figures from outside."""
    found = market.truth(instant)
    rows = [i for i, row in enumerate(found.listing.rows) if row.contract.symbol in symbols]
    return {
        "at": found.at.astimezone(UTC).isoformat(),
        "spot": {s: found.spot[s] for s in symbols},
        "forward": [
            {"symbol": s, "expiry": e.isoformat(), "forward": forward}
            for (s, e), forward in found.forward.items()
            if s in symbols
        ],
        "contracts": [
            {
                "contract_id": str(found.listing.rows[i].contract),
                "instrument_key": found.listing.rows[i].key,
                "price": float(found.price[i]),
                "implied_volatility": float(found.implied_volatility[i]),
                "years_to_expiry": float(found.years_to_expiry[i]),
                "open_interest_units": int(found.open_interest_units[i]),
            }
            for i in rows
            if found.listing.sign[i] != 0
        ],
    }
