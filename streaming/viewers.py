"""What one viewer of the live feed is owed: without I/O, handed the time.

A viewer's whole state is the newest version it was sent, what it watches and how many frames it
has not acknowledged; so a slow one costs nothing and always catches up with the newest values.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field

from market.errors import FrameError

ACK_WINDOW = 2
ACK_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class Viewer:
    """One connection to the live feed; ``now`` is seconds of any steady clock.

    Attributes:
        seen: version of the newest frame it was sent; the next holds the rows above.
        groups: the groups of rows it watches; None for all.
        catalogue_version: version of the catalogue it knows; −1 for none.
        alerts_version: version of the alerts it knows; 0 for none.
        dropped_updates: pushes it was spared because its window was full.
        sequence: number of the newest frame it was sent, from 1.
    """

    seen: int = 0
    groups: frozenset[Hashable] | None = None
    catalogue_version: int = -1
    health_at: float = float("-inf")
    alerts_version: int = 0
    dropped_updates: int = 0
    sequence: int = 0
    _unacknowledged: dict[int, float] = field(default_factory=dict)

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
        self.seen = version
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
            self.seen = 0
