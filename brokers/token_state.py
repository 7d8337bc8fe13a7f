"""How urgent it is that somebody renews the access token: a pure judgement of its expiry.

A token that dies at night is nobody's trouble; one that dies while the market is open costs what
the feed would have told. Where tokens come from stands with the broker; who is told of a change is
``streaming.token_watch``'s affair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from market.rules import IST, Rules
from market.session import is_open

# While the market is open, somebody must hear of it this long ahead.
WARNING_AHEAD = timedelta(minutes=60)


class TokenLevel(StrEnum):
    """How loud to be."""

    OK = "ok"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class TokenState:
    """The token at one moment.

    Attributes:
        text: the state in words, for people; never holds the token.
        expires_at: when it dies or died (aware UTC); None if that is not known.
        minutes_left: whole minutes until then, 0 once it is dead; None if that is not known.
    """

    level: TokenLevel
    text: str
    expires_at: datetime | None
    minutes_left: int | None

    @property
    def is_alarm(self) -> bool:
        """Whether data are being lost to the token now."""
        return self.level is TokenLevel.ALARM


def token_state(
    expires_at: datetime | None, rules: Rules, now: datetime, problem: str | None = None
) -> TokenState:
    """Judge the token at ``now``.

    ``alarm``: it is of no use while a session is under way. ``warning``: it is of no use, or will
    be, before the last session of today's IST date has ended; or it dies within an hour while a
    session is under way.

    Args:
        expires_at: when it dies (aware UTC); None if it does not tell.
        problem: why there is no usable token whatever its time: missing, refused by the broker.
    """
    is_expired = expires_at is not None and expires_at <= now
    minutes = None if expires_at is None else _whole_minutes(expires_at - now)
    if problem is not None or is_expired:
        return TokenState(
            _level_of_the_dead(rules, now), problem or _died(expires_at), expires_at, minutes
        )
    if expires_at is None or minutes is None:
        return TokenState(TokenLevel.OK, "the token does not tell when it dies", None, None)
    is_short = expires_at < _sessions_end(rules, now) or (
        is_open(rules, now) and expires_at - now <= WARNING_AHEAD
    )
    level = TokenLevel.WARNING if is_short else TokenLevel.OK
    return TokenState(level, _lives(expires_at, minutes, is_short=is_short), expires_at, minutes)


def _level_of_the_dead(rules: Rules, now: datetime) -> TokenLevel:
    if is_open(rules, now):
        return TokenLevel.ALARM
    return TokenLevel.WARNING if now < _sessions_end(rules, now) else TokenLevel.OK


def _sessions_end(rules: Rules, now: datetime) -> datetime:
    """When the last session of today ends; ``now`` if nothing is left of today's sessions."""
    sessions = rules.sessions(now.astimezone(IST).date())
    return max((s.closes_at for s in sessions), default=now)


def _whole_minutes(left: timedelta) -> int:
    return max(0, math.floor(left / timedelta(minutes=1)))


def _died(expires_at: datetime | None) -> str:
    return f"the token died at {_ist(expires_at)}: run optionlake login" if expires_at else ""


def _lives(expires_at: datetime, minutes: int, *, is_short: bool) -> str:
    hours, rest = divmod(minutes, 60)
    text = f"the token lives until {_ist(expires_at)}, {hours} h {rest} min"
    return f"{text}, too short for the session: run optionlake login" if is_short else text


def _ist(instant: datetime) -> str:
    return f"{instant.astimezone(IST):%d %b %Y %H:%M} IST"
