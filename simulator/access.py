"""Who may do what and how often: bearer tokens, rate limits, one-time codes, socket slots.

Answers only; turning a refusal into an HTTP answer is ``rest``'s and ``socket``'s part. Time is
handed in: the exchange's for tokens, a steady one in seconds for rates.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from simulator import tokens


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``calls`` in any ``seconds``."""

    calls: int
    seconds: float


BROKER_LIMITS = (Limit(50, 1.0), Limit(500, 60.0), Limit(2_000, 1_800.0))
_MOST_CODES = 1_000


class RateLimiter:
    """Counts one user's calls over sliding windows; refused calls count too, as at the broker."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = tuple(limits)
        # A window that is full tells all that matters, so no more calls than that are remembered.
        self._calls = [deque[float](maxlen=limit.calls) for limit in self._limits]

    def admits(self, now_seconds: float) -> bool:
        """Count a call and tell whether it is within every limit."""
        is_admitted = all(
            len(calls) < limit.calls or now_seconds - calls[0] >= limit.seconds
            for limit, calls in zip(self._limits, self._calls, strict=True)
        )
        for calls in self._calls:
            calls.append(now_seconds)
        return is_admitted


class Gate:
    """The door of the exchange.

    Args:
        clock: the exchange's time, which tokens expire by.
        steady: seconds, for rates.
        limits: empty for none.
        max_sockets: most connections of one user at a time.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        steady: Callable[[], float],
        limits: Sequence[Limit],
        max_sockets: int,
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._limits = tuple(limits)
        self._max_sockets = max_sockets
        self._limiters: dict[str, RateLimiter] = {}
        self._codes: dict[str, str] = {}
        self._sockets: dict[str, int] = {}

    def user(self, headers: Mapping[str, str]) -> str | None:
        """Whose bearer token the headers carry; None if none that is good now."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        return tokens.holder(token.strip(), self._clock()) if scheme == "Bearer" else None

    def admits(self, user: str) -> bool:
        """Count a call of ``user``; False when it is one too many."""
        limiter = self._limiters.setdefault(user, RateLimiter(self._limits))
        return limiter.admits(self._steady())

    def issue_code(self, user: str) -> str:
        """A code that opens one socket, once; the oldest unused ones are forgotten."""
        code = str(uuid.uuid4())
        self._codes[code] = user
        while len(self._codes) > _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        return code

    def redeem(self, code: str) -> str | None:
        """The user that ``code`` was issued to; None from the second time on."""
        return self._codes.pop(code, None)

    def enter(self, user: str) -> bool:
        """Take a socket slot; False if all of the user's are taken."""
        if self._sockets.get(user, 0) >= self._max_sockets:
            return False
        self._sockets[user] = self._sockets.get(user, 0) + 1
        return True

    def leave(self, user: str) -> None:
        """Give a slot back."""
        self._sockets[user] -= 1
