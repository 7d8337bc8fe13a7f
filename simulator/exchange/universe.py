"""What the simulated exchange lists on a day, as records and arrays: names, keys, lots.

Which series and which strikes there are stands in ``series``. Prices do not belong here, nor the
shapes in which the broker serves a listing (``records``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import numpy as np

from market.contract import Contract, Kind, Right, format_strike
from market.rules import Rules
from simulator.exchange.noise import Floats, Ints, Mask, Streams, stream, uniform
from simulator.exchange.series import Band, Calendar, Series, places, spans
from simulator.exchange.symbols import SYMBOLS, Symbol

# Where tokens begin: of futures, of options of indices, of options of stocks; ranges do not meet.
_FUTURE_TOKENS, _INDEX_TOKENS, _STOCK_TOKENS = 35_000, 40_000, 1_100_000
_PLACES = {symbol: place for place, symbol in enumerate(SYMBOLS.values())}


@dataclass(frozen=True, slots=True)
class Listed:
    """One listed instrument.

    Attributes:
        quote_name: the colon name under which quotes come back, ``SEGMENT:SYMBOL``.
        is_weekly: an option of a week that does not end a month's series.
    """

    symbol: Symbol
    contract: Contract
    key: str
    segment: str
    token: str
    trading_symbol: str
    quote_name: str
    lot_units: int
    is_weekly: bool = False

    @property
    def is_derivative(self) -> bool:
        return self.contract.expiry is not None

    @property
    def is_index(self) -> bool:
        return self.contract.kind is Kind.INDEX


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything listed on one day, as records and as arrays over the same rows.

    Attributes:
        symbol_index: row's place in ``symbols``.
        expiries: symbol and date of each series.
        expiry_id: row's place in ``expiries``, −1 for spot.
        strike: ₹, NaN unless an option.
        sign: +1 call, −1 put, 0 otherwise.
        is_index: whether the row is an index itself, which nobody bids for.
        settles_ms: when the final settlement price is fixed; 0 for spot.
        streams: the row's own random stream; the same contract has the same one every day.
        spot_row, future_rows: row of a symbol, and of its future by expiry.
    """

    day: date
    symbols: tuple[Symbol, ...]
    rows: tuple[Listed, ...] = field(repr=False)
    row_of_key: Mapping[str, int] = field(repr=False)
    symbol_index: Ints
    expiries: tuple[tuple[str, date], ...] = field(repr=False)
    expiry_id: Ints
    strike: Floats
    sign: Floats
    is_index: Mask
    settles_ms: Ints
    lot_units: Ints
    streams: Streams
    spot_row: Mapping[str, int] = field(repr=False)
    future_rows: Mapping[tuple[str, date], int] = field(repr=False)
    chains: Mapping[tuple[str, date], Ints] = field(repr=False)

    def chain(self, symbol: str, expiry: date) -> Ints:
        """Rows of one expiry's options: strikes ascending, call then put; empty if not listed."""
        return self.chains.get((symbol, expiry), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows that follow one another: a spot, a future, or the options of one expiry."""

    symbol: Symbol
    expiry: date | None
    rows: tuple[Listed, ...]
    strike: Floats
    sign: Floats

    @property
    def kind(self) -> Kind:
        return self.rows[0].contract.kind

    @property
    def series(self) -> tuple[str, date]:
        return self.symbol.underlying.symbol, self.expiry or date.min


def list_day(
    day: date, symbols: tuple[Symbol, ...], band: Band, rules: Rules, seed: int
) -> Listing:
    """List a day: spots, then each symbol's futures and options.

    What is listed of a symbol, and how it is called, does not depend on the other ``symbols``.

    Args:
        band: asked about trading days before ``day`` only, up to 300 calendar days back.
    """
    calendar = Calendar(day, rules)
    blocks = [_straight(symbol, None, _spot(symbol)) for symbol in symbols]
    for symbol in symbols:
        blocks += _derivatives(symbol, calendar, band, rules)
    return _as_arrays(day, symbols, blocks, rules, seed)


def _derivatives(symbol: Symbol, calendar: Calendar, band: Band, rules: Rules) -> Iterator[_Block]:
    listed = [(series, _lot_units(series, rules)) for series in calendar.series(symbol)]
    for series, lot_units in listed:
        if series.has_future:
            yield _straight(symbol, series.expiry, _future(symbol, series.expiry, lot_units))
    for series, lot_units in listed:
        yield _options(series, places(spans(series, calendar, band)), lot_units)


def _as_arrays(
    day: date, symbols: tuple[Symbol, ...], blocks: list[_Block], rules: Rules, seed: int
) -> Listing:
    rows = tuple(row for block in blocks for row in block.rows)
    sizes = np.array([len(block.rows) for block in blocks], np.int64)
    place = {symbol: i for i, symbol in enumerate(symbols)}
    expiries = tuple(dict.fromkeys(block.series for block in blocks if block.expiry))
    ids = {series: i for i, series in enumerate(expiries)}
    symbol_index = np.array([place[block.symbol] for block in blocks], np.int64)
    is_index = np.array([block.kind is Kind.INDEX for block in blocks])
    strike = np.concatenate([block.strike for block in blocks])
    sign = np.concatenate([block.sign for block in blocks])
    return Listing(
        day=day,
        symbols=symbols,
        rows=rows,
        row_of_key={row.key: i for i, row in enumerate(rows)},
        symbol_index=np.repeat(symbol_index, sizes),
        expiries=expiries,
        expiry_id=np.repeat([ids.get(block.series, -1) for block in blocks], sizes),
        strike=strike,
        sign=sign,
        is_index=np.repeat(is_index, sizes),
        settles_ms=np.repeat(_settles_ms(blocks, rules), sizes),
        lot_units=np.repeat([block.rows[0].lot_units for block in blocks], sizes),
        streams=_streams(np.repeat(_block_streams(blocks, seed), sizes), strike, sign),
        spot_row={block.series[0]: i for i, block in enumerate(blocks[: len(symbols)])},
        future_rows={series: int(found[0]) for series, found in _rows(blocks, Kind.FUTURE)},
        chains=dict(_rows(blocks, Kind.OPTION)),
    )


def _rows(blocks: list[_Block], kind: Kind) -> Iterator[tuple[tuple[str, date], Ints]]:
    """The series of the blocks of a kind, each with its rows."""
    start = 0
    for block in blocks:
        end = start + len(block.rows)
        if block.kind is kind:
            yield block.series, np.arange(start, end)
        start = end


def _settles_ms(blocks: list[_Block], rules: Rules) -> list[int]:
    days = {block.expiry for block in blocks if block.expiry}
    known = {day: int(rules.settlement_at(day).timestamp() * 1000) for day in days}
    return [known[block.expiry] if block.expiry else 0 for block in blocks]


def _block_streams(blocks: list[_Block], seed: int) -> Streams:
    """A random stream for each symbol and expiry."""
    names = {block.symbol.underlying.symbol for block in blocks}
    of_symbol = {name: stream(seed, "row", name) for name in names}
    days = np.array([block.expiry.toordinal() if block.expiry else 0 for block in blocks])
    return _mixed(np.array([of_symbol[block.series[0]] for block in blocks], np.uint64), days)


def _streams(of_block: Streams, strike: Floats, sign: Floats) -> Streams:
    """Each row's own stream, by its strike and right."""
    paise = np.round(np.nan_to_num(strike) * 100.0).astype(np.int64)
    return _mixed(of_block, paise * 4 + sign.astype(np.int64))


def _mixed(streams: Streams, indices: Ints) -> Streams:
    """The stream that a number picks from a stream, of 53 random bits."""
    mixed: Streams = (uniform(streams, indices) * 2.0**53).astype(np.uint64)
    return mixed


def _straight(symbol: Symbol, expiry: date | None, row: Listed) -> _Block:
    return _Block(symbol, expiry, (row,), np.array([np.nan]), np.zeros(1))


def _spot(symbol: Symbol) -> Listed:
    name = symbol.name if symbol.is_index else symbol.underlying.symbol
    segment = symbol.key.partition("|")[0]
    contract = Contract(symbol.underlying.symbol, symbol.underlying.kind)
    quote_name = f"{segment}:{name}"
    return Listed(symbol, contract, symbol.key, segment, symbol.token, name, quote_name, 1)


def _future(symbol: Symbol, expiry: date, lot_units: int) -> Listed:
    name = symbol.underlying.symbol
    token = _FUTURE_TOKENS + _PLACES[symbol] * 8 + expiry.month % 8
    return Listed(
        symbol,
        Contract(name, Kind.FUTURE, expiry),
        f"{symbol.segment}|{token}",
        symbol.segment,
        str(token),
        f"{name} FUT {_spoken(expiry)}",
        f"{symbol.segment}:{name}{expiry:%y%b}FUT".upper(),
        lot_units,
    )


def _options(series: Series, places: list[int], lot_units: int) -> _Block:
    pairs = _pairs(series, lot_units)
    pairs.update(_new_pairs(series, [p for p in places if p not in pairs], lot_units))
    rows = tuple(row for place in places for row in pairs[place])
    strikes = np.array(places) * series.symbol.step
    signs = np.tile([1.0, -1.0], len(places))
    return _Block(series.symbol, series.expiry, rows, np.repeat(strikes, 2), signs)


# Records are made once: most contracts of a day were listed on the day before. A day of the whole
# universe has about 660 series.
@lru_cache(maxsize=1_024)
def _pairs(series: Series, lot_units: int) -> dict[int, tuple[Listed, Listed]]:
    """The calls and puts of a series made so far, by their strike in steps."""
    return {}


def _new_pairs(
    series: Series, places: list[int], lot_units: int
) -> Iterator[tuple[int, tuple[Listed, Listed]]]:
    symbol, expiry, is_weekly = series.symbol, series.expiry, series.is_weekly
    name, segment, spoken = symbol.underlying.symbol, symbol.segment, _spoken(expiry)
    month = f"{_month_letter(expiry)}{expiry:%d}" if is_weekly else f"{expiry:%b}".upper()
    quoted = f"{segment}:{name}{expiry:%y}{month}"
    first_token, room = _option_tokens(symbol, expiry)

    def row(strike: float, spelled: str, right: Right, token: int) -> Listed:
        return Listed(
            symbol,
            Contract(name, Kind.OPTION, expiry, strike, right),
            f"{segment}|{token}",
            segment,
            str(token),
            f"{name} {spelled} {right} {spoken}",
            f"{quoted}{spelled}{right}",
            lot_units,
            is_weekly,
        )

    for place in places:
        strike = place * symbol.step
        spelled, token = format_strike(strike), first_token + place % room * 2
        call = row(strike, spelled, Right.CALL, token)
        yield place, (call, row(strike, spelled, Right.PUT, token + 1))


def _option_tokens(symbol: Symbol, expiry: date) -> tuple[int, int]:
    """The first token of a series and how many strikes it has room for.

    They come back after 64 weeks or 8 months: the exchange, too, re-uses tokens after expiry.
    """
    if symbol.is_index:
        # From Wednesday to Tuesday: an expiry moved to the day before stays in its week.
        week = (expiry.toordinal() - 3) // 7 % 64
        return _INDEX_TOKENS + (_PLACES[symbol] * 64 + week) * 2_048, 1_024
    return _STOCK_TOKENS + (_PLACES[symbol] * 8 + expiry.month % 8) * 512, 256


def _lot_units(series: Series, rules: Rules) -> int:
    symbol, expiry = series.symbol, series.expiry
    units = symbol.lot_units or rules.lot_units(symbol.underlying.symbol, expiry)
    if units is None:
        raise ValueError(f"no lot rule for {symbol.underlying.symbol} expiring {expiry}")
    return units


def _month_letter(expiry: date) -> str:
    return "123456789OND"[expiry.month - 1]


def _spoken(expiry: date) -> str:
    return f"{expiry:%d %b %y}".upper()
