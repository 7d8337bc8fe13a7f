"""The checks that come before a REST call is answered: who calls, and how often.

What is right or wrong about a call's parameters stands with each group of paths.
"""

from __future__ import annotations

from aiohttp import web

from simulator.access import Gate
from simulator.calls import Handler
from simulator.refusals import refusal


class Guard:
    """Wraps handlers in the broker's checks."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def bearer(self, handler: Handler) -> Handler:
        """A living token and the rate limits before ``handler``."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            user = self._gate.user(request.headers)
            if user is None:
                raise refusal(401, "UDAPI100050", "Invalid token used to access API")
            if not self._gate.admits(user):
                raise refusal(429, "UDAPI10005", "Too Many Request Sent")
            return await handler(request)

        return guarded
