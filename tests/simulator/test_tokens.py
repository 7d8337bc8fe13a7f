"""Tokens are JWTs that live by the exchange's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
from hypothesis import given
from hypothesis import strategies as st

from simulator.tokens import USER, holder, mint

_NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


def test_claims_are_the_brokers() -> None:
    """A client reads expiry and plan from the token without its key."""
    claims = jwt.decode(mint(_NOW, timedelta(hours=2)), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7_200
    assert claims["iss"] == "udapi-gateway-service"
    assert claims["isPlusPlan"] is True
    assert {"sub", "jti", "isMultiClient"} <= set(claims)


def test_expiry_follows_the_given_clock() -> None:
    """A token dies at the instant it names, whatever the machine's clock says."""
    token = mint(_NOW, timedelta(hours=1))
    assert holder(token, _NOW + timedelta(minutes=59)) == USER
    assert holder(token, _NOW + timedelta(minutes=60)) is None


@given(st.text(max_size=200))
def test_anything_else_has_no_holder(text: str) -> None:
    """Garbage is no token and no crash."""
    assert holder(text, _NOW) is None


def test_a_forged_token_has_no_holder() -> None:
    """The right claims under another key are refused."""
    claims = {"sub": USER, "exp": int((_NOW + timedelta(days=1)).timestamp())}
    assert holder(jwt.encode(claims, "x" * 40, algorithm="HS256"), _NOW) is None
