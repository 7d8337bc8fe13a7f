"""The fault switches and the truth over HTTP, for those outside the process.

Not part of the broker's protocol. What the switches do stands in ``faults``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from simulator import payloads
from simulator.control import Control
from simulator.exchange import Market

CONSOLE_PATH = "/simulator/"


class Console:
    """The fault switches and the truth over HTTP, for those outside the process."""

    def __init__(self, market: Market, clock: Callable[[], datetime], control: Control) -> None:
        self._market = market
        self._clock = clock
        self._control = control

    def routes(self) -> list[web.RouteDef]:
        """Everything under ``CONSOLE_PATH``."""
        return [
            web.get(f"{CONSOLE_PATH}state", self._state),
            web.get(f"{CONSOLE_PATH}truth", self._truth),
            web.post(f"{CONSOLE_PATH}{{action}}", self._act),
        ]

    async def _state(self, _request: web.Request) -> web.StreamResponse:
        control = self._control
        return web.json_response(
            {
                "sockets": len(control.lines),
                "is_paused": control.is_paused,
                "is_muted": control.is_muted,
                "now": self._clock().isoformat(),
            }
        )

    async def _truth(self, request: web.Request) -> web.StreamResponse:
        """Query: ``symbol`` (comma-separated, default all), ``at`` (ISO instant, default now)."""
        listed = [symbol.underlying.symbol for symbol in self._market.symbols]
        asked = request.query.get("symbol", ",".join(listed)).split(",")
        at = request.query.get("at")
        instant = datetime.fromisoformat(at) if at else self._clock()
        chosen = [symbol for symbol in asked if symbol in listed]
        return web.json_response(payloads.truth(self._market, instant, chosen))

    async def _act(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json() if request.can_read_body else {}
        actions = self._actions(body)
        name = request.match_info["action"]
        if name not in actions:
            return web.json_response({"actions": sorted(actions)}, status=404)
        try:
            actions[name]()
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response(
                {"error": f"{name} cannot be done with {body}: {error!r}"}, status=400
            )
        return web.json_response({"done": name})

    def _actions(self, body: Mapping[str, Any]) -> Mapping[str, Callable[[], None]]:
        """What can be done, each with the request's body as its arguments."""
        control = self._control
        return {
            "close": lambda: control.close_sockets(int(body.get("code", 1011))),
            "abort": control.abort_sockets,
            "garbage": control.send_garbage,
            "unknown": control.send_unknown,
            "mute": control.mute,
            "unmute": control.unmute,
            "pause": control.pause,
            "resume": control.resume,
            "refuse": lambda: control.refuse_chain(
                body["symbol"], int(body.get("status", 500)), body.get("times")
            ),
            "allow": lambda: control.allow_chain(body["symbol"]),
        }
