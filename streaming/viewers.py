"""What one viewer of the live feed is owed: without I/O, handed the time.

A viewer's whole state is the newest version it was sent, what it watches and how many frames it
has not acknowledged; so a slow one costs nothing and always catches up with the newest values, and
one whose connection broke goes on where it was by saying which version it has.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl

from market.errors import FrameError

ACK_WINDOW = 2
ACK_SECONDS = 30.0
_CLAIM = {"run", "version", "catalogue"}


class Start(StrEnum):
    """What the first frame of a connection is, and why."""

    RESUMED = "resumed"
    FIRST = "first"
    OTHER_RUN = "other_run"
    UNKNOWN_VERSION = "unknown_version"


@dataclass(frozen=True, slots=True)
class Now:
    """Where the feed stands: its run, and the versions of its rows and of its catalogue."""

    run: str
    version: int
    catalogue_version: int

    def covers(self, claim: Now) -> bool:
        """Whether a feed that stands here can have said so; each row's version is kept for ever."""
        is_row_known = 0 < claim.version <= self.version
        return is_row_known and 0 <= claim.catalogue_version <= self.catalogue_version


@dataclass(frozen=True, slots=True)
class Request:
    """What the address of a connection says.

    Attributes:
        claim: what the viewer has from an earlier connection; None if it is new.
        groups: the groups of rows it watches, and watched then; None for all.
    """

    claim: Now | None = None
    groups: frozenset[Hashable] | None = None


def read_request(query: str) -> Request:
    """The query of the address: ``run``, ``version``, ``catalogue``, ``symbol``, ``expiry``.

    Raises:
        FrameError: if a part of the claim or of the watch is missing, or is no number.
    """
    told = dict(parse_qsl(query, keep_blank_values=True))
    groups, claim = None, None
    try:
        if told.keys() & {"symbol", "expiry"}:
            groups = frozenset({(told["symbol"], told["expiry"])})
        if told.keys() & _CLAIM:
            claim = Now(told["run"], int(told["version"]), int(told["catalogue"]))
    except (KeyError, ValueError) as error:
        raise FrameError(
            "expected run, version and catalogue together, the last two as integers, "
            f"and symbol and expiry together: {error}"
        ) from error
    return Request(claim, groups)


@dataclass(slots=True, eq=False)
class Viewer:
    """One connection to the live feed; ``now`` is seconds of any steady clock.

    Attributes:
        seen: version up to which it is owed nothing; the next frame holds the rows above.
        held: version of the newest frame it was sent, as it knows it.
        groups: the groups of rows it watches; None for all.
        catalogue_version: version of the catalogue it knows; −1 for none.
        start: what its first frame is; None once it was told.
        alerts_version: version of the alerts it knows; 0 for none.
        dropped_updates: pushes it was spared because its window was full.
        sequence: number of the newest frame it was sent, from 1.
    """

    seen: int = 0
    held: int = 0
    groups: frozenset[Hashable] | None = None
    catalogue_version: int = -1
    start: Start | None = Start.FIRST
    health_at: float = float("-inf")
    alerts_version: int = 0
    dropped_updates: int = 0
    sequence: int = 0
    _unacknowledged: dict[int, float] = field(default_factory=dict)

    @classmethod
    def welcome(cls, request: Request, now: Now) -> Viewer:
        """A viewer that goes on where it was if that can be, else from nothing."""
        viewer, claim = cls(groups=request.groups), request.claim
        if claim is None:
            return viewer
        if claim.run != now.run:
            viewer.start = Start.OTHER_RUN
        elif not now.covers(claim):
            viewer.start = Start.UNKNOWN_VERSION
        else:
            viewer.start = Start.RESUMED
            viewer.seen = viewer.held = claim.version
            viewer.catalogue_version = claim.catalogue_version
        return viewer

    def read(self, message: str | bytes) -> None:
        """Take a message of the viewer.

        Raises:
            FrameError: if it is neither a watch nor an ack.
        """
        try:
            told = json.loads(message)
            kind = told["type"]
            if kind == "ack":
                self._acknowledge(int(told["sequence"]))
            elif kind == "watch":
                self._watch(told)
            else:
                raise ValueError(f"type {kind!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FrameError(f"expected a watch or an ack of the live feed: {error}") from error

    def has_room(self) -> bool:
        """Whether another frame may be sent."""
        return len(self._unacknowledged) < ACK_WINDOW

    def take(self, version: int, now: float) -> int:
        """Number the frame that brings the viewer to ``version``; it is on its way."""
        self.seen = self.held = version
        self.sequence += 1
        self._unacknowledged[self.sequence] = now
        return self.sequence

    def is_lost(self, now: float) -> bool:
        """Whether it has left a frame unacknowledged for too long."""
        return any(now - sent >= ACK_SECONDS for sent in self._unacknowledged.values())

    def _acknowledge(self, sequence: int) -> None:
        # Frames arrive in order, so one acknowledgement covers those before it.
        self._unacknowledged = {n: at for n, at in self._unacknowledged.items() if n > sequence}

    def _watch(self, told: dict[str, object]) -> None:
        if told.get("all") is True:
            groups = None
        else:
            symbol, expiry = told["symbol"], told["expiry"]
            if not isinstance(symbol, str) or not isinstance(expiry, str):
                raise ValueError("symbol and expiry must be strings")
            groups = frozenset({(symbol, expiry)})
        if groups != self.groups:
            self.groups = groups
            self.seen = self.held = 0
