"""Tokens are JWTs that live by the exchange's clock and tell their kind by what opens them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Secret
from brokers.upstox.auth import read_claims
from market.rules import IST
from simulator.access import tokens
from simulator.access.tokens import USER, TokenKind, expiry, holder, login_expiry, mint

_NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
_INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def _claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize("kind", TokenKind)
def test_claims_are_the_brokers(kind: TokenKind) -> None:
    """A client reads expiry and plan from the token without its key; no claim is our own."""
    claims = _claims(mint(_NOW, timedelta(hours=2), kind=kind))
    names = {"sub", "jti", "isMultiClient", "isPlusPlan", "iat", "iss", "exp"}
    assert set(claims) == names | ({"isExtended"} if kind is TokenKind.EXTENDED else set())
    assert claims["exp"] - claims["iat"] == 7_200
    assert claims["iss"] == "udapi-gateway-service"
    assert claims["isPlusPlan"] is True


@pytest.mark.parametrize(
    ("made", "dies"),
    [
        ("2026-06-10T20:00+05:30", "2026-06-11T03:30+05:30"),
        ("2026-06-11T02:30+05:30", "2026-06-11T03:30+05:30"),
        ("2026-06-11T03:29:59+05:30", "2026-06-11T03:30+05:30"),
        ("2026-06-11T03:30+05:30", "2026-06-12T03:30+05:30"),
    ],
)
def test_the_documented_ends_of_a_login(made: str, dies: str) -> None:
    """The broker's own examples, and both sides of the moment itself."""
    assert login_expiry(datetime.fromisoformat(made)) == datetime.fromisoformat(dies)


@given(_INSTANTS)
def test_every_kind_dies_at_half_past_three(now: datetime) -> None:
    """In India, after the days that its kind has, and never sooner than a day before them."""
    days = {TokenKind.LOGIN: 1, TokenKind.SANDBOX: 30}
    for kind in TokenKind:
        end = expiry(kind, now)
        assert (end.astimezone(IST).hour, end.astimezone(IST).minute) == (3, 30)
        longest = timedelta(days=days.get(kind, 365))
        assert longest - timedelta(days=1) < end - now <= longest


@pytest.mark.parametrize("kind", TokenKind)
@pytest.mark.parametrize("is_plus", [True, False])
def test_a_token_is_read_back(kind: TokenKind, *, is_plus: bool) -> None:
    """Everything that decides what it opens comes back out of it."""
    token = mint(_NOW, is_plus=is_plus, kind=kind, user="SIM002")
    account = holder(token, _NOW)
    assert account is not None
    assert (account.user, account.is_plus, account.kind) == ("SIM002", is_plus, kind)
    assert account.expires_at == expiry(kind, _NOW)
    assert account.token_id == _claims(token)["jti"]


def test_no_two_tokens_have_the_same_id() -> None:
    """Else logging out of one would end the other."""
    ids = {_claims(mint(_NOW))["jti"] for _ in range(100)}
    assert len(ids) == 100


@pytest.mark.parametrize("kind", [TokenKind.LOGIN, TokenKind.ANALYTICS, TokenKind.EXTENDED])
def test_a_client_tells_the_kinds_apart(kind: TokenKind) -> None:
    """From the claims alone, as at the broker."""
    claims = read_claims(Secret(mint(_NOW, kind=kind)))
    assert claims.kind == kind.value
    assert claims.expires_at == expiry(kind, _NOW)


def test_expiry_follows_the_given_clock() -> None:
    """A token dies at the instant it names, whatever the machine's clock says."""
    token = mint(_NOW, timedelta(hours=1))
    account = holder(token, _NOW + timedelta(minutes=59))
    assert account is not None
    assert account.user == USER
    assert holder(token, _NOW + timedelta(minutes=60)) is None


@given(st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_anything_else_has_no_holder(text: str) -> None:
    """Garbage, as a header brings it in, is no token and no crash."""
    assert holder(text, _NOW) is None


def test_endless_nesting_has_no_holder() -> None:
    """A head that no parser gets to the bottom of is no crash either."""
    head = base64.urlsafe_b64encode(b"[" * 5_000).decode()
    assert holder(f"{head}.e30.x", _NOW) is None


@given(st.sampled_from(TokenKind), st.dictionaries(st.sampled_from(["sub", "jti", "exp"]), _JSON))
def test_claims_that_are_not_the_brokers_have_no_holder(
    kind: TokenKind, claims: dict[str, Any]
) -> None:
    """The keys are public: whatever someone signs with them is a token or none, never a crash."""
    account = holder(jwt.encode(claims, tokens._KEYS[kind], algorithm="HS256"), _NOW)
    is_whole = (
        isinstance(claims.get("sub"), str)
        and isinstance(claims.get("jti"), str)
        and isinstance(claims.get("exp"), int | float)
    )
    assert account is None or is_whole


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1e300},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": "soon"},
        {"exp": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": None},
        {"jti": 5},
        {"jti": None},
    ],
)
def test_whole_claims_but_for_one(claims: dict[str, Any]) -> None:
    """Signed as it should be, with one claim that says nothing usable."""
    right = {"sub": USER, "jti": "1", "exp": int((_NOW + timedelta(days=1)).timestamp())}
    key = tokens._KEYS[TokenKind.LOGIN]
    assert holder(jwt.encode(right, key, algorithm="HS256"), _NOW) is not None
    assert holder(jwt.encode(right | claims, key, algorithm="HS256"), _NOW) is None


def test_endless_nesting_under_the_right_key_has_no_holder() -> None:
    """Nor is a signed body that no parser gets to the bottom of."""
    signed = jwt.PyJWS().encode(b"[" * 5_000, tokens._KEYS[TokenKind.LOGIN], algorithm="HS256")
    assert holder(signed, _NOW) is None


def test_a_forged_token_has_no_holder() -> None:
    """The right claims under another key are refused."""
    claims = {"sub": USER, "jti": "1", "exp": int((_NOW + timedelta(days=1)).timestamp())}
    assert holder(jwt.encode(claims, "x" * 40, algorithm="HS256"), _NOW) is None
    assert holder(jwt.encode(claims, "", algorithm="none"), _NOW) is None
