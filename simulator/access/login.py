"""How a program comes by a token: the login dialog, its code, the approval flow, the logout.

The simulated user agrees to everything at once, so there is no page to click on. What a token says
and how long it lives stands in ``tokens``; who is let in with one in ``gate``.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

import aiohttp
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from simulator.access.calls import success
from simulator.access.gate import Gate, OneTimeCodes
from simulator.access.guard import Guard, account_of
from simulator.access.refusals import refuse
from simulator.access.tokens import USER, TokenKind, holder, login_expiry, mint
from simulator.exchange.timetable import epoch_ms

_LOG = structlog.get_logger(__name__)
_NOTIFIER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Client:
    """An app that is registered with the simulated broker.

    Attributes:
        redirect_uri: the one address that the dialog may lead back to; None for any.
        notifier_url: where the approval flow pushes tokens; None if there is none.
        user: whose account it is.
        is_active: whether it may still log in.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str | None = None
    notifier_url: str | None = None
    user: str = USER
    is_active: bool = True


# Public, as everything that they guard is invented.
DEFAULT_CLIENT = Client("optionlake-simulator", "simulated-secret")


@dataclass(frozen=True, slots=True)
class LoginRules:
    """Who may log in, and to what.

    Attributes:
        clients: the registered apps.
        is_plus: whether the tokens that are given out are of the paid plan.
        has_static_ip: whether read-only tokens may use account paths, which at the broker takes a
            registered address.
        code_seconds: how long the dialog's code may wait to be used; None for ever.
    """

    clients: tuple[Client, ...] = (DEFAULT_CLIENT,)
    is_plus: bool = True
    has_static_ip: bool = False
    code_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Consent:
    """What a user agreed to in the dialog."""

    client_id: str
    redirect_uri: str


DEFAULT_LOGIN = LoginRules()


class Login:
    """The paths of login and logout.

    Args:
        clock: the exchange's time, which tokens live by.
        steady: seconds, which codes live by.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        steady: Callable[[], float],
        gate: Gate,
        rules: LoginRules,
    ) -> None:
        self._clock = clock
        self._gate = gate
        self._guard = Guard(gate)
        self._rules = rules
        self._clients = {client.client_id: client for client in rules.clients}
        self._consents = OneTimeCodes[_Consent](steady, rules.code_seconds)
        self._extended: dict[str, str] = {}
        self._pushes: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Every path of this group."""
        guard = self._guard
        # A read-only token may read the profile, but end no session.
        readers = (TokenKind.LOGIN, TokenKind.ANALYTICS)
        return [
            web.get("/v2/login/authorization/dialog", guard.open(self._dialog)),
            web.post("/v2/login/authorization/token", guard.open(self._token)),
            web.post("/v3/login/auth/token/request/{client_id}", guard.open(self._approval)),
            web.delete("/v2/logout", guard.bearer(self._logout, opens_to=(TokenKind.LOGIN,))),
            web.get("/v2/user/profile", guard.bearer(self._profile, opens_to=readers)),
        ]

    async def close(self, _app: web.Application) -> None:
        """Give up the tokens that are still being pushed."""
        for push in self._pushes:
            push.cancel()
        await asyncio.gather(*self._pushes, return_exceptions=True)

    async def _dialog(self, request: web.Request) -> web.StreamResponse:
        """Agree at once and lead back with a code.

        ``response_type`` may be left out, as the official client does, though it is documented
        as required.
        """
        query = request.query
        client = self._clients.get(query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        address = _absolute(redirect_uri)
        if client is None or address is None or client.redirect_uri not in (None, redirect_uri):
            raise refuse("UDAPI100068", property_path="client_id")
        if query.get("response_type", "code") != "code":
            raise refuse("UDAPI100016", value=query["response_type"], property_path="response_type")
        _check_active(client)
        consent = _Consent(client.client_id, redirect_uri)
        code = self._consents.issue(uuid.uuid4().hex[:6], consent)
        state = {"state": query["state"]} if "state" in query else {}
        location = address.update_query({"code": code, **state})
        return web.Response(status=302, headers={"Location": str(location)})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        """Exchange a code; the answer has no envelope."""
        form = await _form(request)
        # First of all, as a code is used up by a failure too.
        consent = self._consents.redeem(form.get("code", ""))
        client = self._client(form.get("client_id", ""), form.get("client_secret"))
        if form.get("grant_type") != "authorization_code":
            raise refuse("UDAPI100036", value=form.get("grant_type"), property_path="grant_type")
        if consent is None or consent.client_id != client.client_id:
            raise refuse("UDAPI100057", property_path="code")
        if consent.redirect_uri != form.get("redirect_uri"):
            raise refuse(
                "UDAPI100070", value=form.get("redirect_uri"), property_path="redirect_uri"
            )
        is_renewed = form.get("refresh_extended_token") == "true"
        return web.json_response(
            {
                **_profile(client.user),
                "access_token": self._mint(client.user, TokenKind.LOGIN),
                "extended_token": self._extended_token(client.user, is_renewed=is_renewed),
            }
        )

    async def _approval(self, request: web.Request) -> web.StreamResponse:
        """Ask the user for a token, which is pushed to the app's notifier."""
        body = await _json_object(request)
        client = self._client(request.match_info["client_id"], body.get("client_secret"))
        if client.notifier_url is None:
            raise refuse("UDAPI1123")
        push = asyncio.create_task(self._push(client.notifier_url, self._notice(client)))
        self._pushes.add(push)
        push.add_done_callback(self._pushes.discard)
        expiry_ms = epoch_ms(login_expiry(self._clock()))
        return success(
            {"authorization_expiry": str(expiry_ms), "notifier_url": client.notifier_url}
        )

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        self._gate.revoke(account_of(request))
        return success(True)

    async def _profile(self, request: web.Request) -> web.StreamResponse:
        account = account_of(request)
        if account.kind is TokenKind.ANALYTICS and not self._rules.has_static_ip:
            raise refuse("UDAPI1221")
        return success(_profile(account.user))

    def _client(self, client_id: str, secret: object) -> Client:
        client = self._clients.get(client_id)
        if client is None or client.client_secret != secret:
            raise refuse("UDAPI100069", property_path="client_id")
        _check_active(client)
        return client

    def _mint(self, user: str, kind: TokenKind) -> str:
        return mint(self._clock(), is_plus=self._rules.is_plus, kind=kind, user=user)

    def _extended_token(self, user: str, *, is_renewed: bool) -> str:
        """The user's year-long token: the same at each login until it dies or is renewed."""
        known = self._extended.get(user)
        if known is None or is_renewed or holder(known, self._clock()) is None:
            self._extended[user] = known = self._mint(user, TokenKind.EXTENDED)
        return known

    def _notice(self, client: Client) -> dict[str, str]:
        now = self._clock()
        return {
            "client_id": client.client_id,
            "user_id": client.user,
            "access_token": self._mint(client.user, TokenKind.LOGIN),
            "token_type": "Bearer",
            "expires_at": str(epoch_ms(login_expiry(now))),
            "issued_at": str(epoch_ms(now)),
            "message_type": "access_token",
        }

    async def _push(self, url: str, notice: Mapping[str, str]) -> None:
        """Tell the notifier once; whether it took the token is its own affair."""
        timeout = aiohttp.ClientTimeout(total=_NOTIFIER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, json=notice) as answer,
            ):
                _LOG.info("token_pushed", client_id=notice["client_id"], status=answer.status)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = type(error).__name__
            _LOG.warning("token_not_pushed", client_id=notice["client_id"], reason=reason)


def _check_active(client: Client) -> None:
    if not client.is_active:
        raise refuse("UDAPI100073", value=client.client_id, property_path="client_id")


def _absolute(text: str) -> URL | None:
    """An address with a scheme and a host that a header can carry; None for anything else."""
    try:
        address = URL(text)
    except ValueError:
        return None
    # A control character in the host comes through the parser, but not through HTTP.
    is_whole = address.scheme and address.host and str(address).isprintable()
    return address if is_whole else None


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form-encoded body, the last of each name."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise refuse("UDAPI100038", value=request.content_type, property_path="Content-Type")
    return dict(parse_qsl(await _text(request), keep_blank_values=True))


async def _json_object(request: web.Request) -> dict[str, object]:
    text = await _text(request)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise refuse("UDAPI100038") from None
    if not isinstance(body, dict):
        raise refuse("UDAPI100038")
    return body


async def _text(request: web.Request) -> str:
    try:
        return (await request.read()).decode()
    # No text, or not compressed as it says.
    except (ValueError, web.RequestPayloadError, HttpProcessingError):
        raise refuse("UDAPI100038") from None


def _profile(user: str) -> dict[str, object]:
    return {
        "email": f"{user.lower()}@example.com",
        "exchanges": ["NSE", "NFO", "BSE", "CDS", "BFO", "BCD"],
        "products": ["D", "CO", "I"],
        "broker": "UPSTOX",
        "user_id": user,
        "user_name": "Simulated User",
        "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
        "user_type": "individual",
        "poa": False,
        "is_active": True,
    }
