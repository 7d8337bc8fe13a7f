"""Quotes as JSON: a market at an instant in, the broker's shapes out, under colon names.

Choices where the broker's way is not known: circuit limits stand a tenth from the previous close of
shares and futures, and a tenth of the underlying away from that of options; the year's range is
that of the day and of the close before it, as nobody remembers the year. What an auction tells
stands in ``closing_auction``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from market.contract import Kind
from market.rules import IST
from simulator.exchange.book import TICK
from simulator.exchange.market import Market
from simulator.exchange.noise import Floats, Ints, Mask
from simulator.exchange.quotes import Bars, Quotes, ladder, round_to_tick
from simulator.exchange.universe import Listing
from simulator.rest.quote_bars import bars
from simulator.rest.records import Json
from simulator.socket.closing_auction import ClosingAuction, Indications

_Columns = dict[str, Floats | Ints | Mask | list[str]]

_LEVELS = 5
_BAND = 0.1
_GLANCE_MS = 3_600_000
_AUCTION = {
    "indicative_equilibrium_price": "indicative_price",
    "reference_price": "reference_price",
    "indicative_equilibrium_quantity": "indicative_quantity_units",
    "indicative_imbalance_quantity_total": "imbalance_units",
    "indicative_imbalance_quantity_market": "market_imbalance_units",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for: ``rows`` of the listing of ``now``."""

    market: Market
    now: datetime
    listing: Listing
    rows: Ints

    def quotes(self) -> Quotes:
        """What is on show."""
        return self.market.quotes(self.now, self.rows)

    def named(self, entries: Sequence[Json]) -> Json:
        """Entries under their colon names, each with its instrument's key."""
        listed = [self.listing.rows[row] for row in self.rows]
        return {
            row.quote_name: entry | {"instrument_token": row.key}
            for row, entry in zip(listed, entries, strict=True)
        }


def last_price(asked: Asked) -> Json:
    """Version 2, nothing but the price."""
    return asked.named(_entries({"last_price": asked.quotes().last_price}))


def last_price_v3(asked: Asked) -> Json:
    """The price, the last trade's quantity, the day's volume, the previous close."""
    return asked.named(_entries(_trade(asked.quotes())))


def option_greek(asked: Asked) -> Json:
    """Greeks of options; volatility is a fraction here. All 0 for what is no option."""
    quotes = asked.quotes()
    model, is_option = quotes.model, asked.listing.sign[asked.rows] != 0
    greeks = {
        "iv": quotes.implied_volatility,
        "vega": np.round(model.vega_per_vol_point, 4),
        "gamma": np.round(model.gamma, 4),
        "theta": np.round(model.theta_per_day, 4),
        "delta": np.round(model.delta, 4),
    }
    columns: _Columns = {n: np.where(is_option, values, 0.0) for n, values in greeks.items()}
    columns["oi"] = quotes.open_interest_units.astype(np.float64)
    return asked.named(_entries(_trade(quotes) | columns))


def ohlc(asked: Asked, interval: str) -> Json:
    """Version 2: one bar, the one that runs."""
    live = bars(asked.market, asked.now, asked.rows, interval).live
    prices = _entries({"last_price": asked.quotes().last_price})
    found = [entry | {"ohlc": bar} for entry, bar in zip(prices, _prices(live), strict=True)]
    return asked.named(found)


def ohlc_v3(asked: Asked, interval: str) -> Json:
    """Version 3: the bar that runs and the one before, which a day does not have."""
    pair = bars(asked.market, asked.now, asked.rows, interval)
    quotes = asked.quotes()
    # What has not traded that day has no bar of it.
    traded = (quotes.volume_units > 0) | asked.listing.is_index[asked.rows]
    live, before = _whole(pair.live, traded), _whole(pair.before, traded)
    prices = _entries({"last_price": quotes.last_price})
    found = [
        entry | {"prev_ohlc": before.get(i), "live_ohlc": live.get(i)}
        for i, entry in enumerate(prices)
    ]
    return asked.named(found)


def full(asked: Asked) -> Json:
    """Version 2: everything on show, five levels on either side, padded with zeros."""
    quotes, day = asked.quotes(), asked.market.day_ranges(asked.now, asked.rows)
    return asked.named(_full(asked, quotes, _prices(day), _columns(asked, quotes)))


def full_v3(asked: Asked) -> Json:
    """Version 3: the same, more of the days before, and what the auctions tell."""
    quotes, day = asked.quotes(), asked.market.day_ranges(asked.now, asked.rows)
    columns = _columns(asked, quotes) | _past(quotes, day) | _auction(asked)
    return asked.named(_full(asked, quotes, list(_whole(day).values()), columns))


def _full(asked: Asked, quotes: Quotes, days: Sequence[Json], columns: _Columns) -> list[Json]:
    common = {"timestamp": asked.now.astimezone(IST).isoformat(timespec="milliseconds")}
    parts = zip(_entries(columns), days, _depths(quotes), asked.rows, strict=True)
    return [
        {"ohlc": day, "depth": depth, "symbol": _symbol(asked.listing, row)} | common | entry
        for entry, day, depth, row in parts
    ]


def _columns(asked: Asked, quotes: Quotes) -> _Columns:
    low, high = _circuits(asked, quotes)
    least, most = _open_interest_range(asked, quotes)
    return {
        "last_price": quotes.last_price,
        "volume": quotes.volume_units,
        "average_price": np.round(quotes.average_price, 2),
        "oi": quotes.open_interest_units.astype(np.float64),
        "net_change": np.round(quotes.last_price - quotes.previous_close_price, 2),
        "total_buy_quantity": quotes.total_bid_quantity_units.astype(np.float64),
        "total_sell_quantity": quotes.total_ask_quantity_units.astype(np.float64),
        "lower_circuit_limit": low,
        "upper_circuit_limit": high,
        "last_trade_time": [str(at_ms) for at_ms in quotes.last_traded_ms.tolist()],
        "oi_day_high": most,
        "oi_day_low": least,
    }


def _past(quotes: Quotes, day: Bars) -> _Columns:
    close = quotes.previous_close_price
    return {
        "prev_close_price": close,
        "year_high": np.maximum(day.high, close),
        "year_low": np.minimum(day.low, close),
        "previous_oi": quotes.previous_open_interest_units.astype(np.float64),
    }


def _auction(asked: Asked) -> _Columns:
    """What the feed tells of the auction as well; zeros outside of it, but for who takes part."""
    kinds = [asked.listing.rows[row].contract.kind for row in asked.rows]
    is_share = np.array([kind is Kind.EQUITY for kind in kinds], np.bool_)
    found = _indications(asked, is_share)
    has_auction = asked.market.rules.cash_hours(asked.listing.day).auction_until is not None
    columns: _Columns = {
        name: _placed(getattr(found, source) if found else _none(source), is_share)
        for name, source in _AUCTION.items()
    }
    return columns | {"cas_eligible": is_share & has_auction}


def _indications(asked: Asked, is_share: Mask) -> Indications | None:
    auction = ClosingAuction(asked.market)
    if not is_share.any() or not auction.is_on(asked.now):
        return None
    shares = asked.market.quotes(asked.now, asked.rows[is_share])
    return auction.told(shares, asked.listing, asked.now)


def _none(source: str) -> float:
    return 0.0 if source.endswith("_price") else 0


def _placed(values: Floats | Ints | float, is_share: Mask) -> Floats | Ints:
    """Values of the shares among all rows; 0 for the others."""
    placed = np.zeros(is_share.size, np.asarray(values).dtype)
    placed[is_share] = values
    return placed


def _trade(quotes: Quotes) -> _Columns:
    return {
        "last_price": quotes.last_price,
        "ltq": quotes.last_quantity_units,
        "volume": quotes.volume_units,
        "cp": quotes.previous_close_price,
    }


def _circuits(asked: Asked, quotes: Quotes) -> tuple[Floats, Floats]:
    """Lowest and highest price allowed today, ₹; 0 for an index, which nobody trades."""
    listing, close = asked.listing, quotes.previous_close_price
    spots = np.array([listing.row_of_key[listing.rows[row].symbol.key] for row in asked.rows])
    spot_close = asked.market.quotes(asked.now, spots).previous_close_price
    base = np.where(listing.sign[asked.rows] != 0, spot_close, close)
    low = np.maximum(round_to_tick(close - _BAND * base), TICK)
    high = round_to_tick(close + _BAND * base)
    is_index = listing.is_index[asked.rows]
    return np.where(is_index, 0.0, low), np.where(is_index, 0.0, high)


def _open_interest_range(asked: Asked, quotes: Quotes) -> tuple[Floats, Floats]:
    """Least and most open interest of the day in units, of a look at every hour and of now."""
    opened_ms, at_ms = (shown := asked.market.shown(asked.now)).opened_ms, shown.at_ms
    found = [quotes.open_interest_units]
    for earlier_ms in range(opened_ms, at_ms, _GLANCE_MS):
        instant = datetime.fromtimestamp(earlier_ms / 1000, UTC)
        if asked.market.listing(instant) is asked.listing:
            found.append(asked.market.quotes(instant, asked.rows).open_interest_units)
    return np.min(found, axis=0).astype(np.float64), np.max(found, axis=0).astype(np.float64)


def _depths(quotes: Quotes) -> list[Json]:
    levels = ladder(quotes, _LEVELS)
    buy = _levels(levels.bid_quantity_units, levels.bid_price, levels.bid_orders)
    sell = _levels(levels.ask_quantity_units, levels.ask_price, levels.ask_orders)
    return [{"buy": bids, "sell": asks} for bids, asks in zip(buy, sell, strict=True)]


def _levels(quantity: Ints, price: Floats, orders: Ints) -> list[list[Json]]:
    return [
        [{"quantity": q, "price": p, "orders": o} for q, p, o in zip(*row, strict=True)]
        for row in zip(quantity.tolist(), price.tolist(), orders.tolist(), strict=True)
    ]


def _prices(found: Bars) -> list[Json]:
    return _entries(
        {"open": found.open, "high": found.high, "low": found.low, "close": found.close}
    )


def _whole(found: Bars | None, chosen: Mask | None = None) -> Mapping[int, Json]:
    """Version 3's bars by place, of the ``chosen`` alone."""
    if found is None:
        return {}
    volumes = found.volume_units.tolist()
    return {
        i: bar | {"volume": volumes[i], "ts": found.starts_ms}
        for i, bar in enumerate(_prices(found))
        if chosen is None or chosen[i]
    }


def _entries(columns: _Columns) -> list[Json]:
    """Columns of equal length as one record for each place."""
    lists = [v.tolist() if isinstance(v, np.ndarray) else v for v in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _symbol(listing: Listing, row: int) -> str:
    """What follows the colon of the name."""
    return listing.rows[row].quote_name.partition(":")[2]
