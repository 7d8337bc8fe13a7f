"""One fault as it is asked for: which, when, how often, for whom.

The words are the catalogue's. Reading a fault from a file, a flag or a request is ``scenario``'s
part; deciding whether it strikes is ``injection``'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from market.errors import ConfigurationError
from market.rules import IST
from simulator.faults.catalogue import Arguments, Kind, kind_of


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the catalogue with its conditions, all on the exchange's clock.

    Attributes:
        starts_at: an instant, or a wall time in IST on which it begins every day; None for at once.
        after_seconds: begins so long after it was added; instead of ``starts_at``.
        lasts_seconds: None for good, or till midnight IST if it begins every day.
        is_instant: an event that strikes the connections open at its beginning and no later ones.
        share: of what it strikes, 0 to 1; of what is said by ``Kind.shares``.
        times: how often at most; None for any number.
        match: all must hold. Of calls: a path's beginning (with a slash), an instrument key or an
            underlying's symbol. Of keys: a key or a symbol. Of anything else: a user.
        arguments: of the kind, all of them; see ``of``.

    Raises:
        ConfigurationError: for an unknown name or a value that means nothing.
    """

    name: str
    starts_at: datetime | time | None = None
    after_seconds: float | None = None
    lasts_seconds: float | None = None
    is_instant: bool = False
    share: float = 1.0
    times: int | None = None
    match: tuple[str, ...] = ()
    arguments: Arguments = field(default_factory=Arguments)

    def __post_init__(self) -> None:
        given: dict[str, object] = dict(self.arguments.values)
        object.__setattr__(self, "arguments", kind_of(self.name).checked(given))
        if not 0.0 <= self.share <= 1.0:
            raise ConfigurationError(f"share is {self.share:g}, expected 0 to 1")
        if self.times is not None and self.times < 1:
            raise ConfigurationError(f"times is {self.times}, expected 1 or more")
        if isinstance(self.starts_at, datetime) and self.starts_at.tzinfo is None:
            raise ConfigurationError(
                "the beginning has no time zone, expected e.g. +05:30 after it"
            )
        if self.starts_at is not None and self.after_seconds is not None:
            raise ConfigurationError("a fault begins at an instant or after seconds, not both")
        for seconds in (self.after_seconds, self.lasts_seconds):
            if seconds is not None and not (math.isfinite(seconds) and 0.0 <= seconds < 1e9):
                raise ConfigurationError(f"{seconds:g} seconds is no duration, expected 0 to 1e9")

    @property
    def kind(self) -> Kind:
        """The catalogue's entry."""
        return kind_of(self.name)

    def began_at(self, now: datetime, added_at: datetime) -> datetime | None:
        """When it began, if it is going on at ``now``; the latest beginning of a daily fault."""
        begun = self._beginning(now, added_at)
        if begun > now:
            return None
        lasts = self.lasts_seconds
        return begun if lasts is None or now < begun + timedelta(seconds=lasts) else None

    def _beginning(self, now: datetime, added_at: datetime) -> datetime:
        if isinstance(self.starts_at, datetime):
            return self.starts_at
        if self.starts_at is None:
            return added_at + timedelta(seconds=self.after_seconds or 0.0)
        today = datetime.combine(now.astimezone(IST).date(), self.starts_at, IST)
        is_yesterdays = today > now and self.lasts_seconds is not None
        return today - timedelta(days=1) if is_yesterdays else today


def fault(
    name: str,
    *,
    starts_at: datetime | time | None = None,
    after_seconds: float | None = None,
    lasts_seconds: float | None = None,
    is_instant: bool = False,
    share: float = 1.0,
    times: int | None = None,
    match: tuple[str, ...] = (),
    **arguments: object,
) -> Fault:
    """A fault with its kind's ``arguments`` by name.

    Raises:
        ConfigurationError: for an unknown name, argument or value.
    """
    return Fault(
        name,
        starts_at=starts_at,
        after_seconds=after_seconds,
        lasts_seconds=lasts_seconds,
        is_instant=is_instant,
        share=share,
        times=times,
        match=match,
        arguments=kind_of(name).checked(arguments),
    )
