"""A clock that stands still until a test sets it, in either direction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from market.rules import IST


def ist(text: str) -> datetime:
    """An IST wall time, ``2026-11-23 11:30``, as an aware UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=IST).astimezone(UTC)


@dataclass(slots=True)
class StandingClock:
    """The exchange's time, as a test wants it."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at

    @contextmanager
    def showing(self, text: str) -> Iterator[None]:
        """Show an IST wall time while the block lasts."""
        before, self.at = self.at, ist(text)
        try:
            yield
        finally:
            self.at = before
