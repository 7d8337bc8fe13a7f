"""The checks that come before a REST call is answered: who calls, with what right, how often.

What is right or wrong about a call's parameters stands with each group of paths.
"""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

from simulator.access.calls import Handler
from simulator.access.gate import Gate
from simulator.access.refusals import refuse
from simulator.access.tokens import Account, TokenKind

MARKET_DATA_KINDS = (TokenKind.LOGIN, TokenKind.ANALYTICS)
_ACCOUNT = web.RequestKey("account", Account)


class Guard:
    """Wraps handlers in the broker's checks."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def bearer(
        self,
        handler: Handler,
        *,
        needs_plus: bool = False,
        opens_to: Collection[TokenKind] = MARKET_DATA_KINDS,
    ) -> Handler:
        """A living token of the right kind, the rate limits and the plan before ``handler``.

        Refuses with 401 UDAPI100050 without a living token, 429 UDAPI10005 over a limit,
        401 UDAPI100067 for the wrong kind of token, 401 UDAPI1149 without the plan; in this
        order, so that refused calls count. The handler finds the caller with ``account_of``.

        Args:
            needs_plus: whether it takes the paid plan.
            opens_to: kinds of token that may call.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            account = self._gate.account(request.headers)
            if account is None:
                raise refuse("UDAPI100050")
            if not self._gate.admits(account, _api(request)):
                raise refuse("UDAPI10005")
            if account.kind not in opens_to:
                raise refuse("UDAPI100067")
            if needs_plus and not account.is_plus:
                raise refuse("UDAPI1149")
            request[_ACCOUNT] = account
            return await handler(request)

        return guarded

    def open(self, handler: Handler) -> Handler:
        """The rate limits alone before ``handler``, for paths that ask for no token.

        A call with a living token counts as its user's, any other as its remote address's. A bad
        token is no reason to refuse, as none was asked for.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            account, api = self._gate.account(request.headers), _api(request)
            is_admitted = (
                self._gate.admits_address(request.remote or "", api)
                if account is None
                else self._gate.admits(account, api)
            )
            if not is_admitted:
                raise refuse("UDAPI10005")
            return await handler(request)

        return guarded


def account_of(request: web.Request) -> Account:
    """Whose call it is, in a handler behind ``Guard.bearer``."""
    return request[_ACCOUNT]


def _api(request: web.Request) -> str:
    """The path as it is routed, its parameters not filled in: what one API is."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
