"""The access token: where it comes from, what it tells about itself, when it is dead.

The token is a JWT signed with the broker's own key, which we do not have, so its claims are read
unverified: they only serve to fail early and with a remedy; the broker stays the judge. Obtaining
a token (``login``) does not belong here, nor does putting it into a request (``rest``).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt

from brokers.interface import Secret
from market.errors import AuthenticationError
from market.rules import IST

_RENEWAL = (
    "run optionlake login, or make a new one in the broker's developer console (an Analytics Token "
    "is free, read-only and lasts a year; a login token always dies at 03:30 IST) and set "
    "UPSTOX_ACCESS_TOKEN to it"
)
# What an Authorization header can carry: visible ASCII.
TOKEN_TEXT = re.compile(r"[!-~]+")
# A login token lives less than a day; anything longer is one of the year-long kinds.
_LONGEST_LOGIN = timedelta(days=2)


class TokenKind(StrEnum):
    """The broker's kinds of token, as far as the claims tell them apart."""

    LOGIN = "login"
    ANALYTICS = "analytics"
    EXTENDED = "extended"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says about itself; None where it does not say.

    Attributes:
        expires_at: when it dies (aware UTC).
        is_plus: whether the account has the paid plan (expired contracts, 30 levels of depth).
        user: the broker's id of whose token it is.
    """

    kind: TokenKind
    expires_at: datetime | None = None
    is_plus: bool | None = None
    user: str | None = None


class StaticToken:
    """A token that was set once and is used until it dies; a ``TokenSource``.

    Args:
        secret: the token, None if none is set.
        now: the clock (aware UTC).
        name: what the user knows it by, for errors.
    """

    def __init__(
        self,
        secret: Secret | None,
        now: Callable[[], datetime],
        name: str = "UPSTOX_ACCESS_TOKEN",
    ) -> None:
        # A newline at the end comes along with most ways of pasting or reading a file.
        self._secret = Secret(secret.reveal().strip()) if secret else None
        self._now = now
        self._name = name

    @cached_property
    def claims(self) -> TokenClaims:
        """What the token says about itself, read locally and unverified."""
        return read_claims(self._secret) if self._secret else TokenClaims(TokenKind.OPAQUE)

    def token(self) -> Secret:
        """The token.

        Raises:
            AuthenticationError: if none is set, it cannot be a token, or its time is over.
        """
        if not self._secret:
            raise AuthenticationError(
                "no access token: run optionlake login, set UPSTOX_ACCESS_TOKEN to the broker's "
                "access or analytics token, or run the demo, which needs none"
            )
        if not TOKEN_TEXT.fullmatch(self._secret.reveal()):
            raise AuthenticationError(
                f"{self._name} holds blanks or signs that no token has: copy it again"
            )
        expires_at = self.claims.expires_at
        if expires_at and expires_at <= self._now():
            died = f"{expires_at.astimezone(IST):%Y-%m-%d %H:%M} IST"
            raise AuthenticationError(f"the access token expired at {died}: {_RENEWAL}")
        return self._secret

    def expires_at(self) -> datetime | None:
        """When the token dies (aware UTC); None if there is none or it does not tell."""
        return self.claims.expires_at


class WatchedToken:
    """The token that was set, else the one in the home's token file; a ``TokenSource``.

    The file is read anew each time, which costs microseconds, so that a replaced one is taken up
    by every running program. A dead token that was set does not stand in the way of a living file.

    Args:
        secret: the token that was set, None if none is.
        path: the token file; it need not exist.
        now: the clock (aware UTC).
    """

    def __init__(self, secret: Secret | None, path: Path, now: Callable[[], datetime]) -> None:
        self._set = StaticToken(secret, now) if secret else None
        self._path = path
        self._now = now

    @property
    def claims(self) -> TokenClaims:
        """What the token in use says about itself; all unknown if there is none."""
        try:
            return self._current().claims
        except AuthenticationError:
            return TokenClaims(TokenKind.OPAQUE)

    def token(self) -> Secret:
        """The first living token.

        Raises:
            AuthenticationError: if there is none, or the file may be read by others.
        """
        return self._current().token()

    def expires_at(self) -> datetime | None:
        """When the token in use dies (aware UTC); None if there is none or it does not tell."""
        return self.claims.expires_at

    def _current(self) -> StaticToken:
        if self._set is not None and _is_usable(self._set):
            return self._set
        filed = read_token_file(self._path)
        if filed is not None:
            return StaticToken(filed, self._now, str(self._path))
        return self._set or StaticToken(None, self._now)


def read_token_file(path: Path) -> Secret | None:
    """The token in a file of its owner's; None if the file is not there.

    Raises:
        AuthenticationError: if others may read the file, or it cannot be read as text.
    """
    try:
        with path.open(encoding="ascii") as file:
            # Asked of the open file, so that what was judged is what is read.
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise AuthenticationError(
                    f"the token file {path} may be read by others and is not used: "
                    f"chmod 600 {path}, and make a new token if others were there"
                )
            return Secret(file.read())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise AuthenticationError(
            f"the token file {path} cannot be read ({type(error).__name__}): "
            "remove it and run optionlake login"
        ) from None


def _is_usable(source: StaticToken) -> bool:
    try:
        source.token()
    except AuthenticationError:
        return False
    return True


def read_claims(secret: Secret) -> TokenClaims:
    """The claims of a token; a token that is no JWT, or says nothing usable, is ``OPAQUE``."""
    try:
        claims = jwt.decode(secret.reveal(), options={"verify_signature": False})
        expires_at = _instant(claims.get("exp"))
        issued_at = _instant(claims.get("iat"))
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError):
        return TokenClaims(TokenKind.OPAQUE)
    is_plus, user = claims.get("isPlusPlan"), claims.get("sub")
    return TokenClaims(
        _kind(claims, issued_at, expires_at),
        expires_at,
        is_plus if isinstance(is_plus, bool) else None,
        # It is shown to people, so it must be a name and no control signs.
        user if isinstance(user, str) and user.isprintable() else None,
    )


def _kind(
    claims: dict[str, Any], issued_at: datetime | None, expires_at: datetime | None
) -> TokenKind:
    if claims.get("isExtended") is True:
        return TokenKind.EXTENDED
    if issued_at is None or expires_at is None:
        return TokenKind.OPAQUE
    is_long = expires_at - issued_at > _LONGEST_LOGIN
    return TokenKind.ANALYTICS if is_long else TokenKind.LOGIN


def _instant(epoch_seconds: object) -> datetime | None:
    if epoch_seconds is None:
        return None
    if isinstance(epoch_seconds, bool) or not isinstance(epoch_seconds, int | float):
        raise ValueError("not epoch seconds")
    return datetime.fromtimestamp(epoch_seconds, UTC)
