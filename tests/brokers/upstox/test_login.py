"""The login's exchange: against the simulated broker, and whatever an answer may hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Secret
from brokers.upstox.auth import TokenKind, read_claims
from brokers.upstox.login import App, dialog_url, exchange, read_grant, refusal_of
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    MalformedResponse,
    RateLimited,
)
from simulator.access.login import DEFAULT_CLIENT
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator

REDIRECT = "http://127.0.0.1:1/back"
APP = App(DEFAULT_CLIENT.client_id, Secret(DEFAULT_CLIENT.client_secret), REDIRECT)


@pytest.fixture(scope="module")
def exchange_() -> Iterator[SimulatedExchange]:
    """One simulated broker for all tests here."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",))) as running:
        yield running


def _code(url: str, app: App = APP) -> str:
    """What the user's browser would be led back with."""
    answer = requests.get(dialog_url(url, app, "s t&te"), allow_redirects=False, timeout=10)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["s t&te"]
    return query["code"][0]


def test_a_code_becomes_a_token(exchange_: SimulatedExchange) -> None:
    """Whose it is, and that it dies in the coming night; a code opens once only."""
    code = _code(exchange_.url)
    grant = exchange(exchange_.url + "/", APP, code)
    claims = read_claims(grant.token)
    assert claims.kind is TokenKind.LOGIN
    assert claims.user == grant.user == DEFAULT_CLIENT.user
    assert grant.user_name
    with pytest.raises(AuthenticationError, match="used before") as caught:
        exchange(exchange_.url, APP, code)
    assert caught.value.code == "UDAPI100057"
    assert code not in str(caught.value)


def test_wrong_secret_and_redirect_name_the_setting(exchange_: SimulatedExchange) -> None:
    """Each refusal says which of the settings is wrong, and shows no secret."""
    other = App(APP.client_id, Secret("hidden-secret"), REDIRECT)
    with pytest.raises(AuthenticationError, match="UPSTOX_CLIENT_SECRET") as caught:
        exchange(exchange_.url, other, _code(exchange_.url))
    assert "hidden-secret" not in str(caught.value)
    moved = App(APP.client_id, APP.client_secret, "http://127.0.0.1:2/")
    with pytest.raises(AuthenticationError, match="UPSTOX_REDIRECT_URI"):
        exchange(exchange_.url, moved, _code(exchange_.url))


def test_nobody_there_is_told_without_the_secret() -> None:
    """A network failure is one that may pass, and its cause does not ride along."""
    with pytest.raises(BrokerUnavailable, match="network") as caught:
        exchange("http://127.0.0.1:1", APP, "code")
    assert caught.value.__cause__ is None
    assert APP.client_secret.reveal() not in str(caught.value)


def test_errors_keep_their_types() -> None:
    """What waiting mends is no refusal of the login."""
    envelope = json.dumps({"errors": [{"errorCode": "UDAPI10005", "message": "slow"}]}).encode()
    assert isinstance(refusal_of(429, envelope), RateLimited)
    assert isinstance(refusal_of(502, b"<html>"), BrokerUnavailable)
    assert isinstance(refusal_of(403, b"error 1010"), BrokerUnavailable)


@given(st.integers(300, 599), st.binary(max_size=200))
def test_any_refusal_is_one_of_ours(status: int, body: bytes) -> None:
    """Whatever stands between us and the broker."""
    assert isinstance(refusal_of(status, body), BrokerError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["access_token", "user_id", "x"]), inner, max_size=3)
    ),
)


@given(st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_a_grant_or_malformed(body: bytes) -> None:
    """No answer breaks the login in another way."""
    try:
        grant = read_grant(body)
    except MalformedResponse as error:
        assert "access_token" in str(error)
    else:
        assert grant.token
