"""Access tokens of the simulated broker: JWTs with the claims that the real ones carry.

What a token says, how long each kind lives and how it is read back. The signing keys are public,
as everything that they guard is invented. Which kind opens which path stands in ``guard``; that a
token was logged out is remembered by ``gate``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import jwt

from market.rules import IST

USER = "SIM001"
_ALGORITHM = "HS256"
_ISSUER = "udapi-gateway-service"
_DEATH = time(3, 30, tzinfo=IST)


class TokenKind(StrEnum):
    """What a token was made for, which decides what it opens."""

    LOGIN = "login"
    ANALYTICS = "analytics"
    EXTENDED = "extended"
    SANDBOX = "sandbox"


# The real claims do not name the kind. A key for each kind tells it without a claim of our own.
_KEYS: Mapping[TokenKind, str] = {
    kind: f"optionlake simulated exchange: guards nothing ({kind})" for kind in TokenKind
}
_LIFE_DAYS: Mapping[TokenKind, int] = {
    TokenKind.ANALYTICS: 365,
    TokenKind.EXTENDED: 365,
    TokenKind.SANDBOX: 30,
}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is and what it entitles to, as its claims say.

    Attributes:
        expires_at: when the token dies (aware UTC).
        token_id: the token's ``jti``, by which it can be revoked.
    """

    user: str
    is_plus: bool
    kind: TokenKind
    expires_at: datetime
    token_id: str = ""


def login_expiry(now: datetime) -> datetime:
    """When a login token made at ``now`` dies: the next 03:30 IST, the same day's before that."""
    local = now.astimezone(IST)
    death = datetime.combine(local.date(), _DEATH)
    return (death if local < death else death + timedelta(days=1)).astimezone(UTC)


def expiry(kind: TokenKind, now: datetime) -> datetime:
    """When a token of a kind made at ``now`` dies; always at 03:30 IST (aware UTC)."""
    if kind is TokenKind.LOGIN:
        return login_expiry(now)
    return login_expiry(now + timedelta(days=_LIFE_DAYS[kind] - 1))


def mint(
    now: datetime,
    lifetime: timedelta | None = None,
    *,
    is_plus: bool = True,
    kind: TokenKind = TokenKind.ANALYTICS,
    user: str = USER,
) -> str:
    """A token that the simulated exchange takes until it dies.

    Args:
        now: the exchange's time.
        lifetime: how long it lives; None for what the broker gives to its kind (``expiry``).
        user: whose it is; limits and connections are counted for each user.
    """
    death = expiry(kind, now) if lifetime is None else now + lifetime
    claims = {
        "sub": user,
        "jti": uuid.uuid4().hex,
        "isMultiClient": False,
        "isPlusPlan": is_plus,
        **({"isExtended": True} if kind is TokenKind.EXTENDED else {}),
        "iat": int(now.timestamp()),
        "iss": _ISSUER,
        "exp": int(death.timestamp()),
    }
    return jwt.encode(claims, _KEYS[kind], algorithm=_ALGORITHM)


def holder(token: str, now: datetime) -> Account | None:
    """The account that a token stands for; None if it is forged, torn or expired at ``now``."""
    accounts = (_read(token, kind) for kind in TokenKind)
    account = next((found for found in accounts if found is not None), None)
    return account if account is not None and account.expires_at > now else None


def _read(token: str, kind: TokenKind) -> Account | None:
    # The exchange's clock may be simulated, so PyJWT must not look at the machine's.
    options: jwt.types.Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        claims = jwt.decode(token, _KEYS[kind], algorithms=[_ALGORITHM], options=options)
        return _account(claims, kind)
    # Besides what PyJWT raises itself: bytes that are no text, nesting without end, and claims
    # that are not the broker's, under a key that anyone can read here.
    except (jwt.PyJWTError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return None


def _account(claims: Mapping[str, Any], kind: TokenKind) -> Account | None:
    user, token_id = claims["sub"], claims["jti"]
    if not user:
        return None
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    return Account(user, claims.get("isPlusPlan") is True, kind, expires_at, token_id)
