"""What a fault answers to a REST call instead of, or on top of, the exchange's own answer.

Pure: a fault in, an answer out. When a fault strikes is decided in ``injection``; putting an answer
on the wire is ``middleware``'s part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from simulator.access.refusals import refuse
from simulator.faults.catalogue import Arguments

_JSON = "application/json"
_PAGES = {
    "1010": "Access denied: the owner of this website has banned your browser's signature",
    "1015": "You are being rate limited: the owner of this website has banned you temporarily",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens to one call.

    Attributes:
        status: of an answer in place of the exchange's; None to let the exchange answer.
        body, content_type: of that answer.
        delay_seconds: wall-clock time before anything is answered.
        keeps: share of the body that arrives before the connection is cut; None for all of it.
        null_field: a field of every entry of ``data`` to set to null.
    """

    status: int | None = None
    body: bytes = b""
    content_type: str = _JSON
    delay_seconds: float = 0.0
    keeps: float | None = None
    null_field: str | None = None


def answer_of(name: str, arguments: Arguments, keys: Iterable[str]) -> Answer:
    """What the call fault ``name`` does to a call that names ``keys``."""
    return _ANSWERS[name](arguments, tuple(keys))


def both(first: Answer | None, second: Answer) -> Answer:
    """Two faults at once: the first one's answer, both delays, whatever either does to the body."""
    if first is None:
        return second
    chosen = first if first.status is not None else second
    return replace(
        chosen,
        delay_seconds=first.delay_seconds + second.delay_seconds,
        keeps=second.keeps if first.keeps is None else first.keeps,
        null_field=first.null_field or second.null_field,
    )


def with_null(body: bytes, field: str) -> bytes:
    """The body with ``field`` null in every entry of ``data``; as it is if it is no such JSON."""
    try:
        told = json.loads(body)
        for entry in told["data"].values():
            if field in entry:
                entry[field] = None
    except (ValueError, TypeError, KeyError, AttributeError):
        return body
    return json.dumps(told).encode()


def _error(code: str, value: object = None, status: int | None = None) -> Answer:
    """An error in the broker's envelope."""
    refused = refuse(code, value=value)
    return Answer(status or refused.status, (refused.text or "").encode())


def _success(data: object) -> Answer:
    return Answer(200, json.dumps({"status": "success", "data": data}).encode())


def _server_error(arguments: Arguments, _keys: tuple[str, ...]) -> Answer:
    return _error("UDAPI100500", status=arguments.whole("status"))


def _page(arguments: Arguments, _keys: tuple[str, ...]) -> Answer:
    code = arguments.text("code")
    html = (
        f"<!DOCTYPE html><html><head><title>Error {code}</title></head>"
        f"<body><h1>Error {code}</h1><p>{_PAGES[code]}.</p></body></html>"
    )
    return Answer(403, html.encode(), "text/html")


def _bad_key(_arguments: Arguments, keys: tuple[str, ...]) -> Answer:
    value = keys[0] if keys else None
    return _error("UDAPI1087", value)


def _slow(arguments: Arguments, _keys: tuple[str, ...]) -> Answer:
    return Answer(delay_seconds=arguments.number("seconds"))


def _torn(arguments: Arguments, _keys: tuple[str, ...]) -> Answer:
    return Answer(keeps=arguments.number("keeps"))


_ANSWERS: Mapping[str, Callable[[Arguments, tuple[str, ...]], Answer]] = {
    "rate_limited": lambda _a, _k: _error("UDAPI10005"),
    "server_error": _server_error,
    "forbidden_page": _page,
    "empty_candles": lambda _a, _k: _success({"candles": []}),
    "throttled_empty": lambda _a, _k: _success({"candles": []}),
    "null_data": lambda _a, _k: _success(None),
    "bad_key": _bad_key,
    "prev_ohlc_null": lambda _a, _k: Answer(null_field="prev_ohlc"),
    "slow": _slow,
    "torn": _torn,
}
