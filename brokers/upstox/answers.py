"""What the broker's small answers say, and which error an answer other than 200 is.

Pure: bytes in, values or one of our errors out. The large answers have readers of their own
(``chain``, ``instruments``); sending and retrying belong to ``rest``.

Which answer is which error: 401, and a 403 that the API itself explains with a token code, are
``AuthenticationError``; 429 or ``UDAPI10005`` is ``RateLimited``; any other 4xx with the API's
envelope is ``RequestRejected``; 5xx is ``BrokerUnavailable``. So is a 403 without the envelope: it
comes from the edge (Cloudflare 1010, 1015), which judges client and load and says nothing about
token or request, so waiting is right and a new token is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from brokers.upstox.units import known
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    MalformedResponse,
    RateLimited,
    RequestRejected,
)

_TOKEN_CODES = frozenset({"UDAPI100050", "UDAPI100067"})
_RATE_CODE = "UDAPI10005"
_LONGEST_MESSAGE = 300
_LONGEST_CODE = 40
_PRICE_END = 1e12
# A word of the exchange, as NORMAL_OPEN; it is shown and compared, never interpreted.
_STATUS_WORD = re.compile(r"[A-Za-z0-9_ -]{1,64}", re.ASCII)
# What an address can hold; a blank or a line break would end it somewhere inside a request.
_ADDRESS = re.compile(r"wss?://[!-~]{1,4096}", re.ASCII)


def read_data(body: bytes) -> Mapping[str, Any]:
    """The object under ``data``, which every small answer has.

    Raises:
        MalformedResponse: if the body is not such an answer.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedResponse(f"an answer of {len(body)} bytes is not JSON") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise MalformedResponse(
            f"an answer holds {type(data).__name__} as data, expected an object"
        )
    return data


def read_feed_address(body: bytes) -> str:
    """The socket's one-time address.

    Raises:
        MalformedResponse: if there is none that can be connected to.
    """
    data = read_data(body)
    address = data.get("authorized_redirect_uri") or data.get("authorizedRedirectUri")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address) or not _has_host(address):
        raise MalformedResponse("feed authorization holds no ws:// or wss:// address")
    return address


def read_market_status(body: bytes, exchange: str) -> str:
    """The exchange's own word for its state.

    Raises:
        MalformedResponse: if it is no word.
    """
    status = read_data(body).get("status")
    if not isinstance(status, str) or not _STATUS_WORD.fullmatch(status):
        raise MalformedResponse(
            f"market status of {exchange} is {type(status).__name__}, expected a word"
        )
    return status


def read_last_prices(body: bytes) -> Mapping[str, float]:
    """Last price in ₹ by broker key; what never traded is left out.

    Raises:
        MalformedResponse: if an entry lacks its key or a price.
    """
    # The map's own keys are trading symbols; the instrument key stands inside each entry.
    prices: dict[str, float] = {}
    for entry in read_data(body).values():
        key, price = _last_price(entry)
        if price is not None:
            prices[key] = price
    return prices


def error_of(status: int, body: bytes, asked: str) -> BrokerError:
    """The error that an answer other than 200 stands for; see the module's docstring."""
    code, message = _problem(body)
    told = f"{code} {message}" if code else "no explanation in the broker's format"
    text = f"GET {asked} was answered {status}: {told}"
    facts: dict[str, Any] = {"status": status, "code": code}
    if status == 429 or code == _RATE_CODE:
        return RateLimited(f"{text}; wait, or lower the number of calls", **facts)
    if status == 401 or code in _TOKEN_CODES:
        return AuthenticationError(f"{text}; check UPSTOX_ACCESS_TOKEN", **facts)
    if status >= 500 or (status == 403 and code is None):
        return BrokerUnavailable(f"{text}; try again later", **facts)
    if 400 <= status < 500:
        return RequestRejected(text, **facts)
    return MalformedResponse(f"{text}; expected 200", **facts)


def plain(text: object, longest: int) -> str:
    """Foreign text as one printable line of at most ``longest`` signs, fit for a log or terminal.

    Control signs could forge lines and colours, and lone surrogates cannot be written at all.
    """
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in str(text)[:longest])


def _last_price(entry: object) -> tuple[str, float | None]:
    told = entry if isinstance(entry, dict) else {}
    key, price = told.get("instrument_token"), told.get("last_price")
    if not isinstance(key, str) or not _is_key(key) or not _is_price(price):
        raise MalformedResponse(
            "a last price lacks instrument_token or a numeric last_price from ₹0 up"
        )
    return key, known(float(price))


def _is_key(text: str) -> bool:
    return text != "" and text.isprintable()


def _is_price(value: object) -> TypeGuard[float]:
    # Compared before it is converted: an integer of any length is JSON too.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < _PRICE_END


def _has_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _problem(body: bytes) -> tuple[str | None, str]:
    """Code and message of the error envelope, whose fields come in either casing."""
    try:
        first = json.loads(body)["errors"][0]
        code = first.get("errorCode") or first.get("error_code")
        message = plain(first.get("message", ""), _LONGEST_MESSAGE)
        return (plain(code, _LONGEST_CODE) if code else None), message
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None, ""
