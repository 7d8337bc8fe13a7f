"""The faults, the switches and the truth over HTTP, for those outside the process.

Not part of the broker's protocol. What a fault does stands in ``catalogue``, how one is written in
``scenario``, what the switches do in ``control``. A wrong call is told what is wrong, what is
expected and where to look, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

from aiohttp import web

from market.errors import ConfigurationError
from market.rules import IST
from simulator.access.calls import Handler
from simulator.exchange.market import Market
from simulator.faults import scenario
from simulator.faults.catalogue import CATALOGUE, Argument, Kind, nearest
from simulator.faults.control import Control
from simulator.faults.injection import FaultState
from simulator.faults.middleware import CONSOLE_PATH
from simulator.truth_shape import truth

_FAULTS = f"{CONSOLE_PATH}faults"
_REMEDY = f"GET {_FAULTS} lists every fault with its arguments, GET {CONSOLE_PATH}state what is on"


class Console:
    """The faults, the switches and the truth over HTTP, for those outside the process."""

    def __init__(self, market: Market, clock: Callable[[], datetime], control: Control) -> None:
        self._market = market
        self._clock = clock
        self._control = control

    def routes(self) -> list[web.RouteDef]:
        """Everything under ``CONSOLE_PATH``, the last one catching what is not there."""
        return [
            web.get(f"{CONSOLE_PATH}state", self._state),
            web.get(f"{CONSOLE_PATH}truth", _told(self._truth)),
            web.get(_FAULTS, self._faults),
            web.post(_FAULTS, _told(self._add)),
            web.delete(_FAULTS, self._clear),
            web.delete(f"{_FAULTS}/{{number}}", _told(self._remove)),
            web.post(f"{CONSOLE_PATH}{{action}}", _told(self._act)),
        ]

    async def _state(self, _request: web.Request) -> web.StreamResponse:
        control, now = self._control, self._clock()
        return web.json_response(
            {
                "now": now.isoformat(),
                "ist": now.astimezone(IST).isoformat(),
                "is_paused": control.is_paused,
                "is_muted": control.is_muted,
                "sockets": [
                    {
                        "id": line.view.number,
                        "user": line.view.user,
                        "opened_at": line.view.opened_at.isoformat(),
                        "subscribed": len(line.view.followed()),
                    }
                    for line in sorted(control.lines, key=lambda line: line.view.number)
                ],
                "faults": self._active(now),
            }
        )

    async def _faults(self, _request: web.Request) -> web.StreamResponse:
        catalogue = [_kind(kind) for kind in CATALOGUE.values()]
        return web.json_response({"catalogue": catalogue, "active": self._active(self._clock())})

    async def _add(self, request: web.Request) -> web.StreamResponse:
        fault = scenario.parse_fault(await _text(request), "request body")
        number = self._control.add(fault)
        return web.json_response({"id": number, "fault": scenario.fields(fault)}, status=201)

    async def _clear(self, _request: web.Request) -> web.StreamResponse:
        self._control.clear()
        return web.json_response({"done": "every fault ended"})

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        text = request.match_info["number"]
        is_number = text.isascii() and text.isdigit() and len(text) < 19
        if not is_number or not self._control.remove(int(text)):
            return _wrong(f"there is no fault {text!r}, expected an id from the state", 404)
        return web.json_response({"done": f"fault {text} ended"})

    async def _truth(self, request: web.Request) -> web.StreamResponse:
        """Query: ``symbol`` (comma-separated, default all), ``at`` (ISO instant, default now)."""
        listed = self._symbols()
        asked = request.query.get("symbol", ",".join(listed)).split(",")
        for symbol in asked:
            _check_symbol(symbol, listed)
        instant = _instant(request.query["at"]) if "at" in request.query else self._clock()
        found = await asyncio.to_thread(truth, self._market, instant, asked)
        return web.json_response(found)

    async def _act(self, request: web.Request) -> web.StreamResponse:
        actions, name = self._actions(), request.match_info["action"]
        if name not in actions:
            wanted = f"expected one of {', '.join(actions)}" + nearest(name, actions)
            return _wrong(f"there is no action {name!r}, {wanted}", 404)
        actions[name](_object(await _text(request)))
        return web.json_response({"done": name})

    def _actions(self) -> Mapping[str, Callable[[Mapping[str, Any]], None]]:
        """What can be done, each with the request's body."""
        control = self._control
        return {
            "close": lambda body: control.close_sockets(_whole(body, "code", 1011, 1000, 4999)),
            "abort": lambda _body: control.abort_sockets(),
            "garbage": lambda _body: control.send_garbage(),
            "unknown": lambda _body: control.send_unknown(),
            "mute": lambda _body: control.mute(),
            "unmute": lambda _body: control.unmute(),
            "pause": lambda _body: control.pause(),
            "resume": lambda _body: control.resume(),
            "refuse": lambda body: control.refuse_chain(
                self._symbol(body),
                _whole(body, "status", 500, 429, 599),
                None if body.get("times") is None else _whole(body, "times", 1, 1, 1_000_000),
            ),
            "allow": lambda body: control.allow_chain(self._symbol(body)),
        }

    def _active(self, now: datetime) -> list[dict[str, object]]:
        return [_told_state(state) for state in self._control.injection.states(now)]

    def _symbols(self) -> list[str]:
        return [symbol.underlying.symbol for symbol in self._market.symbols]

    def _symbol(self, body: Mapping[str, Any]) -> str:
        return _check_symbol(body.get("symbol"), self._symbols())


def _told(handler: Handler) -> Handler:
    """Turn what the caller did wrong into an answer that says so."""

    @wraps(handler)
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConfigurationError as error:
            return _wrong(str(error), 400)
        except web.HTTPRequestEntityTooLarge:
            return _wrong("the body is too large, expected at most 1 MiB", 413)

    return told


def _wrong(error: str, status: int) -> web.Response:
    return web.json_response({"error": error, "remedy": _REMEDY}, status=status)


async def _text(request: web.Request) -> str:
    try:
        return (await request.read()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the body is no UTF-8 ({error.reason}), expected JSON") from error


def _object(text: str) -> Mapping[str, Any]:
    try:
        body = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the body is no JSON ({error}), expected an object") from error
    if not isinstance(body, dict):
        raise ConfigurationError(f"the body is {body!r:.80}, expected a JSON object")
    return body


def _whole(body: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    argument = Argument(name, default, "", least, most)
    checked = argument.checked(body.get(name, default))
    return checked if isinstance(checked, int) else default


def _check_symbol(symbol: object, listed: list[str]) -> str:
    if not isinstance(symbol, str) or symbol not in listed:
        raise ConfigurationError(
            f"symbol is {symbol!r:.80}, expected one of {', '.join(listed)}"
            + nearest(str(symbol), listed)
        )
    return symbol


def _instant(text: str) -> datetime:
    # A plus in a query that was not quoted arrives as a space.
    written = text.replace(" ", "+") if "T" in text else text
    instant: datetime | None = None
    with contextlib.suppress(ValueError):
        instant = datetime.fromisoformat(written)
    if instant is None or instant.tzinfo is None:
        raise ConfigurationError(
            f"at is {text!r:.80}, expected an instant with its zone, e.g. 2026-11-25T10:15:00+05:30"
        )
    return instant


def _told_state(state: FaultState) -> dict[str, object]:
    return {
        "id": state.number,
        "is_active": state.is_active,
        "seen": state.seen,
        "fired": state.fired,
        "fault": scenario.fields(state.fault),
    }


def _kind(kind: Kind) -> dict[str, object]:
    return {
        "name": kind.name,
        "strikes": kind.place.value,
        "share_of": kind.shares,
        "meaning": kind.meaning,
        "arguments": [_argument(argument) for argument in kind.arguments],
    }


def _argument(argument: Argument) -> dict[str, object]:
    return {
        "name": argument.name,
        "default": argument.default,
        "expected": argument.expected,
        "choices": list(argument.choices),
        "meaning": argument.meaning,
    }
