"""Whether a connection still lives: silence of the line, and silence of the market on a good line.

Pure: what was heard and ``now`` in, a verdict out. Silence means nothing while the exchange is
closed, in an auction or halted, so each verdict asks the rules and the exchange's own status first,
and one that changed nothing is not passed again soon. What follows from a verdict, and which state
a session is in, belongs to ``feed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from market.rules import Rules
from market.session import is_open

if TYPE_CHECKING:
    from streaming.feed import Patience

_TRADING = "NORMAL_OPEN"
# A connection that has told something after so long was worth making.
_PROVEN_SECONDS = 60.0


class Pulse:
    """What has come at least each second and then stops, on a line that still answers.

    Indices tick each second of a session, and so does a socket that has them among its keys. A few
    seconds without are telling, but only where a connection has shown that it brings data so, and
    only if the far end has given a sign of life since: one that is starved is silent altogether.

    Args:
        late_seconds: how long a steady pulse may miss; doubles with each verdict.
        steady_seconds: for how long it must have come to be steady.
        longest_gap_seconds: what two beats in a row may be apart.
        cap_seconds: the most that the doubling comes to.
        forgiven_seconds: how long it must be steady for the doubling to be forgotten.
    """

    def __init__(
        self,
        late_seconds: float = 2.4,
        *,
        steady_seconds: float = 5.0,
        longest_gap_seconds: float = 1.5,
        cap_seconds: float = 300.0,
        forgiven_seconds: float = 300.0,
    ) -> None:
        self._late = timedelta(seconds=late_seconds)
        self._borne = self._late
        self._cap = max(self._late, timedelta(seconds=cap_seconds))
        self._steady = timedelta(seconds=steady_seconds)
        self._longest_gap = timedelta(seconds=longest_gap_seconds)
        self._forgiven = timedelta(seconds=forgiven_seconds)
        self._beat_at: datetime | None = None
        self._since: datetime | None = None

    def stop(self) -> None:
        """Another connection, or no session: nothing is known of its pulse."""
        self._beat_at = self._since = None

    def beat(self, now: datetime) -> None:
        """It was heard."""
        if self._since is None or self._beat_at is None or now - self._beat_at > self._longest_gap:
            self._since = now
        self._beat_at = now
        if now - self._since >= self._forgiven:
            self._borne = self._late

    def missed_seconds(self, now: datetime, alive_at: datetime) -> float | None:
        """How long a steady pulse is missing if that is too long, else None.

        Args:
            alive_at: the line's last sign of life of any kind.
        """
        if self._beat_at is None or self._since is None:
            return None
        if self._beat_at - self._since < self._steady:
            return None
        has_line = alive_at - self._beat_at >= self._late / 3
        missed = now - self._beat_at
        return missed.total_seconds() if has_line and missed >= self._borne else None

    def bear_longer(self) -> None:
        """A connection was given up for it: the next may miss for twice as long."""
        self._borne = min(self._cap, self._borne * 2)


class Liveness:
    """What is known of the life of the connection of one session."""

    def __init__(self, rules: Rules, patience: Patience) -> None:
        self._rules = rules
        self._patience = patience
        self._pulse = Pulse(patience.pulse_seconds, cap_seconds=patience.mute_cap_seconds)
        self._does_exchange_trade = True
        self._mute_connections = 0
        self._opened_at: datetime | None = None
        self._alive_at: datetime | None = None
        self._data_at: datetime | None = None
        self._watched_since: datetime | None = None

    def opened(self, now: datetime) -> None:
        """A new connection is open."""
        self.lost()
        self._alive_at = self._opened_at = now
        self._does_exchange_trade = True

    def lost(self) -> None:
        """The connection is gone."""
        self._opened_at = self._alive_at = self._data_at = self._watched_since = None
        self._pulse.stop()

    def heard(self, now: datetime) -> None:
        """Any frame, ping or pong: the line lives."""
        self._alive_at = now

    def statuses(self, market_status: Mapping[str, str]) -> None:
        """The exchange's own words for the state of its segments."""
        if market_status:
            self._does_exchange_trade = _TRADING in market_status.values()

    def told(self, now: datetime, *, is_update: bool) -> None:
        """Data came. A snapshot is only what was known before, so it proves no flow."""
        self._data_at = now
        if is_update:
            self._pulse.beat(now)
            if _has_passed(_PROVEN_SECONDS, self._opened_at, now):
                self._mute_connections = 0

    def verdict(self, now: datetime, *, is_anything_wanted: bool) -> str | None:
        """Why the connection is to be given up; None if it is not."""
        patience = self._patience
        if _has_passed(patience.silent_seconds, self._alive_at, now):
            return f"silent: no frame, ping or pong for {patience.silent_seconds:g} s"
        if not is_anything_wanted or not is_open(self._rules, now):
            self._watched_since = None
            self._pulse.stop()
            return None
        self._watched_since = self._watched_since or now
        return self._missed_pulse(now) or self._mute(now, self._watched_since)

    def _missed_pulse(self, now: datetime) -> str | None:
        if not self._does_exchange_trade or self._alive_at is None:
            self._pulse.stop()
            return None
        missed_seconds = self._pulse.missed_seconds(now, self._alive_at)
        if missed_seconds is None:
            return None
        self._pulse.bear_longer()
        return f"mute: what ticks each second has not for {missed_seconds:.1f} s"

    def _mute(self, now: datetime, watched_since: datetime) -> str | None:
        """A connection that answers pings but tells nothing while the market trades."""
        patience = self._patience
        is_trading = self._does_exchange_trade
        seconds = patience.mute_seconds if is_trading else patience.closed_mute_seconds
        seconds = min(
            seconds * 2 ** min(self._mute_connections, 16),
            max(seconds, patience.mute_cap_seconds),
        )
        if not _has_passed(seconds, max(self._data_at or watched_since, watched_since), now):
            return None
        self._mute_connections += 1
        return f"mute: no data for {seconds:g} s while the market trades"


def _has_passed(seconds: float, since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since >= timedelta(seconds=seconds)
