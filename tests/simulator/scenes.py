"""Trading days of a small market as the core's kernels take them, and its instants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache

import numpy as np

from market.rules import Rules, Session, at_ist, rules_for
from simulator.exchange import liquidity
from simulator.exchange.days import Day, Track
from simulator.exchange.liquidity import Row, Terms
from simulator.exchange.market import Market
from simulator.exchange.noise import Ints
from simulator.exchange.paths import Paths
from simulator.exchange.symbols import choose
from simulator.exchange.timetable import MINUTE_MS, Grid, Timetable
from simulator.exchange.universe import Listing

SEED = 7
NAMES = ("NIFTY", "BANKNIFTY", "ITC")
WEDNESDAY = date(2026, 11, 25)  # stocks end in an auction from 15:15 to 15:35
TUESDAY = date(2026, 12, 1)  # NIFTY's weekly options expire
LAST_TUESDAY = date(2026, 12, 29)  # everything of December does
HEDGING = 0.35


class Twice(Rules):
    """An exchange that opens two times on one Wednesday, as when it tries its second site."""

    def sessions(self, day: date) -> tuple[Session, ...]:
        """The real ones on all other days."""
        if day != WEDNESDAY:
            return super().sessions(day)
        hours = ((time(9, 15), time(10, 0)), (time(11, 30), time(12, 30)))
        return tuple(
            Session(day, at_ist(day, start), at_ist(day, end), "trial") for start, end in hours
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """One trading day: its listing, paths, terms and minutes."""

    listing: Listing
    tracks: tuple[Track, ...]
    terms: Terms
    day: Day
    grid: Grid

    @property
    def end_ms(self) -> int:
        return self.tracks[0].minutes * MINUTE_MS

    def row(self, place: int) -> Row:
        """The terms of one row."""
        row = liquidity.row_of(self.terms, place)
        return row._replace(stream=np.uint64(row.stream))

    def track(self, row: Row) -> Track:
        """The path of a row's symbol."""
        return self.tracks[row.symbol]

    def chain(self, name: str, expiry: date) -> Ints:
        """Rows of a chain, call then put."""
        rows = self.listing.chain(name, expiry)
        assert rows.size
        return rows

    def at_the_money(self, name: str, expiry: date, steps: int = 0) -> int:
        """Row of the call so many strikes above the day's open."""
        rows = self.chain(name, expiry)
        track = self.tracks[self.listing.symbol_index[rows[0]]]
        opened = track.level * np.exp(track.curves[1, 0])
        calls = rows[::2]
        nearest = int(np.abs(self.listing.strike[calls] - opened).argmin())
        return int(calls[nearest + steps])

    def assorted(self) -> dict[str, int]:
        """Rows of every kind: busy, slow and silent ones."""
        expiry = min(day for name, day in self.listing.expiries if name == "NIFTY")
        stock = min(day for name, day in self.listing.expiries if name == "ITC")
        return {
            "index": self.listing.spot_row["NIFTY"],
            "stock": self.listing.spot_row["ITC"],
            "future": self.listing.future_rows["NIFTY", LAST_TUESDAY],
            "stock future": self.listing.future_rows["ITC", stock],
            "money": self.at_the_money("NIFTY", expiry),
            "put": self.at_the_money("NIFTY", expiry) + 1,
            "out": self.at_the_money("NIFTY", expiry, 9),
            "wing": self.at_the_money("NIFTY", expiry, 32),
            "far wing": self.at_the_money("NIFTY", expiry, -38) + 1,
            "stock option": self.at_the_money("ITC", stock, 2),
        }


def instants(scene: Scene, seed: int, count: int) -> list[int]:
    """Random ms of trading, and the corners of the day."""
    drawn = np.random.default_rng(seed).integers(0, scene.end_ms, count)
    return [0, 1, scene.end_ms - 1, scene.end_ms, *drawn.tolist()]


def quote_instants(row: Row, start_ms: int, end_ms: int) -> Iterator[int]:
    """Every instant of a row's quotes in ``start_ms <= t < end_ms``."""
    if start_ms <= 0:
        yield 0
    first = row.phase_ms + max(-(-(start_ms - row.phase_ms) // row.grid_ms), 0) * row.grid_ms
    yield from range(first, end_ms, row.grid_ms)


_TIMETABLES: dict[type[Rules], Timetable] = {}


def timetable_of(rules: Rules) -> Timetable:
    """One timetable for all rules of a kind: counting days since 2010 takes a while."""
    return _TIMETABLES.setdefault(type(rules), Timetable(rules))


def paths(
    names: tuple[str, ...] = NAMES,
    *,
    hedging: float = HEDGING,
    rules: Rules | None = None,
    seed: int = SEED,
) -> tuple[Paths, Timetable]:
    """Fresh paths of a market and the timetable that they are laid out by."""
    known = rules or rules_for("nse")
    timetable = timetable_of(known)
    return Paths(seed, choose(names), known, timetable, hedging), timetable


@lru_cache(maxsize=16)
def scene(day: date = WEDNESDAY, session: str = "nse") -> Scene:
    """A day of three symbols."""
    rules = rules_for(session)
    listing = Market(SEED, rules, NAMES).listing_of(day)
    made, timetable = paths(rules=rules)
    tracks = made.tracks(day)
    terms = liquidity.terms(listing, listing.symbols, SEED, tracks)
    return Scene(listing, tracks, terms, made.day(day), timetable.grid(day))
