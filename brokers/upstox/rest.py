"""The broker's REST calls: requests, time-outs, retries, and errors turned into our types.

What an answer means is read in ``instruments`` and ``chain``; how often to call is decided by
``brokers.planner`` and bounded by ``brokers.budget``. The token is put into one header here and
appears in no error and no log.

Which answer is which error: 401, and a 403 that the API itself explains with a token code, are
``AuthenticationError``; 429 or ``UDAPI10005`` is ``RateLimited``; any other 4xx with the API's
envelope is ``RequestRejected``; 5xx and network failures are ``BrokerUnavailable``. So is a 403
without the envelope: it comes from the edge (Cloudflare 1010, 1015), which judges client and load
and says nothing about token or request, so waiting is right and a new token is not.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import polars as pl
import requests
import structlog
import tenacity

from brokers.budget import Budget
from brokers.interface import ChainPayload, Instrument, TokenSource
from brokers.upstox.chain import read_chain
from brokers.upstox.instruments import exchange_of, read_master
from brokers.upstox.units import known
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    MalformedResponse,
    RateLimited,
    RequestRejected,
)

_log = structlog.get_logger(__name__)

# Without a User-Agent of its own kind the edge answers 403.
USER_AGENT = "optionlake/0.1 (python-requests)"
# The broker's limit for one call of last prices.
KEYS_PER_PRICE_CALL = 500
_TOKEN_CODES = frozenset({"UDAPI100050", "UDAPI100067"})
_RATE_CODE = "UDAPI10005"
_RETRIED = (BrokerUnavailable, RateLimited)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failures that may pass are retried; delays are random up to a doubling bound.

    Attributes:
        attempts: calls in all.
        first_delay_seconds: bound of the first delay.
        longest_delay_seconds: bound of any delay.
        rate_limit_factor: a refusal for rate lasts longer, and refused calls count as calls.
        patience_seconds: longest wait for our own budget before giving up.
    """

    attempts: int = 4
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 15.0
    rate_limit_factor: float = 4.0
    patience_seconds: float = 60.0


class _Bearer(requests.auth.AuthBase):
    """Puts the token into the request last, and keeps ``requests`` from reading a .netrc."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._tokens.token().reveal()}"
        return request

    def hide(self, body: bytes) -> bytes:
        """``body`` without the token, should the broker repeat it in a complaint."""
        return body.replace(self._tokens.token().reveal().encode(), b"***")


class Upstox:
    """The broker as optionlake's ``Broker``; may be used by a few threads at once.

    Args:
        api_url: address of the API, e.g. ``https://api.upstox.com``.
        assets_url: address of the instrument master.
        tokens: where the token comes from; asked for each call.
        budget: taken from before each API call, retries included.
        symbols: the underlyings whose instruments are listed.
        clock: our clock (aware UTC), for the two instants of a chain payload.
    """

    def __init__(
        self,
        api_url: str,
        assets_url: str,
        tokens: TokenSource,
        budget: Budget,
        symbols: Sequence[str],
        *,
        retries: RetryPolicy | None = None,
        timeout_seconds: tuple[float, float] = (5.0, 20.0),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._assets_url = assets_url.rstrip("/")
        self._bearer = _Bearer(tokens)
        self._budget = budget
        self._symbols = tuple(symbols)
        self._policy = retries or RetryPolicy()
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._session = _session(is_direct=is_loopback(api_url))

    def instruments(self) -> Sequence[Instrument]:
        """Every instrument of the symbols, from the master files of their exchanges.

        Raises:
            MalformedResponse: if a file is no master, or lists none of the symbols.
        """
        exchanges = sorted({exchange_of(symbol) for symbol in self._symbols})
        master = read_master([self._master_file(name) for name in exchanges], self._symbols)
        if master.unlisted or master.rejected:
            _log.warning(
                "instrument master is incomplete",
                unlisted=master.unlisted,
                rejected_count=len(master.rejected),
                rejected_first=master.rejected[:3],
            )
        if not master.instruments:
            raise MalformedResponse(
                f"the instrument master lists none of {', '.join(self._symbols)}; "
                "check the setting OPTIONLAKE_SYMBOLS"
            )
        return master.instruments

    def authorize_feed(self) -> str:
        """A one-time socket address; each connection needs a new one."""
        data = self._data(self._api("v3", "feed", "market-data-feed", "authorize"))
        address = data.get("authorized_redirect_uri") or data.get("authorizedRedirectUri")
        if not isinstance(address, str) or not address.startswith(("ws://", "wss://")):
            raise MalformedResponse("feed authorization holds no ws:// or wss:// address")
        return address

    def chain(self, underlying: Instrument, expiry: date) -> ChainPayload:
        """The option chain as it stands; the body is not looked into."""
        query = {"instrument_key": underlying.broker_key, "expiry_date": expiry.isoformat()}
        requested_at = self._clock()
        body = self._api("v2", "option", "chain", query=query)
        return ChainPayload(
            underlying.contract.symbol, expiry, body, requested_at, responded_at=self._clock()
        )

    def parse_chain(self, payload: ChainPayload, listed: Sequence[Instrument]) -> pl.DataFrame:
        """See ``brokers.upstox.chain.read_chain``."""
        return read_chain(payload, listed)

    def last_prices(self, keys: Sequence[str]) -> Mapping[str, float]:
        """Last price in ₹ by broker key; keys that never traded are left out.

        One unknown key makes the broker refuse the whole call (``RequestRejected``).
        """
        prices: dict[str, float] = {}
        for start in range(0, len(keys), KEYS_PER_PRICE_CALL):
            some = keys[start : start + KEYS_PER_PRICE_CALL]
            body = self._api("v3", "market-quote", "ltp", query={"instrument_key": ",".join(some)})
            prices.update(_last_prices(self._data(body)))
        return prices

    def market_status(self, exchange: str) -> str:
        """The exchange's own word for its state, e.g. ``NORMAL_OPEN``."""
        status = self._data(self._api("v2", "market", "status", exchange)).get("status")
        if not isinstance(status, str):
            raise MalformedResponse(f"market status of {exchange} is {status!r}, expected a word")
        return status

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _master_file(self, exchange: str) -> bytes:
        # A public file on another host: it needs no token and counts against no limit.
        url = f"{self._assets_url}/market-quote/instruments/exchange/{exchange}.json.gz"
        return self._retrying(lambda: self._get(url, auth=None))

    def _api(self, *path: str, query: Mapping[str, str] | None = None) -> bytes:
        # A key's pipe and blank must arrive percent-encoded, in a path as in a query.
        url = "/".join((self._api_url, *(quote(part, safe="") for part in path)))
        if query:
            url += "?" + urlencode(query, quote_via=quote, safe="")

        def call() -> bytes:
            self._budget.acquire(self._policy.patience_seconds)
            return self._get(url, auth=self._bearer)

        return self._retrying(call)

    def _retrying(self, call: Callable[[], _Result]) -> _Result:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_RETRIED),
            stop=tenacity.stop_after_attempt(self._policy.attempts),
            wait=self._delay_seconds,
            before_sleep=_log_retry,
            reraise=True,
        )
        return retrying(call)

    def _delay_seconds(self, state: tenacity.RetryCallState) -> float:
        policy = self._policy
        error = state.outcome.exception() if state.outcome else None
        factor = policy.rate_limit_factor if isinstance(error, RateLimited) else 1.0
        backoff = tenacity.wait_random_exponential(
            multiplier=policy.first_delay_seconds * factor, max=policy.longest_delay_seconds
        )
        return backoff(state)

    def _get(self, url: str, auth: _Bearer | None) -> bytes:
        try:
            answer = self._session.get(
                url, auth=auth, timeout=self._timeout_seconds, allow_redirects=False
            )
        except requests.RequestException as error:
            # The cause holds the request and with it the token: it must not ride along.
            raise BrokerUnavailable(
                f"GET {_named(url)} failed: {type(error).__name__}; check network and address"
            ) from None
        if answer.status_code == 200:
            return answer.content
        body = auth.hide(answer.content) if auth else answer.content
        raise error_of(answer.status_code, body, _named(url))

    def _data(self, body: bytes) -> Mapping[str, Any]:
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


def _problem(body: bytes) -> tuple[str | None, str]:
    """Code and message of the error envelope, whose fields come in either casing."""
    try:
        first = json.loads(body)["errors"][0]
        code = first.get("errorCode") or first.get("error_code")
        return (str(code) if code else None), str(first.get("message", ""))[:300]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None, ""


def _last_prices(data: Mapping[str, Any]) -> dict[str, float]:
    # The map's own keys are trading symbols; the instrument key stands inside each entry.
    prices: dict[str, float] = {}
    for entry in data.values():
        try:
            key, price = str(entry["instrument_token"]), known(float(entry["last_price"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedResponse(
                "a last price lacks instrument_token or a numeric last_price"
            ) from error
        if price is not None:
            prices[key] = price
    return prices


def _session(is_direct: bool) -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
    # Cookies are the one thing a session changes by itself; without them threads can share it.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A proxy of the environment is for the internet, never for an exchange on this machine.
    session.trust_env = not is_direct
    return session


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine, where no proxy has a say."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _named(url: str) -> str:
    """The address without its query: short, and free of one-time codes."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning(
        "broker call failed, trying again",
        error=str(error),
        attempt=state.attempt_number,
        delay_seconds=round(state.upcoming_sleep, 3),
    )
