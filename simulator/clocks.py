"""The exchange's time when it is not the machine's: fast, standing still, moved by hand.

A clock is a callable that tells an aware UTC instant; it only goes forward, as tokens, days and
quotes are taken to. Moving it over HTTP belongs here too; what happens at an instant does not.
Pings, rate limits and pauses keep the machine's seconds, whatever the exchange's clock shows.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from market.errors import ConfigurationError
from market.rules import IST

CLOCK_PATH = "/simulator/clock"
# More than a day in a second would pass over whole sessions between two frames.
MAX_SPEED = 100_000.0
# Far from the end of what a datetime holds, and from every token's end.
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(days=200 * 366)
_BODY = 'send one of {"at": "2026-11-25T09:15:00+05:30"}, {"advance_seconds": 60}, {"speed": 10}'


class FastClock:
    """Goes ``speed`` exchange seconds in each of the machine's; may be used from any thread.

    Args:
        start: what it shows first.
        speed: 0 stands still, 1 is real time, at most ``MAX_SPEED``.
        steady: seconds that only go up.

    Raises:
        ConfigurationError: for an instant without a zone, or a speed out of range.
    """

    def __init__(
        self,
        start: datetime,
        speed: float = 1.0,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steady = steady
        self._lock = threading.Lock()
        self._speed = _checked_speed(speed)
        self._shown = _checked_instant(start)
        self._since = steady()

    def __call__(self) -> datetime:
        """The exchange's time now, aware UTC."""
        with self._lock:
            return self._now()

    @property
    def speed(self) -> float:
        """Exchange seconds per second of the machine."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Go on at ``speed`` from what is shown now; 0 pauses."""
        checked = _checked_speed(speed)
        with self._lock:
            self._show(self._now())
            self._speed = checked

    def advance(self, step: timedelta) -> None:
        """Step forward at once.

        Raises:
            ConfigurationError: for a step back.
        """
        with self._lock:
            self._move(self._now() + min(step, _LONGEST))

    def set(self, instant: datetime) -> None:
        """Show ``instant`` from now on.

        Raises:
            ConfigurationError: for an instant without a zone, or before what is shown.
        """
        with self._lock:
            self._move(_checked_instant(instant))

    def _now(self) -> datetime:
        passed_seconds = min((self._steady() - self._since) * self._speed, _LONGEST.total_seconds())
        return min(self._shown + timedelta(seconds=passed_seconds), _LATEST)

    def _move(self, instant: datetime) -> None:
        now = self._now()
        if instant < now:
            raise ConfigurationError(
                f"clock at {now.isoformat()} cannot go back to {instant.isoformat()}; "
                "start the exchange again with --start to see an earlier time"
            )
        self._show(_checked_instant(instant))

    def _show(self, instant: datetime) -> None:
        self._shown, self._since = instant, self._steady()


class SteppedClock(FastClock):
    """Stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start, 0.0)


class ClockDesk:
    """The clock over HTTP; not part of the broker's protocol."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Reading and moving, under one path."""
        return [web.get(CLOCK_PATH, self._show), web.post(CLOCK_PATH, self._move)]

    async def _show(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self._state())

    async def _move(self, request: web.Request) -> web.StreamResponse:
        try:
            _apply(_movable(self._clock), await request.json())
        except (ConfigurationError, ValueError, TypeError, OverflowError) as error:
            problem = str(error) if isinstance(error, ConfigurationError) else f"{error}; {_BODY}"
            return web.json_response({"error": problem}, status=400)
        return web.json_response(self._state())

    def _state(self) -> dict[str, Any]:
        now = self._clock()
        clock = self._clock
        return {
            "at": now.isoformat(),
            "ist": now.astimezone(IST).isoformat(),
            "speed": clock.speed if isinstance(clock, FastClock) else 1.0,
            "is_movable": isinstance(clock, FastClock),
        }


def _movable(clock: Callable[[], datetime]) -> FastClock:
    if not isinstance(clock, FastClock):
        raise ConfigurationError(
            "this exchange keeps real time; start it with --start or --speed to move its clock"
        )
    return clock


def _apply(clock: FastClock, body: Any) -> None:
    """Do the one thing that ``body`` names."""
    actions: dict[str, Callable[[Any], None]] = {
        "at": lambda value: clock.set(datetime.fromisoformat(value)),
        "advance_seconds": lambda value: clock.advance(timedelta(seconds=value)),
        "speed": lambda value: clock.set_speed(float(value)),
    }
    if not isinstance(body, dict) or len(body) != 1 or not set(body) <= set(actions):
        raise ConfigurationError(f"the clock does not understand {body!r:.80}; {_BODY}")
    ((name, value),) = body.items()
    actions[name](value)


def _checked_speed(speed: float) -> float:
    if not (math.isfinite(speed) and 0.0 <= speed <= MAX_SPEED):
        raise ConfigurationError(f"speed {speed:g}, expected 0 (paused) to {MAX_SPEED:.0f}")
    return speed


def _checked_instant(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ConfigurationError(f"instant {instant} has no zone, expected e.g. {instant}+05:30")
    if instant > _LATEST:
        raise ConfigurationError(f"instant {instant} is after {_LATEST:%Y}; choose an earlier one")
    return instant.astimezone(UTC)
