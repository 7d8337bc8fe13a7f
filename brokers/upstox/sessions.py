"""How connections to the broker's REST API are made, and what it means if none came about.

Which calls are made over them, with which token and how often again, belongs to ``rest``.
"""

from __future__ import annotations

import ipaddress
import socket
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from market.errors import BrokerUnavailable, BrokerUnreachable

# Without a User-Agent of its own kind the edge answers 403.
USER_AGENT = "optionlake/0.1 (python-requests)"
# How long our kernel repeats what nobody acknowledges. By itself it doubles its pauses for many
# minutes, so a connection that outlived a cut of the network would wake up long after it.
_UNACKNOWLEDGED_MS = 4_000


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that notice soon if nobody acknowledges what was sent."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, socket_options=_socket_options())


def api_session(url: str) -> requests.Session:
    """A session for calls to ``url``; threads may share it."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
    # Cookies are the one thing a session changes by itself; without them threads can share it.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A proxy of the environment is for the internet, never for an exchange on this machine.
    session.trust_env = not is_loopback(url)
    return session


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine, where no proxy has a say."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def failure_of(error: requests.RequestException, asked: str) -> BrokerUnavailable:
    """The error of a call that got no answer: was the broker asked at all?

    Only a connection that was never made proves that it was not. A reset or a time-out may have
    come after the broker had taken the request.
    """
    reason = getattr(error.args[0], "reason", None) if error.args else None
    is_unreached = isinstance(reason, urllib3.exceptions.ConnectTimeoutError)
    kind = BrokerUnreachable if is_unreached else BrokerUnavailable
    cause = type(reason if is_unreached else error).__name__
    return kind(f"{asked} failed: {cause}; check network and address")


def _socket_options() -> list[tuple[int, int, int]]:
    options = list(urllib3.connection.HTTPConnection.default_socket_options)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS))
    return options
