"""The broker's REST calls: requests, time-outs, retries, and errors turned into our types.

What an answer means is read in ``answers``, ``instruments`` and ``chain``, connections are made in
``sessions``; how often to call is decided by ``brokers.planner`` and bounded by ``brokers.budget``.
The token is put into one header here and appears in no error and no log.

A call that found no connection is ``BrokerUnreachable``: nobody was asked, so it is tried again
soon and does not count against the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import polars as pl
import requests
import structlog
import tenacity

from brokers.budget import Budget
from brokers.interface import Capabilities, ChainPayload, Instrument, TokenSource
from brokers.upstox.answers import (
    error_of,
    read_feed_address,
    read_last_prices,
    read_market_status,
)
from brokers.upstox.chain import read_chain
from brokers.upstox.instruments import exchange_of, read_master
from brokers.upstox.limits import current_capabilities
from brokers.upstox.sessions import api_session, failure_of
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    BrokerUnreachable,
    MalformedResponse,
    RateLimited,
    RequestRejected,
)

_log = structlog.get_logger(__name__)

# The broker's limit for one call of last prices, and of quotes.
KEYS_PER_PRICE_CALL = 500
_RETRIED = (BrokerUnavailable, RateLimited)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failures that may pass are retried; delays are random up to a doubling bound.

    Attributes:
        attempts: calls in all.
        first_delay_seconds: bound of the first delay.
        longest_delay_seconds: bound of any delay.
        longest_unreached_seconds: bound of the delay where no connection was made.
        rate_limit_factor: a refusal for rate lasts longer, and refused calls count as calls.
        patience_seconds: longest wait for our own budget before giving up.
        poll_patience_seconds: the same for calls that are made again and again anyway.
    """

    attempts: int = 4
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 15.0
    longest_unreached_seconds: float = 1.0
    rate_limit_factor: float = 4.0
    patience_seconds: float = 60.0
    poll_patience_seconds: float = 5.0


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
        timeout_seconds: for one attempt to connect, and for each wait for bytes of the answer.
        feed_timeout_seconds: the same for the feed's authorization and for quotes, both of which
            are tried again anyway.
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
        timeout_seconds: tuple[float, float] = (1.5, 20.0),
        feed_timeout_seconds: tuple[float, float] = (1.5, 5.0),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._assets_url = assets_url.rstrip("/")
        self._bearer = _Bearer(tokens)
        self._tokens = tokens
        self._budget = budget
        self._symbols = tuple(symbols)
        self._policy = retries or RetryPolicy()
        self._timeout_seconds = timeout_seconds
        self._feed_timeout_seconds = feed_timeout_seconds
        self._clock = clock
        self._session = api_session(api_url)

    def capabilities(self) -> Capabilities:
        """See ``brokers.upstox.limits``; of the token that is in use now."""
        return current_capabilities(self._tokens)

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
        """A one-time socket address; each connection needs a new one.

        Asked once, over a new connection: who wants to be live again tries again by itself, and a
        pooled connection might be one that a cut of the network has left for dead.
        """
        url = self._url("v3", "feed", "market-data-feed", "authorize")
        with api_session(self._api_url) as session:
            return read_feed_address(self._counted(url, session, self._feed_timeout_seconds))

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
            prices.update(read_last_prices(body))
        return prices

    def quotes(self, keys: Sequence[str]) -> bytes:
        """What is on show of up to 500 keys: the answer as it came, which the codec reads.

        Asked once, and not waiting long for the budget: whoever polls asks again. Version 2,
        because its limit of keys is documented and it lacks nothing that the feed has columns for.
        """
        if not 0 < len(keys) <= KEYS_PER_PRICE_CALL:
            raise RequestRejected(
                f"quotes of {len(keys)} keys in one call, expected 1 to {KEYS_PER_PRICE_CALL}"
            )
        url = self._url("v2", "market-quote", "quotes", query={"instrument_key": ",".join(keys)})
        patience_seconds = self._policy.poll_patience_seconds
        return self._counted(url, self._session, self._feed_timeout_seconds, patience_seconds)

    def market_status(self, exchange: str) -> str:
        """The exchange's own word for its state, e.g. ``NORMAL_OPEN``."""
        return read_market_status(self._api("v2", "market", "status", exchange), exchange)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _master_file(self, exchange: str) -> bytes:
        # A public file on another host: it needs no token and counts against no limit.
        url = f"{self._assets_url}/market-quote/instruments/exchange/{exchange}.json.gz"
        return self._retrying(lambda: self._get(url, None, self._session, self._timeout_seconds))

    def _api(self, *path: str, query: Mapping[str, str] | None = None) -> bytes:
        url = self._url(*path, query=query)
        return self._retrying(lambda: self._counted(url, self._session, self._timeout_seconds))

    def _url(self, *path: str, query: Mapping[str, str] | None = None) -> str:
        # A key's pipe and blank must arrive percent-encoded, in a path as in a query.
        url = "/".join((self._api_url, *(quote(part, safe="") for part in path)))
        # The commas between keys may stay: 500 keys are long enough for an address as they are.
        return url + "?" + urlencode(query, quote_via=quote, safe=",") if query else url

    def _counted(
        self,
        url: str,
        session: requests.Session,
        timeout_seconds: tuple[float, float],
        patience_seconds: float | None = None,
    ) -> bytes:
        """One call with the token and within the budget; uncounted again if nobody was asked."""
        if patience_seconds is None:
            patience_seconds = self._policy.patience_seconds
        permit = self._budget.acquire(patience_seconds)
        try:
            return self._get(url, self._bearer, session, timeout_seconds)
        except BrokerError as error:
            if _was_nobody_asked(error):
                self._budget.give_back(permit)
            raise

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
        longest_seconds = policy.longest_delay_seconds
        if isinstance(error, BrokerUnreachable):
            longest_seconds = min(longest_seconds, policy.longest_unreached_seconds)
        backoff = tenacity.wait_random_exponential(
            multiplier=policy.first_delay_seconds * factor, max=longest_seconds
        )
        return backoff(state)

    def _get(
        self,
        url: str,
        auth: _Bearer | None,
        session: requests.Session,
        timeout_seconds: tuple[float, float],
    ) -> bytes:
        try:
            answer = session.get(url, auth=auth, timeout=timeout_seconds, allow_redirects=False)
        except requests.RequestException as error:
            # The cause holds the request and with it the token: it must not ride along.
            raise failure_of(error, f"GET {_named(url)}") from None
        if answer.status_code == 200:
            return answer.content
        body = auth.hide(answer.content) if auth else answer.content
        raise error_of(answer.status_code, body, _named(url))


def _was_nobody_asked(error: BrokerError) -> bool:
    # Without a status it is our own word about the token, said before anything was sent.
    is_ours = isinstance(error, AuthenticationError) and error.status is None
    return is_ours or isinstance(error, BrokerUnreachable)


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
