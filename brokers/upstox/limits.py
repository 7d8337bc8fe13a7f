"""The broker's documented limits of its feed, by what the token says about the account's plan.

The limits of REST calls stand in ``brokers.budget``. Whether the numbers of keys hold for a user or
for a connection is not known (the documents say user, a measurement says connection), so that is a
setting and the strict reading the default.
"""

from __future__ import annotations

from brokers.interface import Capabilities, Mode, TokenSource
from brokers.upstox.auth import TokenClaims, TokenKind, read_claims
from market.errors import AuthenticationError

NORMAL_SOCKETS, PLUS_SOCKETS = 2, 5
KEYS_ALONE = {Mode.LTP: 5000, Mode.GREEKS: 3000, Mode.FULL: 2000}
KEYS_COMBINED = {Mode.LTP: 2000, Mode.GREEKS: 2000, Mode.FULL: 1500}


def capabilities_of(claims: TokenClaims) -> Capabilities:
    """What a token entitles to; a token that does not tell is taken for the normal plan's."""
    sockets = PLUS_SOCKETS if claims.is_plus else NORMAL_SOCKETS
    return Capabilities(sockets, KEYS_ALONE, KEYS_COMBINED, is_plus=claims.is_plus)


def current_capabilities(tokens: TokenSource) -> Capabilities:
    """What the token in use entitles to; the least while there is none."""
    try:
        return capabilities_of(read_claims(tokens.token()))
    except AuthenticationError:
        return capabilities_of(TokenClaims(TokenKind.OPAQUE))
