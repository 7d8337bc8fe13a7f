"""Access tokens of the simulated broker: JWTs with the claims that the real ones carry.

The signing key is public, as everything that it guards is invented. Who demands a token stands in
``rest``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import jwt

_KEY = "optionlake simulated exchange: guards nothing"
_ALGORITHM = "HS256"
USER = "SIM001"


class TokenKind(StrEnum):
    """What a token was made for, which decides what it opens."""

    LOGIN = "login"
    ANALYTICS = "analytics"
    EXTENDED = "extended"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is and what it entitles to, as its claims say."""

    user: str
    is_plus: bool
    kind: TokenKind
    expires_at: datetime


def mint(now: datetime, lifetime: timedelta = timedelta(days=365), *, is_plus: bool = True) -> str:
    """A token that the simulated exchange takes until ``now + lifetime``.

    The default lifetime is that of the broker's read-only analytics token.
    """
    claims = {
        "sub": USER,
        "jti": uuid.uuid4().hex,
        "isMultiClient": False,
        "isPlusPlan": is_plus,
        "iat": int(now.timestamp()),
        "iss": "udapi-gateway-service",
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode(claims, _KEY, algorithm=_ALGORITHM)


def holder(token: str, now: datetime) -> str | None:
    """The user that a token belongs to; None if it is forged, torn or expired at ``now``."""
    try:
        # The exchange's clock may be simulated, so PyJWT must not look at the machine's.
        options: jwt.types.Options = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(token, _KEY, algorithms=[_ALGORITHM], options=options)
    except jwt.InvalidTokenError:
        return None
    is_alive = float(claims.get("exp", 0)) > now.timestamp()
    return str(claims.get("sub", "")) or None if is_alive else None
