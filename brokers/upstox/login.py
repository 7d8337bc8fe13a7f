"""The broker's login: the address of its dialog, and a code exchanged for a token.

The answer of the exchange has no envelope, and a code is used up by a failure too. Waiting for the
code and keeping the token belong to the command; what a token says is read in ``auth``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlencode

import requests

from brokers.interface import Secret
from brokers.upstox.answers import error_of, plain
from brokers.upstox.auth import TOKEN_TEXT
from brokers.upstox.sessions import api_session, failure_of
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    MalformedResponse,
)

_DIALOG = "/v2/login/authorization/dialog"
_EXCHANGE = "/v2/login/authorization/token"
_TIMEOUT_SECONDS = (5.0, 20.0)
_LONGEST_NAME = 100
_AGAIN = "run optionlake login again"
_PAIR = "check UPSTOX_CLIENT_ID and UPSTOX_CLIENT_SECRET against the app in the developer console"
_REDIRECT = "UPSTOX_REDIRECT_URI must be, sign for sign, the redirect URL of the app"
REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "UDAPI100016": _PAIR,
        "UDAPI100036": _PAIR,
        "UDAPI100057": f"the code is unknown or was used before: {_AGAIN}",
        "UDAPI100068": f"{_PAIR}; {_REDIRECT}",
        "UDAPI100069": _PAIR,
        "UDAPI100070": _REDIRECT,
        "UDAPI100073": "the app is switched off: switch it on in the developer console",
    }
)


@dataclass(frozen=True, slots=True)
class App:
    """The app that was registered in the broker's developer console."""

    client_id: str
    client_secret: Secret
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login gave: a token, and whose account it opens."""

    token: Secret
    user: str
    user_name: str


def dialog_url(api_url: str, app: App, state: str) -> str:
    """The page on which the user logs in and agrees; it leads back with a code and ``state``."""
    query = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": app.redirect_uri,
        "state": state,
    }
    return f"{api_url.rstrip('/')}{_DIALOG}?{urlencode(query)}"


def exchange(api_url: str, app: App, code: str) -> Grant:
    """Turn the dialog's code into a token; one call, never repeated, since codes are single-use.

    Raises:
        AuthenticationError: the broker refuses code or app, with the remedy.
        BrokerError: it cannot be reached or understood.
    """
    form = {
        "code": code,
        "client_id": app.client_id,
        "client_secret": app.client_secret.reveal(),
        "redirect_uri": app.redirect_uri,
        "grant_type": "authorization_code",
    }
    with api_session(api_url) as session:
        try:
            answer = session.post(
                api_url.rstrip("/") + _EXCHANGE,
                data=form,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # The cause holds the request and with it the secret: it must not ride along.
            raise failure_of(error, f"the login's exchange ({_AGAIN})") from None
    if answer.status_code != 200:
        raise refusal_of(answer.status_code, _hidden(answer.content, app, code))
    return read_grant(answer.content)


def read_grant(body: bytes) -> Grant:
    """The answer of the exchange.

    Raises:
        MalformedResponse: if it holds no token.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    told = answer if isinstance(answer, dict) else {}
    token = told.get("access_token")
    if not isinstance(token, str) or not TOKEN_TEXT.fullmatch(token):
        raise MalformedResponse(
            f"the login's answer of {len(body)} bytes holds no access_token; {_AGAIN}"
        )
    user, name = (plain(told.get(key, ""), _LONGEST_NAME) for key in ("user_id", "user_name"))
    return Grant(Secret(token), user, name)


def refusal_of(status: int, body: bytes) -> BrokerError:
    """The error that an answer of the exchange other than 200 stands for.

    A refusal that the broker explains is about the app or its code, not about a request of ours
    that might be mended: it is an ``AuthenticationError`` with the remedy for its code.
    """
    error = error_of(status, body, "the login's exchange")
    if error.code is None or isinstance(error, BrokerUnavailable) or status == 429:
        return error
    remedy = REMEDIES.get(error.code, _AGAIN)
    return AuthenticationError(
        f"the broker refuses the login ({error.code}): {remedy}", status=status, code=error.code
    )


def _hidden(body: bytes, app: App, code: str) -> bytes:
    """``body`` without what was sent, should the broker repeat it in a complaint."""
    for secret in filter(None, (app.client_secret.reveal(), code)):
        body = body.replace(secret.encode(), b"***")
    return body
