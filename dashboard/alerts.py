"""The newest alerts, each once, numbered in the order they came: what pages are told of them.

A page that comes back says the number it was told last, and gets what came meanwhile. Who is sent
what and when is decided in ``hub``, what is worth an alert in the streaming process.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from market.errors import FrameError

KEPT = 500
SHOWN = 100
"""So many are told to a page that is new."""

NEW, AFRESH = -2, -1
"""Places of pages: one that has nothing, and one that has what another run told it."""

Alert = Mapping[str, Any]


class AlertLog:
    """Takes what the feed tells; bounded.

    Attributes:
        run: names this log; numbers of another mean nothing here.
        newest: number of the newest alert, from 1; 0 if there is none.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.run = secrets.token_hex(8)
        self.newest = 0
        self._alerts: deque[Alert] = deque(maxlen=kept)
        self._keys: set[str] = set()

    def take(self, newest_first: Sequence[Any]) -> None:
        """Take the feed's newest alerts; those that are known, or too old to keep, are passed over.

        Raises:
            FrameError: if one of them is no record with a key and an instant.
        """
        for alert in newest_first:
            if not _is_alert(alert):
                raise FrameError(
                    f"alert {str(alert)[:80]!r}, expected a record with a key and an instant"
                )
        for alert in reversed(newest_first):
            if alert["key"] not in self._keys and not self._is_too_old(alert):
                self._add(alert)

    def place(self, run: object, after: object) -> int:
        """Where a page stands that was told the alert ``after`` of ``run`` last (None: nothing).

        Raises:
            FrameError: if they cannot be that.
        """
        if run is None and after is None:
            return NEW
        if not isinstance(run, str) or not isinstance(after, int) or isinstance(after, bool):
            raise FrameError(f"alerts after {after!r} of run {run!r}, expected a number and a text")
        return after if run == self.run and 0 <= after <= self.newest else AFRESH

    def since(self, place: int) -> dict[str, Any]:
        """The ``alerts`` message: those above a place, newest first, and how many are gone."""
        is_resumed = place >= 0
        wanted = self.newest - place if is_resumed else SHOWN if place == NEW else KEPT
        told = list(islice(reversed(self._alerts), wanted))
        return {
            "run": self.run,
            "newest": self.newest,
            "is_resumed": is_resumed,
            "missed": wanted - len(told) if is_resumed else 0,
            "alerts": told,
        }

    def newest_first(self) -> list[Alert]:
        """All that are kept, newest first."""
        return list(reversed(self._alerts))

    def _is_too_old(self, alert: Alert) -> bool:
        # One that made room for others comes again when the feed tells all that it keeps.
        is_full = len(self._alerts) == self._alerts.maxlen
        return is_full and alert["at_ms"] < self._alerts[0]["at_ms"]

    def _add(self, alert: Alert) -> None:
        if len(self._alerts) == self._alerts.maxlen:
            self._keys.discard(self._alerts[0]["key"])
        self._alerts.append(alert)
        self._keys.add(alert["key"])
        self.newest += 1


def _is_alert(told: object) -> bool:
    return (
        isinstance(told, dict)
        and isinstance(told.get("key"), str)
        and isinstance(told.get("at_ms"), int | float)
    )
