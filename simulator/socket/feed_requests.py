"""What a client asks of the feed, read from the binary messages that it sends.

What a request does stands with those who serve it: ``session`` and ``playback``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from simulator.socket.wire import LTPC


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """A request; what was no request at all has an empty method.

    Attributes:
        keys: the instrument keys, each once, in the order of the request.
        mode: empty where it was wrong; ``ltpc`` where a ``sub`` named none.
    """

    method: str
    keys: tuple[str, ...]
    mode: str


_NO_REQUEST = FeedRequest("", (), "")


def parse(message: bytes) -> FeedRequest:
    """Read a message; never an error, as the broker has none to send."""
    try:
        request = json.loads(message)
        method, data = request["method"], request["data"]
        keys, mode = data["instrumentKeys"], data.get("mode")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _NO_REQUEST
    if not isinstance(method, str) or not isinstance(keys, list):
        return _NO_REQUEST
    if mode is None and method == "sub":
        mode = LTPC
    named = dict.fromkeys(key for key in keys if isinstance(key, str))
    return FeedRequest(method, tuple(named), mode if isinstance(mode, str) else "")
