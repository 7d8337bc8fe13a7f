"""One trial: let a scenario strike, wait until all is well again, draw the balance.

What strikes stands in ``scenarios``; how the balance is drawn in ``books``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import psycopg

from tools.chaos import books
from tools.chaos.books import Account
from tools.chaos.world import World
from tools.processes import now_ms, until

# Ordinary running before and after, so that both edges of the trouble are in the books.
_CALM_SECONDS = 1.0
# What was sent until the end may be received that much later.
_LATE_MS = 1_500

_NEWEST = "SELECT coalesce(extract(epoch FROM max(received_at)) * 1000, 0)::float8 FROM tick"
_FOLLOWED = """
    SELECT DISTINCT i.broker_key FROM tick t JOIN instrument i USING (instrument_id)
    WHERE t.received_at > to_timestamp(%s / 1000.0) AND t.received_at <= to_timestamp(%s / 1000.0)
"""


class Skipped(Exception):
    """The scenario cannot be played on this host; the reason is the text."""


@dataclass(slots=True)
class Clocks:
    """What a scenario notes while it strikes; seconds of the monotonic clock.

    Attributes:
        struck_at: when the trouble began.
        noticed_at: when the process said so; None where that is not the point.
        healed_at, healed_ms: when the cause was gone, from which recovery counts; the latter on the
            wall, epoch ms.
    """

    struck_at: float = 0.0
    noticed_at: float | None = None
    healed_at: float = 0.0
    healed_ms: int = 0

    def strike(self) -> None:
        """The trouble begins now."""
        self.struck_at = time.monotonic()

    def notice(self) -> None:
        """The process has said so."""
        self.noticed_at = time.monotonic()

    def heal(self) -> None:
        """The cause is gone now."""
        self.healed_at, self.healed_ms = time.monotonic(), now_ms()


def _as_it_is(_world: World) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of trouble.

    Attributes:
        title: what a person calls it.
        play: strikes and heals; may raise ``Skipped``.
        shifts_ms: what it may add to the frame times that the process is told.
        around: what the world must be like meanwhile; may raise ``Skipped`` too.
        noticed_within_s, recovered_within_s: what is promised of the times, None for nothing.
    """

    name: str
    title: str
    play: Callable[[World, Clocks], None]
    shifts_ms: tuple[int, ...] = (0,)
    around: Callable[[World], AbstractContextManager[None]] = _as_it_is
    noticed_within_s: float | None = None
    recovered_within_s: float | None = None

    def is_kept_by(self, outcome: Outcome) -> bool:
        """Whether the times of an outcome are as promised; not to be asked of a starved machine."""
        noticed_s = math.inf if outcome.noticed_s is None else outcome.noticed_s
        return (self.noticed_within_s is None or noticed_s <= self.noticed_within_s) and (
            self.recovered_within_s is None or outcome.recovery_s <= self.recovered_within_s
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial; times in seconds.

    Attributes:
        noticed_s: from the strike until the process said so.
        recovery_s: from the end of the cause until data came in and were landed without delay.
    """

    name: str
    noticed_s: float | None
    recovery_s: float
    account: Account
    keys_before: int
    keys_after: int

    @property
    def is_well(self) -> bool:
        """Whether the books balance and hardly any key is without ticks since.

        A strike that the market has left, or that is not traded in that second, is no loss.
        """
        return self.account.is_balanced and self.keys_after >= 0.8 * self.keys_before


def run(world: World, scenario: Scenario) -> Outcome:
    """Play one scenario in a world in which all is well, and leave it so.

    Raises:
        Skipped: this host cannot play it.
        NoSuchTime: the process did not recover.
    """
    with scenario.around(world):
        return _run(world, scenario)


def _run(world: World, scenario: Scenario) -> Outcome:
    stream, clocks = world.stream, Clocks()
    since_ms = now_ms()
    time.sleep(_CALM_SECONDS)
    begun_ms = now_ms()
    until(lambda: _newest_ms(world) > begun_ms, "ticks are landed before the strike")
    before = _followed(world, since_ms, now_ms())
    scenario.play(world, clocks)
    until(stream.is_well, f"{scenario.name}: all is well again", log=stream.log)
    until(lambda: _newest_ms(world) > clocks.healed_ms, "what came since is landed")
    recovery_s = time.monotonic() - clocks.healed_at
    well_ms = now_ms()
    time.sleep(_CALM_SECONDS)
    ended_ms = now_ms()
    closed_ms = ended_ms + _LATE_MS
    until(lambda: _newest_ms(world) > closed_ms, "everything sent is landed")
    keys = before & _followed(world, well_ms, closed_ms)
    account = _account(world, scenario, keys, (begun_ms, ended_ms, closed_ms))
    noticed_s = None if clocks.noticed_at is None else clocks.noticed_at - clocks.struck_at
    return Outcome(scenario.name, noticed_s, recovery_s, account, len(before), len(keys))


def _account(
    world: World, scenario: Scenario, keys: frozenset[str], times_ms: tuple[int, int, int]
) -> Account:
    begun_ms, ended_ms, closed_ms = times_ms
    sent = [(k, at) for k, at in world.witness.sent(begun_ms, ended_ms) if k in keys]
    return books.account(
        sent,
        books.received(world.stream.journal, begun_ms, closed_ms),
        books.landed(world.dsn, begun_ms, closed_ms),
        books.gaps(world.dsn, begun_ms, closed_ms),
        scenario.shifts_ms,
    )


def _newest_ms(world: World) -> float:
    try:
        with world.connect() as connection:
            row = connection.execute(_NEWEST).fetchone()
    except psycopg.OperationalError:
        return 0.0
    return float(row[0]) if row else 0.0


def _followed(world: World, after_ms: int, until_ms: int) -> frozenset[str]:
    with world.connect() as connection:
        rows = connection.execute(_FOLLOWED, (after_ms, until_ms)).fetchall()
    return frozenset(key for (key,) in rows)
