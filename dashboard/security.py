"""Who may talk to the page: host and origin checks, and the headers of every answer.

The page listens on loopback by default and has no accounts; what is kept out here are other web
sites in the user's own browser.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.payloads import Problem

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def is_known_host(host: str, allowed: Collection[str]) -> bool:
    """Whether a ``Host`` header names this server.

    An address is always right; a name must be known, since any name can be pointed at loopback
    by the one who owns it (DNS rebinding).
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name in allowed or _is_address(name)


def is_same_origin(origin: str | None, host: str) -> bool:
    """Whether a socket was opened by our own page, or by a program (which sends no origin)."""
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, adds the headers to every answer."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(h.lower() for h in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is ours."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self._is_ours(scope):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            answer = JSONResponse(self._refusal().as_json(), 421)
            await answer(scope, receive, _with_headers(send))
        else:
            # Closing before accepting is answered with 403 by the server.
            await send({"type": "websocket.close", "code": 1008, "reason": "foreign origin"})

    def _is_ours(self, scope: Scope) -> bool:
        host = _header(scope, b"host") or ""
        if not is_known_host(host, self._allowed):
            return False
        return scope["type"] != "websocket" or is_same_origin(_header(scope, b"origin"), host)

    def _refusal(self) -> Problem:
        return Problem(
            421,
            "unknown_host",
            "the Host header does not name this server",
            ("localhost", "an IP address", *sorted(self._allowed)),
            "use one of the expected names, or set OPTIONLAKE_HOST to the name you use",
        )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _header(scope: Scope, name: bytes) -> str | None:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == name), None)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return sending
