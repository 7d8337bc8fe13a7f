"""What the ids of the live feed stand for, as frozen records.

Reading a ``hello`` and cutting it down to what one client watches belongs here; last values stand
in ``rows``, who is sent what is decided in ``hub``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from market.errors import FrameError

ALWAYS = ""
"""The group of rows that every client receives."""


@dataclass(frozen=True, slots=True)
class UnderlyingEntry:
    """An index or stock; ``kind`` is ``INDEX`` or ``EQUITY``."""

    id: int
    symbol: str
    kind: str
    exchange: str


@dataclass(frozen=True, slots=True)
class ExpiryEntry:
    """One expiry of an underlying; ``expiry`` is an ISO date."""

    id: int
    symbol: str
    expiry: str


@dataclass(frozen=True, slots=True)
class StrikeEntry:
    """One strike (₹) of an expiry."""

    id: int
    symbol: str
    expiry: str
    strike: float


@dataclass(frozen=True, slots=True)
class ContractEntry:
    """One option; ``right`` is ``CE`` or ``PE``."""

    id: int
    symbol: str
    expiry: str
    strike: float
    right: str
    lot_size_units: int | None


_Entry = TypeVar("_Entry", UnderlyingEntry, ExpiryEntry, StrikeEntry, ContractEntry)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a client follows: an expiry of a symbol, everything, or only the underlyings."""

    symbol: str | None = None
    expiry: str | None = None
    is_all: bool = False

    def groups(self) -> frozenset[str] | None:
        """The groups of rows this choice covers; None for all of them."""
        if self.is_all:
            return None
        if self.symbol is None:
            return frozenset((ALWAYS,))
        return frozenset((ALWAYS, self.symbol, _chain(self.symbol, self.expiry or "")))


@dataclass(frozen=True)
class Catalogue:
    """Everything the feed can speak of; ``version`` rises when it changes."""

    version: int = 0
    underlyings: tuple[UnderlyingEntry, ...] = ()
    expiries: tuple[ExpiryEntry, ...] = ()
    strikes: tuple[StrikeEntry, ...] = ()
    contracts: tuple[ContractEntry, ...] = ()
    iv_statuses: tuple[str, ...] = ()
    forward_statuses: tuple[str, ...] = ()

    @cached_property
    def meanings(self) -> Mapping[str, Mapping[int, Any]]:
        """Table name → id → entry."""
        tables = zip(TABLES, _sections(self), strict=True)
        return {name: {entry.id: entry for entry in entries} for name, entries in tables}

    @cached_property
    def groups(self) -> Mapping[str, Mapping[int, str]]:
        """Table name → id → the group that its row belongs to."""
        return {
            table: {number: _group(entry) for number, entry in entries.items()}
            for table, entries in self.meanings.items()
        }

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The underlyings' symbols in the feed's order."""
        return tuple(entry.symbol for entry in self.underlyings)

    def expiries_of(self, symbol: str) -> tuple[str, ...]:
        """ISO dates of a symbol's expiries, nearest first."""
        return tuple(sorted(e.expiry for e in self.expiries if e.symbol == symbol))

    def only(self, watch: Watch) -> Catalogue:
        """The same with the strikes and contracts of one choice: what a page needs to know."""
        groups = watch.groups()
        if groups is None:
            return self
        return Catalogue(
            self.version,
            self.underlyings,
            self.expiries,
            tuple(s for s in self.strikes if _group(s) in groups),
            tuple(c for c in self.contracts if _group(c) in groups),
            self.iv_statuses,
            self.forward_statuses,
        )

    def as_json(self) -> dict[str, object]:
        """The ``catalogue`` member of a ``hello``."""
        return asdict(self)


TABLES = ("underlying", "expiry", "strike", "contract")


def read(hello: Mapping[str, Any]) -> Catalogue:
    """The catalogue of a ``hello``; members that this version does not know are ignored.

    Raises:
        FrameError: if an entry lacks something or has the wrong type.
    """
    try:
        told = hello["catalogue"]
        return Catalogue(
            int(told["version"]),
            _entries(UnderlyingEntry, told["underlyings"]),
            _entries(ExpiryEntry, told["expiries"]),
            _entries(StrikeEntry, told["strikes"]),
            _entries(ContractEntry, told["contracts"]),
            tuple(map(str, told["iv_statuses"])),
            tuple(map(str, told["forward_statuses"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FrameError(f"not a hello of the live feed, version 1: {error!r}") from error


def _entries(kind: type[_Entry], told: Iterable[Mapping[str, Any]]) -> tuple[_Entry, ...]:
    names = [f.name for f in fields(kind)]
    entries = tuple(kind(**{name: row[name] for name in names}) for row in told)
    for entry in entries:
        if not isinstance(entry.id, int) or not isinstance(entry.symbol, str):
            raise ValueError(f"{entry} needs an integer id and a symbol")
    return entries


def _sections(catalogue: Catalogue) -> tuple[tuple[Any, ...], ...]:
    return (catalogue.underlyings, catalogue.expiries, catalogue.strikes, catalogue.contracts)


def _group(entry: UnderlyingEntry | ExpiryEntry | StrikeEntry | ContractEntry) -> str:
    if isinstance(entry, UnderlyingEntry):
        return ALWAYS
    if isinstance(entry, ExpiryEntry):
        return entry.symbol
    return _chain(entry.symbol, entry.expiry)


def _chain(symbol: str, expiry: str) -> str:
    return f"{symbol} {expiry}"
