"""Who may do what and how often: bearer tokens, rate limits, one-time codes, socket slots.

Answers only; turning a refusal into an HTTP answer is ``guard``'s and ``socket``'s part. Time is
handed in: the exchange's for tokens, a steady one in seconds for rates and codes.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from simulator.access import tokens
from simulator.access.tokens import Account


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``calls`` in any ``seconds``."""

    calls: int
    seconds: float


BROKER_LIMITS = (Limit(50, 1.0), Limit(500, 60.0), Limit(2_000, 1_800.0))
NORMAL_SOCKETS = 2
PLUS_SOCKETS = 5
_MOST_CODES = 1_000
_Granted = TypeVar("_Granted")
_MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What the broker's documents leave open, or a test wants otherwise.

    Attributes:
        limits: rate limits; empty switches them off.
        limit_scope: ``user`` has one budget for all paths (the strictest reading of "per user, per
            API"), ``api`` one for each path.
        is_address_limited: whether calls without a token are counted by the remote address.
        suspension_seconds: for how long all calls are refused after one too many; the broker
            names no length.
        max_sockets: connections of one user at a time; None for what the plan allows.
        code_seconds: how long a one-time code may wait to be used; None for ever.
    """

    limits: tuple[Limit, ...] = BROKER_LIMITS
    limit_scope: Literal["user", "api"] = "user"
    is_address_limited: bool = True
    suspension_seconds: float = 0.0
    max_sockets: int | None = None
    code_seconds: float | None = None


class RateLimiter:
    """Counts one caller's calls over sliding windows; refused calls count too, as at the broker."""

    def __init__(self, limits: Sequence[Limit], suspension_seconds: float = 0.0) -> None:
        self._limits = tuple(limits)
        self._suspension_seconds = suspension_seconds
        self._suspended_until = float("-inf")
        # A window that is full tells all that matters, so no more calls than that are remembered.
        self._calls = [deque[float](maxlen=limit.calls) for limit in self._limits]

    def admits(self, now_seconds: float) -> bool:
        """Count a call and tell whether it is within every limit and no suspension."""
        is_within = all(
            len(calls) < limit.calls or now_seconds - calls[0] >= limit.seconds
            for limit, calls in zip(self._limits, self._calls, strict=True)
        )
        for calls in self._calls:
            calls.append(now_seconds)
        is_admitted = is_within and now_seconds >= self._suspended_until
        if not is_within:
            self._suspended_until = now_seconds + self._suspension_seconds
        return is_admitted


class OneTimeCodes(Generic[_Granted]):
    """Codes that stand for something, once.

    Args:
        steady: seconds.
        life_seconds: how long a code may wait to be used; None for ever.
    """

    def __init__(self, steady: Callable[[], float], life_seconds: float | None = None) -> None:
        self._steady = steady
        self._life_seconds = life_seconds
        self._granted: dict[str, tuple[float, _Granted]] = {}

    def issue(self, code: str, granted: _Granted) -> str:
        """Let ``code`` stand for ``granted``; the oldest unused codes are forgotten."""
        self._granted[code] = self._steady(), granted
        while len(self._granted) > _MOST_CODES:
            del self._granted[next(iter(self._granted))]
        return code

    def redeem(self, code: str) -> _Granted | None:
        """What ``code`` stands for; None from the second time on, or too late."""
        issued_seconds, granted = self._granted.pop(code, (0.0, None))
        age_seconds = self._steady() - issued_seconds
        is_fresh = self._life_seconds is None or age_seconds < self._life_seconds
        return granted if is_fresh else None


class Gate:
    """The door of the exchange.

    Args:
        clock: the exchange's time, which tokens expire by.
        steady: seconds, for rates and codes.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        steady: Callable[[], float],
        rules: AccessRules | None = None,
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._rules = rules or AccessRules()
        self._limiters: dict[tuple[str, str, str], RateLimiter] = {}
        self._codes = OneTimeCodes[Account](steady, self._rules.code_seconds)
        self._sockets: dict[str, int] = {}
        self._revoked: dict[str, datetime] = {}

    def account(self, headers: Mapping[str, str]) -> Account | None:
        """The account whose bearer token the headers carry; None if none that is good now."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        account = tokens.holder(token.strip(), self._clock())
        return account if account is not None and self.is_living(account) else None

    def is_living(self, account: Account) -> bool:
        """Whether the account's token is neither expired nor logged out now."""
        return account.expires_at > self._clock() and account.token_id not in self._revoked

    def revoke(self, account: Account) -> None:
        """Log out: the account's token is dead from now on; the user's other tokens live on."""
        now = self._clock()
        self._revoked[account.token_id] = account.expires_at
        # An expired token needs no remembering.
        self._revoked = {name: end for name, end in self._revoked.items() if end > now}

    def admits(self, account: Account, api: str = "") -> bool:
        """Count a call of the account's user; False when it is one too many.

        Args:
            api: the path that is called, which has a budget of its own if the rules say so.
        """
        return self._admits("user", account.user, api)

    def admits_address(self, address: str, api: str = "") -> bool:
        """Count a call without a token from an address; False when it is one too many."""
        return not self._rules.is_address_limited or self._admits("address", address, api)

    def _admits(self, kind: str, name: str, api: str) -> bool:
        caller = (kind, name, api if self._rules.limit_scope == "api" else "")
        # Put back at the end, so that the first is the one that called longest ago.
        limiter = self._limiters.pop(caller, None) or RateLimiter(
            self._rules.limits, self._rules.suspension_seconds
        )
        self._limiters[caller] = limiter
        if len(self._limiters) > _MOST_CALLERS:
            del self._limiters[next(iter(self._limiters))]
        return limiter.admits(self._steady())

    def issue_code(self, account: Account) -> str:
        """A code that opens one socket, once."""
        return self._codes.issue(str(uuid.uuid4()), account)

    def redeem(self, code: str) -> Account | None:
        """The account that ``code`` was issued to; None from the second time on, or too late."""
        return self._codes.redeem(code)

    def enter(self, account: Account) -> bool:
        """Take a socket slot; False if all of the user's are taken."""
        taken = self._sockets.get(account.user, 0)
        if taken >= self._slots(account):
            return False
        self._sockets[account.user] = taken + 1
        return True

    def leave(self, account: Account) -> None:
        """Give a slot back."""
        self._sockets[account.user] -= 1

    def _slots(self, account: Account) -> int:
        if self._rules.max_sockets is not None:
            return self._rules.max_sockets
        return PLUS_SOCKETS if account.is_plus else NORMAL_SOCKETS
