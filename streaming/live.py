"""The live state: the newest value of every field, whoever told it, and analytics marked to spot.

Prices come from the socket and, where the chain is newer, from the chain; implied volatility and
its companions from the chain; Greeks and exposure are computed again for each new spot, but at most
twice a second: between two such marks the sums of exposure follow each tick on a grid. How rows
are merged by age stands in ``table``, who the rows are in ``catalogue``, formulas in
``transforms``, and who is sent what in ``viewers``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from brokers.interface import FEED_COLUMN_INDEX, FeedFrame, FrameKind, Instrument
from brokers.keys import KeyNumbers
from market.contract import Kind
from market.live_frame import LiveTable
from streaming.catalogue import Catalogue, Option
from streaming.chain_view import (
    EXPIRY_COLUMNS,
    GREEK_COLUMNS,
    STRIKE_COLUMNS,
    UNDERLYING_COLUMNS,
    ChainView,
)
from streaming.derived import CONTRACT_DERIVED, CONTRACT_SOURCES, contract_columns, newest
from streaming.derived import warm as warm_derived
from streaming.quotes import ABSENT, take_quotes
from streaming.quotes import warm as warm_quotes
from streaming.table import Floats, Indices
from streaming.table import warm as warm_table
from transforms.level_grid import MEASURES, Levels

_LAST_PRICE = FEED_COLUMN_INDEX["last_price"]
_TRADED_AT = FEED_COLUMN_INDEX["traded_at_ms"]
_PREVIOUS_CLOSE = FEED_COLUMN_INDEX["previous_close_price"]
_TOLD = ("bid_price", "ask_price", "volume_units", "open_interest_units")
_FIRST_SPOT = ABSENT - 1
_CHAIN_QUOTES = ("chain_price", *_TOLD, "previous_open_interest_units")
_MARKED_STRIKE = (
    "call_gex_crore_per_percent",
    "put_gex_crore_per_percent",
    "net_gex_crore_per_percent",
    "marked_at_ms",
)
_MARKED_EXPIRY = ("forward", "years_to_expiry", "net_gex_crore_per_percent", "marked_at_ms")
_MARKED_UNDERLYING = ("forward", "net_gex_crore_per_percent", "marked_at_ms")
_NET_GEX = MEASURES.index("net_gex_crore_per_percent")


@dataclass(frozen=True, slots=True)
class _Held:
    """A chain and where its parts stand in the tables."""

    view: ChainView
    contracts: Indices
    strikes: Indices
    expiries: Indices
    underlying: Indices


class LiveState:
    """Everything the live feed shows; one thread only.

    Args:
        mark_seconds: shortest time between two marks of one underlying.
    """

    def __init__(self, mark_seconds: float = 0.5) -> None:
        self._catalogue = Catalogue()
        self._version = 0
        self._mark_ms = 1000 * mark_seconds
        # Row of a contract, or ``_FIRST_SPOT`` − row of a spot: one look for each key of a frame.
        self._rows = KeyNumbers(ABSENT)
        self._chains: dict[str, _Held] = {}
        self._marked_at_ms: dict[str, float] = {}
        self._off_grid: dict[str, Floats | None] = {}
        self._to_mark: set[str] = set()
        self._symbols: list[str] = []

    @property
    def version(self) -> int:
        """Rises with every change."""
        return self._version

    @property
    def catalogue_version(self) -> int:
        """Rises when rows or ids are added."""
        return self._catalogue.version

    def catalogue(self) -> Mapping[str, object]:
        """What the ids stand for."""
        return self._catalogue.describe()

    def changed(self, seen: int, groups: Collection[Hashable] | None) -> list[LiveTable]:
        """Rows above version ``seen``, by table; ``groups`` as in ``VersionedTable``."""
        found = (table.changed(seen, groups) for table in self._catalogue.tables)
        return [table for table in found if table is not None]

    def spots(self) -> dict[str, float]:
        """Newest price in ₹ of each underlying that has one."""
        table = self._catalogue.underlyings
        prices = {symbol: table.value(symbol, "spot") for symbol in self._symbols}
        return {symbol: price for symbol, price in prices.items() if not math.isnan(price)}

    def follow(self, instruments: Iterable[Instrument], ids: Mapping[str, int]) -> None:
        """Make room for what the socket will tell; call again when ``ids`` are known.

        Args:
            ids: canonical contract id → instrument id; contracts without one are not shown yet.
        """
        self._version += 1
        rows: dict[str, int] = {}
        for instrument in instruments:
            contract = instrument.contract
            if contract.kind in {Kind.INDEX, Kind.EQUITY}:
                row = self._catalogue.add_spot(instrument)
                rows[instrument.broker_key] = _FIRST_SPOT - row
                if row == len(self._symbols):
                    self._symbols.append(contract.symbol)
            elif option := _option(instrument):
                known = ids.get(option.contract_id)
                row = self._catalogue.add_option(option, known, self._version)
                rows[instrument.broker_key] = row
        self._rows.add(rows)

    def take_frame(self, frame: FeedFrame, received_at_ms: float) -> None:
        """Merge one socket frame."""
        if frame.kind is FrameKind.STATUS or not frame.keys:
            return
        self._version += 1
        published = frame.published_at_ms
        at_ms = received_at_ms if published is None else float(published)
        rows, contracts = self._rows.of(frame.keys), self._catalogue.contracts
        is_snapshot = frame.kind is FrameKind.SNAPSHOT
        if take_quotes(contracts, rows, frame.values, at_ms, is_snapshot, self._version):
            self._take_spots(frame, rows, at_ms, received_at_ms)

    def take_chain(self, view: ChainView, ids: Mapping[str, int]) -> None:
        """Merge a chain of one symbol; the symbol must have been followed."""
        if view.symbol not in self._symbols:
            return
        self._version += 1
        held = self._held(view, ids)
        self._chains[view.symbol] = held
        self._take_chain_contracts(held)
        self._take_chain_sums(held)
        # The new chain is marked at once, so that no number of the old one outlives it.
        self._marked_at_ms.pop(view.symbol, None)
        self._off_grid.pop(view.symbol, None)
        self._to_mark.add(view.symbol)

    def mark(self, now: datetime) -> int:
        """Mark the underlyings whose spot or chain changed, each at most once a period.

        Returns:
            How many were marked.
        """
        now_ms = now.timestamp() * 1000
        due = [s for s in self._to_mark if self._is_due(s, now_ms)]
        for symbol in due:
            self._to_mark.discard(symbol)
            if symbol in self._chains:
                self._mark(symbol, now, now_ms)
        return len(due)

    def _is_due(self, symbol: str, now_ms: float) -> bool:
        return now_ms - self._marked_at_ms.get(symbol, -np.inf) >= self._mark_ms

    def _held(self, view: ChainView, ids: Mapping[str, int]) -> _Held:
        catalogue = self._catalogue
        contracts = [
            catalogue.add_option(option, ids.get(option.contract_id), self._version)
            for option in view.options
        ]
        strikes = [catalogue.strikes.keys()[view.symbol, *key] for key in view.mark.strikes]
        expiries = [catalogue.expiries.keys()[view.symbol, day] for day in view.mark.expiries]
        underlying = [catalogue.underlyings.keys()[view.symbol]]
        rows = (np.array(r, np.int64) for r in (contracts, strikes, expiries, underlying))
        return _Held(view, *rows)

    def _take_spots(
        self, frame: FeedFrame, rows: Indices, at_ms: float, received_at_ms: float
    ) -> None:
        table, version = self._catalogue.underlyings, self._version
        at = np.flatnonzero(rows < ABSENT)
        told, spots = frame.values[at], _FIRST_SPOT - rows[at]
        both = told[:, [_LAST_PRICE, _LAST_PRICE]]
        both[~np.isnan(both[:, 1]), 1] = received_at_ms
        price_at_ms = np.full(len(at), at_ms)
        if frame.kind is FrameKind.SNAPSHOT:
            # State, not news: its price is as old as its trade.
            price_at_ms = np.fmin(price_at_ms, told[:, _TRADED_AT])
        table.merge(spots, ("socket_spot", "socket_received_at_ms"), both, price_at_ms, version)
        close = told[:, [_PREVIOUS_CLOSE]]
        table.merge(spots, ("previous_close_price",), close, np.array(at_ms), version)
        for symbol in self._derive_spots(spots):
            self._follow_tick(symbol, received_at_ms)

    def _take_chain_contracts(self, held: _Held) -> None:
        contracts, version, view = self._catalogue.contracts, self._version, held.view
        rows = held.contracts
        contracts.merge(rows, _CHAIN_QUOTES, view.quotes, view.quoted_at_ms, version)
        self._derive_contracts(rows)
        newer = ~(view.as_of_ms < contracts.column("iv_at_ms", rows))
        names = ("implied_volatility", "iv_status", "iv_at_ms")
        contracts.put(rows[newer], names, view.volatilities[newer], version)
        # A younger mark of the old chain stays for the moment until the new one is marked.
        newer = ~(view.as_of_ms < contracts.column("greeks_at_ms", rows))
        greeks = np.column_stack((view.greeks, view.as_of_ms))
        contracts.put(rows[newer], (*GREEK_COLUMNS, "greeks_at_ms"), greeks[newer], version)

    def _take_chain_sums(self, held: _Held) -> None:
        catalogue, version, view = self._catalogue, self._version, held.view
        for table, rows, names, values in (
            (catalogue.expiries, held.expiries, EXPIRY_COLUMNS, view.expiries),
            (catalogue.strikes, held.strikes, STRIKE_COLUMNS, view.strikes),
            (catalogue.underlyings, held.underlying, UNDERLYING_COLUMNS, view.underlying),
        ):
            shown = tuple("chain_at_ms" if name == "as_of" else name for name in names)
            table.put(rows, shown, values, version)
        spot, at_ms = np.array([[view.spot]]), np.array([view.spot_at_ms])
        catalogue.underlyings.merge(held.underlying, ("chain_spot",), spot, at_ms, version)
        self._derive_spots(held.underlying)

    def _derive_contracts(self, rows: Indices) -> None:
        table = self._catalogue.contracts
        shown = contract_columns(*table.block(CONTRACT_SOURCES, rows))
        table.put(rows, CONTRACT_DERIVED, shown, self._version)

    def _derive_spots(self, rows: Indices) -> list[str]:
        """Merge both sources' prices; tells the symbols whose price has changed."""
        table = self._catalogue.underlyings
        values, at_ms = table.block(("socket_spot", "chain_spot"), rows)
        price, price_at, is_live = newest(values, at_ms).T
        chain_at = at_ms[:, 1]
        received = np.where(is_live == 1, table.column("socket_received_at_ms", rows), chain_at)
        change = 100 * (price / table.column("previous_close_price", rows) - 1)
        moved = rows[price != table.column("spot", rows)]
        symbols = [self._symbols[row] for row in moved.tolist()]
        self._to_mark.update(symbols)
        names = ("spot", "spot_at_ms", "spot_received_at_ms", "change_percent")
        values = np.column_stack((price, price_at, received, change))
        table.put(rows, names, values, self._version)
        return symbols

    def _mark(self, symbol: str, now: datetime, now_ms: float) -> None:
        catalogue, held = self._catalogue, self._chains[symbol]
        spot = catalogue.underlyings.value(symbol, "spot")
        if math.isnan(spot):
            return
        self._version += 1
        self._marked_at_ms[symbol] = now_ms
        view, version = held.view, self._version
        interest = catalogue.contracts.column("open_interest_units", held.contracts)
        marked = view.mark.at(spot, now, interest)
        greeks = (getattr(marked, name) for name in GREEK_COLUMNS)
        names = (*GREEK_COLUMNS, "greeks_at_ms")
        catalogue.contracts.put(held.contracts, names, _columns(*greeks, now_ms), version)
        gex = _columns(marked.call_gex, marked.put_gex, marked.net_gex, now_ms)
        catalogue.strikes.put(held.strikes, _MARKED_STRIKE, gex, version)
        net_gex = np.append(marked.expiry_net_gex, marked.total_net_gex)
        self._put_levels(held, marked.forward, marked.years_to_expiry, net_gex, now_ms)
        self._off_grid[symbol] = _beside(net_gex, _net_gex(view.grid.at(spot, now)))

    def _follow_tick(self, symbol: str, received_at_ms: float) -> None:
        """Move what a grid tells of the expiries and the underlying to the newest spot.

        All that a mark says of these rows is written, so that ``marked_at_ms`` is true of each
        field; strikes and contracts keep the numbers and the instant of the last exact mark.
        """
        off_grid = self._off_grid.get(symbol)
        if off_grid is None:
            return
        held, spot = self._chains[symbol], self._catalogue.underlyings.value(symbol, "spot")
        at_ms = max(received_at_ms, self._marked_at_ms[symbol])
        grid, at = held.view.grid, datetime.fromtimestamp(at_ms / 1000, UTC)
        if grid.covers(spot, at):
            levels = grid.at(spot, at)
            # Open interest that the socket told since the chain is not in the grid: what it made of
            # the last exact mark is carried on, and the next exact mark corrects it.
            net_gex = _net_gex(levels) + off_grid
            self._put_levels(held, levels.forward, levels.years_to_expiry, net_gex, at_ms)

    def _put_levels(
        self, held: _Held, forward: Floats, years: Floats, net_gex: Floats, at_ms: float
    ) -> None:
        """Write what a mark says of the expiries and, last in ``net_gex``, of the underlying."""
        catalogue, version = self._catalogue, self._version
        sums = _columns(forward, years, net_gex[:-1], at_ms)
        catalogue.expiries.put(held.expiries, _MARKED_EXPIRY, sums, version)
        nearest = held.view.mark.expiries.index(held.view.nearest_expiry)
        total = np.array([[forward[nearest], net_gex[-1], at_ms]])
        catalogue.underlyings.put(held.underlying, _MARKED_UNDERLYING, total, version)


def warm() -> None:
    """Compile all that a frame runs through, or read it from the cache."""
    warm_table()
    warm_derived()
    warm_quotes()


def _columns(*columns: Floats | float) -> Floats:
    """Arrays of one length, and numbers that stand for a whole column, side by side."""
    return np.column_stack(np.broadcast_arrays(*columns))


def _net_gex(levels: Levels) -> Floats:
    """Of each expiry and, last, of all together."""
    return np.append(levels.by_expiry[:, _NET_GEX], levels.total[_NET_GEX])


def _beside(exact: Floats, on_grid: Floats) -> Floats | None:
    """What a mark has beyond the grid; None where one knows an expiry that the other does not."""
    is_alike = np.array_equal(np.isnan(exact), np.isnan(on_grid))
    return exact - on_grid if is_alike else None


def _option(instrument: Instrument) -> Option | None:
    contract = instrument.contract
    if contract.expiry is None or contract.strike is None or contract.right is None:
        return None
    return Option(
        str(contract),
        contract.symbol,
        contract.expiry,
        contract.strike,
        contract.right,
        instrument.lot_size_units,
    )
